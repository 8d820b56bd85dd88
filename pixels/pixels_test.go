package pixels

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
)

// fake is a classifier that was trained with a recipe: with other pixels it is right less often. Each
// image has a difficulty, which is the same for all recipes, and some luck of its own.
type fake struct {
	truth    imageproc.Recipe
	best     float64 // share of right images with the recipe it was trained with
	seed     uint64
	bad      map[int]bool
	tried    map[int]int
	recipes  []imageproc.Recipe
	anything func(r imageproc.Recipe) float64 // accuracy, in place of the below
}

// accuracy is that of the recipe it was trained with, less for what differs: red and blue, the range of the
// values, how pictures are fitted.
func (f *fake) accuracy(r imageproc.Recipe) float64 {
	if f.anything != nil {
		return f.anything(r)
	}
	a := f.best
	if r.BGR != f.truth.BGR {
		a *= 0.75
	}
	colour := func(r imageproc.Recipe, c int) (low, high float64) {
		if r.BGR {
			c = 2 - c
		}
		return ends(r, c)
	}
	worst := 1.0
	for c := range 3 {
		low, high := colour(r, c)
		l, h := colour(f.truth, c)
		span := h - l
		off := max(math.Abs(low-l), math.Abs(high-h)) / span // 0: the same values
		worst = min(worst, max(0.1, 1-off))
	}
	a *= worst
	if r.Fit != f.truth.Fit || r.Resize != f.truth.Resize {
		a *= 0.85
	}
	return a
}

func (f *fake) try(_ context.Context, r imageproc.Recipe, at []int) ([]Outcome, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if f.tried == nil {
		f.tried = map[int]int{}
	}
	f.recipes = append(f.recipes, r)
	out := make([]Outcome, len(at))
	for k, i := range at {
		f.tried[i]++
		difficulty := rand.New(rand.NewPCG(f.seed, uint64(i))).Float64()
		rng := rand.New(rand.NewPCG(f.seed+uint64(i)<<20, fingerprint(r)))
		if rng.Float64() < 0.1 {
			difficulty = rng.Float64()
		}
		switch {
		case f.bad[i]:
			out[k] = Bad
		case difficulty < f.accuracy(r):
			out[k] = Right
		}
	}
	return out, nil
}

func fingerprint(r imageproc.Recipe) (h uint64) {
	for _, c := range r.Fingerprint() {
		h = h*31 + uint64(c)
	}
	return h
}

// sizes of pictures that are not square.
var wide = []image.Point{{X: 300, Y: 200}, {X: 500, Y: 375}}

func (f *fake) search(present imageproc.Recipe, choose, confirm int) Search {
	s := Search{Present: present, Size: imageproc.Size{H: 224, W: 224}, Try: f.try, Sizes: func() []image.Point { return wide }}
	for i := range choose {
		s.Choose = append(s.Choose, i)
	}
	for i := range confirm {
		s.Confirm = append(s.Confirm, choose+i)
	}
	return s
}

func recipe(change func(r *imageproc.Recipe)) imageproc.Recipe {
	r := imageproc.Standard()
	if change != nil {
		change(&r)
	}
	return r
}

func bare(top int) func(r *imageproc.Recipe) {
	return func(r *imageproc.Recipe) {
		r.Range, r.Mean, r.Std = top, [3]float32{}, [3]float32{1, 1, 1}
	}
}

func squash(r *imageproc.Recipe) {
	r.Fit, r.Resize, r.Crop = imageproc.Squash, imageproc.Size{H: 224, W: 224}, imageproc.Size{H: 224, W: 224}
}

