package detector

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/linear"
	"cutmix-eval/report"
	"cutmix-eval/scores"
)

// image is the outputs of a model for one image.
type image struct {
	label            int
	logits, features []float32
}

// drawn makes outputs of a made-up model: features around their classes' means.
func drawn(seed uint64, n int, h *scores.Head) []image {
	rng := rand.New(rand.NewPCG(seed, 9))
	out := make([]image, n)
	for i := range out {
		label := i % h.Out
		f, z := make([]float32, h.In), make([]float32, h.Out)
		for d := range f {
			f[d] = float32(math.Abs(rng.NormFloat64() + 2*math.Sin(float64(label*h.In+d))))
		}
		h.Apply(z, f)
		out[i] = image{label, z, f}
	}
	return out
}

func madeUp(c, d int) (*scores.Head, scores.Data) {
	rng := rand.New(rand.NewPCG(4, 4))
	h := &scores.Head{Layer: linear.Layer{In: d, Out: c}}
	for range c * d {
		h.Weight = append(h.Weight, float32(rng.NormFloat64()))
	}
	for range c {
		h.Bias = append(h.Bias, float32(rng.NormFloat64()))
	}
	data := scores.Data{Head: h, Validation: scores.NewSample(90, c, d), Training: scores.NewTrainingSet(400, c, d)}
	for _, im := range drawn(1, 90, h) {
		data.Validation.Add(im.label, im.logits, im.features)
	}
	for _, im := range drawn(2, 400, h) {
		data.Training.Add(im.label, im.logits, im.features)
	}
	data.Training.Done()
	return h, data
}

// scoresOf are images' scores.
func scoresOf(f scores.Func, of []image) []float64 {
	var z [][]float32
	var x []float64
	for _, im := range of {
		z = append(z, im.logits)
		for _, v := range im.features {
			x = append(x, float64(v))
		}
	}
	var b scores.Block
	b.Reset(z, x, len(x)/len(z))
	out := make([]float64, len(z))
	f(&b, out)
	return out
}

// detectorOf makes a detector by fitting a score.
func detectorOf(t testing.TB, s scores.Score, g scores.Data) *Detector {
	t.Helper()
	_, st, err := s.Fit(g)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return &Detector{
		Tool: report.Tool{Name: "t"}, Score: s.Name, Threshold: 0.25,
		C: g.Head.Out, D: g.Head.In, N: 3, Recipe: imageproc.Standard(), State: st,
	}
}

// TestDetectorFile: every score gives from its file what it gave when it was fitted, to
// the bit, without what it was fitted with; files are the same every time; another head
// is refused.
func TestDetectorFile(t *testing.T) {
	h, g := madeUp(4, 60)
	s := drawn(3, 40, h)
	for _, score := range scores.All(4, 60) {
		f, _, err := score.Fit(g)
		if err != nil {
			t.Fatalf("%s: %v", score.Name, err)
		}
		d := detectorOf(t, score, g)
		path := filepath.Join(t.TempDir(), "x.detector")
		var twice [2]bytes.Buffer
		for i := range twice {
			if err := d.Write(&twice[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(twice[0].Bytes(), twice[1].Bytes()) {
			t.Errorf("%s: two files of one detector differ", score.Name)
		}
		if err := os.WriteFile(path, twice[0].Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		back, err := Read(path)
		if err != nil {
			t.Errorf("%s: %v", score.Name, err)
			continue
		}
		again, err := back.Fit(h)
		if err != nil {
			t.Errorf("%s: %v", score.Name, err)
			continue
		}
		if a, b := scoresOf(f, s), scoresOf(again, s); !slices.Equal(a, b) {
			t.Errorf("%s: the file gives other scores", score.Name)
		}
		other, _ := madeUp(5, 60)
		if _, err := back.Fit(other); err == nil {
			t.Errorf("%s: a head of other size fits", score.Name)
		}
		if len(back.State) > 0 { // a part is missing
			for name := range back.State {
				delete(back.State, name)
			}
			if _, err := back.Fit(h); err == nil {
				t.Errorf("%s: fits without its state", score.Name)
			}
		}
	}
}

// TestVersion1: files of the first version, whose recipes were written otherwise, are read.
func TestVersion1(t *testing.T) {
	text := `{"format_version": 1, "score": "msp", "threshold": 0.5, "classes": 3, "features": 0,
		"recipe": {"resize": {"H": 64, "W": 64}, "fit": "shorter", "interpolation": "bilinear", "crop": {"H": 60, "W": 62}, "range": 1,
			"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "bgr": false, "layout": "NCHW"}}`
	var b bytes.Buffer
	if err := (&Detector{}).archive([]byte(text)).Write(&b); err != nil {
		t.Fatal(err)
	}
	d, err := parse(bytes.NewReader(b.Bytes()), int64(b.Len()), maxState)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Recipe.Crop, (imageproc.Size{H: 60, W: 62}); got != want {
		t.Errorf("images are cropped to %v, want %v", got, want)
	}
}

// TestNoThreshold: a threshold that is missing or null is not 0, which would accept other images.
func TestNoThreshold(t *testing.T) {
	for _, threshold := range []string{"", `"threshold": null,`} {
		var b bytes.Buffer
		if err := (&Detector{}).archive([]byte(`{"format_version": 1, "score": "msp",` + threshold + `"classes": 3, "features": 0}`)).Write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := parse(bytes.NewReader(b.Bytes()), int64(b.Len()), maxState); err == nil || !strings.Contains(err.Error(), "has no threshold") {
			t.Errorf("%q: %v", threshold, err)
		}
	}
}

// FuzzDetector: whatever the parts of a file hold, it is a detector or an error, and a
// detector that fits a head gives scores without a panic.
func FuzzDetector(f *testing.F) {
	h, g := madeUp(3, 24)
	f.Add([]byte("PK\x03\x04"), "x", []byte("x"))
	for _, s := range []string{"msp", "rmds", "she", "openmax_t5_a2", "vim_dim12", "knn_K3"} {
		score, err := scores.Parse(s)
		if err != nil {
			f.Fatal(err)
		}
		d := detectorOf(f, score, g)
		text, err := json.Marshal(d)
		if err != nil {
			f.Fatal(err)
		}
		for name := range d.State {
			f.Add(text, name, append(npy.Header("f8", 1, 2), make([]byte, 16)...))
		}
		f.Add(text, "", []byte{})
	}
	s := drawn(3, 5, h)
	f.Fuzz(func(t *testing.T, text []byte, name string, array []byte) {
		// The state of the score that is named, one part of it replaced.
		var named struct{ Score string }
		_ = json.Unmarshal(text, &named)
		d := &Detector{State: scores.State{}}
		if sc, err := scores.Parse(named.Score); err == nil {
			if _, st, err := sc.Fit(g); err == nil {
				d.State = maps.Clone(st)
			}
		}
		delete(d.State, name)
		var b bytes.Buffer
		a := d.archive(text)
		a.Texts[stateFolder+name+".npy"] = array
		if err := a.Write(&b); err != nil {
			return // a name that no archive can have
		}
		for _, data := range [][]byte{text, b.Bytes()} {
			d, err := parse(bytes.NewReader(data), int64(len(data)), 1<<20)
			if err != nil {
				continue
			}
			if fit, err := d.Fit(h); err == nil {
				scoresOf(fit, s)
			}
		}
	})
}
