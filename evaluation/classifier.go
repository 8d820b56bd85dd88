package evaluation

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"cutmix-eval/imageproc"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
)

// Classifier is a model with its preprocessing, ready to be started on a device. It
// holds at most one engine, which all passes share. Not safe for concurrent use.
// Close it.
type Classifier struct {
	Model        *model.Model
	Entry        *lock.Entry // of the model in models.lock, nil without one
	Recipe       imageproc.Recipe
	RecipeSource string // who says so
	Changes      Changes
	Running      Running

	source     string         // of the model as it was asked for: a file or a name
	named      string         // output that was asked for
	settled    bool           // data have decided between several outputs
	size       imageproc.Size // of the images that the model sees
	shape      []int64        // of one sample's tensor, without the batch axis
	pixelNotes []string       // what is to be known of input and preprocessing
	start      Start
	engine     Engine // nil while none is open
	taps       []string
	outputs    int
	opening    time.Duration
	// probabilities says that the scores are probabilities though nothing in the graph
	// says so. Known once an engine was open.
	probabilities bool
	checked       []string // tensors of which it is known whether they depend on the batch
	alone         bool     // they do: it runs image by image
	warnings      []string // of the model, for reports
}

// OpenClassifier opens a model by file or name, without ONNX Runtime: a wrong name is
// reported before a library is installed, and what has been computed needs no engine.
func OpenClassifier(c ModelConfig, r Running) (*Classifier, error) {
	start := time.Now()
	m, entry, err := OpenModel(c.Model, c.Output)
	if err != nil {
		return nil, err
	}
	out, err := ClassifierOf(m, entry, c, r)
	if err != nil {
		return nil, err
	}
	out.opening = time.Since(start)
	return out, nil
}

// ClassifierOf is OpenClassifier for a model that is open, with its entry in models.lock or nil.
func ClassifierOf(m *model.Model, entry *lock.Entry, c ModelConfig, r Running) (*Classifier, error) {
	m, warnings, err := forInference(m)
	if err != nil {
		return nil, err
	}
	recipe, source, err := c.recipe(m, entry)
	if err != nil {
		return nil, err
	}
	recipe, size, shape, pixelNotes, err := c.input(m, recipe, source)
	if err != nil {
		return nil, err
	}
	out := NewClassifier(m, shape, r, startSession)
	out.size, out.Entry, out.Recipe, out.RecipeSource, out.Changes = size, entry, recipe, source, c.Changes
	out.warnings, out.pixelNotes = warnings, pixelNotes
	out.source, out.named = c.Model, c.Output
	return out, nil
}

// NewClassifier is a classifier whose engines start opens, on samples of the given shape,
// without the batch axis; of three axes they are channels x height x width. It has no
// preprocessing.
func NewClassifier(m *model.Model, shape []int64, r Running, start Start) *Classifier {
	if r.Workers <= 0 {
		r.Workers = goruntime.GOMAXPROCS(0)
	}
	if r.Threads <= 0 {
		r.Threads = goruntime.GOMAXPROCS(0)
	}
	c := &Classifier{Model: m, Running: r, source: m.Name, shape: shape, start: start, outputs: m.Classes}
	if len(shape) == 3 {
		c.size = imageproc.Size{H: int(shape[1]), W: int(shape[2])}
	}
	return c
}

// Source is the model as it was asked for: a file or a name, and its output, which is empty
// where none was named.
func (c *Classifier) Source() (model, output string) { return c.source, c.named }

// Edited is a classifier of the same preprocessing and device with an edited model, or one of
// another file. It has an engine of its own.
func (c *Classifier) Edited(m *model.Model) *Classifier {
	out := *c
	out.Model, out.engine, out.taps, out.outputs = m, nil, nil, m.Classes
	out.checked, out.alone = nil, false
	if m.SHA256 != c.Model.SHA256 {
		out.Entry = nil // it is of the other file
	}
	return &out
}

// Size is that of the images that the model sees.
func (c *Classifier) Size() imageproc.Size { return c.size }

