// Package evaluation opens what every task needs: the data, the model, the
// preprocessing that goes with it, and a session on the device that was asked
// for; and it says so in the report.
package evaluation

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Config is what the shared flags fill.
type Config struct {
	Model  string // ONNX file, or a name in models.lock
	Output string // output with the class scores; empty: found

	Data   string // folder, tar file, list, CIFAR file, or scenes[:SPLIT]
	Format datasets.Format
	Labels string // label file or class map
	Root   string // folder that a list's paths are relative to
	Split  string
	Prefer string // split to take where Split names none and there are several
	Subset string // file with the names of the images to use; empty: all
	Limit  int    // class-balanced subset of them; 0 is all
	// Unlabelled says that labels of the data do not matter.
	Unlabelled bool

	Recipe  string // named recipe; empty: the model's own
	Changes Changes
	Exact   *imageproc.Recipe // all of the preprocessing, where it is known; nil otherwise

	Device  runtime.Device
	Threads int // of the model; 0 is automatic
	Workers int // decoding; 0 is automatic
	Batch   int // 0 is automatic
	Library string
	Seed    uint64
}

// Changes are preprocessing flags that were given; nil ones were not.
type Changes struct {
	Resize, Crop  *imageproc.Size
	Fit           *imageproc.Fit
	Interpolation *imageproc.Filter
	Mean, Std     *[3]float32
	BGR           *bool
	Range         *int
}

// Defaults: what runs when no flags are given.
const (
	DefaultModel = "scenes-cutmix"
	DefaultData  = "scenes"
)

// DefaultConfig runs the embedded CutMix model on the embedded test scenes.
func DefaultConfig() Config {
	return Config{Model: DefaultModel, Data: DefaultData, Format: datasets.Auto, Device: runtime.CPU}
}

// Setup is everything opened. Close it.
type Setup struct {
	Config       Config
	Data         *datasets.Dataset
	Selected     []int // samples of Data that --limit chose; nil is all
	Model        *model.Model
	Entry        *lock.Entry // of the model in models.lock, nil without one
	FreedBatch   string      // what became of a batch size fixed in the file; empty for an open one
	Recipe       imageproc.Recipe
	RecipeSource string
	// Geometry is the recipe by which pictures as stored came to the model's size: Recipe, but
	// for derived data, which have that size already.
	Geometry    imageproc.Recipe
	Library     runtime.Candidate
	Session     *runtime.Session // nil before Start
	Taps        []string         // tensors to compute beside the class scores
	Penultimate bool             // the last of them is the penultimate vector
	Outputs     int              // class scores per image; 0 where only a session can tell
	// Probabilities says that the scores are probabilities though nothing in the
	// graph says so. Known after Start.
	Probabilities bool
	Workers       int
	Batch         int
	shape         []int64
	shared        bool // session and model belong to another setup
	opening       time.Duration
}

// Open is Prepare and Start.
func Open(ctx context.Context, c Config, progress runtime.Progress) (*Setup, error) {
	s, err := Prepare(c)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx, progress); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Prepare opens data and model, without ONNX Runtime: a wrong name is told before
// a library is installed, and what has been computed needs no session.
func Prepare(c Config) (*Setup, error) {
	start := time.Now()
	s := &Setup{Config: c}
	var err error
	if s.Model, s.Entry, err = OpenModel(c.Model, c.Output); err != nil {
		return nil, err
	}
	if s.Recipe, s.RecipeSource, err = c.recipe(s.Model, s.Entry); err != nil {
		return nil, err
	}
	s.Geometry = s.Recipe
	if s.shape, err = s.imageShape(); err != nil {
		return nil, err
	}
	if err := s.openData(); err != nil {
		return nil, err
	}
	if s.Selected, err = s.pick(); err != nil {
		return nil, err
	}
	s.Outputs = s.Model.Classes
	if s.Workers = c.Workers; s.Workers <= 0 {
		s.Workers = goruntime.GOMAXPROCS(0)
	}
	s.opening = time.Since(start)
	return s, nil
}

