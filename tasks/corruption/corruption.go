// Package corruption evaluates a classifier on corrupted images: ImageNet-C from disk or
// made on the fly, mCE, and the occlusion and in-between-class experiments of the CutMix
// paper (Yun et al., ICCV 2019), whose code was not released.
package corruption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Name is the task's name in run directories and reports.
const Name = "corruption"

// Experiment is what is done to images.
type Experiment string

// The experiments: the corruptions of ImageNet-C, and those of the CutMix paper.
const (
	Corruptions Experiment = "corruptions"
	Centre      Experiment = "center-occlusion"   // a hole in the middle
	Boundary    Experiment = "boundary-occlusion" // everything but the middle
	Mixup       Experiment = "in-between-mixup"   // two images, blended
	CutMix      Experiment = "in-between-cutmix"  // the middle of another image
)

// Experiments lists them.
func Experiments() []Experiment {
	return []Experiment{Corruptions, Centre, Boundary, Mixup, CutMix}
}

// Config holds what the task can be told.
type Config struct {
	Experiment  Experiment     `json:"experiment"`
	Corruptions []corrupt.Name `json:"corruptions"`    // those to evaluate
	Severities  []int          `json:"severities"`     // 1 to 5
	Set         corrupt.Set    `json:"set"`            // of parameters; 0: by the model's image size
	JPEG        int            `json:"jpeg,omitempty"` // quality of a JPEG round trip behind; 0: none
	Frost       string         `json:"frost,omitempty"`
	Corrupted   string         `json:"corrupted,omitempty"`   // folder of corrupted images; empty: made here
	Subset      string         `json:"subset,omitempty"`      // file that names the images of Corrupted to use
	Labels      string         `json:"labels,omitempty"`      // class map of Corrupted
	CleanError  float64        `json:"clean_error,omitempty"` // for relative mCE, where clean images are not evaluated; 0: not known
	Steps       int            `json:"steps,omitempty"`       // of the other experiments: levels from nothing to all
	Baseline    *Baseline      `json:"baseline"`              // that errors are divided by; nil: none
	OOD         string         `json:"ood,omitempty"`         // run of ood, whose sets corrupted images are told from
	Bins        int            `json:"bins"`                  // of the calibration errors
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config {
	b := AlexNet()
	return Config{Experiment: Corruptions, Corruptions: corrupt.All(), Severities: []int{1, 2, 3, 4, 5}, Steps: 8, Baseline: &b, Bins: 15}
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case !slices.Contains(Experiments(), c.Experiment):
		return fmt.Errorf("experiment %q is not one of %v", c.Experiment, Experiments())
	case len(c.Corruptions) == 0 || len(c.Severities) == 0:
		return errors.New("no corruption or no severity is named")
	case c.Set != 0 && !slices.Contains(corrupt.Sets(), c.Set):
		return fmt.Errorf("there are no parameters for size %d, only for 224, 299, 64 and 32", c.Set)
	case c.JPEG < 0 || c.JPEG > 100:
		return fmt.Errorf("JPEG quality %d is not one of 1 to 100", c.JPEG)
	case c.Steps < 1 || c.Steps > 100:
		return fmt.Errorf("%d steps are not 1 to 100", c.Steps)
	case c.Bins < 1:
		return fmt.Errorf("%d bins", c.Bins)
	case !(c.CleanError >= 0 && c.CleanError < 1):
		return fmt.Errorf("clean error %v is not a fraction", c.CleanError)
	case c.CleanError > 0 && c.Corrupted == "":
		return errors.New("the clean error is measured where images are corrupted here")
	case c.OOD != "" && c.Experiment != Corruptions:
		return fmt.Errorf("%s has no detection of other images", c.Experiment)
	case c.Corrupted != "" && (c.Experiment != Corruptions || c.JPEG != 0 || c.Set != 0 || c.Frost != ""):
		return errors.New("corrupted images from a folder are taken as they are")
	}
	seen := map[any]bool{}
	for _, n := range c.Corruptions {
		if _, err := corrupt.ParseName(string(n)); err != nil || seen[n] {
			return errors.Join(err, fmt.Errorf("corruption %q is named twice or is none", n))
		}
		seen[n] = true
	}
	for _, s := range c.Severities {
		if s < 1 || s > corrupt.Severities || seen[s] {
			return fmt.Errorf("severity %d is not one of 1 to %d, or named twice", s, corrupt.Severities)
		}
		seen[s] = true
	}
	return nil
}