// Cropped is the recipe for images that have the model's size already.
func (c *Classifier) Cropped() imageproc.Recipe {
	r := c.Recipe
	r.Resize, r.Crop = imageproc.Size{}, c.Size()
	return r
}

// Engine is the classifier's engine, with the tensors taps as outputs beside the class
// scores. The one that is open is used again where it has them all; otherwise it is
// closed and another one opened, so passes that go on must ask for the same taps.
func (c *Classifier) Engine(ctx context.Context, taps ...string) (Engine, error) {
	if c.engine != nil && !slices.ContainsFunc(taps, func(t string) bool { return !slices.Contains(c.taps, t) }) {
		return c.engine, nil
	}
	if err := c.Model.Ambiguous(); err != nil {
		return nil, fmt.Errorf("model %q: %w", c.source, err)
	}
	c.Stop()
	begun := time.Now()
	e, err := c.start(ctx, c, taps)
	if err != nil {
		return nil, err
	}
	outputs := 1
	for _, d := range e.Outputs()[0].Shape[1:] {
		outputs *= int(d)
	}
	if err = model.CheckScores(c.Model.Logits, e.Outputs()[0].Shape); err != nil {
		err = fmt.Errorf("model %q: %w", c.source, err)
	} else if n := c.Model.Classes; n > 0 && n != outputs {
		err = fmt.Errorf("model %q: tensor %q has %d values per image, its output %q has %d classes", c.source, c.Model.Logits, outputs, c.Model.Output, n)
	} else if known, ok := e.(interface{ Probabilities() bool }); ok {
		c.probabilities = known.Probabilities()
	} else {
		c.probabilities, err = sumToOne(ctx, e, outputs)
	}
	if err != nil {
		_ = e.Close()
		return nil, err
	}
	c.engine, c.taps, c.outputs = e, slices.Clone(taps), outputs
	c.opening += time.Since(begun)
	return e, nil
}

// Outputs is the number of class scores per sample. Where the file does not say it, an
// engine is started.
func (c *Classifier) Outputs(ctx context.Context) (int, error) {
	if c.outputs == 0 {
		if _, err := c.Engine(ctx); err != nil {
			return 0, err
		}
	}
	return c.outputs, nil
}

// Stop closes the engine, if one is open; the next call of Engine opens another.
func (c *Classifier) Stop() {
	if c.engine != nil {
		_ = c.engine.Close() // nothing is lost: results were read out
		c.engine, c.taps = nil, nil
	}
}

// Close frees the classifier.
func (c *Classifier) Close() { c.Stop() }

// Ran is a report's part about the engine that is open; nil without one.
func (c *Classifier) Ran() *report.Runtime {
	if c.engine == nil {
		return nil
	}
	r := c.engine.Runtime()
	if r.Alone = c.alone; c.alone {
		r.Batch = c.batch(c.engine)
	}
	return &r
}

// Timing is a report's part about time, of a pass with these statistics.
func (c *Classifier) Timing(st pipeline.Stats) *report.Timing {
	t := &report.Timing{
		Startup: c.opening.Seconds(), Wall: st.Wall.Seconds(), Model: st.Model.Seconds(),
		ModelWaiting: st.Wait.Seconds(), LoadCPU: st.Load.Seconds(),
	}
	if st.Wall > 0 {
		t.ImagesPerSecond = float64(st.Samples) / st.Wall.Seconds()
	}
	return t
}

// batch is the number of samples per run of the model.
func (c *Classifier) batch(e Engine) int {
	switch {
	case e.Fixed() > 0:
		return e.Fixed()
	case c.alone:
		return 1
	case c.Running.Batch > 0:
		return c.Running.Batch
	}
	return automaticBatch(c.shape)
}

// automaticBatch keeps a batch's input near 8 MiB, which fits caches better than more and
// wastes less on calls than fewer; see bench/README.md.
func automaticBatch(shape []int64) int {
	item := 4
	for _, d := range shape {
		item *= int(d)
	}
	n := max(8<<20/item, 1)
	return min(max(1<<(bits.Len(uint(n))-1), 8), 128)
}