// With is the same model and session with other data: c says which, and how many of
// them; pixels are prepared alike. Noise is drawn at the size that the model sees. Only
// its data are closed by Close.
func (s *Setup) With(c Config) (*Setup, error) {
	out := *s
	out.Config, out.shared, out.Selected = c, s.Session != nil, nil
	if err := out.openData(); err != nil {
		return nil, err
	}
	var err error
	out.Selected, err = out.pick()
	return &out, err
}

// pick are the samples that the configuration chooses; nil is all.
func (s *Setup) pick() ([]int, error) {
	named, err := s.Data.Named(s.Config.Subset)
	if err != nil {
		return nil, err
	}
	return s.Data.PickOf(named, s.Config.Limit, s.Config.Seed), nil
}

// Derive makes the setup one of data that is computed from its images: variants of each,
// at the size that the model sees. Images are the selected ones' variants.
func (s *Setup) Derive(d *datasets.Dataset, variants int) {
	s.Geometry, s.Recipe, s.Data = s.Recipe, s.Cropped(), d
	if s.Selected == nil {
		return
	}
	at := s.Selected
	s.Selected = nil
	for _, i := range at {
		for k := range variants {
			s.Selected = append(s.Selected, i*variants+k)
		}
	}
}

// openData opens the data that the configuration names.
func (s *Setup) openData() (err error) {
	c, size := s.Config, s.Size()
	o := datasets.Options{Format: c.Format, Labels: c.Labels, Root: c.Root, Split: c.Split, Prefer: c.Prefer, Unlabelled: c.Unlabelled, NoiseSeed: c.Seed, NoiseW: size.W, NoiseH: size.H}
	if s.Data, err = datasets.Open(c.Data, o); err == nil && s.Data.Format == datasets.Noise {
		s.Recipe = s.Cropped()
	}
	return err
}

// Size is that of the images that the model sees.
func (s *Setup) Size() imageproc.Size {
	if s.Recipe.Layout == imageproc.NHWC {
		return imageproc.Size{H: int(s.shape[0]), W: int(s.shape[1])}
	}
	return imageproc.Size{H: int(s.shape[1]), W: int(s.shape[2])}
}

// Cropped is the recipe for images that have the model's size already.
func (s *Setup) Cropped() imageproc.Recipe {
	r := s.Recipe
	r.Resize, r.Crop = imageproc.Size{}, s.Size()
	return r
}

// Lend makes another setup of the same model use this one's session, which that one
// closes from now on.
func (s *Setup) Lend(to *Setup) {
	to.Library, to.Session, to.Taps, to.Penultimate = s.Library, s.Session, s.Taps, s.Penultimate
	to.Outputs, to.Probabilities, to.Batch, to.FreedBatch = s.Outputs, s.Probabilities, s.Batch, s.FreedBatch
	s.shared = true
}

// Start opens a session for the model and its taps. progress is told about an
// installation of ONNX Runtime and may be nil. A session that is open stays.
func (s *Setup) Start(ctx context.Context, progress runtime.Progress) error {
	if s.Session != nil {
		return nil
	}
	start := time.Now()
	var err error
	if s.Library, err = runtime.Ensure(ctx, s.Config.Library, progress); err != nil {
		return err
	}
	threads := s.Config.Threads
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	if err := s.openSession(ctx, threads, s.shape); err != nil {
		return err
	}
	s.Outputs = 1
	for _, d := range s.Session.Outputs[0].Shape[1:] {
		s.Outputs *= int(d)
	}
	if s.Model.Classes > 0 && s.Model.Classes != s.Outputs {
		return fmt.Errorf("model %q: tensor %q has %d values per image, its output %q has %d classes", s.Config.Model, s.Model.Logits, s.Outputs, s.Model.Output, s.Model.Classes)
	}
	if s.Probabilities, err = s.probabilities(ctx); err != nil {
		return err
	}
	if s.Batch = s.Config.Batch; s.Batch <= 0 {
		s.Batch = automaticBatch(s.shape)
	}
	if s.Session.Fixed > 0 {
		s.Batch = s.Session.Fixed
	}
	s.opening += time.Since(start)
	return nil
}

