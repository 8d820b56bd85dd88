// Package pixels looks for the preprocessing with which a classifier is right most often, where
// nobody says which one it was trained with.
//
// The search goes step by step: range, mean and std first, then the order of the channels, how
// pictures are brought to the model's size, and the filter of the resize. Each step begins with
// the best recipe so far. A recipe is tried on the first images only (the look), and on the rest
// where it does about as well there. What was chosen is then tested on images that had no part in
// the choice, so that neither the number of recipes nor the choice makes it look better than it is.
package pixels

import (
	"context"
	"fmt"
	"image"
	"slices"

	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
)

// Outcome is what a model makes of one image.
type Outcome int8

// The outcomes.
const (
	Wrong Outcome = iota
	Right
	Bad // the image cannot be read
)

// Try runs the model on the images at, prepared by a recipe; the outcomes are in their order.
type Try func(ctx context.Context, r imageproc.Recipe, at []int) ([]Outcome, error)

// Search is what to look for, and with what.
type Search struct {
	Present imageproc.Recipe
	Size    imageproc.Size // of the images that the model sees
	// Choose are the images to choose on, classes mixed, Confirm those to test the choice on. They
	// have none in common.
	Choose, Confirm []int
	Try             Try
	// Sizes gives those of the pictures that were tried so far, each once, or at least one: recipes
	// that make the same of all of them are tried once. It is called after the first Try.
	Sizes func() []image.Point
	// Coarse is for a look beside something else: it leaves out what costs a point or two at most, mean
	// and std that make nearly what others make that were tried (the statistics of one set of photographs
	// for those of another) and filters of the resize, and tries one recipe of each later step on all
	// images of the choice.
	Coarse bool
	// Progress, if not nil, is called with how many images the model has run on so far.
	Progress func(images int)
}

// What is told, and when.
const (
	// Level is the largest p-value that counts.
	Level = 0.01
	// Margin is the least gain that matters, as a share of the images.
	Margin = 0.02
	// easily is the p-value from which a gain is taken for chance, among recipes that are better
	// than the present one.
	easily = 0.2
	// fewest is the least number of images that can show anything at that level: with seven
	// images that only one of two recipes gets right, p is 2^-6, with eight 2^-7.
	fewest = 8
	// slice is how many images are tried before a recipe that lags behind is given up.
	slice = 8
	// futile is the p-value above which the first quarter of a test, of 50 images at least, shows that the rest is not worth its
	// cost. To stop so can only keep a better recipe from being told.
	futile = 0.3
)

// Trial is a recipe that was tried.
type Trial struct {
	Name    string // what it changes, in words
	Recipe  imageproc.Recipe
	Hits, N int // images of the choice: right, and all that it was tried on
}

// Share is the share of images that were right.
func (t Trial) Share() float64 { return float64(t.Hits) / float64(max(t.N, 1)) }

// Test compares the recipe that was chosen with the present one on other images than those that
// it was chosen on.
type Test struct {
	N             int
	Present, Best int // images that each gets right
	OnlyPresent   int // images that only one of them gets right
	OnlyBest      int
	P             float64 // of McNemar's exact test, two-sided
}

// Result is what a search found.
type Result struct {
	Trials []Trial // the present recipe first, the others in the order in which they were tried
	Best   int     // index of the trial with the most images right; 0: the present one
	Test   *Test   // of the best one; nil where it is the present one, or gains too little
	Bad    int     // images that could not be read, and are not counted
	Images int     // that the model ran on, each as often as it did
}

// Better says whether the best recipe is better than the present one, by what is known of images
// that had no part in the choice.
func (r *Result) Better() bool {
	t := r.Test
	return t != nil && t.P < Level && float64(t.Best-t.Present) >= Margin*float64(t.N)
}

// Chosen is the best trial.
func (r *Result) Chosen() Trial { return r.Trials[r.Best] }

// Present is the trial of the present recipe.
func (r *Result) Present() Trial { return r.Trials[0] }

// state is a search under way.
type state struct {
	Search
	res      *Result
	outcomes [][]Outcome // by trial, of the first images of Choose
	look     int
	sizes    []image.Point
}

