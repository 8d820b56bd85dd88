package augment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cutmix-eval/internal/golden"
)

// TestBoxGolden: every box of the official code's rand_bbox.
func TestBoxGolden(t *testing.T) {
	var v struct {
		Table []struct {
			W, H           int // rows and columns, as the official code calls them
			Lam            float64
			CX, CY         int
			X1, Y1, X2, Y2 int
			Adjusted       float64 `json:"lam_adjusted"`
		}
	}
	golden.JSON(t, &v, "golden", "cutmix", "rand_bbox.json")
	if len(v.Table) != 500 {
		t.Fatalf("%d rows", len(v.Table))
	}
	for _, r := range v.Table {
		b := BoxAt(r.W, r.H, r.Lam, r.CX, r.CY)
		if b != (Box{r.X1, r.Y1, r.X2, r.Y2}) || math.Abs(b.Lambda(r.W, r.H)-r.Adjusted) > 1e-15 {
			t.Errorf("%+v: %+v, lambda %v", r, b, b.Lambda(r.W, r.H))
		}
	}
}

func floats(t *testing.T, name string) []float32 {
	t.Helper()
	var out []float32
	for _, v := range golden.NPY(t, "golden", "cutmix", name).F64 {
		out = append(out, float32(v))
	}
	return out
}

func box(v []int) Box { return Box{v[0], v[1], v[2], v[3]} }

// TestBatchGolden: mixed pixels and labels of a batch, as the official code and timm have
// them.
func TestBatchGolden(t *testing.T) {
	type mix struct {
		Box      []int
		Lam      float64
		Adjusted float64     `json:"lam_adjusted"`
		Soft     [][]float64 `json:"soft_labels"`
	}
	var v struct {
		Labels, Permutation []int
		CutMix              struct {
			mix
			Sampled  float64     `json:"lam_sampled"`
			Plain    [][]float64 `json:"soft_labels_without_lam_correction"`
			Larger   []int       `json:"one_hot_of_larger_part"`
			Complete [][]float64 `json:"complete_label"`
			Smooth   [][]float64 `json:"label_smoothing_0_1_timm"`
		}
		PerSample []struct {
			Box      []int
			Adjusted float64   `json:"lam_adjusted"`
			Soft     []float64 `json:"soft_label"`
		} `json:"cutmix_per_sample"`
		Mixup  mix
		Cutout struct {
			Length, CX, CY int
			Box            []int
		}
		Feature mix `json:"feature_cutmix"`
	}
	golden.JSON(t, &v, "golden", "cutmix", "batch.json")
	batch := floats(t, "batch.npy")
	const n, size = 4, 3 * 8 * 8
	image := func(all []float32, i, size int) []float32 { return all[i*size : (i+1)*size] }
	same := func(what string, got, want []float32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: pixels differ", what)
		}
	}
	label := func(what string, want []float64, own, other int, lambda float64, l Labelling, smoothing float64) {
		t.Helper()
		got := make([]float64, 3)
		Label(got, own, other, lambda, l, smoothing)
		for c := range got {
			if math.Abs(got[c]-want[c]) > 1e-15 {
				t.Errorf("%s: label %v, want %v", what, got, want)
			}
		}
	}
	cut, per, up, out := floats(t, "cutmix_mixed.npy"), floats(t, "cutmix_per_sample_mixed.npy"), floats(t, "mixup_mixed.npy"), floats(t, "cutout_mixed.npy")
	if math.Abs(box(v.CutMix.Box).Lambda(8, 8)-v.CutMix.Adjusted) > 1e-15 {
		t.Error("lambda")
	}
	dst := make([]float32, size)
	for i := range n {
		p := v.Permutation[i]
		own, other := image(batch, i, size), image(batch, p, size)
		a, b := v.Labels[i], v.Labels[p]
		Paste(dst, own, other, 3, 8, 8, box(v.CutMix.Box))
		same("cutmix", dst, image(cut, i, size))
		label("cutmix", v.CutMix.Soft[i], a, b, v.CutMix.Adjusted, Shares, 0)
		label("uncorrected", v.CutMix.Plain[i], a, b, v.CutMix.Sampled, Shares, 0)
		label("complete", v.CutMix.Complete[i], a, b, v.CutMix.Adjusted, Halves, 0)
		label("smoothed", v.CutMix.Smooth[i], a, b, v.CutMix.Adjusted, Shares, 0.1)
		hot := make([]float64, 3)
		hot[v.CutMix.Larger[i]] = 1
		label("one-hot", hot, a, b, v.CutMix.Adjusted, Larger, 0)
		s := v.PerSample[i]
		Paste(dst, own, other, 3, 8, 8, box(s.Box))
		same("per sample", dst, image(per, i, size))
		label("per sample", s.Soft, a, b, box(s.Box).Lambda(8, 8), Shares, 0)
		Blend(dst, own, other, v.Mixup.Lam)
		same("mixup", dst, image(up, i, size))
		label("mixup", v.Mixup.Soft[i], a, b, v.Mixup.Lam, Shares, 0)
		c := CutoutBox(8, 8, v.Cutout.Length, v.Cutout.CX, v.Cutout.CY)
		if c != box(v.Cutout.Box) {
			t.Errorf("cutout's box is %+v", c)
		}
		Erase(dst, own, 3, 8, 8, c, 0)
		same("cutout", dst, image(out, i, size))
	}
	// Feature CutMix is the same on feature maps.
	maps, want := floats(t, "featmap.npy"), floats(t, "featmap_mixed.npy")
	const features = 16 * 7 * 7
	dst = make([]float32, features)
	for i := range n {
		Paste(dst, image(maps, i, features), image(maps, v.Permutation[i], features), 16, 7, 7, box(v.Feature.Box))
		same("features", dst, image(want, i, features))
		label("features", v.Feature.Soft[i], v.Labels[i], v.Labels[v.Permutation[i]], v.Feature.Adjusted, Shares, 0)
	}
}

