package pixels

import (
	"cmp"
	"context"
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// count is what a trial did to the images that the best recipe so far (the base) gets wrong, and to
// those that it gets right.
type count struct {
	gained, wrong int // right of those that the base gets wrong, and all of those that were tried
	lost, right   int
	share         float64 // of the images, that the base gets wrong
}

// count is of the images that a trial was tried on.
func (s *state) count(trial int) count {
	base := s.outcomes[s.res.Best]
	c := count{share: 1 - float64(hits(base))/float64(len(base))}
	for i, o := range s.outcomes[trial] {
		switch {
		case o == untried:
		case base[i] != Right:
			c.wrong++
			if o == Right {
				c.gained++
			}
		default:
			c.right++
			if o != Right {
				c.lost++
			}
		}
	}
	return c
}

// gain is by how much a trial is right more often than the base, as a share of all images, with the ends
// of its 95 % interval (Newcombe's, of Wilson's): the share gained of those that the base gets wrong, and the share
// lost of the others, each by its weight. Of a kind that was not tried the ends are those that may be.
func (c count) gain() (low, value, high float64) {
	gained, lost := metrics.Share{High: 1}, metrics.Share{High: 1}
	if c.wrong > 0 {
		gained = metrics.WilsonShare(c.gained, c.wrong)
	}
	if c.right > 0 {
		lost = metrics.WilsonShare(c.lost, c.right)
	}
	value = c.share*gained.Value - (1-c.share)*lost.Value
	low = value - math.Hypot(c.share*(gained.Value-gained.Low), (1-c.share)*(lost.High-lost.Value))
	high = value + math.Hypot(c.share*(gained.High-gained.Value), (1-c.share)*(lost.Value-lost.Low))
	return low, value, high
}

// race tries trials on images in turns: some that the base gets wrong, some that it gets right, and then both
// kinds by their shares. It gives up those whose gain cannot be told, or is less than another's, and half of
// them whenever they have had twice as many images, until so many are left. It ends where one is
// left whose gain can be told, or when all images were tried, and returns those that are left, in their
// order.
func (s *state) race(ctx context.Context, lanes []int, most int) ([]int, error) {
	next := firstHalf // number of images after which half are given up
	for len(lanes) > 0 {
		n := s.res.Trials[lanes[0]].N
		if n == len(s.Choose) {
			break
		}
		if n >= next {
			lanes = s.best(lanes, half(len(lanes), most), next)
			next *= 2
		}
		highest := math.Inf(-1) // of what they gain at least
		for _, k := range lanes {
			if err := s.try(ctx, k, s.next(k)); err != nil {
				return nil, err
			}
			low, _, _ := s.count(k).gain()
			highest = max(highest, low)
		}
		lanes = slices.DeleteFunc(slices.Clone(lanes), func(k int) bool {
			_, _, high := s.count(k).gain()
			return high < max(s.least, highest)
		})
		if len(lanes) == 1 && highest >= s.least {
			break
		}
	}
	return lanes, nil
}

// half is how many of the trials of a race go on where half of them are given up.
func half(lanes, most int) int { return max(min(lanes, most), (lanes+1)/2) }

// best are the n trials that gain most after so many images, in their order. None of them gained nothing at all,
// or, after the first half, less than it lost.
func (s *state) best(lanes []int, n, images int) []int {
	gain := func(k int) float64 { _, value, _ := s.count(k).gain(); return value }
	lanes = slices.DeleteFunc(slices.Clone(lanes), func(k int) bool {
		return s.count(k).gained == 0 || images > firstHalf && gain(k) <= 0
	})
	slices.SortStableFunc(lanes, func(a, b int) int { return cmp.Compare(gain(b), gain(a)) })
	lanes = lanes[:min(n, len(lanes))]
	slices.Sort(lanes) // the usual first
	return lanes
}

// keepsUp says whether a trial, on all images, is not clearly worse than the best recipe. It is given up
// where some show it.
func (s *state) keepsUp(ctx context.Context, trial int) (bool, error) {
	for s.res.Trials[trial].N < len(s.Choose) {
		if _, _, high := s.count(trial).gain(); high < 0 {
			return false, nil
		}
		if err := s.try(ctx, trial, s.next(trial)); err != nil {
			return false, err
		}
	}
	return !s.clearly(s.res.Best, trial), nil
}

// complete tries a trial on the images that it was not tried on.
func (s *state) complete(ctx context.Context, trial int) error {
	var at []int
	for i, o := range s.outcomes[trial] {
		if o == untried {
			at = append(at, i)
		}
	}
	return s.try(ctx, trial, at)
}

// next are the next images of the choice to try, of one kind: the more frequent one first, which tells most, then
// some of the other, then that of which fewer than its share were tried.
func (s *state) next(trial int) []int {
	c := s.count(trial)
	var wrong bool
	switch {
	case c.wrong+c.right == 0:
		wrong = c.share >= 0.5
	case c.wrong < part || c.right < part:
		wrong = c.wrong < part
	default:
		wrong = float64(c.wrong) < c.share*float64(c.wrong+c.right)
	}
	var of, other []int
	for i, o := range s.outcomes[trial] {
		switch {
		case o != untried:
		case wrong == (s.outcomes[s.res.Best][i] != Right):
			of = append(of, i)
		default:
			other = append(other, i)
		}
	}
	if len(of) == 0 {
		of = other
	}
	return of[:min(part, len(of))]
}

// try runs a trial on images of the choice.
func (s *state) try(ctx context.Context, trial int, at []int) error {
	images := make([]int, len(at))
	for k, i := range at {
		images[k] = s.Choose[i]
	}
	out, err := s.run(ctx, s.res.Trials[trial].Recipe, images)
	if err != nil {
		return err
	}
	for k, i := range at {
		s.outcomes[trial][i] = out[k]
	}
	t := &s.res.Trials[trial]
	t.Hits, t.N = t.Hits+hits(out), t.N+len(out)
	return nil
}