// Variant is what was done to an image.
type Variant struct {
	Name  string  `json:"name"`  // a corruption, or the experiment; empty: nothing
	Level float64 `json:"level"` // severity; share of the image's side, or of the second image
}

func (v Variant) String() string {
	if v.Name == "" {
		return "clean"
	}
	return v.Name + "/" + strconv.FormatFloat(v.Level, 'g', 4, 64)
}

// variants lists those of an image: itself first.
func (c Config) variants() []Variant {
	out := []Variant{{}}
	if c.Experiment == Corruptions {
		for _, n := range c.Corruptions {
			for _, s := range c.Severities {
				out = append(out, Variant{string(n), float64(s)})
			}
		}
		return out
	}
	for k := 1; k <= c.Steps; k++ {
		out = append(out, Variant{string(c.Experiment), float64(k) / float64(c.Steps)})
	}
	return out
}

// Record is what one variant of one image gave.
type Record struct {
	results.Row
	Variant    int32   `parquet:"variant"` // index into About.Variants
	Image      int32   `parquet:"image"`   // the same for all variants of an image
	Label      int32   `parquet:"label"`   // model output
	Second     int32   `parquet:"second"`  // that of the image that was mixed in; -1 without one
	Prediction int32   `parquet:"prediction"`
	Rank       int32   `parquet:"rank"` // classes before the label
	Confidence float64 `parquet:"confidence"`
	Loss       float64 `parquet:"loss"` // negative log likelihood, nats
}

// About is what a report needs beside the records; it is kept with them.
type About struct {
	Report   report.Report `json:"report"`
	Config   Config        `json:"config"`
	Variants []Variant     `json:"variants"`
	Images   int           `json:"images"` // of the data
}

// Job is an evaluation. Close it.
type Job struct {
	*evaluation.Records
	setup    *evaluation.Setup
	about    About
	label    []int               // model output by class
	cell     func(i int) place   // of a sample
	second   func(image int) int // class of the image that was mixed in, -1
	identity string              // everything that pixels depend on
	whole    imageproc.Size      // that images from disk must have; 0 x 0 for any
}

// place is a sample's variant and image.
type place struct{ variant, image int }

// Open opens the run of a task. s holds the clean images; it is one of their variants, or
// of the images of c.Corrupted, from then on.
func Open(ctx context.Context, s *evaluation.Setup, c Config, store evaluation.Store, tool report.Tool, install runtime.Progress) (*Job, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	j := &Job{about: About{Config: c}, setup: s}
	var err error
	if c.Corrupted != "" {
		err = j.fromDisk(s, c)
	} else {
		err = j.onTheFly(s, c)
	}
	if err == nil {
		err = j.open(ctx, store, tool, install)
	}
	if err != nil {
		_ = j.Close()
		return nil, err
	}
	return j, nil
}

func (j *Job) open(ctx context.Context, store evaluation.Store, tool report.Tool, install runtime.Progress) error {
	labels, err := j.setup.Labels(ctx, install)
	if err != nil {
		return err
	}
	j.label = labels.Output
	c := j.about.Config
	task := evaluation.Task{
		Name: Name, Labels: labels.Fingerprint(), Select: labels.Select,
		Config: struct {
			Made string `json:"made"` // everything that pixels depend on
		}{j.identity},
		About: func(json.RawMessage) (any, error) {
			a := j.about
			a.Report = *j.setup.Report(tool)
			a.Report.Dataset.Labels = labels.How
			a.Report.Config = j.setup.Config.Told(c)
			a.Report.Warnings = j.about.Report.Warnings
			a.Report.Dataset.Notes = append(a.Report.Dataset.Notes, j.about.Report.Dataset.Notes...)
			j.about = a
			return a, nil
		},
	}
	j.Records, err = j.setup.Records(ctx, store, task, install)
	return err
}

// Close closes the run; the setup stays with who opened it.
func (j *Job) Close() error {
	if j.Records == nil {
		return nil
	}
	return j.Records.Close()
}

