package corruption

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/variants"

	"github.com/google/go-cmp/cmp"
)

// side is that of test images, and of what their classifier takes.
const side = 16

// folder is n pictures of each of the classes blue, green and red, in noise.
func folder(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	for class, name := range []string{"blue", "green", "red"} {
		for k := range n {
			pix := make([]byte, 3*side*side)
			for i := range pix {
				pix[i] = byte(90 + rng.IntN(40))
				if i%3 == 2-class {
					pix[i] += byte(10 * (k + 1)) // the later ones are easier
				}
			}
			savePNG(t, filepath.Join(dir, name, fmt.Sprintf("%d.png", k)), pix, side, side)
		}
	}
	return dir
}

func savePNG(t *testing.T, path string, pix []byte, w, h int) {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		copy(m.Pix[4*i:], append(pix[3*i:3*i+3:3*i+3], 255))
	}
	var b strings.Builder
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	save(t, path, b.String())
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// squashed is the recipe of the test classifier.
func squashed() imageproc.Recipe {
	r := imageproc.Standard()
	r.Resize, r.Fit, r.Crop = imageproc.Size{H: side, W: side}, imageproc.Squash, imageproc.Size{}
	r.Mean, r.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.25, 0.25, 0.25}
	return r
}

// byColour is a classifier that compares the means of the channels.
func byColour(t *testing.T) *evaluation.Classifier {
	return evaltest.Pixels(t, squashed(), 3, func(tensor []float32) []float32 {
		out := make([]float32, 3)
		for i, v := range tensor {
			out[2-i/(side*side)] += 10 * v / (side * side)
		}
		return out
	})
}

// setting is what a test evaluates; change it at will.
type setting struct {
	data   evaluation.DataConfig
	config Config
	store  evaluation.Store
}

// few is an evaluation of four variants of images from a folder.
func few(dir string) setting {
	c := DefaultConfig()
	c.Corruptions, c.Severities = []corrupt.Name{corrupt.Fog, corrupt.Contrast}, []int{2, 5}
	return setting{data: evaluation.DataConfig{Path: dir, Format: datasets.Auto}, config: c}
}

// open opens the job of a setting.
func (s setting) open(t *testing.T, c *evaluation.Classifier) (*Job, error) {
	t.Helper()
	images, err := c.Images(s.data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = images.Close() })
	return Open(t.Context(), c, images, s.config, s.store)
}

