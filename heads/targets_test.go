package heads

import (
	"image"
	"math"
	"slices"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/internal/golden"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// nearly compares sums of a few float64; NaN is equal to itself.
var nearly = cmp.Options{cmpopts.EquateApprox(0, 1e-12), cmpopts.EquateNaNs()}

// TestTargets: of one class and of several, smoothed, weighted, and of some rows.
func TestTargets(t *testing.T) {
	nan := math.NaN()
	one := &Targets{Classes: 3, Class: []int{0, 0, 2}}
	balanced := *one
	balanced.Smoothing = 0.3
	balanced.Balance() // weights 0.75, 1 and 1.5
	part := balanced.Only([]int{2})
	many := &Targets{Classes: 2, Class: []int{0, 2, 1}, Several: []float64{1, nan, 0, 0, nan, 1}, Smoothing: 0.2}
	none := many.Only([]int{1})
	for _, c := range []struct {
		name string
		of   *Targets
		want []float64
	}{
		{"one class", one, []float64{1, 0, 0, 1, 0, 0, 0, 0, 1}},
		{"balanced and smoothed", &balanced, []float64{0.6, 0.1, 0.15, 0.6, 0.1, 0.15, 0.075, 0.1, 1.2}},
		{"one row", &part, []float64{0.075, 0.1, 1.2}},
		{"several", many, []float64{0.9, nan, 0.1, 0.1, nan, 0.9}},
		{"a row of no class", &none, []float64{0.1, 0.1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, c.of.Rows(), nearly); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("shown", func(t *testing.T) {
		got := []bool{many.Shown(0), many.Shown(1), none.Shown(0), none.Shown(1)}
		if d := cmp.Diff([]bool{true, true, false, false}, got); d != "" {
			t.Error(d)
		}
	})
}

// TestBlend: what is not known of a row is not known of a mixture with it, unless nothing of it is
// seen.
func TestBlend(t *testing.T) {
	nan := math.NaN()
	for own, want := range map[float64][]float64{1: {1, nan, 0}, 0: {0, 1, nan}, 0.25: {0.25, nan, nan}} {
		got := make([]float64, 3)
		blend(got, []float64{1, nan, 0}, []float64{0, 1, nan}, own)
		if d := cmp.Diff(want, got, nearly); d != "" {
			t.Errorf("own %v: %s", own, d)
		}
	}
}

// TestMixedGolden: targets of a mixed batch are those of the official code, and so is the loss,
// which it computes as the sum of two.
func TestMixedGolden(t *testing.T) {
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
			Example  struct {
				Logits [][]float64
				Loss   float64
			} `json:"loss_example"`
		}
		PerSample []struct {
			Adjusted float64   `json:"lam_adjusted"`
			Soft     []float64 `json:"soft_label"`
		} `json:"cutmix_per_sample"`
		Mixup, Cutout mix
	}
	golden.JSON(t, &v, "golden", "cutmix", "batch.json")
	const n, classes, side = 4, 3, 8
	all := func(own float64) []float64 { return slices.Repeat([]float64{own}, n) }
	var perImage []float64
	var perSoft, larger [][]float64
	for i, p := range v.PerSample {
		perImage, perSoft = append(perImage, p.Adjusted), append(perSoft, p.Soft)
		hot := make([]float64, classes)
		hot[v.CutMix.Larger[i]] = 1
		larger = append(larger, hot)
	}
	cut := v.CutMix
	lambda := augment.Lambda(image.Rect(cut.Box[1], cut.Box[0], cut.Box[3], cut.Box[2]), side, side)
	at := []int{0, 1, 2, 3}
	for _, c := range []struct {
		name      string
		own       []float64
		smoothing float64
		want      [][]float64
	}{
		{"cutmix", all(lambda), 0, cut.Soft},
		{"smoothed", all(lambda), 0.1, cut.Smooth},
		{"uncorrected", all(cut.Sampled), 0, cut.Plain},
		{"one-hot", all(augment.Larger.Share(lambda)), 0, larger},
		{"complete", all(augment.Halves.Share(lambda)), 0, cut.Complete},
		{"per image", perImage, 0, perSoft},
		{"mixup", all(v.Mixup.Lam), 0, v.Mixup.Soft},
		{"cutout", all(1), 0, v.Cutout.Soft},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := (&Targets{Classes: classes, Class: v.Labels, Smoothing: c.smoothing}).Mixed(nil, at, v.Permutation, c.own)
			// A sum or two in float64.
			if d := cmp.Diff(slices.Concat(c.want...), y, cmpopts.EquateApprox(0, 1e-15)); d != "" {
				t.Error(d)
			}
		})
	}
	t.Run("loss", func(t *testing.T) {
		y := (&Targets{Classes: classes, Class: v.Labels}).Mixed(nil, at, v.Permutation, all(lambda))
		loss := 0.0
		for i, z := range cut.Example.Logits {
			loss += Softmax.Of(slices.Clone(z), y[i*classes:(i+1)*classes]) / n
		}
		if math.Abs(loss-cut.Example.Loss) > 1e-15 {
			t.Errorf("%v, want %v", loss, cut.Example.Loss)
		}
	})
}
