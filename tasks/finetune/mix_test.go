package finetune

import (
	"image"
	"math"
	"slices"
	"testing"

	"cutmix-eval/augment"
	"cutmix-eval/heads"
	"cutmix-eval/internal/golden"
)

// float32s reads an array of golden/cutmix.
func float32s(t *testing.T, name string) []float32 {
	t.Helper()
	var out []float32
	for _, v := range golden.NPY(t, "golden", "cutmix", name).F64 {
		out = append(out, float32(v))
	}
	return out
}

// TestMixGolden: mixed pixels and targets of a batch are those of the official code, channel
// by channel and with channels together.
func TestMixGolden(t *testing.T) {
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
			Box      []int
			Adjusted float64   `json:"lam_adjusted"`
			Soft     []float64 `json:"soft_label"`
		} `json:"cutmix_per_sample"`
		Mixup, Cutout mix
		Feature       mix `json:"feature_cutmix"`
	}
	golden.JSON(t, &v, "golden", "cutmix", "batch.json")
	const n, classes, side, size = 4, 3, 8, 3 * 8 * 8
	area := func(b []int) image.Rectangle { return image.Rect(b[1], b[0], b[3], b[2]) }
	all := func(partner []int, b image.Rectangle, lambda, own float64) *mixing {
		return &mixing{partner, slices.Repeat([]image.Rectangle{b}, n), slices.Repeat([]float64{lambda}, n), slices.Repeat([]float64{own}, n)}
	}
	plain := func(smoothing float64) *labels {
		return &labels{classes: classes, class: v.Labels, smoothing: smoothing}
	}
	var perImage mixing
	var perSoft, larger [][]float64
	for i, p := range v.PerSample {
		perImage.partner = v.Permutation
		perImage.box, perImage.lambda, perImage.own = append(perImage.box, area(p.Box)), append(perImage.lambda, p.Adjusted), append(perImage.own, p.Adjusted)
		perSoft = append(perSoft, p.Soft)
		hot := make([]float64, classes)
		hot[v.CutMix.Larger[i]] = 1
		larger = append(larger, hot)
	}
	cut, box := v.CutMix, area(v.CutMix.Box)
	lambda := augment.Lambda(box, side, side)
	batch, cutmix := float32s(t, "batch.npy"), float32s(t, "cutmix_mixed.npy")
	for _, c := range []struct {
		name      string
		method    Method
		p         *mixing
		smoothing float64
		pixels    []float32
		soft      [][]float64
	}{
		{"cutmix", CutMix, all(v.Permutation, box, lambda, lambda), 0, cutmix, cut.Soft},
		{"smoothed", CutMix, all(v.Permutation, box, lambda, lambda), 0.1, cutmix, cut.Smooth},
		{"uncorrected", CutMix, all(v.Permutation, box, lambda, cut.Sampled), 0, cutmix, cut.Plain},
		{"one-hot", CutMix, all(v.Permutation, box, lambda, labelings["one-hot"].Share(lambda)), 0, cutmix, larger},
		{"complete", CutMix, all(v.Permutation, box, lambda, labelings["complete"].Share(lambda)), 0, cutmix, cut.Complete},
		{"per image", CutMix, &perImage, 0, float32s(t, "cutmix_per_sample_mixed.npy"), perSoft},
		{"mixup", Mixup, all(v.Permutation, image.Rectangle{}, v.Mixup.Lam, v.Mixup.Lam), 0, float32s(t, "mixup_mixed.npy"), v.Mixup.Soft},
		{"cutout", Cutout, all(v.Permutation, area(v.Cutout.Box), 1, 1), 0, float32s(t, "cutout_mixed.npy"), v.Cutout.Soft},
	} {
		var scratch []float32
		got := slices.Clone(batch)
		Mix{Method: c.method}.pixels(c.p, func(i int) []float32 { return got[i*size : (i+1)*size] }, &scratch, 3, side, side, 1)
		if !slices.Equal(got, c.pixels) {
			t.Errorf("%s: pixels differ", c.name)
		}
		// The same with channels together.
		together := make([]float32, 0, n*size)
		apart := func(v []float32) (out []float32) {
			for i := range n {
				for p := range side * side {
					for ch := range 3 {
						out = append(out, v[i*size+ch*side*side+p])
					}
				}
			}
			return out
		}
		together = append(together, apart(batch)...)
		Mix{Method: c.method}.pixels(c.p, func(i int) []float32 { return together[i*size : (i+1)*size] }, &scratch, 1, side, side, 3)
		if !slices.Equal(together, apart(c.pixels)) {
			t.Errorf("%s: pixels with channels together differ", c.name)
		}
		y := c.p.targets(nil, plain(c.smoothing), []int{0, 1, 2, 3})
		for i, want := range slices.Concat(c.soft...) {
			if math.Abs(y[i]-want) > 1e-15 { // a sum or two in float64
				t.Errorf("%s: target %d of image %d is %v, want %v", c.name, i%classes, i/classes, y[i], want)
			}
		}
	}
	// The loss of mixed labels is the official code's sum of two.
	y := all(v.Permutation, box, lambda, lambda).targets(nil, plain(0), []int{0, 1, 2, 3})
	loss := 0.0
	for i, z := range cut.Example.Logits {
		loss += heads.Softmax.Of(slices.Clone(z), y[i*classes:(i+1)*classes]) / n
	}
	if math.Abs(loss-cut.Example.Loss) > 1e-15 {
		t.Errorf("loss %v, want %v", loss, cut.Example.Loss)
	}
	// Feature CutMix: the means over places of maps with a box of another's.
	maps, means := float32s(t, "featmap.npy"), golden.NPY(t, "golden", "cutmix", "featmap_mixed_pooled.npy").F64
	const channels, h, w = 16, 7, 7
	got := make([]float32, channels)
	of := func(i int) []float32 { return maps[i*channels*h*w : (i+1)*channels*h*w] }
	for i, p := range v.Permutation {
		pooled(got, of(i), of(p), channels, h, w, area(v.Feature.Box))
		for c, g := range got {
			if want := means[i*channels+c]; math.Abs(float64(g)-want) > 1e-7*max(1, math.Abs(want)) { // float32 of it
				t.Errorf("feature %d of map %d is %v, want %v", c, i, g, want)
			}
		}
	}
}

