package corruption

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/baseline"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/tasks/ood"
	"cutmix-eval/variants"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected reports")

// made is a grid with given errors of corruptions, the same at all severities: the first of
// n images are wrong.
func made(n int, clean float64, errors map[corrupt.Name]float64) *grid {
	g := &grid{about: About{Config: DefaultConfig(), Images: n}}
	add := func(v variants.Variant, e float64) {
		outcomes := make([]outcome, n)
		for i := range outcomes {
			wrong := i < int(math.Round(e*float64(n)))
			outcomes[i] = outcome{there: true, wrong: wrong, wrong5: wrong}
		}
		g.about.Variants, g.outcomes = append(g.about.Variants, v), append(g.outcomes, outcomes)
	}
	for i := range n {
		g.images = append(g.images, i)
	}
	add(variants.Variant{}, clean)
	for _, c := range corrupt.All() {
		if e, ok := errors[c]; ok {
			for s := 1; s <= corrupt.Severities; s++ {
				add(variants.Variant{Name: string(c), Level: float64(s)}, e)
			}
		}
	}
	return g
}

// reported is the report of a grid.
func reported(g *grid) *report.Report {
	r := &report.Report{}
	g.about.Config.experiment().report(g, r)
	return r
}

// TestMCE: torchvision's ResNet-50 has published corruption errors, whose mean is 76.70.
func TestMCE(t *testing.T) {
	ces := map[corrupt.Name]float64{
		corrupt.GaussianNoise: 79.77, corrupt.ShotNoise: 81.58, corrupt.ImpulseNoise: 82.58, corrupt.DefocusBlur: 74.71,
		corrupt.GlassBlur: 88.61, corrupt.MotionBlur: 78.03, corrupt.ZoomBlur: 79.86, corrupt.Snow: 77.83, corrupt.Frost: 74.84,
		corrupt.Fog: 66.11, corrupt.Brightness: 56.64, corrupt.Contrast: 71.43, corrupt.ElasticTransform: 84.75,
		corrupt.Pixelate: 76.92, corrupt.JPEGCompression: 76.82,
	}
	errs := map[corrupt.Name]float64{}
	for n, ce := range ces {
		errs[n] = ce / 100 * baseline.Mean(baseline.AlexNet().By[n])
	}
	r := reported(made(4000, 1-0.7613, errs))
	// Errors are shares of 4,000 images: each is rounded by at most 1.25e-4.
	for name, want := range map[string]float64{"mce": 0.7670, "relative_mce": 1.050, "error": 1 - 0.3917} {
		n := r.Find(name)
		if n == nil || math.Abs(n.Value-want) > 6e-4 || n.Interval == nil || n.Interval.Low > n.Value {
			t.Errorf("%s is %+v, want %v", name, n, want)
		}
	}
	for n, ce := range ces {
		if got := r.Find("ce", report.KeyCorruption.Is(string(n))); got == nil || math.Abs(got.Value-ce/100) > 6e-4 {
			t.Errorf("the CE of %s is %+v, want %v", n, got, ce/100)
		}
	}
}

// TestSubset: without a corruption there is no mCE, and the report says what is missing.
func TestSubset(t *testing.T) {
	errs := map[corrupt.Name]float64{corrupt.Saturate: 0.4}
	for _, n := range corrupt.Benchmark() {
		errs[n] = 0.5
	}
	delete(errs, corrupt.Fog)
	r := reported(made(100, 0.2, errs))
	var names []string
	for _, n := range r.Main {
		names = append(names, n.Name)
	}
	if d := cmp.Diff([]string{"clean_error", "error_subset", "mce_subset", "relative_mce_subset"}, names); d != "" {
		t.Error(d)
	}
	want := "there is no mCE: it is a mean over 15 corruptions at 5 severities, and these are missing: fog"
	if len(r.Warnings) == 0 || r.Warnings[0] != want {
		t.Errorf("warnings are %q, want %s", r.Warnings, want)
	}
}

// TestExtraSeverities: a severity of an extra corruption is not missing of mCE.
func TestExtraSeverities(t *testing.T) {
	errs := map[corrupt.Name]float64{corrupt.Saturate: 0.4}
	for _, n := range corrupt.Benchmark() {
		errs[n] = 0.5
	}
	g := made(100, 0.2, errs)
	g.about.Variants = g.about.Variants[:len(g.about.Variants)-1]
	r := reported(g)
	if r.Find("mce") == nil || strings.Contains(strings.Join(r.Warnings, "\n"), "missing") {
		t.Errorf("mce is %v, warnings are %q", r.Find("mce"), r.Warnings)
	}
}

// TestPerImage: the interval of a mean over images is that of its normal distribution.
func TestPerImage(t *testing.T) {
	g := made(400, 0.3, map[corrupt.Name]float64{corrupt.Fog: 0.5, corrupt.Snow: 0.2})
	v, iv := metrics.Mean(benchmark{g.about.Config}.ce(g, corrupt.Fog, false))
	// All severities mark the same images: half of them, each adding 5 / (5 * 0.819324).
	want := 0.5 / 0.819324
	half := 1.959963984540054 * want * 2 * math.Sqrt(0.25/399)
	if math.Abs(v-want) > 1e-9 || math.Abs(iv.High-v-half) > 1e-9 { // rounding of 400 terms
		t.Errorf("%v %+v, want %v and half width %v", v, iv, want, half)
	}
}