func TestFind(t *testing.T) {
	both := func(fs ...func(*imageproc.Recipe)) func(*imageproc.Recipe) {
		return func(r *imageproc.Recipe) {
			for _, f := range fs {
				f(r)
			}
		}
	}
	bgr := func(r *imageproc.Recipe) { r.BGR, r.Mean, r.Std = true, reversed(r.Mean), reversed(r.Std) }
	caffe := func(r *imageproc.Recipe) {
		r.Range, r.BGR, r.Mean, r.Std = 255, true, [3]float32{103.939, 116.779, 123.68}, [3]float32{1, 1, 1}
	}
	half := func(r *imageproc.Recipe) { r.Mean, r.Std = same3(0.5), same3(0.5) }
	for name, c := range map[string]struct {
		present, truth func(*imageproc.Recipe)
		best           float64
	}{
		"0..1 for 0..255":           {bare(1), bare(255), 0.9},
		"ImageNet's for 0..255":     {nil, bare(255), 0.9},
		"0..255 for ImageNet's":     {bare(255), nil, 0.76},
		"0..1 for -1..1":            {bare(1), half, 0.7},
		"RGB for BGR":               {nil, bgr, 0.7},
		"BGR for RGB":               {both(bare(255), bgr), bare(255), 0.93},
		"RGB 0..1 for Caffe's":      {bare(1), caffe, 0.7},
		"crop for squash":           {nil, squash, 0.8},
		"all of it":                 {nil, both(bare(255), bgr, squash), 0.9},
		"few of many classes right": {bare(255), nil, 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{truth: recipe(c.truth), best: c.best, seed: 1}
			s := f.search(recipe(c.present), 200, 400)
			r, err := s.Find(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Chosen().Recipe; !r.Better() || !equal(got, f.truth, wide) {
				t.Errorf("better: %v; found %v, not %v; %+v", r.Better(), got, f.truth, r.Test)
			}
			if advice := r.Advice(); !strings.Contains(advice, Flags(f.truth)) || !strings.Contains(advice, fmt.Sprintf("on %d images", r.Test.N)) {
				t.Error(advice)
			}
			images := 0
			for _, n := range f.tried {
				images += n
			}
			if images != r.Images || images > Most(200, 400) {
				t.Errorf("the model ran on %d images, the result says %d, at most %d are allowed", images, r.Images, Most(200, 400))
			}
		})
	}
}

// Image runs are counted: what is clear costs few of them. The numbers are the largest of twenty searches,
// rounded up.
func TestImages(t *testing.T) {
	type counts struct{ small, beside, alone int } // choosing on 40, 100 and 200 images, confirming on 60, 400 and 400
	for _, c := range []struct {
		name           string
		present, truth func(*imageproc.Recipe)
		best           float64
		most           counts
	}{
		{"nothing to gain", nil, nil, 0.999, counts{40, 100, 200}},
		{"right, 95 %", nil, nil, 0.95, counts{80, 180, 790}},
		{"right, 70 %", nil, nil, 0.7, counts{220, 400, 1000}},
		{"0..1 for 0..255", bare(1), bare(255), 0.9, counts{270, 390, 850}},
		{"ImageNet's for 0..255", nil, bare(255), 0.9, counts{270, 390, 850}},
		{"near chance", bare(1), bare(255), 0.12, counts{480, 1360, 2040}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got counts
			for seed := range uint64(20) {
				for _, run := range []struct {
					choose, confirm int
					most            *int
				}{{40, 60, &got.small}, {100, 400, &got.beside}, {200, 400, &got.alone}} {
					f := &fake{truth: recipe(c.truth), best: c.best, seed: seed}
					s := f.search(recipe(c.present), run.choose, run.confirm)
					s.Coarse = run.choose < 200
					r, err := s.Find(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					*run.most = max(*run.most, r.Images)
				}
			}
			if got.small > c.most.small || got.beside > c.most.beside || got.alone > c.most.alone {
				t.Errorf("%+v image runs, more than %+v", got, c.most)
			}
		})
	}
	// Whatever the outcomes are.
	for _, n := range [][3]int{{40, 60, 976}, {100, 400, 2412}, {200, 400, 3440}} {
		if got := Most(n[0], n[1]); got > n[2] {
			t.Errorf("at most %d image runs with %d and %d images, not %d", got, n[0], n[1], n[2])
		}
	}
}

