package ood

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/metrics"
	"cutmix-eval/report"

	"gonum.org/v1/gonum/mat"
)

// drawn makes outputs of a made-up model: features around their classes' means.
func drawn(seed uint64, n int, h *Head) *Set {
	rng := rand.New(rand.NewPCG(seed, 9))
	s := &Set{C: h.C, D: h.D, Of: n}
	f, z := make([]float32, h.D), make([]float32, h.C)
	for i := range n {
		label := i % h.C
		for d := range f {
			f[d] = float32(math.Abs(rng.NormFloat64() + 2*math.Sin(float64(label*h.D+d))))
		}
		for c := range z {
			z[c] = h.Bias[c]
			for d, w := range h.row(c) {
				z[c] += w * f[d]
			}
		}
		s.add(label, z, f)
	}
	return s
}

func madeUp(c, d int) (*Head, Given) {
	rng := rand.New(rand.NewPCG(4, 4))
	h := &Head{C: c, D: d}
	for range c * d {
		h.Weight = append(h.Weight, float32(rng.NormFloat64()))
	}
	for range c {
		h.Bias = append(h.Bias, float32(rng.NormFloat64()))
	}
	return h, Given{h, drawn(1, 90, h), trained(drawn(2, 400, h), 400)}
}

// TestRelation: against the definition, pair by pair.
func TestRelation(t *testing.T) {
	h, g := madeUp(4, 6)
	train, s := drawn(2, 400, h), drawn(3, 50, h)
	for _, power := range []float64{1, 2} {
		f, _, err := Relation(power).Fit(g)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range scoresOf(f, blocks(s)) {
			want := 0.0
			for j := range train.N {
				cos, alike := 0.0, 0.0
				a, b := widen(s.features(i)), widen(train.features(j))
				for d := range a {
					cos += (a[d]/norm(a) + 1e-10) * (b[d]/norm(b) + 1e-10)
				}
				p, _, _ := softmax(widen(s.logits(i)))
				q, _, _ := softmax(widen(train.logits(j)))
				for c := range p {
					alike += p[c] * q[c]
				}
				if k := max(cos, 0) * alike; k > 0.03 {
					want += math.Pow(k, power)
				}
			}
			if math.Abs(got-want) > 1e-9*math.Max(1, want) {
				t.Fatalf("power %v, image %d: %v, want %v", power, i, got, want)
			}
		}
	}
}

// TestWhitening: both ways give the same lengths, and a covariance that has no inverse its
// pseudo-inverse's.
func TestWhitening(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for _, c := range []struct{ d, rank int }{{5, 5}, {12, 12}, {12, 7}} {
		x := mat.NewDense(c.d, c.rank, nil)
		for i := range c.d {
			for j := range c.rank {
				x.Set(i, j, rng.NormFloat64())
			}
		}
		var s mat.SymDense
		s.SymOuterK(1, x)
		w, err := whitening(&s)
		if err != nil {
			t.Fatal(err)
		}
		// A vector in the space: x a. Its squared length is x' S^+ x.
		var svd mat.SVD
		svd.Factorize(&s, mat.SVDThin)
		var pinv mat.Dense
		a := mat.NewVecDense(c.rank, nil)
		for i := range c.rank {
			a.SetVec(i, rng.NormFloat64())
		}
		var v mat.VecDense
		v.MulVec(x, a)
		rhs := mat.NewDense(c.d, 1, slices.Clone(v.RawVector().Data))
		svd.SolveTo(&pinv, rhs, c.rank)
		want := mat.Dot(&v, pinv.ColView(0))
		var y mat.VecDense
		y.MulVec(w.T(), &v)
		if got := mat.Dot(&y, &y); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%+v: %v, want %v", c, got, want)
		}
		if _, r := w.Dims(); r != c.rank {
			t.Errorf("%+v: rank %d", c, r)
		}
	}
}

