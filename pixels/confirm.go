package pixels

import (
	"context"
	"math"

	"cutmix-eval/metrics"
)

// confirm tests the best recipe against the present one on other images: on all of them, unless
// the first of them show that it is better, or that more of them would hardly do.
func (s *state) confirm(ctx context.Context) error {
	gain := float64(s.res.Chosen().Hits - s.res.Present().Hits)
	if s.res.Best == 0 || gain < Margin*float64(len(s.Choose)) {
		return nil
	}
	t := &Test{}
	s.res.Test = t
	for from, to := 0, firstLook; from < len(s.Confirm); from, to = to, 2*to {
		to = min(to, len(s.Confirm))
		at := s.Confirm[from:to]
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
		if s.res.Better() && t.P < obvious || hopeless(t.OnlyBest, t.OnlyPresent, float64(to)/float64(len(s.Confirm))) {
			break
		}
	}
	return nil
}

// hopeless says whether a test that has seen a share of its images will tell a gain with a probability below
// a tenth, by what it has seen: of the normal deviate z at its end, given the one so far, with any gain
// taken as likely before.
func hopeless(onlyBest, onlyPresent int, seen float64) bool {
	const (
		level = 2.576 // z where p is Level
		tenth = 1.282
	)
	z := float64(onlyBest-onlyPresent) / math.Sqrt(float64(max(onlyBest+onlyPresent, 1)))
	return level-z/math.Sqrt(seen) > tenth*math.Sqrt(1/seen-1)
}