// TestDraws: lambda has the Beta distribution's moments, boxes their mean area and place.
func TestDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 20000
	for _, alpha := range []float64{0.2, 1, 4} {
		sum, square := 0.0, 0.0
		for range n {
			l := Beta(rng, alpha)
			sum, square = sum+l, square+l*l
		}
		mean := sum / n
		variance := square/n - mean*mean
		want := 1 / (4 * (2*alpha + 1))
		// Five standard errors of the mean; the variance's is below its own hundredth.
		if math.Abs(mean-0.5) > 5*math.Sqrt(want/n) || math.Abs(variance/want-1) > 0.05 {
			t.Errorf("alpha %v: mean %v, variance %v, want %v", alpha, mean, variance, want)
		}
	}
	for _, c := range []Centre{Uniform, Gaussian} {
		middle, area := 0.0, 0.0
		for range n {
			b := RandomBox(rng, 32, 32, 0.75, c)
			if b.Y0 < 0 || b.X0 < 0 || b.Y1 > 32 || b.X1 > 32 || b.Area() > 16*16 || b.Area() <= 0 {
				t.Fatalf("%+v", b)
			}
			middle += math.Abs(float64(b.Y0+b.Y1)/2-16) / n
			area += float64(b.Area()) / n
		}
		if (c == Gaussian) != (middle < 6) {
			t.Errorf("centre %d: boxes are %v from the middle, area %v", c, middle, area)
		}
	}
	got := make([]float64, 3)
	if Label(got, 1, 2, 0.5, Larger, 0); got[1] != 1 {
		t.Errorf("half an image: %v", got)
	}
	if Label(got, 1, 2, 0.49, Larger, 0.3); math.Abs(got[2]-0.8) > 1e-15 || math.Abs(got[0]-0.1) > 1e-15 {
		t.Errorf("less than half, smoothed: %v", got)
	}
}