// TestTrainSet: sums of one pass are those of the images, and of very many images some are
// kept, evenly.
func TestTrainSet(t *testing.T) {
	h, _ := madeUp(3, 5)
	s := drawn(2, 1000, h)
	tr := trained(s, s.N)
	u := []float64{0.1, 0.2, 0.3, 0.4, 0.5}
	want := mat.NewSymDense(5, nil)
	for i := range s.N {
		f := widen(s.features(i))
		for d := range f {
			f[d] -= u[d]
		}
		want.SymRankOne(want, 1.0/1000, mat.NewVecDense(5, f))
	}
	if got := tr.about(u); !mat.EqualApprox(got, want, 1e-12) {
		t.Errorf("about %v, want %v", mat.Formatted(got), mat.Formatted(want))
	}
	within := mat.NewSymDense(5, nil)
	mean := means(tr.Sum, tr.Count)
	for i := range s.N {
		f := widen(s.features(i))
		for d := range f {
			f[d] -= mean[s.Labels[i]][d]
		}
		within.SymRankOne(within, 1.0/1000, mat.NewVecDense(5, f))
	}
	if got := tr.within(); !mat.EqualApprox(got, within, 1e-12) {
		t.Errorf("within %v, want %v", mat.Formatted(got), mat.Formatted(within))
	}
	for _, c := range []struct{ n, width, keep int }{{1000, 64, 1000}, {1281167, 2048, 16384}, {1 << 26, 1, 1 << 25}, {10, 1 << 30, 1}} {
		p := newThin(c.n, c.width)
		kept, last, gap := 0, -1, 0
		for i := range c.n {
			if p.next() {
				if kept++; last >= 0 {
					gap = max(gap, i-last)
				}
				last = i
			}
		}
		if kept != c.keep || p.keep < c.n && gap > c.n/c.keep+1 || (p.rule() == "") != (c.keep == c.n) {
			t.Errorf("%+v: %d kept, at most %d apart, %q", c, kept, gap, p.rule())
		}
	}
}

// TestDark: training images whose features are all 0 change no similarity, and are counted.
func TestDark(t *testing.T) {
	h, g := madeUp(4, 6)
	set, s := drawn(2, 400, h), drawn(3, 50, h)
	mixed := NewTrainSet(410, h.C, h.D)
	for i := range set.N {
		if i%40 == 0 {
			mixed.Add(0, make([]float32, h.C), make([]float32, h.D))
		}
		mixed.Add(set.Labels[i], set.logits(i), set.features(i))
	}
	mixed.Done()
	if mixed.dark != 10 {
		t.Errorf("%d are dark", mixed.dark)
	}
	for _, score := range []Score{KNN(5), Relation(1), NNGuide(5, 1)} {
		var got [2][]float64
		for i, train := range []*TrainSet{trained(set, set.N), mixed} {
			f, _, err := score.Fit(Given{h, g.Validation, train})
			if err != nil {
				t.Fatal(err)
			}
			got[i] = scoresOf(f, blocks(s))
		}
		if !slices.Equal(got[0], got[1]) {
			t.Errorf("%s: dark images change the scores", score.Name)
		}
	}
	black := NewTrainSet(5, h.C, h.D)
	for range 5 {
		black.Add(0, make([]float32, h.C), make([]float32, h.D))
	}
	black.Done()
	for _, score := range Scores(4, 6) {
		if score.Needs&Training != 0 && score.Needs&Features != 0 {
			_, _, err := score.Fit(Given{h, g.Validation, black}) // an error or numbers, no panic
			if err == nil && score.kind() == "knn_K#" {
				t.Errorf("%s compares with nothing", score.Name)
			}
		}
	}
}

// TestNames: every score is found again by its name, and what is none is refused.
func TestNames(t *testing.T) {
	all := Scores(10, 64)
	for _, f := range Grid(1000, 2048, 5000) {
		all = append(all, f...)
	}
	for _, s := range all {
		got, err := Parse(s.Name)
		if err != nil || got.Name != s.Name || got.Needs != s.Needs || got.Summary != s.Summary {
			t.Errorf("%s: %+v %v", s.Name, got, err)
		}
	}
	for _, name := range []string{"", "knn", "knn_K0", "knn_K1.5", "react_p101", "ash_x_p90", "mds2", "gen_g0.1", "odin_T0", "vim_dim1e9", "msp_1", "react_pnan"} {
		if s, err := Parse(name); err == nil {
			t.Errorf("%q is %q", name, s.Name)
		}
	}
	chosen, err := Choose(Scores(10, 64), []string{"knn_K7", "ash", "msp", "msp"})
	var names []string
	for _, s := range chosen {
		names = append(names, s.Name)
	}
	if err != nil || !slices.Equal(names, []string{"knn_K7", "ash_b_p90", "ash_p_p90", "ash_s_p90", "msp"}) {
		t.Errorf("%v %v", names, err)
	}
}

