package augment

import (
	"errors"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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

// drawn are the random numbers of batch b of an epoch.
func drawn(epoch, b int) *rand.Rand { return rand.New(rand.NewPCG(uint64(epoch), uint64(b))) }

// TestApplyGolden: mixed pixels of a batch are those of the official code, channel by channel and
// with channels together; the means of mixed maps are those of PyTorch.
func TestApplyGolden(t *testing.T) {
	type mix struct {
		Box []int
		Lam float64
	}
	var v struct {
		Permutation           []int
		CutMix, Mixup, Cutout mix
		PerSample             []mix `json:"cutmix_per_sample"`
		Feature               mix   `json:"feature_cutmix"`
	}
	golden.JSON(t, &v, "golden", "cutmix", "batch.json")
	const n, side, size = 4, 8, 3 * 8 * 8
	area := func(b []int) image.Rectangle { return image.Rect(b[1], b[0], b[3], b[2]) }
	all := func(b image.Rectangle, lambda float64) *Plan {
		return &Plan{Partner: v.Permutation, Box: slices.Repeat([]image.Rectangle{b}, n), Lambda: slices.Repeat([]float64{lambda}, n)}
	}
	perImage := all(image.Rectangle{}, 0)
	for i, p := range v.PerSample {
		perImage.Box[i] = area(p.Box)
	}
	apart := func(v []float32) (together []float32) {
		for i := range n {
			for p := range side * side {
				for c := range 3 {
					together = append(together, v[i*size+c*side*side+p])
				}
			}
		}
		return together
	}
	batch := float32s(t, "batch.npy")
	for _, c := range []struct {
		name   string
		method Method
		plan   *Plan
		want   string
	}{
		{"cutmix", CutMix, all(area(v.CutMix.Box), 0), "cutmix_mixed.npy"},
		{"per image", CutMix, perImage, "cutmix_per_sample_mixed.npy"},
		{"mixup", Mixup, all(image.Rectangle{}, v.Mixup.Lam), "mixup_mixed.npy"},
		{"cutout", Cutout, all(area(v.Cutout.Box), 0), "cutout_mixed.npy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := float32s(t, c.want)
			var scratch []float32
			got := slices.Clone(batch)
			slot := func(i int) []float32 { return got[i*size : (i+1)*size] }
			if (Mix{Method: c.method}).Apply(c.plan, slot, &scratch, 3, side, side, 1); !slices.Equal(got, want) {
				t.Error("planes differ")
			}
			got = apart(batch)
			if (Mix{Method: c.method}).Apply(c.plan, slot, &scratch, 1, side, side, 3); !slices.Equal(got, apart(want)) {
				t.Error("channels together differ")
			}
		})
	}
	t.Run("maps", func(t *testing.T) {
		maps, means := float32s(t, "featmap.npy"), golden.NPY(t, "golden", "cutmix", "featmap_mixed_pooled.npy").F64
		const channels, h, w = 16, 7, 7
		got := make([]float32, channels)
		of := func(i int) []float32 { return maps[i*channels*h*w : (i+1)*channels*h*w] }
		for i, p := range v.Permutation {
			Pooled(got, of(i), of(p), channels, h, w, area(v.Feature.Box))
			for c, g := range got {
				if want := means[i*channels+c]; math.Abs(float64(g)-want) > 1e-7*max(1, math.Abs(want)) { // float32 of it
					t.Errorf("feature %d of map %d is %v, want %v", c, i, g, want)
				}
			}
		}
	})
}

