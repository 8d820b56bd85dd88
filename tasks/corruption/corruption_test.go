package corruption

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/internal/npy"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime/ortest"
	"cutmix-eval/tasks/localize"
)

// evaluate runs an evaluation and returns its report and its run's grid.
func evaluate(t *testing.T, e evaluation.Config, c Config, store evaluation.Store) (*report.Report, *grid) {
	t.Helper()
	ortest.Load(t)
	ctx := context.Background()
	s, err := evaluation.Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j, err := Open(ctx, s, c, store, report.Tool{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.Collect(ctx, nil); err != nil {
		t.Fatal(err)
	}
	r, err := j.Report(ctx)
	if err != nil {
		t.Fatal(err)
	}
	g, err := read(ctx, j.Run)
	if err != nil {
		t.Fatal(err)
	}
	return r, g
}

// cifar makes CIFAR-10's test images, as their pixels were decoded for the reference, a
// CIFAR-C folder: five copies of them, called by the name of a corruption.
func cifar(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	images, err := os.ReadFile(golden.Path(t, "golden", "corruptions", "end-to-end-cifar-images.npy"))
	if err != nil {
		t.Fatal(err)
	}
	labels := golden.NPY(t, "golden", "corruptions", "end-to-end-cifar-labels.npy")
	pix := images[len(images)-1000*3072:]
	for i, l := range labels.Ints() {
		class := filepath.Join(dir, string(rune('0'+l)))
		if err := os.MkdirAll(class, 0o755); err != nil {
			t.Fatal(err)
		}
		// PPM is not read; PNG keeps the pixels.
		if err := writePNG(filepath.Join(class, fmt.Sprintf("%04d.png", i)), pix[i*3072:(i+1)*3072], 32, 32); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEndToEndGolden: a ResNet-20 under all 95 variants of 1,000 CIFAR images, or under five,
// against PyTorch and the reference's functions.
func TestEndToEndGolden(t *testing.T) {
	c := DefaultConfig()
	variants := long.Or(95, 5) // 96,000 images take a minute
	if variants == 5 {
		c.Corruptions = []corrupt.Name{corrupt.GaussianNoise, corrupt.DefocusBlur, corrupt.Contrast, corrupt.Pixelate, corrupt.JPEGCompression}
		c.Severities = []int{3}
	}
	var want struct {
		Clean       struct{ Wrong int }
		Corruptions map[string]map[string]map[string]json.RawMessage
		Mean15      float64 `json:"mean_error_15"`
		Mean19      float64 `json:"mean_error_19"`
	}
	golden.JSON(t, &want, "golden", "corruptions", "end-to-end-cifar.json")
	e := evaluation.DefaultConfig()
	e.Model, e.Data = golden.Path(t, "models", "resnet20-cifar10.onnx"), cifar(t)
	c.Frost = golden.Path(t, "data", "frost")
	r, g := evaluate(t, e, c, evaluation.Store{})
	if n := wrongs(g.wrong[0]); n != want.Clean.Wrong {
		t.Errorf("%d clean images are wrong, want %d", n, want.Clean.Wrong)
	}
	type run struct {
		Wrong  int
		Wilson [2]float64 `json:"wilson95"`
	}
	inside, exact, compared := 0, 0, 0
	for k, v := range g.about.Variants[1:] {
		raw := want.Corruptions[v.Name][fmt.Sprint(v.Level)]
		var runs []run
		for _, key := range []string{"seed1", "seed2"} {
			var x run
			if json.Unmarshal(raw[key], &x) == nil && x.Wilson[1] > 0 {
				runs = append(runs, x)
			}
		}
		if len(runs) == 0 { // deterministic: one entry, under another key or none
			text, _ := json.Marshal(raw)
			var x run
			if err := json.Unmarshal(text, &x); err != nil || x.Wilson[1] == 0 {
				for _, one := range raw {
					if json.Unmarshal(one, &x) == nil && x.Wilson[1] > 0 {
						break
					}
				}
			}
			runs = append(runs, x)
		}
		n := wrongs(g.wrong[k+1])
		compared++
		in := false
		for _, x := range runs {
			e := float64(n) / 1000
			in = in || e >= x.Wilson[0] && e <= x.Wilson[1]
		}
		if in {
			inside++
		} else {
			t.Logf("%v: %d wrong, want %+v", v, n, runs)
		}
		if len(runs) == 1 && n == runs[0].Wrong {
			exact++
		}
	}
	// What is random has other draws here; of 95 intervals five may miss.
	if compared != variants || inside < variants-variants/19 {
		t.Errorf("%d of %d variants lie inside the reference's interval, want %d", inside, compared, variants)
	}
	for _, m := range r.Metrics {
		if variants == 95 && m.Name == "error" && math.Abs(m.Value-want.Mean15) > 0.005 {
			t.Errorf("mean error %v, want %v", m.Value, want.Mean15)
		}
	}
	// Of those without random draws pixels are equal, but for the golden folder's ambiguous
	// elements; a prediction changes for one image in a thousand at most.
	if exact < long.Or(30, 3) {
		t.Errorf("%d deterministic variants have the reference's errors exactly", exact)
	}
	t.Logf("%d of %d inside, %d deterministic ones equal; %+v", inside, compared, exact, r.Metrics)
}

func wrongs(v []bool) (n int) {
	for _, w := range v {
		if w {
			n++
		}
	}
	return n
}

// made is a grid with given errors of every corruption, the same at all severities.
func made(n int, clean float64, errors map[corrupt.Name]float64) *grid {
	g := &grid{about: About{Config: DefaultConfig(), Images: n}}
	add := func(v Variant, e float64) {
		g.about.Variants = append(g.about.Variants, v)
		marked := make([]bool, n)
		for i := range int(math.Round(e * float64(n))) {
			marked[i] = true
		}
		g.wrong, g.top5 = append(g.wrong, marked), append(g.top5, marked)
		g.conf, g.loss = append(g.conf, make([]float64, n)), append(g.loss, make([]float64, n))
	}
	for i := range n {
		g.images = append(g.images, i)
	}
	add(Variant{}, clean)
	for _, c := range corrupt.Benchmark() {
		for s := 1; s <= 5; s++ {
			if e, ok := errors[c]; ok {
				add(Variant{string(c), float64(s)}, e)
			}
		}
	}
	return g
}

// TestMCE: torchvision's ResNet-50 has published corruption errors, whose mean is 76.70.
func TestMCE(t *testing.T) {
	ces := map[corrupt.Name]float64{
		corrupt.GaussianNoise: 79.77, corrupt.ShotNoise: 81.58, corrupt.ImpulseNoise: 82.58, corrupt.DefocusBlur: 74.71, corrupt.GlassBlur: 88.61,
		corrupt.MotionBlur: 78.03, corrupt.ZoomBlur: 79.86, corrupt.Snow: 77.83, corrupt.Frost: 74.84, corrupt.Fog: 66.11, corrupt.Brightness: 56.64,
		corrupt.Contrast: 71.43, corrupt.ElasticTransform: 84.75, corrupt.Pixelate: 76.92, corrupt.JPEGCompression: 76.82,
	}
	errs := map[corrupt.Name]float64{}
	for n, ce := range ces {
		errs[n] = ce / 100 * mean(AlexNet().Errors[n])
	}
	g := made(20000, 1-0.7613, errs)
	got := map[string]report.Metric{}
	for _, m := range g.numbers() {
		got[m.Name] = m
	}
	// Errors are shares of 20,000 images: each is rounded by at most 2.5e-5.
	for name, want := range map[string]float64{"mce": 0.7670, "relative_mce": 1.050, "error": 1 - 0.3917} {
		if m, ok := got[name]; !ok || math.Abs(m.Value-want) > 6e-4 || m.Interval == nil || m.Interval.Low > m.Value {
			t.Errorf("%s is %+v, want %v", name, m, want)
		}
	}
	delete(errs, corrupt.Fog)
	part := made(100, 0.2, errs)
	names := []string{}
	for _, m := range part.numbers() {
		names = append(names, m.Name)
	}
	if slices.Contains(names, "mce") || !slices.Contains(names, "mce_subset") || !slices.Contains(names, "error_subset") {
		t.Errorf("of 14 corruptions: %v", names)
	}
	var r report.Report
	part.tables(&r, nil)
	if w := strings.Join(r.Warnings, "\n"); !strings.Contains(w, "there is no mCE") || !strings.Contains(w, "missing: fog") {
		t.Errorf("warnings are %s", w)
	}
	a := AlexNet()
	for n, v := range map[corrupt.Name]float64{corrupt.GaussianNoise: .886428, corrupt.Fog: .819324, corrupt.JPEGCompression: .606500, corrupt.Pixelate: .717840} {
		if m := mean(a.Errors[n]); math.Abs(m-v) > 1e-9 {
			t.Errorf("AlexNet's mean of %s is %v, want %v", n, m, v)
		}
	}
}

// TestLinear: the interval of a mean over images is a bootstrap's.
func TestLinear(t *testing.T) {
	g := made(400, 0.3, map[corrupt.Name]float64{corrupt.Fog: 0.5, corrupt.Snow: 0.2})
	l, ok := g.ce(corrupt.Fog, AlexNet(), false)
	if !ok {
		t.Fatal("no CE")
	}
	v, iv := l.mean()
	// All severities mark the same images: 0.5 of them, each adding 5 / (5 * 0.819324).
	want := 0.5 / 0.819324
	half := 1.959963984540054 * want * 2 * math.Sqrt(0.25/399)
	if math.Abs(v-want) > 1e-9 || math.Abs(iv.High-v-half) > 1e-9 {
		t.Errorf("%v %+v, want %v and half width %v", v, iv, want, half)
	}
}

// TestDisk: what datasets corrupt writes is read again, in ImageNet-C's layout, and PNG
// files give the numbers of the images made on the fly; what is missing is named.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	d, err := datasets.Open("scenes:test", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := evaluation.DefaultConfig()
	c := DefaultConfig()
	c.Corruptions, c.Severities, c.Set = []corrupt.Name{corrupt.Fog, corrupt.GaussianNoise, corrupt.Saturate}, []int{1, 3}, 64
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{}, imageproc.Size{H: 64, W: 64}
	at := d.Pick(40, 0)
	x := Export{Config: c, Recipe: recipe, PNG: true, Limit: 40, Workers: 2}
	n, _, err := Write(context.Background(), d, x, filepath.Join(dir, "c"), nil)
	if err != nil || n != 40*6 {
		t.Fatalf("%d %v", n, err)
	}
	if n, _, err := Write(context.Background(), d, x, filepath.Join(dir, "c"), nil); err != nil || n != 0 {
		t.Errorf("written again: %d %v", n, err)
	}
	e.Limit = len(at)
	fly, _ := evaluate(t, e, c, evaluation.Store{})
	disk := c
	disk.Set, disk.Corrupted = 0, filepath.Join(dir, "c")
	e.Limit = 0
	stored, g := evaluate(t, e, disk, evaluation.Store{})
	if len(g.images) != 40 || g.left != 0 {
		t.Errorf("%d images, %d left", len(g.images), g.left)
	}
	errs := func(r *report.Report) map[string]float64 {
		out := map[string]float64{}
		for _, g := range r.Groups {
			for _, m := range g.Metrics {
				out[g.Name+" "+m.Name] = m.Value
			}
		}
		return out
	}
	a, b := errs(fly), errs(stored)
	for _, k := range []string{"fog error_1", "fog error_3", "gaussian_noise error_1", "gaussian_noise error_3", "saturate error_3", "fog ece"} {
		if math.Abs(a[k]-b[k]) > 1e-9 {
			t.Errorf("%s: %v on the fly, %v from disk", k, a[k], b[k])
		}
	}
	if w := strings.Join(stored.Warnings, "\n"); !strings.Contains(w, "there is no mCE") || !strings.Contains(w, "fog/2") || !strings.Contains(w, "pixelate") {
		t.Errorf("warnings are %s", w)
	}
	if n := strings.Join(stored.Dataset.Notes, "\n"); !strings.Contains(n, "are not resized again") {
		t.Errorf("notes are %s", n)
	}
	// An explicit resize of images that have the model's size is warned of.
	size := imageproc.Size{H: 73, W: 73}
	e.Changes.Resize = &size
	again, _ := evaluate(t, e, disk, evaluation.Store{})
	if w := strings.Join(again.Warnings, "\n"); !strings.Contains(w, "--resize magnifies them") {
		t.Errorf("warnings are %s", w)
	}
	for _, bad := range []string{filepath.Join(dir, "none"), dir} {
		if _, err := datasets.OpenCorrupted(filepath.Join(bad, "x"), []string{"fog"}, ""); err == nil {
			t.Errorf("%s is corrupted images", bad)
		}
	}
}

// TestCIFARC: .npy files of all severities with their labels.
func TestCIFARC(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, head []byte, body []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), append(head, body...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const n = 15 // three images at five severities
	pix := make([]byte, n*3072)
	for i := range pix {
		pix[i] = byte(i / 3072 * 10)
	}
	labels := make([]byte, 8*n)
	for i := range n {
		labels[8*i] = byte(i % 3)
	}
	write("labels.npy", npy.Header("i8", n), labels)
	head := strings.Replace(string(npy.Header("u1", n, 32, 32, 3)), "<u1", "|u1", 1)
	write("fog.npy", []byte(head), pix)
	d, err := datasets.OpenCorrupted(dir, []string{"fog", "snow"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Samples) != n || d.Cells[7] != (datasets.Cell{Corruption: "fog", Severity: 3, Image: "1"}) || d.Samples[7].Label != 1 || len(d.Classes) != 3 {
		t.Errorf("%d samples, %+v %+v", len(d.Samples), d.Cells[7], d.Samples[7])
	}
	im, err := d.Loader().Load(7)
	if err != nil || im.W != 32 || im.Pix[5] != 70 {
		t.Errorf("%v %v", im.Pix[:6], err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	write("fog.npy", []byte(head), pix[:len(pix)-1])
	if _, err := datasets.OpenCorrupted(dir, []string{"fog"}, ""); err == nil {
		t.Error("a file that ends early is read")
	}
	write("labels.npy", npy.Header("i8", 7), labels[:56])
	if _, err := datasets.OpenCorrupted(dir, []string{"fog"}, ""); err == nil {
		t.Error("labels of another number are read")
	}
}

// TestExperiments: levels do to pixels what they say, and curves begin at the clean image.
func TestExperiments(t *testing.T) {
	e := evaluation.DefaultConfig()
	e.Limit = 40
	for _, x := range Experiments()[1:] {
		c := DefaultConfig()
		c.Experiment, c.Steps = x, 4
		r, g := evaluate(t, e, c, evaluation.Store{})
		if len(g.about.Variants) != 5 || len(r.Groups) != 5 {
			t.Fatalf("%s: %+v", x, g.about.Variants)
		}
		clean, last := wrongs(g.wrong[0]), wrongs(g.wrong[4])
		if clean > 10 || last < 30 { // hidden entirely, or another class's image entirely
			t.Errorf("%s: %d and %d of 40 are wrong", x, clean, last)
		}
		if x == Mixup || x == CutMix {
			if n := wrongs(g.other[4]); n < 30 {
				t.Errorf("%s: at the end %d of 40 are the second class", x, n)
			}
			if wrongs(g.other[0]) > 5 {
				t.Errorf("%s: clean images are the second class", x)
			}
		}
	}
	// The pixels.
	d, err := datasets.Open("scenes:test", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{}, imageproc.Size{H: 64, W: 64}
	pixels := func(x Experiment, level float64) []byte {
		c := DefaultConfig()
		c.Experiment, c.Set = x, 64
		m := making{data: d, recipe: recipe, config: c, variants: []Variant{{}, {string(x), level}}, partner: partners(d, x, 0), shared: &shared{}}.open(d.Loader().Load)
		im, err := m(3, 1)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(im.Pix)
	}
	clean := pixels(Centre, 0)
	at := func(p []byte, x, y int) [3]byte { return [3]byte(p[3*(y*64+x):]) }
	grey := [3]byte{124, 116, 104} // ImageNet's mean, which becomes 0
	for _, c := range []struct {
		x      Experiment
		inside bool
	}{{Centre, true}, {Boundary, false}} {
		p := pixels(c.x, 0.5)
		for _, q := range [][2]int{{32, 32}, {16, 16}, {47, 47}, {15, 32}, {48, 20}, {0, 0}} {
			in := q[0] >= 16 && q[0] < 48 && q[1] >= 16 && q[1] < 48
			if want := map[bool][3]byte{true: grey, false: at(clean, q[0], q[1])}[in == c.inside]; at(p, q[0], q[1]) != want {
				t.Errorf("%s at %v: %v, want %v", c.x, q, at(p, q[0], q[1]), want)
			}
		}
	}
	if p := pixels(Mixup, 0); !slices.Equal(p, clean) {
		t.Error("nothing mixed in changes the image")
	}
	other, mixed, cut := pixels(CutMix, 1), pixels(Mixup, 0.25), pixels(CutMix, 0.5)
	for i := range clean {
		if want := math.Round(0.75*float64(clean[i]) + 0.25*float64(other[i])); float64(mixed[i]) != want {
			t.Fatalf("element %d: %d, want %v", i, mixed[i], want)
		}
	}
	if at(cut, 32, 32) != at(other, 32, 32) || at(cut, 3, 3) != at(clean, 3, 3) {
		t.Error("the middle is not the other image's")
	}
	for i, o := range partners(d, CutMix, 5) {
		if d.Samples[i].Label == d.Samples[o].Label {
			t.Fatalf("image %d is mixed with one of its class", i)
		}
	}
}

// TestRun: shares of a run give the report of the whole; a run goes on; one with another
// seed or set is another.
func TestRun(t *testing.T) {
	e := evaluation.DefaultConfig()
	e.Limit = 30
	c := DefaultConfig()
	c.Corruptions, c.Severities = []corrupt.Name{corrupt.ShotNoise, corrupt.Contrast}, []int{2, 5}
	dir := t.TempDir()
	whole, _ := evaluate(t, e, c, evaluation.Store{Dir: filepath.Join(dir, "whole")})
	ctx := context.Background()
	for i := range 3 {
		s, err := evaluation.Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		j, err := Open(ctx, s, c, evaluation.Store{Dir: filepath.Join(dir, "shared"), Shard: results.Shard{I: i, N: 3}}, report.Tool{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Collect(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	run, err := results.Open(filepath.Join(dir, "shared"))
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Complete(); err != nil {
		t.Fatal(err)
	}
	r, err := Report(ctx, run, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(whole)
	b, _ := json.Marshal(r)
	if string(a) != string(b) {
		t.Errorf("shares give another report:\n%s\n%s", a, b)
	}
	for _, change := range []func(*evaluation.Config, *Config){
		func(e *evaluation.Config, _ *Config) { e.Seed = 9 },
		func(_ *evaluation.Config, c *Config) { c.Set = 32 },
		func(_ *evaluation.Config, c *Config) { c.JPEG = 85 },
		func(_ *evaluation.Config, c *Config) { c.Severities = []int{2} },
	} {
		e2, c2 := e, c
		change(&e2, &c2)
		s, err := evaluation.Prepare(e2)
		if err != nil {
			t.Fatal(err)
		}
		if j, err := Open(ctx, s, c2, evaluation.Store{Dir: filepath.Join(dir, "whole")}, report.Tool{}, nil); err == nil {
			t.Errorf("%+v goes on with another run", c2)
			_ = j.Close()
		}
		s.Close()
	}
}

// TestBaseline: files of errors, good and bad.
func TestBaseline(t *testing.T) {
	b, err := parseBaseline([]byte(`{"name": "mine", "clean_error": 0.1, "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}}`))
	if err != nil || b.Name != "mine" || b.Clean != 0.1 || b.Errors[corrupt.Fog][4] != 0.5 {
		t.Errorf("%+v %v", b, err)
	}
	for _, bad := range []string{"", "{}", `{"errors": {"fog": [0.1]}}`, `{"errors": {"rain": [1,1,1,1,1]}}`, `{"errors": {"fog": [0,1,1,1,1]}}`, `{"errors": {"fog": [50,60,70,80,90]}}`, `{"clean_error": 43, "errors": {"fog": [1,1,1,1,1]}}`} {
		if b, err := parseBaseline([]byte(bad)); err == nil {
			t.Errorf("%s is %+v", bad, b)
		}
	}
}

func FuzzBaseline(f *testing.F) {
	f.Add([]byte(`{"name": "mine", "clean_error": 0.1, "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBaseline(data)
		if err != nil {
			return
		}
		for n, v := range b.Errors {
			if m := mean(v); !(m > 0 && m <= 1) {
				t.Errorf("%s has the mean error %v", n, m)
			}
		}
	})
}

func writePNG(path string, pix []byte, w, h int) error {
	return Export{PNG: true}.write(path, imageproc.Image{W: w, H: h, Pix: pix}, nil)
}

// TestDerivedGeometry: boxes of images that were made at the model's size lie where those
// of the pictures do: localization on derived images without a change is that on the
// images.
func TestDerivedGeometry(t *testing.T) {
	ortest.Load(t)
	e := evaluation.DefaultConfig()
	e.Limit = 40
	resize := imageproc.Size{H: 80, W: 80}
	e.Changes.Resize = &resize // and a crop of 64: boxes move and some are cut
	ctx := context.Background()
	var got [2][]report.Metric
	for i := range got {
		s, err := evaluation.Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			c := DefaultConfig()
			c.Set = 64
			derive(s, c, []Variant{{}}, []string{""}, nil, nil)
		}
		j, err := localize.Open(ctx, s, localize.DefaultConfig(), "", evaluation.Store{}, report.Tool{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Collect(ctx, nil); err != nil {
			t.Fatal(err)
		}
		r, _, err := localize.Report(ctx, j.Run, nil)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = r.Metrics
		_ = j.Close()
		s.Close()
	}
	for k, m := range got[0] {
		if o := got[1][k]; o.Name != m.Name || o.Value != m.Value || o.N != m.N {
			t.Errorf("%s is %v (n = %d), on derived images %s is %v (n = %d)", m.Name, m.Value, m.N, o.Name, o.Value, o.N)
		}
	}
}

// TestShared: however many goroutines make the variants of an image, it is loaded once; an
// image of another size than the model takes is an error, not a guess.
func TestShared(t *testing.T) {
	d, err := datasets.Open("scenes:test", datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{}, imageproc.Size{}
	c := DefaultConfig()
	c.Set = 64
	var loads [10]atomic.Int32
	m := making{data: d, recipe: recipe, size: imageproc.Size{H: 64, W: 64}, config: c, variants: c.variants(), shared: &shared{}}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			loader := d.Loader()
			one := m.open(func(i int) (imageproc.Image, error) {
				loads[i].Add(1)
				return loader.Load(i)
			})
			for i := range loads {
				for k := w; k < len(m.variants); k += 8 {
					if _, err := one(i, k); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i := range loads {
		if n := loads[i].Load(); n != 1 {
			t.Errorf("image %d was loaded %d times", i, n)
		}
	}
	m.size, m.shared = imageproc.Size{H: 32, W: 32}, &shared{}
	if _, err := m.open(d.Loader().Load)(0, 0); err == nil || !strings.Contains(err.Error(), "and the model takes 32") {
		t.Errorf("an image that is too large: %v", err)
	}
}

// TestWriteRefuses: a folder is not filled with images of two kinds, nor one image written
// over another; images that cannot be read are named and the others written.
func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	pic := make([]byte, 3*32*32)
	for i, name := range []string{"a/1.png", "a/2.png", "b/1.png"} {
		if err := writePNG(filepath.Join(dir, "data", "in", filepath.FromSlash(name)), append([]byte{byte(i)}, pic[1:]...), 32, 32); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "in", "b", "2.png"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := DefaultConfig()
	c.Set, c.Corruptions, c.Severities = 32, []corrupt.Name{corrupt.Fog}, []int{1}
	recipe := imageproc.Standard()
	recipe.Resize, recipe.Crop = imageproc.Size{}, imageproc.Size{}
	x := Export{Config: c, Recipe: recipe, Quality: 85, Workers: 2}
	write := func(x Export) (int, []report.BadImage, error) {
		d, err := datasets.Open(filepath.Join(dir, "data"), datasets.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return Write(context.Background(), d, x, filepath.Join(dir, "out"), nil)
	}
	if n, bad, err := write(x); n != 3 || len(bad) != 1 || bad[0].ID != "in/b/2.png" || err != nil {
		t.Fatalf("%d %v %v", n, bad, err)
	}
	for _, name := range []string{"a/1", "a/2", "b/1"} { // without the folder that all lie in
		if _, err := os.Stat(filepath.Join(dir, "out", "fog", "1", filepath.FromSlash(name)+".JPEG")); err != nil {
			t.Error(err)
		}
	}
	for _, change := range []func(*Export){func(x *Export) { x.Seed = 1 }, func(x *Export) { x.PNG = true }, func(x *Export) { x.Quality = 50 }, func(x *Export) { x.Config.Set = 64 }} {
		y := x
		change(&y)
		if _, _, err := write(y); err == nil || !strings.Contains(err.Error(), "made otherwise") {
			t.Errorf("%+v goes into the same folder: %v", y, err)
		}
	}
	if err := writePNG(filepath.Join(dir, "data", "in", "a", "1.PNG"), pic, 32, 32); err != nil {
		t.Fatal(err)
	}
	if _, _, err := write(x); err == nil || !strings.Contains(err.Error(), "would both become") {
		t.Errorf("two images of one name: %v", err)
	}
}
