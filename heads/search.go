package heads

// Trial is a learning rate and weight decay that a search tries, and what they gave on rows that
// were held out.
type Trial struct {
	Rate     float64 `json:"lr"` // 0 for L-BFGS, which has none
	Decay    float64 `json:"weight_decay"`
	Diverged bool    `json:"diverged,omitempty"`
	Loss     float64 `json:"loss"`
	Score    float64 `json:"score"`
}

// Trials are what a search tries, in order: learning rates around the one given, each with several
// weight decays; without one, weight decays alone.
func Trials(rate float64) []Trial {
	factors, decays := []float64{0.1, 0.31622776601683794, 1, 3.1622776601683795, 10}, []float64{0, 1e-5, 1e-4, 1e-3}
	if rate == 0 {
		factors, decays = []float64{1}, []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2}
	}
	var out []Trial
	for _, f := range factors {
		for _, d := range decays {
			out = append(out, Trial{Rate: rate * f, Decay: d})
		}
	}
	return out
}

// BestTrial is the trial of the highest score, then of the lowest loss, then the first; false where
// all have diverged.
func BestTrial(tried []Trial) (best Trial, ok bool) {
	for _, t := range tried {
		if !t.Diverged && (!ok || t.Score > best.Score || t.Score == best.Score && t.Loss < best.Loss) {
			best, ok = t, true
		}
	}
	return best, ok
}
