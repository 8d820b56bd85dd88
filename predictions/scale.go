package predictions

import (
	"errors"
	"fmt"
	"math"
)

// Scale is what the scores of several classes are.
type Scale struct {
	Probabilities bool   // of each row, but for a factor; else logits, of which log-probabilities are some
	What          string // for people
	Why           string // by what that was decided
	Doubt         string // what is to be warned of; empty for nothing
}

// Near what rows sum to, rounded scores are.
const (
	rowSum  = 0.05 // of a single row, relative
	meanSum = 0.01 // of all rows
)

// Scale says what the scores are, by what they look like.
func (t *Table) Scale() Scale {
	least, most := float32(math.Inf(1)), float32(math.Inf(-1))
	sums, exps := newSpread(), newSpread()
	for i := range t.N {
		sum, exp := 0.0, 0.0
		for _, v := range t.Row(i) {
			least, most = min(least, v), max(most, v)
			sum, exp = sum+float64(v), exp+math.Exp(float64(v))
		}
		sums.add(sum)
		exps.add(exp)
	}
	const unreliable = "NLL, Brier score, calibration errors and the temperature hold only if that is right; --scores logit or --scores probability says what they are"
	switch {
	case least >= 0 && sums.near(1):
		return Scale{Probabilities: true, What: "probabilities", Why: "each row sums to 1"}
	case least >= 0 && sums.near(100):
		return Scale{Probabilities: true, What: "probabilities in percent", Why: "each row sums to 100"}
	case most <= 1e-3 && exps.near(1):
		return Scale{What: "log-probabilities", Why: "the exponentials of each row sum to 1"}
	case least < 0:
		return Scale{What: "logits", Why: "some are negative"}
	case most <= 1.001:
		return Scale{What: "logits", Why: "rows do not sum to 1", Doubt: fmt.Sprintf(
			"the scores lie between 0 and 1 and their rows sum to %.4g to %.4g, so they look neither like logits nor like probabilities of one class per image (perhaps each went through a Sigmoid, or was rounded); they are taken as logits, and %s", sums.low, sums.high, unreliable)}
	}
	return Scale{What: "logits", Why: "rows do not sum to 1"}
}

// As is the scale that was asked for.
func (t *Table) As(probabilities bool) (Scale, error) {
	s := Scale{Probabilities: probabilities, What: "logits", Why: "as --scores says"}
	if !probabilities {
		if found := t.Scale(); found.Probabilities {
			s.Doubt = fmt.Sprintf("the scores look like %s (%s), and are taken as logits, as --scores logit says", found.What, found.Why)
		}
		return s, nil
	}
	s.What = "probabilities"
	for i, v := range t.Scores {
		if v < 0 {
			return s, fmt.Errorf("%s has the score %v for %s, which is no probability; leave out --scores probability", t.Place(i/t.Classes), v, t.className(i%t.Classes))
		}
	}
	for i := range t.N {
		sum := 0.0
		for _, v := range t.Row(i) {
			sum += float64(v)
		}
		if sum == 0 {
			return s, errors.New(t.Place(i) + " has no probability above 0")
		}
	}
	return s, nil
}

// spread is of what rows sum to.
type spread struct {
	low, high, sum float64
	n              int
}

func newSpread() spread { return spread{low: math.Inf(1), high: math.Inf(-1)} }

func (s *spread) add(v float64) {
	s.low, s.high, s.sum, s.n = min(s.low, v), max(s.high, v), s.sum+v, s.n+1
}

func (s *spread) near(to float64) bool {
	return s.low >= to*(1-rowSum) && s.high <= to*(1+rowSum) && math.Abs(s.sum/float64(s.n)-to) <= meanSum*to
}