// Find tries other recipes. Most says what it costs at most. The only errors are ctx's and those of Try.
func (s Search) Find(ctx context.Context) (*Result, error) {
	st := &state{Search: s, res: &Result{}}
	if err := st.begin(ctx); err != nil {
		return st.res, err
	}
	n := len(st.Choose)
	if n < fewest || float64(n-st.res.Present().Hits) < Margin*float64(n) {
		return st.res, nil // there is nothing to gain
	}
	scales, most := st.from(0, scaled), 2
	if s.Coarse {
		scales, most = apart(s.Present, scales), 1
	}
	// Two, since the more usual one is to be told where both do as well.
	tops, err := st.step(ctx, 2, scales...)
	if err != nil {
		return st.res, err
	}
	others := st.from(0, recoloured)
	for _, k := range tops {
		if !s.Coarse || k == st.res.Best {
			others = append(others, st.from(k, recoloured)...)
		}
	}
	if _, err := st.step(ctx, most, others...); err != nil {
		return st.res, err
	}
	fitted := func(r imageproc.Recipe) []variant { return fitted(r, s.Size) }
	last := []func(imageproc.Recipe) []variant{fitted, filtered}
	if s.Coarse {
		last = last[:1]
	}
	for _, variants := range last {
		if _, err := st.step(ctx, 1, st.from(st.res.Best, variants)...); err != nil {
			return st.res, err
		}
	}
	if err := st.simplify(ctx); err != nil {
		return st.res, err
	}
	return st.res, st.confirm(ctx)
}

// Most is the largest number of times that the model can run on an image, in a search that
// chooses on so many images and confirms on so many.
func Most(choose, confirm int) int {
	look := looked(choose)
	// Looked at: 10 scales, 3 orders of the channels, 3 ways to fit, 3 filters. Tried on all images
	// of the choice: the best 2, 2, 1 and 1 of them, and what is left when one of at most 4 changes
	// is taken back.
	return choose + 19*look + 6*(choose-look) + 4*choose + 2*confirm
}

// looked is the number of images that every recipe is tried on.
func looked(choose int) int { return min(choose, max(32, choose/5)) }

// from are variants of a trial's recipe, named by all that they change.
func (s *state) from(trial int, variants func(imageproc.Recipe) []variant) []variant {
	t := s.res.Trials[trial]
	out := variants(t.Recipe)
	for i := range out {
		if trial > 0 {
			out[i].name = t.Name + ", " + out[i].name
		}
	}
	return out
}

// run tries a recipe on images.
func (s *state) run(ctx context.Context, r imageproc.Recipe, at []int) ([]Outcome, error) {
	if len(at) == 0 {
		return nil, nil
	}
	out, err := s.Try(ctx, r, at)
	if err != nil {
		return nil, err
	}
	if len(out) != len(at) {
		panic("pixels: a try has not one outcome per image")
	}
	s.res.Images += len(at)
	if s.Progress != nil {
		s.Progress(s.res.Images)
	}
	return out, nil
}

// begin tries the present recipe, and leaves out the images that cannot be read.
func (s *state) begin(ctx context.Context) error {
	out, err := s.run(ctx, s.Present, s.Choose)
	if err != nil {
		return err
	}
	s.Choose, out = s.readable(s.Choose, out)
	s.res.Trials = []Trial{{Name: "as now", Recipe: s.Present, Hits: hits(out), N: len(out)}}
	s.outcomes = [][]Outcome{out}
	s.look, s.sizes = looked(len(s.Choose)), s.Sizes()
	return nil
}

// readable are the images that could be read, and their outcomes.
func (s *state) readable(at []int, out []Outcome) ([]int, []Outcome) {
	var images []int
	var good []Outcome
	for i, o := range out {
		if o == Bad {
			s.res.Bad++
			continue
		}
		images, good = append(images, at[i]), append(good, o)
	}
	return images, good
}

func hits(out []Outcome) int {
	n := 0
	for _, o := range out {
		if o == Right {
			n++
		}
	}
	return n
}

// step looks at variants, tries those that do about as well as the best so far on all images, at most
// so many, and makes the best of them the best so far: the first, unless another is clearly better. It
// returns the trials that were tried on all images.
func (s *state) step(ctx context.Context, most int, variants ...variant) ([]int, error) {
	best := hits(s.outcomes[s.res.Best][:s.look])
	// Chance may hold back a recipe that is as good: a sixteenth of the images is about one
	// standard deviation.
	enough := best - s.look/16
	var looked []int
	for _, v := range variants {
		if v.recipe.Validate() != nil || slices.ContainsFunc(s.res.Trials, func(t Trial) bool { return equal(t.Recipe, v.recipe, s.sizes) }) {
			continue
		}
		k, err := s.lookAt(ctx, v, enough)
		if err != nil {
			return nil, err
		}
		if t := s.res.Trials[k]; t.N == s.look && t.Hits >= enough {
			looked = append(looked, k)
		}
	}
	ranked := func(a, b int) int { return s.res.Trials[b].Hits - s.res.Trials[a].Hits }
	slices.SortStableFunc(looked, ranked)
	looked = looked[:min(most, len(looked))]
	for _, k := range looked {
		out, err := s.run(ctx, s.res.Trials[k].Recipe, s.Choose[s.look:])
		if err != nil {
			return nil, err
		}
		s.add(k, out)
	}
	slices.Sort(looked) // the usual first
	first := -1
	for _, k := range looked {
		if first < 0 || s.clearly(k, first) {
			first = k
		}
	}
	if first >= 0 && s.res.Trials[first].Hits > s.res.Chosen().Hits {
		s.res.Best = first
	}
	return looked, nil
}