// fromDisk takes corrupted images as they are.
func (j *Job) fromDisk(s *evaluation.Setup, c Config) (err error) {
	var only []string
	for _, n := range c.Corruptions {
		only = append(only, string(n))
	}
	d, err := datasets.OpenCorrupted(c.Corrupted, only, c.Labels)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	variants := map[Variant]int{}
	images := map[string]int{} // of all severities: numbers do not depend on which are wanted
	all := &datasets.Dataset{Name: d.Name, Classes: d.Classes}
	places := make([]place, len(d.Samples))
	keep := []int{} // of the severities that are wanted
	for i, cell := range d.Cells {
		at, ok := images[cell.Image]
		if !ok {
			at = len(images)
			images[cell.Image] = at
			all.Samples = append(all.Samples, datasets.Sample{ID: cell.Image, Label: d.Samples[i].Label})
		}
		if !slices.Contains(c.Severities, cell.Severity) {
			continue
		}
		v := Variant{cell.Corruption, float64(cell.Severity)}
		if _, ok := variants[v]; !ok {
			variants[v] = len(j.about.Variants)
			j.about.Variants = append(j.about.Variants, v)
		}
		places[i] = place{variants[v], at}
		keep = append(keep, i)
	}
	if len(keep) == 0 {
		return fmt.Errorf("%q has none of the severities %v", c.Corrupted, c.Severities)
	}
	j.about.Images = len(images)
	// Names and limits are of images, each of which is there once for every variant.
	named, err := all.Named(c.Subset)
	if err != nil {
		return err
	}
	if chosen := all.PickOf(named, s.Config.Limit, s.Config.Seed); chosen != nil {
		keep = slices.DeleteFunc(keep, func(i int) bool {
			_, in := slices.BinarySearch(chosen, places[i].image)
			return !in
		})
	}
	j.cell = func(i int) place { return places[i] }
	j.second = func(int) int { return -1 }
	// The published images have the model's size already; resizing them again magnifies by an
	// eighth.
	if err := s.Data.Close(); err != nil {
		return err
	}
	s.Data, s.Selected = d.Dataset, keep
	if len(keep) == len(d.Samples) {
		s.Selected = nil
	}
	var first imageproc.Image
	loader := d.Loader()
	for _, i := range keep { // the first that can be read
		if first, err = loader.Load(i); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s of %q: %w", d.Samples[keep[0]].ID, c.Corrupted, err)
	}
	size, resize := s.Size(), s.Config.Changes.Resize
	switch magnified := resize != nil && *resize != (imageproc.Size{}); {
	case first.W != size.W || first.H != size.H:
		j.about.Report.Warnings = append(j.about.Report.Warnings, fmt.Sprintf("corrupted images have %d x %d pixels, the model takes %s: they are resized and cropped as clean ones are", first.W, first.H, size))
	case magnified:
		j.about.Report.Warnings = append(j.about.Report.Warnings, fmt.Sprintf("the corrupted images are cropped to %d x %d pixels already; --resize magnifies them, and the numbers cannot be compared with published ones", first.W, first.H))
	default:
		s.Recipe = s.Cropped()
		s.Geometry = s.Recipe
		j.whole = size
		j.about.Report.Dataset.Notes = append(j.about.Report.Dataset.Notes, fmt.Sprintf("corrupted images have the model's %d x %d pixels and are not resized again, as in the benchmark's own test", size.W, size.H))
	}
	s.Config.Data = c.Corrupted
	j.identity = fmt.Sprintf("from disk, severities %v of %v", c.Severities, c.Corruptions)
	return nil
}

// onTheFly makes variants of the clean images.
func (j *Job) onTheFly(s *evaluation.Setup, c Config) error {
	size := s.Size()
	if c.Set == 0 {
		c.Set = corrupt.SetFor(size.W, size.H)
	}
	frosts, about, err := LoadFrosts(c.Frost)
	if err != nil {
		return err
	}
	j.about.Config = c
	j.about.Variants, j.about.Images = c.variants(), len(s.Data.Samples)
	if slices.Contains(c.Corruptions, corrupt.Frost) && c.Experiment == Corruptions {
		j.about.Report.Dataset.Notes = append(j.about.Report.Dataset.Notes, "frost: "+about)
	}
	var names []string
	for _, v := range j.about.Variants {
		names = append(names, v.String())
	}
	n := len(names)
	data := s.Data
	partner := partners(data, c.Experiment, s.Config.Seed)
	j.identity = fmt.Sprintf("%s of %s, set %d, seed %d, jpeg %d, frost %s", c.Experiment, s.Recipe.Fingerprint(), c.Set, s.Config.Seed, c.JPEG, about)
	derive(s, c, j.about.Variants, names, frosts, partner)
	j.cell = func(i int) place { return place{i % n, i / n} }
	j.second = func(image int) int {
		if partner == nil {
			return -1
		}
		return data.Samples[partner[image]].Label
	}
	return nil
}