// TestPlan: what the options of mixing do, over many batches of an odd size.
func TestPlan(t *testing.T) {
	const batches, n, h, w = 2000, 7, 9, 16
	base := DefaultConfig().Mix
	with := func(edit func(*Mix)) Mix {
		m := base
		edit(&m)
		return m
	}
	for _, c := range []struct {
		name  string
		mix   Mix
		at    float64 // progress
		share float64 // of batches, or images, that are mixed
		check func(t *testing.T, p *mixing, i int) bool
	}{
		{"none", with(func(m *Mix) { m.Method = None }), 0, 0, nil},
		{"cutmix", base, 0, 0.5, func(_ *testing.T, p *mixing, i int) bool {
			return p.box[i] == p.box[0] && p.own[i] == augment.Lambda(p.box[i], h, w)
		}},
		{"never", with(func(m *Mix) { m.Prob = 0 }), 0, 0, nil},
		{"always", with(func(m *Mix) { m.Prob = 1 }), 0, 1, nil},
		{"scheduled, begin", with(func(m *Mix) { m.Scheduled = true }), 0, 0, nil},
		{"scheduled, half", with(func(m *Mix) { m.Scheduled = true }), 0.5, 0.25, nil},
		{"one-hot", with(func(m *Mix) { m.Labels = "one-hot" }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool {
			return p.own[i] == 1 && augment.Lambda(p.box[i], h, w) >= 0.5 || p.own[i] == 0 && augment.Lambda(p.box[i], h, w) < 0.5
		}},
		{"complete", with(func(m *Mix) { m.Labels = "complete" }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool { return p.own[i] == 0.5 }},
		{"fixed", with(func(m *Mix) { m.Box = "fixed" }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool {
			b := p.box[i] // half the side, rounded down to even, and cut off at the border
			return b.Dy() <= 4 && b.Dx() <= 8 && (b.Min.Y == 0 || b.Max.Y == h || b.Dy() == 4) && (b.Min.X == 0 || b.Max.X == w || b.Dx() == 8)
		}},
		{"uncorrected", with(func(m *Mix) { m.Box, m.Uncorrected = "fixed", true }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool { return p.own[i] == 0.75 }},
		{"mixup", with(func(m *Mix) { m.Method = Mixup }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool {
			return p.box[i].Empty() && p.own[i] == p.lambda[i] && p.lambda[i] == p.lambda[0]
		}},
		{"cutout", with(func(m *Mix) { m.Method = Cutout }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool {
			return p.own[i] == 1 && !p.box[i].Empty() && p.box[i].Dx()*p.box[i].Dy() <= 16
		}},
		{"feature-cutmix", with(func(m *Mix) { m.Method = FeatureCutMix }), 0, 0.5, func(_ *testing.T, p *mixing, i int) bool { return p.own[i] == augment.Lambda(p.box[i], h, w) }},
		{"per image", with(func(m *Mix) { m.PerImage = true }), 0, 0.5, nil},
		{"gaussian", with(func(m *Mix) { m.Box = "gaussian" }), 0, 0.5, nil},
	} {
		mixed, all, differ := 0, 0, 0
		for b := range batches {
			p := c.mix.plan(random(1, mixingOf, 0, b), n, h, w, c.at)
			again := c.mix.plan(random(1, mixingOf, 0, b), n, h, w, c.at)
			if p == nil {
				if all++; again != nil {
					t.Fatalf("%s: drawn again, it is mixed", c.name)
				}
				continue
			}
			if !slices.Equal(p.partner, again.partner) || !slices.Equal(p.box, again.box) {
				t.Fatalf("%s: drawn again, it differs", c.name)
			}
			perImage := c.mix.PerImage || c.mix.Method == Cutout
			if !perImage {
				all, mixed = all+1, mixed+1
				seen := slices.Clone(p.partner)
				slices.Sort(seen)
				if !slices.Equal(seen, []int{0, 1, 2, 3, 4, 5, 6}) {
					t.Fatalf("%s: partners %v", c.name, p.partner)
				}
			}
			for i := range n {
				is := p.lambda[i] != 1 || p.own[i] != 1 || !p.box[i].Empty()
				if perImage {
					if all++; is {
						mixed++
					}
				}
				if is && p.box[i] != p.box[0] {
					differ++
				}
				if c.check != nil && (is || !perImage) && !c.check(t, p, i) {
					t.Fatalf("%s: image %d: box %+v, lambda %v, own %v", c.name, i, p.box[i], p.lambda[i], p.own[i])
				}
			}
		}
		// Four standard errors; with a box of no pixels an image counts as not mixed (Beta(1, 1)
		// draws a lambda above 0.94 in one of 16).
		slack := 4 * math.Sqrt(c.share*(1-c.share)/float64(all))
		if c.mix.PerImage {
			slack += c.share / 16
		}
		if got := float64(mixed) / float64(all); math.Abs(got-c.share) > slack {
			t.Errorf("%s: %.3f are mixed, want %.3f", c.name, got, c.share)
		}
		if perImage := c.mix.PerImage || c.mix.Method == Cutout; perImage != (differ > 0) {
			t.Errorf("%s: %d boxes differ from the batch's first", c.name, differ)
		}
	}
	// Gaussian boxes lie nearer to the middle: of small ones, 0.2 of the side where uniform
	// ones are 0.25 away.
	distance := map[string]float64{}
	for _, kind := range boxes[:2] {
		m := with(func(m *Mix) { m.Box, m.Prob = kind, 1 })
		for b := range batches {
			p := m.plan(random(1, mixingOf, 1, b), 1, 64, 64, 0)
			distance[kind] += math.Abs(float64(p.box[0].Min.Y+p.box[0].Max.Y)-64) / 2 / batches
		}
	}
	if !(distance["gaussian"] < 0.9*distance["uniform"]) {
		t.Errorf("distances of boxes from the middle row: %v", distance)
	}
}