// probabilities says whether the scores of two images of noise lie in 0..1 and sum
// to 1, each: logits do not do that by chance.
func (s *Setup) probabilities(ctx context.Context) (bool, error) {
	if s.Outputs < 2 {
		return false, nil
	}
	b, err := s.Session.NewBatch(2)
	if err != nil {
		return false, err
	}
	defer b.Close()
	noise(b, rand.New(rand.NewPCG(1, 1)))
	n := min(2, b.Size())
	if err := b.Run(ctx, n); err != nil {
		return false, err
	}
	for i := range n {
		sum := 0.0
		for _, v := range b.Output(0, i) {
			if !(v >= 0 && v <= 1) {
				return false, nil
			}
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-3 {
			return false, nil
		}
	}
	return true, nil
}

// noise fills a batch.
func noise(b *runtime.Batch, rng *rand.Rand) {
	for i := range b.Size() {
		slot := b.Input(0, i)
		for j := range slot {
			slot[j] = float32(rng.NormFloat64())
		}
	}
}

// recipe resolves the preprocessing: flags over a named recipe, or over what
// the model says of itself.
func (c Config) recipe(m *model.Model, e *lock.Entry) (imageproc.Recipe, string, error) {
	r, source, err := m.Recipe(e.RecipeOrNil())
	if err != nil {
		return r, "", err
	}
	if c.Recipe != "" {
		named, err := imageproc.NamedRecipe(c.Recipe)
		if err != nil {
			return r, "", err
		}
		named.Layout = r.Layout
		r, source = named, "recipe "+c.Recipe
	}
	if c.Exact != nil {
		return *c.Exact, "as it was", c.Exact.Validate()
	}
	var flags []string
	set := func(given bool, name string, apply func()) {
		if given {
			flags = append(flags, name)
			apply()
		}
	}
	ch := c.Changes
	set(ch.Resize != nil, "resize", func() {
		r.Resize, r.Fit = *ch.Resize, imageproc.Shorter
		if r.Resize.H != r.Resize.W {
			r.Fit = imageproc.Squash
		}
	})
	set(ch.Fit != nil, "fit", func() { r.Fit = *ch.Fit })
	set(ch.Crop != nil, "crop", func() { r.Crop = *ch.Crop })
	set(ch.Interpolation != nil, "interpolation", func() { r.Interpolation = *ch.Interpolation })
	set(ch.Mean != nil, "mean", func() { r.Mean = *ch.Mean })
	set(ch.Std != nil, "std", func() { r.Std = *ch.Std })
	set(ch.BGR != nil, "color", func() { r.BGR = *ch.BGR })
	set(ch.Range != nil, "range", func() { r.Range = *ch.Range })
	if len(flags) > 0 {
		source = fmt.Sprintf("flags %s over %s", strings.Join(flags, ", "), source)
	}
	if err := r.Validate(); err != nil {
		return r, "", fmt.Errorf("preprocessing (%s): %w", source, err)
	}
	return r, source, nil
}

// imageShape is the size of one image's tensor: what the recipe makes, or what
// the model takes.
func (s *Setup) imageShape() ([]int64, error) {
	size, ok := s.Recipe.Fixed()
	if !ok {
		size = imageproc.Size{H: s.Model.H, W: s.Model.W}
		if size.H == 0 || size.W == 0 {
			return nil, fmt.Errorf("neither the preprocessing (%s) nor the model %q fixes the image size; give --crop or --resize HEIGHTxWIDTH", s.Recipe, s.Model.Name)
		}
	}
	if s.Recipe.Layout == imageproc.NHWC {
		return []int64{int64(size.H), int64(size.W), 3}, nil
	}
	return []int64{3, int64(size.H), int64(size.W)}, nil
}

// automaticBatch keeps a batch's input near 8 MiB, which fits caches better than
// more and wastes less on calls than fewer; see bench/README.md.
func automaticBatch(shape []int64) int {
	item := 4
	for _, d := range shape {
		item *= int(d)
	}
	n := max(8<<20/item, 1)
	return min(max(1<<(bits.Len(uint(n))-1), 8), 128)
}

// Stop frees the session. Its memory is better used by what computes numbers.
func (s *Setup) Stop() {
	if s.Session != nil && !s.shared {
		_ = s.Session.Close() // nothing is lost: results were read out
		s.Session = nil
	}
}

// Close frees everything.
func (s *Setup) Close() {
	s.Stop()
	if s.Data != nil {
		_ = s.Data.Close()
	}
}

// Pipeline is the configuration that sends the samples at (nil is all) through
// the model. Output 0 holds the class scores, the taps follow.
func (s *Setup) Pipeline(at []int, progress func(done int)) pipeline.Config {
	n := len(s.Data.Samples)
	if at != nil {
		n = len(at)
	}
	return pipeline.Config{
		N:        n,
		Filler:   func() (pipeline.Filler, error) { return Filler(s.Recipe, s.Load(at)) },
		NewBatch: func(n int) (pipeline.Batch, error) { return s.Session.NewBatch(n) },
		Batch:    s.Batch, Workers: s.Workers, Progress: progress,
	}
}

// Report starts a report with everything but the task's own part, the session
// and the time.
func (s *Setup) Report(tool report.Tool) *report.Report {
	r := &report.Report{Tool: tool}
	r.Model = report.Model{
		Name: s.Model.Name, Path: s.Model.Path, SHA256: s.Model.SHA256, Bytes: s.Model.Size,
		Classes: s.Outputs, Output: s.Model.Logits, Activation: s.Model.Activation, Training: s.Entry.TrainingText(s.Model),
	}
	r.Tables = append(r.Tables, published(s.Entry)...)
	d := s.Data
	r.Dataset = report.Dataset{
		Name: d.Name, Path: s.Config.Data, Format: string(d.Format), Recognised: d.Why,
		Classes: len(d.Classes), Fingerprint: d.Fingerprint(), Notes: d.Notes,
	}
	recipe := s.Recipe
	if d.Format == datasets.Derived {
		recipe = s.Geometry
	}
	r.Preprocessing = report.Preprocessing{
		Recipe: recipe, Summary: recipe.String(), Source: s.RecipeSource,
		Decoder: imageproc.DecoderName, Fingerprint: recipe.Fingerprint(),
	}
	if s.Config.Subset != "" {
		r.Option("images named in %s", filepath.Base(s.Config.Subset))
	}
	if s.Config.Limit > 0 {
		r.Option("limit %d (seed %d)", s.Config.Limit, s.Config.Seed)
	}
	return r
}

// Runtime is the report's part about the session, which must be open.
func (s *Setup) Runtime() report.Runtime {
	return report.Runtime{
		ORT: s.Library.Version, Library: s.Library.Path, Device: s.Session.Device.String(), Threads: s.Session.Threads,
		Workers: s.Workers, Batch: s.Batch, Placement: s.Session.Placement, PlacementText: s.Session.PlacementText(), FixedBatch: s.FreedBatch,
	}
}

// RanBy is the report's part about what ran the model, of a run.
func RanBy(m results.Manifest) report.Runtime {
	return report.Runtime{ORT: m.Key.Device.ORT, Device: m.Key.Device.Name, Reused: m.Reused}
}

// Ran is the report's part about the session, which it closes: numbers are computed in
// the memory that it had. nil where there was none.
func (s *Setup) Ran() *report.Runtime {
	if s.Session == nil {
		return nil
	}
	r := s.Runtime()
	s.Stop()
	return &r
}

// Timing is the report's part about time, of a run with these statistics.
func (s *Setup) Timing(st pipeline.Stats) *report.Timing {
	t := &report.Timing{
		Startup: s.opening.Seconds(), Wall: st.Wall.Seconds(), Model: st.Model.Seconds(),
		ModelWaiting: st.Wait.Seconds(), LoadCPU: st.Load.Seconds(),
	}
	if st.Wall > 0 {
		t.ImagesPerSecond = float64(st.Samples) / st.Wall.Seconds()
	}
	return t
}

// Told is what a report says a task was told.
type Told struct {
	Limit int    `json:"limit"` // 0 is all images
	Seed  uint64 `json:"seed"`
	Split string `json:"split,omitempty"`
	Task  any    `json:"task"`
}

// Told returns the shared part with the task's own configuration.
func (c Config) Told(task any) Told { return Told{c.Limit, c.Seed, c.Split, task} }