// Outcomes that are drawn for the search to take long: it does not run the model more often than Most says.
func TestMost(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 0))
		f := &fake{anything: func(imageproc.Recipe) float64 { return 0.05 + 0.9*rng.Float64() }, seed: seed}
		choose, confirm := 8+rng.IntN(200), 8+rng.IntN(400)
		s := f.search(recipe(bare(1)), choose, confirm)
		s.Coarse = seed%2 == 0
		r, err := s.Find(context.Background())
		if err != nil || r.Images > Most(choose, confirm) {
			t.Errorf("%d image runs of at most %d, %v", r.Images, Most(choose, confirm), err)
		}
	}
}

// The same outcomes give the same search.
func TestSameAgain(t *testing.T) {
	find := func() *Result {
		f := &fake{truth: recipe(bare(255)), best: 0.7, seed: 3}
		r, err := f.search(recipe(nil), 100, 200).Find(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if a, b := find(), find(); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// The gain is that of all images, though of those that the base gets wrong more were tried: by hand,
// Newcombe's interval of 0.2 times 3 of 4 less 0.8 times 1 of 8, from Wilson's 30.06 to 95.44 % and 2.24 to 47.09 %.
func TestGain(t *testing.T) {
	low, value, high := count{gained: 3, wrong: 4, lost: 1, right: 8, share: 0.2}.gain()
	for _, c := range [][2]float64{{value, 0.05}, {low, 0.05 - math.Hypot(0.2*0.4494, 0.8*0.3459)}, {high, 0.05 + math.Hypot(0.2*0.2044, 0.8*0.1026)}} {
		if math.Abs(c[0]-c[1]) > 1e-4 { // four digits are given
			t.Errorf("%v, want %v", c[0], c[1])
		}
	}
	// Of what was not tried it may be anything.
	if low, _, high := (count{share: 0.3}).gain(); low > -0.7 || high < 0.3 {
		t.Errorf("%v to %v", low, high)
	}
}

// A test ends where the rest will hardly tell: by simulation of the rest, with the rate of what was seen
// as uncertain as it is.
func TestHopeless(t *testing.T) {
	for _, c := range []struct {
		best, present int
		seen          float64
		want          bool
	}{
		{0, 0, 1. / 16, false}, {1, 0, 0.25, false}, {0, 0, 0.25, true}, {3, 6, 0.25, true}, {8, 6, 0.25, false},
		{20, 16, 0.5, true}, {24, 14, 0.5, false}, {0, 5, 1. / 16, true},
	} {
		if got := hopeless(c.best, c.present, c.seen); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// What is chosen is tested on images that were not looked at before, and the others are not run on at
// all where there is nothing to test.
func TestNothingBetter(t *testing.T) {
	for name, c := range map[string]struct {
		f       fake
		present func(*imageproc.Recipe)
	}{
		"right already":        {fake{truth: recipe(nil), best: 0.75}, nil},
		"nothing to gain":      {fake{truth: recipe(nil), best: 0.999}, nil},
		"chance, whatever":     {fake{anything: func(imageproc.Recipe) float64 { return 0.1 }}, bare(1)},
		"pixels do not matter": {fake{anything: func(imageproc.Recipe) float64 { return 0.6 }}, bare(255)},
	} {
		t.Run(name, func(t *testing.T) {
			told := 0
			const searches = 100
			for seed := range uint64(searches) {
				f := c.f
				f.seed, f.tried = seed, nil
				r, err := f.search(recipe(c.present), 100, 200).Find(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if r.Better() {
					told++
				}
				if r.Test == nil && slices.ContainsFunc([]int{100, 150, 299}, func(i int) bool { return f.tried[i] > 0 }) {
					t.Error("images to confirm on were used without a test")
				}
				if r.Images > Most(100, 200) {
					t.Errorf("the model ran on %d images", r.Images)
				}
			}
			// At level 0.01, two of a hundred are told with a probability of a quarter at most, five with
			// less than 0.004.
			if told > 4 {
				t.Errorf("better pixels were told in %d of %d searches", told, searches)
			}
		})
	}
}

// The coarse search finds what matters, and costs less where nothing does.
func TestCoarse(t *testing.T) {
	clip := recipe(func(r *imageproc.Recipe) { *r = scaled(*r)[8].recipe })
	for name, c := range map[string]struct{ truth, present imageproc.Recipe }{
		"0..255":      {recipe(bare(255)), recipe(nil)},
		"right":       {recipe(nil), recipe(nil)},
		"nearly":      {clip, recipe(nil)},
		"CLIP's, raw": {clip, recipe(bare(1))},
	} {
		t.Run(name, func(t *testing.T) {
			images := 0
			for _, coarse := range []bool{true, false} {
				f := &fake{truth: c.truth, best: 0.8}
				s := f.search(c.present, 100, 400)
				s.Coarse = coarse
				r, err := s.Find(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if got := distance(c.truth, r.Chosen().Recipe); got > 0.15 {
					t.Errorf("coarse %v: %v", coarse, r.Chosen())
				}
				if coarse {
					images = r.Images
				} else if images >= r.Images {
					t.Errorf("the coarse search ran on %d images, the other one on %d", images, r.Images)
				}
			}
		})
	}
}

func TestFewImages(t *testing.T) {
	f := &fake{truth: recipe(bare(255)), best: 0.95}
	for _, c := range []struct {
		choose, confirm int
		better          bool
	}{{0, 0, false}, {7, 12, false}, {16, 7, false}, {16, 24, true}, {40, 60, true}} {
		r, err := f.search(recipe(bare(1)), c.choose, c.confirm).Find(context.Background())
		if err != nil || r.Better() != c.better {
			t.Errorf("%d and %d images: better is %v, %v", c.choose, c.confirm, r.Better(), err)
		}
	}
}

// Images that cannot be read are in no number.
func TestBadImages(t *testing.T) {
	f := &fake{truth: recipe(bare(255)), best: 0.95, bad: map[int]bool{3: true, 50: true, 120: true}}
	r, err := f.search(recipe(bare(1)), 100, 100).Find(context.Background())
	if err != nil || !r.Better() || r.Bad != 3 || r.Present().N != 98 || r.Test.N != firstLook-1 {
		t.Errorf("%+v %+v %v", r, r.Test, err)
	}
}

func TestFails(t *testing.T) {
	broken := errors.New("no memory left")
	f := &fake{truth: recipe(bare(255)), best: 0.95}
	for calls := range 12 {
		s, n := f.search(recipe(bare(1)), 100, 100), 0
		s.Try = func(ctx context.Context, r imageproc.Recipe, at []int) ([]Outcome, error) {
			if n++; n > calls {
				return nil, broken
			}
			return f.try(ctx, r, at)
		}
		if _, err := s.Find(context.Background()); !errors.Is(err, broken) {
			t.Errorf("after %d calls: %v", calls, err)
		}
	}
}

func TestGrey(t *testing.T) {
	grey := func(mean, std float32) imageproc.Recipe {
		return recipe(func(r *imageproc.Recipe) { r.Grey, r.Mean, r.Std = true, same3(mean), same3(std) })
	}
	f := &fake{truth: grey(0.1307, 0.3081), best: 0.97}
	r, err := f.search(grey(0.5, 0.5), 100, 200).Find(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.recipes {
		if !r.Grey || r.BGR {
			t.Errorf("%v was tried", r)
		}
	}
	if want := "--color grey --range 0..1 --mean 0.1307 --std 0.3081"; !strings.HasSuffix(r.Advice(), want) {
		t.Errorf("%q does not end in %q", r.Advice(), want)
	}
}