// run does the job of a setting, and returns its report and its run's grid.
func (s setting) run(t *testing.T, c *evaluation.Classifier) (*report.Report, *grid) {
	t.Helper()
	j, err := s.open(t, c)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	res, err := tasks.Do(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g, err := read(t.Context(), j.about, j.Pass.Run)
	if err != nil {
		t.Fatal(err)
	}
	return r, g
}

// text is a report for people.
func text(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, report.Text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// loadedReport is the report of the runs in folders.
func loadedReport(t *testing.T, o tasks.Options, dirs ...string) (*report.Report, error) {
	t.Helper()
	study, err := results.OpenStudy(false, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Task{}.Load(t.Context(), study, o)
	if err != nil {
		return nil, err
	}
	return res.Report(t.Context())
}

// TestShards: shares of a run, in one folder or several, give the report of the whole.
func TestShards(t *testing.T) {
	s := few(folder(t, 5))
	dir := t.TempDir()
	s.store.Dir = filepath.Join(dir, "whole")
	want, _ := s.run(t, byColour(t))
	for _, c := range []struct {
		name string
		dirs [3]string
	}{
		{"one folder", [3]string{"shared", "shared", "shared"}},
		{"several folders", [3]string{"c", "a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dirs []string
			for i, name := range c.dirs {
				part := s
				part.store = evaluation.Store{Dir: filepath.Join(dir, name), Shard: results.Shard{I: i, N: 3}}
				j, err := part.open(t, byColour(t))
				if err != nil {
					t.Fatal(err)
				}
				if err := j.Collect(t.Context(), j.Pass, nil); err != nil {
					t.Fatal(err)
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if i == 0 || name != c.dirs[0] {
					dirs = append(dirs, part.store.Dir)
				}
			}
			got, err := loadedReport(t, tasks.Options{}, dirs...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(text(t, want), text(t, got)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want.Numbers, got.Numbers); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestGoesOn: a run that was stopped goes on where it was, and gives the same numbers.
func TestGoesOn(t *testing.T) {
	s := few(folder(t, 5))
	want, _ := s.run(t, byColour(t))
	s.store.Dir = filepath.Join(t.TempDir(), "run")
	j, err := s.open(t, byColour(t))
	if err != nil {
		t.Fatal(err)
	}
	all := len(j.Pass.Todo)
	ctx, stop := context.WithCancel(t.Context())
	err = j.Collect(ctx, j.Pass, func(done int) {
		if done > all/2 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = s.open(t, byColour(t)); err != nil {
		t.Fatal(err)
	}
	if n := len(j.Pass.Todo); n == 0 || n >= all {
		t.Errorf("%d of %d samples are left", n, all)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := s.run(t, byColour(t))
	if d := cmp.Diff(want.Numbers, got.Numbers); d != "" {
		t.Error(d)
	}
}

// TestAnotherRun: a run is not mixed with one whose pixels are others.
func TestAnotherRun(t *testing.T) {
	s := few(folder(t, 1))
	s.store.Dir = filepath.Join(t.TempDir(), "run")
	s.run(t, byColour(t))
	for _, c := range []struct {
		name   string
		change func(*setting)
	}{
		{"seed", func(s *setting) { s.data.Seed = 9 }},
		{"set", func(s *setting) { s.config.Set = 64 }},
		{"jpeg", func(s *setting) { s.config.JPEG = 85 }},
		{"severities", func(s *setting) { s.config.Severities = []int{2} }},
		{"corruptions", func(s *setting) { s.config.Corruptions = []corrupt.Name{corrupt.Fog} }},
		{"experiment", func(s *setting) { s.config.Experiment = variants.Centre }},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := s
			c.change(&other)
			if j, err := other.open(t, byColour(t)); err == nil {
				_ = j.Close()
				t.Error("goes on with another run")
			}
		})
	}
	t.Run("bins", func(t *testing.T) { // do not change records
		other := s
		other.config.Bins = 3
		j, err := other.open(t, byColour(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOptions: a report is made with the options that it says; others are refused.
func TestOptions(t *testing.T) {
	dir := t.TempDir()
	s := few(folder(t, 5))
	s.store.Dir = filepath.Join(dir, "corruptions")
	s.run(t, byColour(t))
	s.config.Experiment, s.store.Dir = variants.Centre, filepath.Join(dir, "occlusion")
	s.run(t, byColour(t))
	three, names := 3, []string{"class"}
	t.Run("bins", func(t *testing.T) {
		r, err := loadedReport(t, tasks.Options{Bins: &three}, filepath.Join(dir, "corruptions"))
		if err != nil {
			t.Fatal(err)
		}
		if bins := r.Config.Task.(Config).Bins; bins != 3 {
			t.Errorf("the report of 3 bins says %d", bins)
		}
		as, err := loadedReport(t, tasks.Options{}, filepath.Join(dir, "corruptions"))
		if err != nil {
			t.Fatal(err)
		}
		contrast := report.KeyCorruption.Is("contrast")
		if a, b := r.Find("ece", contrast), as.Find("ece", contrast); a.Value == b.Value {
			t.Errorf("the ECE of 3 bins and of 15 is %v", a.Value)
		}
	})
	for _, c := range []struct {
		name, run string
		options   tasks.Options
		want      error
	}{
		{"no bins", "corruptions", tasks.Options{Bins: new(int)}, &tasks.ValueError{Err: errors.New("0 bins: at least 1 are needed")}},
		{"another task's", "corruptions", tasks.Options{By: &names}, &tasks.OptionError{Option: "by", Task: Name}},
		{"another experiment's", "occlusion", tasks.Options{Bins: &three}, &tasks.OptionError{Option: "bins", Task: string(variants.Centre)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := loadedReport(t, c.options, filepath.Join(dir, c.run))
			if got, want := fmt.Sprintf("%T %v", err, err), fmt.Sprintf("%T %v", c.want, c.want); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestRecords: what is in a record is what the classifier gives for the variant that it
// names, of the image that it names.
func TestRecords(t *testing.T) {
	s := few(folder(t, 2))
	s.store.Dir = filepath.Join(t.TempDir(), "run")
	c := byColour(t)
	j, err := s.open(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tasks.Do(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	images, err := c.Images(s.data)
	if err != nil {
		t.Fatal(err)
	}
	defer images.Close()
	contest := evaluation.NewContest(3, nil, false)
	engine, err := c.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch, err := engine.NewBatch(1)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = results.Each[Record](t.Context(), j.Pass.Run, nil, func(r *Record, _ [][]float32) error {
		i, v := int(r.Image), j.about.Variants[r.Variant]
		shown := images
		if v.Name != "" {
			source := variants.Source{Data: images.Dataset, Recipe: images.Recipe, Size: c.Size()}
			d, _, err := variants.Corrupt(source, corrupt.Name(v.Name), int(v.Level), "")
			if err != nil {
				return err
			}
			shown = images.Derive(d, 1, c.Cropped())
		}
		fill, err := shown.Filler()
		if err != nil {
			return err
		}
		known, err := fill(i, batch.Input(0, 0))
		if err != nil {
			return err
		}
		if err := batch.Run(t.Context(), 1); err != nil {
			return err
		}
		o, err := contest.Score(batch.Output(0, 0), images.Label(i))
		if err != nil {
			return err
		}
		want := Record{
			Row: results.Row{
				Index: int64(n), ID: v.String() + "/" + images.ID(i), Class: images.Classes()[images.Label(i)],
				Status: results.OK, Width: side, Height: side, Sum: known.Sum,
			},
			Variant: int32(n % 5), Image: int32(n / 5), Label: int32(images.Label(i)), Second: -1,
			Prediction: int32(o.Pred), Rank: int32(o.Rank), Confidence: o.Confidence, Loss: o.NLL,
		}
		if d := cmp.Diff(want, *r); d != "" {
			t.Errorf("record %d: %s", n, d)
		}
		n++
		return nil
	})
	if err != nil || n != 6*5 {
		t.Errorf("%d records, %v", n, err)
	}
}

// TestBadImage: an image that cannot be read is named once, and left out of all variants.
func TestBadImage(t *testing.T) {
	s := few(folder(t, 2))
	save(t, filepath.Join(s.data.Path, "red", "broken.png"), "no picture")
	r, g := s.run(t, byColour(t))
	if len(r.BadImages) != 1 || !strings.HasSuffix(r.BadImages[0].ID, "red/broken.png") {
		t.Errorf("bad images: %+v", r.BadImages)
	}
	if got := [3]int{r.Dataset.N, r.Dataset.Bad, r.Tried}; got != [3]int{6, 1, 7} || len(g.images) != 6 {
		t.Errorf("%v images are evaluated, bad and tried; the grid has %d", got, len(g.images))
	}
}

// TestProbabilities: of a model that gives probabilities, logarithms are taken.
func TestProbabilities(t *testing.T) {
	s := few(folder(t, 2))
	c := evaltest.Pixels(t, squashed(), 3, func([]float32) []float32 { return []float32{0.7, 0.3, 0} })
	_, g := s.run(t, c)
	for i, o := range g.outcomes[0] {
		if math.Abs(o.confidence-0.7) > 1e-6 { // logarithms as float32
			t.Errorf("image %d has the confidence %v", i, o.confidence)
		}
	}
}

// TestMixedRecords: the class of the image that is mixed in is in the records.
func TestMixedRecords(t *testing.T) {
	s := few(folder(t, 2))
	s.config.Experiment, s.config.Steps = variants.CutMix, 2
	r, g := s.run(t, byColour(t))
	for i, o := range g.outcomes[2] {
		if !o.wrong || !o.second {
			t.Errorf("image %d, replaced by one of another class: %+v", i, o)
		}
	}
	for name, want := range map[string]float64{"error": 1, "second": 1, "neither": 0} {
		if n := r.Find(name, report.KeyExperiment.Is(string(variants.CutMix)), report.KeyLevel.Is("1")); n == nil || n.Value != want {
			t.Errorf("%s at the end is %+v, want %v", name, n, want)
		}
	}
}