// detectorOf makes a detector by fitting a score.
func detectorOf(t testing.TB, s Score, g Given) *Detector {
	t.Helper()
	_, st, err := s.Fit(g)
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	return &Detector{FormatVersion: detectorVersion, Tool: report.Tool{Name: "t"}, Score: s.Name, Threshold: 0.25, C: g.Head.C, D: g.Head.D, N: 3, Recipe: imageproc.Standard(), State: st}
}

// TestDetectorFile: every score gives from its file what it gave when it was fitted, to
// the bit, without what it was fitted with; files are the same every time; another head
// is refused.
func TestDetectorFile(t *testing.T) {
	h, g := madeUp(4, 60)
	s := drawn(3, 40, h)
	for _, score := range Scores(4, 60) {
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
		back, err := ReadDetector(path)
		if err != nil {
			t.Errorf("%s: %v", score.Name, err)
			continue
		}
		again, err := back.fit(h)
		if err != nil {
			t.Errorf("%s: %v", score.Name, err)
			continue
		}
		if a, b := scoresOf(f, blocks(s)), scoresOf(again.Func, blocks(s)); !slices.Equal(a, b) {
			t.Errorf("%s: the file gives other scores", score.Name)
		}
		other, _ := madeUp(5, 60)
		if _, err := back.fit(other); err == nil {
			t.Errorf("%s: a head of other size fits", score.Name)
		}
		if len(back.State) > 0 { // a part is missing
			for name := range back.State {
				delete(back.State, name)
			}
			if _, err := back.fit(h); err == nil {
				t.Errorf("%s: fits without its state", score.Name)
			}
		}
	}
}

// FuzzDetector: whatever the parts of a file hold, it is a detector or an error, and a
// detector that fits a head gives scores without a panic.
func FuzzDetector(f *testing.F) {
	h, g := madeUp(3, 24)
	f.Add([]byte("PK\x03\x04"), "x", []byte("x"))
	for _, s := range []Score{MSP(), MDS(true), SHE(), OpenMax(5, 2), ViM(12), KNN(3)} {
		d := detectorOf(f, s, g)
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
		d := &Detector{State: State{}}
		if sc, err := Parse(named.Score); err == nil {
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
			d, err := parseDetector(bytes.NewReader(data), int64(len(data)), 1<<20)
			if err != nil {
				continue
			}
			if fit, err := d.fit(h); err == nil {
				scoresOf(fit.Func, blocks(s))
			}
		}
	})
}

// TestPaired: numbers under bootstrap counts are those of the images that the counts
// repeat.
func TestPaired(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	p := &Paired{scores: []string{"a"}, sets: []string{"x", "y"}, id: map[int]int{}, out: []map[int]int{{}, {}}, values: [][][]float64{{nil}, {nil}, {nil}}}
	var at []int
	for i := range 90 { // 40 ID images, 30 of x, 20 of y; one of each is not shared
		set := min(i/40, 1) + max(0, i-70+1)/20
		if i >= 70 {
			set = 2
		}
		places := p.id
		if set > 0 {
			places = p.out[set-1]
		}
		places[i] = len(places)
		p.values[set][0] = append(p.values[set][0], float64(rng.IntN(25))-3*float64(set))
		if i != 3 && i != 50 && i != 89 {
			at = append(at, i)
		}
	}
	sample := p.At(at)
	for range 20 {
		count := make([]uint16, len(at))
		for range at {
			count[rng.IntN(len(at))]++
		}
		got := sample.Evaluate(count)
		for k := range p.sets {
			var id, out []float64
			for i, index := range at {
				for range count[i] {
					if place, ok := p.id[index]; ok {
						id = append(id, p.values[0][0][place])
					} else if place, ok := p.out[k][index]; ok {
						out = append(out, p.values[k+1][0][place])
					}
				}
			}
			want, err := metrics.Detect(id, out)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got[2*k]-want.AUROC) > 1e-12 || math.Abs(got[2*k+1]-want.FPRIDPositive.FPR) > 1e-12 {
				t.Errorf("set %d: %v, want %v %v", k, got[2*k:2*k+2], want.AUROC, want.FPRIDPositive.FPR)
			}
		}
	}
}