// sumToOne says whether the scores of two samples of noise (black ones, where the model refuses noise) lie in 0..1 and sum to 1, each:
// logits do not do that by chance.
func sumToOne(ctx context.Context, e Engine, outputs int) (bool, error) {
	if outputs < 2 {
		return false, nil
	}
	b, err := e.NewBatch(2)
	if err != nil {
		return false, err
	}
	defer b.Close()
	fillNoise(b, rand.New(rand.NewPCG(1, 1)))
	n := min(2, b.Size())
	err = b.Run(ctx, n)
	if err != nil && ctx.Err() == nil { // a graph may look values up, and have none for noise
		for i := range b.Size() {
			clear(b.Input(0, i))
		}
		err = b.Run(ctx, n)
	}
	if err != nil {
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

// fillNoise fills the first input of all slots of a batch.
func fillNoise(b pipeline.Batch, rng *rand.Rand) {
	for i := range b.Size() {
		slot := b.Input(0, i)
		for j := range slot {
			slot[j] = float32(rng.NormFloat64())
		}
	}
}

// recipe resolves the preprocessing: flags over a named recipe or a file, or over what the
// model says of itself. It is not validated but for one that is given exactly: input does that.
func (c ModelConfig) recipe(m *model.Model, e *lock.Entry) (imageproc.Recipe, string, error) {
	if c.Exact != nil {
		return *c.Exact, "as it was", c.Exact.Validate()
	}
	r, source, err := c.said(m, e)
	if err != nil {
		return r, "", err
	}
	if flags := c.Changes.apply(&r); len(flags) > 0 {
		source = fmt.Sprintf("flags %s over %s", strings.Join(flags, ", "), source)
	}
	return r, source, nil
}

// said is the preprocessing without flags that change it, and who says so.
func (c ModelConfig) said(m *model.Model, e *lock.Entry) (r imageproc.Recipe, source string, err error) {
	switch {
	case c.Recipe != "" && c.File != "":
		return r, "", fmt.Errorf("there are a recipe, %s, and a file with preprocessing, %q: give one of them", c.Recipe, c.File)
	case c.Recipe != "":
		r, err = m.RecipeNamed(c.Recipe)
		return r, "recipe " + c.Recipe, err
	case c.File != "":
		r, err = m.RecipeIn(c.File)
		return r, "file " + filepath.Base(c.File), err
	}
	return m.Recipe(e.RecipeOrNil())
}

// apply changes a recipe, and names what was changed as flags are called. HEIGHTxWIDTH is both
// sides, one number the shorter one.
func (ch Changes) apply(r *imageproc.Recipe) (flags []string) {
	set := func(given bool, name string, apply func()) {
		if given {
			flags = append(flags, name)
			apply()
		}
	}
	set(ch.Resize != nil, "resize", func() {
		r.Resize, r.Fit = *ch.Resize, imageproc.Shorter
		if ch.BothSides || r.Resize.H != r.Resize.W {
			r.Fit = imageproc.Squash
		}
	})
	set(ch.Fit != nil, "fit", func() { r.Fit = *ch.Fit })
	set(ch.Crop != nil, "crop", func() { r.Crop = *ch.Crop })
	set(ch.Interpolation != nil, "interpolation", func() { r.Interpolation = *ch.Interpolation })
	set(ch.Resizer != nil, "resizer", func() { r.Resizer = *ch.Resizer })
	set(ch.Fill != nil, "fill", func() { r.Fill = *ch.Fill })
	set(ch.Mean != nil, "mean", func() { r.Mean = *ch.Mean })
	set(ch.Std != nil, "std", func() { r.Std = *ch.Std })
	set(ch.Color != nil, "color", func() { r.BGR, r.Grey = *ch.Color == BGR, *ch.Color == Grey })
	set(ch.Range != nil, "range", func() { r.Range = *ch.Range })
	set(ch.Exif != nil, "exif", func() { r.Exif = *ch.Exif })
	return flags
}