// TestPlan: what the options of mixing do, over many batches of an odd size.
func TestPlan(t *testing.T) {
	const batches, n, h, w = 2000, 7, 9, 16
	base := Mix{Method: CutMix, Alpha: 1, Prob: 0.5, Box: "uniform", Labels: "shares", Length: 0.5}
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
		check func(t *testing.T, p *Plan, i int) bool
	}{
		{"none", with(func(m *Mix) { m.Method = None }), 0, 0, nil},
		{"cutmix", base, 0, 0.5, func(_ *testing.T, p *Plan, i int) bool {
			return p.Box[i] == p.Box[0] && p.Own[i] == Lambda(p.Box[i], h, w)
		}},
		{"never", with(func(m *Mix) { m.Prob = 0 }), 0, 0, nil},
		{"always", with(func(m *Mix) { m.Prob = 1 }), 0, 1, nil},
		{"scheduled, begin", with(func(m *Mix) { m.Scheduled = true }), 0, 0, nil},
		{"scheduled, half", with(func(m *Mix) { m.Scheduled = true }), 0.5, 0.25, nil},
		{"one-hot", with(func(m *Mix) { m.Labels = "one-hot" }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool {
			return p.Own[i] == 1 && Lambda(p.Box[i], h, w) >= 0.5 || p.Own[i] == 0 && Lambda(p.Box[i], h, w) < 0.5
		}},
		{"complete", with(func(m *Mix) { m.Labels = "complete" }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool { return p.Own[i] == 0.5 }},
		{"fixed", with(func(m *Mix) { m.Box = "fixed" }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool {
			b := p.Box[i] // half the side, rounded down to even, and cut off at the border
			return b.Dy() <= 4 && b.Dx() <= 8 && (b.Min.Y == 0 || b.Max.Y == h || b.Dy() == 4) && (b.Min.X == 0 || b.Max.X == w || b.Dx() == 8)
		}},
		{"uncorrected", with(func(m *Mix) { m.Box, m.Uncorrected = "fixed", true }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool { return p.Own[i] == 0.75 }},
		{"mixup", with(func(m *Mix) { m.Method = Mixup }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool {
			return p.Box[i].Empty() && p.Own[i] == p.Lambda[i] && p.Lambda[i] == p.Lambda[0]
		}},
		{"cutout", with(func(m *Mix) { m.Method = Cutout }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool {
			return p.Own[i] == 1 && !p.Box[i].Empty() && p.Box[i].Dx()*p.Box[i].Dy() <= 16
		}},
		{"feature-cutmix", with(func(m *Mix) { m.Method = FeatureCutMix }), 0, 0.5, func(_ *testing.T, p *Plan, i int) bool { return p.Own[i] == Lambda(p.Box[i], h, w) }},
		{"per image", with(func(m *Mix) { m.PerImage = true }), 0, 0.5, nil},
		{"gaussian", with(func(m *Mix) { m.Box = "gaussian" }), 0, 0.5, nil},
	} {
		mixed, all, differ := 0, 0, 0
		for b := range batches {
			p := c.mix.Plan(drawn(0, b), n, h, w, c.at)
			again := c.mix.Plan(drawn(0, b), n, h, w, c.at)
			if p == nil {
				if all++; again != nil {
					t.Fatalf("%s: drawn again, it is mixed", c.name)
				}
				continue
			}
			if !slices.Equal(p.Partner, again.Partner) || !slices.Equal(p.Box, again.Box) {
				t.Fatalf("%s: drawn again, it differs", c.name)
			}
			perImage := c.mix.PerImage || c.mix.Method == Cutout
			if !perImage {
				all, mixed = all+1, mixed+1
				seen := slices.Clone(p.Partner)
				slices.Sort(seen)
				if !slices.Equal(seen, []int{0, 1, 2, 3, 4, 5, 6}) {
					t.Fatalf("%s: partners %v", c.name, p.Partner)
				}
			}
			for i := range n {
				is := p.Lambda[i] != 1 || p.Own[i] != 1 || !p.Box[i].Empty()
				if perImage {
					if all++; is {
						mixed++
					}
				}
				if is && p.Box[i] != p.Box[0] {
					differ++
				}
				if c.check != nil && (is || !perImage) && !c.check(t, p, i) {
					t.Fatalf("%s: image %d: box %+v, lambda %v, own %v", c.name, i, p.Box[i], p.Lambda[i], p.Own[i])
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
			p := m.Plan(drawn(1, b), 1, 64, 64, 0)
			distance[kind] += math.Abs(float64(p.Box[0].Min.Y+p.Box[0].Max.Y)-64) / 2 / batches
		}
	}
	if !(distance["gaussian"] < 0.9*distance["uniform"]) {
		t.Errorf("distances of boxes from the middle row: %v", distance)
	}
}

// TestMixValidate: what makes no sense is said.
func TestMixValidate(t *testing.T) {
	good := Mix{Method: CutMix, Alpha: 1, Prob: 0.5, Box: "uniform", Labels: "shares", Length: 0.5}
	views := Views{Scale: [2]float64{0.5, 1}, Ratio: [2]float64{0.75, 1.5}}
	for want, edit := range map[string]func(m *Mix, v *Views){
		"":                func(*Mix, *Views) {},
		"alpha":           func(m *Mix, _ *Views) { m.Alpha = 0 },
		"mixing \"x\"":    func(m *Mix, _ *Views) { m.Method = "x" },
		"probability":     func(m *Mix, _ *Views) { m.Prob = math.NaN() },
		"boxes":           func(m *Mix, _ *Views) { m.Box = "round" },
		"mixed images":    func(m *Mix, _ *Views) { m.Labels = "some" },
		"cut-out":         func(m *Mix, _ *Views) { m.Length = 2 },
		"flip":            func(_ *Mix, v *Views) { v.Flip = -1 },
		"of the area":     func(_ *Mix, v *Views) { v.Scale = [2]float64{0.9, 0.5} },
		"as wide as high": func(_ *Mix, v *Views) { v.Ratio = [2]float64{0, 1} },
	} {
		t.Run(want, func(t *testing.T) {
			m, v := good, views
			edit(&m, &v)
			switch err := errors.Join(m.Validate(), v.Validate()); {
			case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%v", err)
			}
		})
	}
}