// TestCalibration: the mean over variants is, to the bit, that of the ECEs that classify gives.
func TestCalibration(t *testing.T) {
	const n = 500
	rng := rand.New(rand.NewPCG(6, 6))
	g := made(n, 0.1, map[corrupt.Name]float64{corrupt.Fog: 0.3, corrupt.Snow: 0.55})
	at, want := []int{0, 1, 6}, 0.0
	for _, k := range at {
		v := make([]metrics.Outcome, n)
		for i := range v {
			o := &g.outcomes[k][i]
			o.confidence = float64(rng.IntN(200)+1) / 200 // with ties
			v[i].Confidence = o.confidence
			if o.wrong {
				v[i].Pred = 1
			}
		}
		want += metrics.Evaluate(v, g.about.Config.Bins).Width.ECE / float64(len(at))
	}
	if got := g.ece(at); got != want || want == 0 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestAUROC: of one variant it is that of its confidences; of several, the mean.
func TestAUROC(t *testing.T) {
	g := made(50, 0, map[corrupt.Name]float64{corrupt.Fog: 0.5})
	rng := rand.New(rand.NewPCG(2, 2))
	for _, o := range g.outcomes {
		for k := range o {
			o[k].confidence = rng.Float64()
		}
	}
	other := ood.Confidences{Set: "tin"}
	for range 30 {
		other.Values = append(other.Values, 0.8*rng.Float64())
	}
	sum := 0.0
	for _, k := range []int{1, 3} {
		want, err := metrics.Separate(g.confidences(k), other.Values)
		if err != nil {
			t.Fatal(err)
		}
		one := g.auroc([]int{k}, other)
		if math.Abs(one.Value-want.AUROC) > 1e-12 || one.N != 80 {
			t.Errorf("variant %d: %+v, want %v", k, one, want.AUROC)
		}
		sum += one.Value
	}
	if both := g.auroc([]int{1, 3}, other); math.Abs(both.Value-sum/2) > 1e-12 {
		t.Errorf("the mean is %v, want %v", both.Value, sum/2)
	}
}

// TestReportText: what people read, of grids whose numbers can be counted.
func TestReportText(t *testing.T) {
	errs := map[corrupt.Name]float64{corrupt.Saturate: 0.4}
	for k, n := range corrupt.Benchmark() {
		errs[n] = 0.05 * float64(k)
	}
	full := made(20, 0.1, errs)
	for _, o := range full.outcomes {
		for i := range o {
			o[i].confidence, o[i].loss = float64(20-i)/20, float64(i)/10
		}
	}
	full.others = []ood.Confidences{{Set: "texture", Values: []float64{0.1, 0.5, 0.3}}}
	curved := func(e variants.Experiment) *grid {
		g := &grid{about: About{Config: DefaultConfig()}, images: []int{0, 1, 2, 3}}
		g.about.Config.Experiment, g.about.Config.Steps = e, 3
		g.about.Variants = g.about.Config.variants().List()
		for k := range g.about.Variants {
			var o []outcome
			for i := range g.images {
				o = append(o, outcome{there: true, wrong: k > i, wrong5: k > i+1, second: k > i+1})
			}
			g.outcomes = append(g.outcomes, o)
		}
		return g
	}
	part := made(20, 0.1, map[corrupt.Name]float64{corrupt.Fog: 0.5})
	part.about.Variants, part.outcomes = part.about.Variants[1:4], part.outcomes[1:4] // from disk, without clean images
	part.about.Config.Corrupted, part.about.Config.CleanError, part.about.Config.JPEG = "imagenet-c", 0.1, 85
	for _, c := range []struct {
		name string
		of   *grid
	}{
		{"full", full}, {"part", part}, {"occlusion", curved(variants.Boundary)}, {"between", curved(variants.CutMix)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := reported(c.of)
			got, path := text(t, r), filepath.Join("testdata", c.name+".text")
			if *update {
				save(t, path, got)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPaired: runs are compared by the numbers of their reports, of the images that are asked
// for.
func TestPaired(t *testing.T) {
	errs := map[corrupt.Name]float64{}
	for k, n := range corrupt.Benchmark() {
		errs[n] = 0.05 * float64(k)
	}
	g := made(20, 0.1, errs)
	for k := range g.images {
		g.images[k] = 3 * k
	}
	p := pair(g)
	r := reported(g)
	values := p.At(g.images).Evaluate([]uint16{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1})
	if len(values) != 3+15 {
		t.Errorf("%d numbers", len(values))
	}
	for k, m := range p.Metrics() {
		n := r.Find(m.Name, m.At...)
		if n == nil || math.Abs(n.Value-values[k]) > 1e-12 || m.Unit != n.Unit || m.Better != n.Better {
			t.Errorf("%+v is %v, in the report %+v", m, values[k], n)
		}
	}
	// The first two images are those with an error when clean.
	if v := p.At([]int{57, 3, 0}).Evaluate([]uint16{2, 1, 1}); v[0] != 0.5 {
		t.Errorf("clean_error of images that count 2, 1 and 1 times is %v", v[0])
	}
}