// derive makes a setup one of variants of its images.
func derive(s *evaluation.Setup, c Config, variants []Variant, names []string, frosts corrupt.Frosts, partner []int) {
	m := making{data: s.Data, recipe: s.Recipe, size: s.Size(), seed: s.Config.Seed, config: c, variants: variants, frosts: frosts, partner: partner, shared: &shared{}}
	s.Derive(s.Data.Derive(s.Data.Name, s.Data.Why, names, m.open), len(names))
}

// Corrupt makes a setup one of its images under one corruption, for other tasks. It returns
// what the pixels depend on, for people too.
func Corrupt(s *evaluation.Setup, n corrupt.Name, severity int, frost string) (string, error) {
	c := DefaultConfig()
	c.Corruptions, c.Severities, c.Frost = []corrupt.Name{n}, []int{severity}, frost
	if err := c.Validate(); err != nil {
		return "", err
	}
	size := s.Size()
	c.Set = corrupt.SetFor(size.W, size.H)
	frosts, about, err := LoadFrosts(frost)
	if err != nil {
		return "", err
	}
	what := fmt.Sprintf("%s at severity %d, parameters for size %d, seed %d", n, severity, c.Set, s.Config.Seed)
	if n == corrupt.Frost {
		what += ", " + about
	}
	what += ", pixels " + s.Recipe.Fingerprint()
	derive(s, c, []Variant{{string(n), float64(severity)}}, []string{""}, frosts, nil)
	return what, nil
}

// Collect runs the model on what is missing.
func (j *Job) Collect(ctx context.Context, progress func(done int)) (pipeline.Stats, error) {
	w := results.NewWriter[Record](j.Run)
	stats, err := j.Each(ctx, progress, func(sc evaluation.Scored) error {
		sample, at := j.setup.Data.Samples[sc.Index], j.cell(sc.Index)
		r := Record{
			Row:     results.Row{Index: int64(sc.Index), ID: j.name(sample.ID, at.variant), Class: j.setup.Data.Classes[sample.Label], Status: results.OK, Width: int32(sc.Width), Height: int32(sc.Height)},
			Variant: int32(at.variant), Image: int32(at.image), Label: int32(j.label[sample.Label]), Second: -1, Prediction: -1, Rank: -1,
		}
		bad := sc.Err
		if bad == nil && j.whole != (imageproc.Size{}) && (sc.Width != j.whole.W || sc.Height != j.whole.H) {
			bad = fmt.Errorf("it has %d x %d pixels, the others %d x %d", sc.Width, sc.Height, j.whole.W, j.whole.H)
		}
		if bad == nil {
			z := sc.Logits
			if j.setup.Probabilities {
				z = make([]float32, len(sc.Logits))
				for i, p := range sc.Logits {
					z[i] = float32(math.Log(max(float64(p), math.SmallestNonzeroFloat32)))
				}
			}
			var o metrics.Outcome
			if o, bad = metrics.Score(z, int(r.Label), 1); bad == nil {
				r.Prediction, r.Rank, r.Confidence, r.Loss = int32(o.Pred), int32(o.Rank), o.Confidence, o.NLL
				if second := j.second(at.image); second >= 0 {
					r.Second = int32(j.label[second])
				}
			}
		}
		if bad != nil {
			r.Status, r.Error = results.Bad, bad.Error()
		}
		return w.Add(r, j.Arrays(sc)...)
	})
	if werr := w.Close(); !errors.Is(err, werr) {
		err = errors.Join(err, werr)
	}
	return stats, err
}

// name is what a variant of an image is called in records.
func (j *Job) name(id string, variant int) string {
	if j.about.Config.Corrupted != "" {
		return id // it is the path
	}
	return j.about.Variants[variant].String() + "/" + id
}

// Report computes the numbers. All records must be there.
func (j *Job) Report(ctx context.Context) (*report.Report, error) {
	return Report(ctx, j.Run, nil)
}
