package pixels

import (
	"context"
	"image"
	"math"
	"slices"

	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
)

// state is a search under way.
type state struct {
	Search
	res      *Result
	outcomes [][]Outcome // by trial, then image of Choose; untried where the trial did not get to it
	sizes    []image.Point
	least    float64 // gain that can be told at least, as a share of the images
}

// untried is the outcome of an image that a recipe was not tried on.
const untried Outcome = -1

// Find tries other recipes. Most says what it costs at most. The only errors are ctx's and those of Try.
func (s Search) Find(ctx context.Context) (*Result, error) {
	st := &state{Search: s, res: &Result{}}
	defer st.compare()
	if err := st.begin(ctx); err != nil {
		return st.res, err
	}
	if st.fine() {
		return st.res, nil
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
	if len(tops) == 0 {
		tops = st.longest(2) // with red and blue exchanged, even the right scale may gain nothing
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
	// 10 scales, 3 orders of the channels, 3 ways to fit, 3 filters race, and 4 changes are taken back, the
	// last one of them to a recipe that was tried.
	images := choose + 3*choose + 2*confirm
	for _, step := range [][2]int{{10, 2}, {3, 2}, {3, 1}, {3, 1}} {
		lanes, most, next := step[0], step[1], firstHalf
		for n := 0; n < choose; n += part {
			if n >= next {
				lanes, next = half(lanes, most), 2*next
			}
			images += lanes * min(part, choose-n)
		}
	}
	return images
}

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
	s.sizes = s.Sizes()
	// One deviation below the number that shows anything.
	s.least = max(Margin, (fewest-math.Sqrt(fewest))/float64(max(len(s.Confirm), 1)))
	return nil
}

// fine says that there is nothing to gain, or no way to show it: were each image right that the present
// recipe gets wrong, it would be no gain that can be told.
func (s *state) fine() bool {
	n := float64(len(s.Choose))
	return n < fewest || len(s.Confirm) < fewest || n-float64(s.res.Present().Hits) < s.least*n
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

// step lets variants race from the best recipe so far, at most so many of them to the end, and makes the best of them the best so far: the first, unless another is clearly better. It
// returns the trials that were not given up.
func (s *state) step(ctx context.Context, most int, variants ...variant) ([]int, error) {
	var lanes []int
	for _, v := range variants {
		if v.recipe.Validate() == nil && s.find(v.recipe) < 0 {
			lanes = append(lanes, s.add(v))
		}
	}
	lanes, err := s.race(ctx, lanes, most)
	if err != nil {
		return nil, err
	}
	first := -1
	for _, k := range lanes {
		if first < 0 || s.clearly(k, first) {
			first = k
		}
	}
	if first < 0 {
		return nil, nil
	}
	if err := s.complete(ctx, first); err != nil {
		return nil, err
	}
	if s.res.Trials[first].Hits > s.res.Chosen().Hits {
		s.res.Best = first
	}
	return lanes, nil
}

// longest are the n trials that were given up last, but for the present recipe.
func (s *state) longest(n int) []int {
	var trials []int
	for k := range s.res.Trials[1:] {
		trials = append(trials, k+1)
	}
	slices.SortStableFunc(trials, func(a, b int) int { return s.res.Trials[b].N - s.res.Trials[a].N })
	return trials[:min(n, len(trials))]
}

// add begins a trial.
func (s *state) add(v variant) (trial int) {
	s.res.Trials = append(s.res.Trials, Trial{Name: v.name, Recipe: v.recipe})
	s.outcomes = append(s.outcomes, slices.Repeat([]Outcome{untried}, len(s.Choose)))
	return len(s.res.Trials) - 1
}

// find is the trial of a recipe that makes the same tensors; -1 for none.
func (s *state) find(r imageproc.Recipe) int {
	return slices.IndexFunc(s.res.Trials, func(t Trial) bool { return equal(t.Recipe, r, s.sizes) })
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
		k := s.find(v)
		if k == 0 {
			return nil // it is the only change
		}
		if k < 0 {
			k = s.add(variant{best.Name + ", " + undo.name, v})
		}
		as, err := s.keepsUp(ctx, k)
		if err != nil {
			return err
		}
		if as {
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

// compare counts what each recipe gains and loses on the present one.
func (s *state) compare() {
	for k := range s.res.Trials {
		t := &s.res.Trials[k]
		for i, o := range s.outcomes[k] {
			switch present := s.outcomes[0][i]; {
			case o == untried:
			case present != Right:
				t.Wrong++
				if o == Right {
					t.Gained++
				}
			case o != Right:
				t.Lost++
			}
		}
	}
}