// lookAt tries a variant on the first images, and gives up when it cannot get enough of them right
// any more.
func (s *state) lookAt(ctx context.Context, v variant, enough int) (trial int, err error) {
	k := len(s.res.Trials)
	s.res.Trials = append(s.res.Trials, Trial{Name: v.name, Recipe: v.recipe})
	s.outcomes = append(s.outcomes, nil)
	for {
		done := s.res.Trials[k].N
		left := s.look - done
		if left == 0 || s.res.Trials[k].Hits+left < enough {
			return k, nil
		}
		out, err := s.run(ctx, v.recipe, s.Choose[done:done+min(slice, left)])
		if err != nil {
			return k, err
		}
		s.add(k, out)
	}
}

func (s *state) add(trial int, out []Outcome) {
	s.outcomes[trial] = append(s.outcomes[trial], out...)
	t := &s.res.Trials[trial]
	t.Hits, t.N = t.Hits+hits(out), t.N+len(out)
}

// simplify takes back what the best recipe changes beside what matters: what is told is to say what
// is wrong.
func (s *state) simplify(ctx context.Context) error {
	for _, undo := range undos {
		if s.res.Best == 0 {
			return nil
		}
		best := s.res.Chosen()
		v := undo.apply(best.Recipe, s.Present)
		if v.Validate() != nil || equal(v, best.Recipe, s.sizes) {
			continue
		}
		k := slices.IndexFunc(s.res.Trials, func(t Trial) bool { return equal(t.Recipe, v, s.sizes) })
		if k == 0 {
			return nil // it is the only change
		}
		if k < 0 {
			k = len(s.res.Trials)
			s.res.Trials = append(s.res.Trials, Trial{Name: best.Name + ", " + undo.name, Recipe: v})
			s.outcomes = append(s.outcomes, nil)
		}
		out, err := s.run(ctx, v, s.Choose[s.res.Trials[k].N:])
		if err != nil {
			return err
		}
		s.add(k, out)
		if !s.clearly(s.res.Best, k) {
			s.res.Best = k
		}
	}
	return nil
}

// clearly says whether trial a is better than b by what matters, and more than chance gives easily.
// Both were tried on all images of the choice.
func (s *state) clearly(a, b int) bool {
	x, y := s.outcomes[a], s.outcomes[b]
	onlyA, onlyB := metrics.Discordant(len(s.Choose), func(i int) bool { return x[i] == Right }, func(i int) bool { return y[i] == Right })
	return float64(onlyA-onlyB) >= Margin*float64(len(s.Choose)) && metrics.McNemar(onlyA, onlyB) < easily
}

// confirm tests the best recipe against the present one on other images.
func (s *state) confirm(ctx context.Context) error {
	gain := float64(s.res.Chosen().Hits - s.res.Present().Hits)
	if s.res.Best == 0 || gain < Margin*float64(len(s.Choose)) || len(s.Confirm) < fewest {
		return nil
	}
	t := &Test{}
	first := min(len(s.Confirm), max(len(s.Confirm)/4, 50))
	for _, at := range [][]int{s.Confirm[:first], s.Confirm[first:]} {
		if t.N > 0 && (t.OnlyBest <= t.OnlyPresent || t.P > futile) {
			break
		}
		present, err := s.run(ctx, s.Present, at)
		if err != nil {
			return err
		}
		at, present = s.readable(at, present)
		best, err := s.run(ctx, s.res.Chosen().Recipe, at)
		if err != nil {
			return err
		}
		onlyPresent, onlyBest := metrics.Discordant(len(at), func(i int) bool { return present[i] == Right }, func(i int) bool { return best[i] == Right })
		t.N, t.Present, t.Best = t.N+len(at), t.Present+hits(present), t.Best+hits(best)
		t.OnlyPresent, t.OnlyBest = t.OnlyPresent+onlyPresent, t.OnlyBest+onlyBest
		t.P = metrics.McNemar(t.OnlyPresent, t.OnlyBest)
	}
	s.res.Test = t
	return nil
}

// Advice is what to tell of a result, in one sentence; empty where there is nothing better.
func (r *Result) Advice() string {
	if !r.Better() {
		return ""
	}
	t := r.Test
	percent := func(hits int) float64 { return 100 * float64(hits) / float64(t.N) }
	return fmt.Sprintf("other pixels fit the model better: %.2f %% right instead of %.2f %%, on %d images that had no part in the choice (McNemar's exact test: p = %.2g); if that is how it was trained, give %s",
		percent(t.Best), percent(t.Present), t.N, t.P, Flags(r.Chosen().Recipe))
}
