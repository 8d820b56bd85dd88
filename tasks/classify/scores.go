package classify

import (
	"context"
	"fmt"
	"math"

	"cutmix-eval/evaluation"
	"cutmix-eval/results"
)

// scores is what the scores of a run look like, whatever they say: signs of a model that is
// quantised, or that gives something else than logits.
type scores struct {
	images, values int
	// Tied are the images whose largest score several outputs have. Of these, and of all, top-1
	// is between Least and Most hits, by which of the outputs is taken.
	Tied, Least, Most int
	// Distinct is the number of different values; many+1 stands for more than many.
	Distinct int
	distinct map[float32]bool

	negative   bool
	low, high  float64 // sums of an image's scores
	zeros      int     // images whose own class has the score 0
	least      float32 // smallest score above 0
	confidence float64 // of a prediction, mean
}

// many is more values than a tensor of 8 bits can hold; enough is how many scores there must be
// for few different ones to mean something.
const (
	many   = 256
	enough = 16 * many
)

// look reads the scores of the good images. It finds nothing where the run keeps none.
func (res *result) look(ctx context.Context, a About, run *results.Run) (*scores, error) {
	s := &scores{distinct: map[float32]bool{}, low: math.Inf(1), high: math.Inf(-1)}
	if _, ok := run.HasArray(evaluation.Logits); !ok {
		return s, nil
	}
	values, err := run.Values(evaluation.Logits)
	if err != nil {
		return nil, err
	}
	contest := a.contest()
	next := 0 // good record
	err = values.Each(ctx, func(index int, v []float32) bool {
		if next == len(res.Good) || int(res.Records[res.Good[next]].Index) != index {
			return true // a bad image
		}
		label := int(res.Records[res.Good[next]].Label)
		next++
		s.add(v, contest.Outputs, label)
		return true
	})
	s.Distinct, s.confidence = len(s.distinct), res.Whole.MeanConfidence
	return s, err
}

// add takes the scores of an image, of which those of the outputs that compete decide.
func (s *scores) add(v []float32, compete []int, label int) {
	s.images++
	s.values += len(v)
	top, at := v[compete[0]], 0
	for _, o := range compete {
		switch x := v[o]; {
		case x > top:
			top, at = x, 1
		case x == top:
			at++
		}
	}
	if v[label] == top {
		s.Most++
		if at == 1 {
			s.Least++
		}
	}
	if at > 1 {
		s.Tied++
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x)
		s.negative = s.negative || x < 0
		if x > 0 && (s.least == 0 || x < s.least) {
			s.least = x
		}
		if len(s.distinct) <= many {
			s.distinct[x] = true
		}
	}
	s.low, s.high = min(s.low, sum), max(s.high, sum)
	if v[label] == 0 {
		s.zeros++
	}
}

// few says whether the scores have no more values than 8 bits, though there are many scores.
func (s *scores) few() bool { return s.values >= enough && s.Distinct <= many }

// sum is what every image's scores sum to, as quantised probabilities do, give or take; 0 where
// they are no such thing.
func (s *scores) sum() float64 {
	const spread = 0.1
	if s.images < 10 || s.negative || s.low <= 0 || s.high-s.low > spread*s.high {
		return 0
	}
	return (s.low + s.high) / 2
}

// warnings say what is to be thought of numbers from such scores. top1 is the number of hits,
// outputs how many competed, probabilities whether logarithms of the scores were taken, predicted
// whether another program computed them.
func (s *scores) warnings(top1, outputs int, probabilities, predicted bool) []string {
	var out []string
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	const unreliable = "NLL, Brier score, calibration errors and the temperature"
	of, way, quantised := "the model's scores", "name the logits before the Softmax with --output", "those of a quantised or binarised network"
	if predicted {
		of, way, quantised = "the scores", "save logits, or probabilities with all their digits", "those that were rounded or quantised"
	}
	switch sum := s.sum(); {
	case probabilities && s.zeros > 0 && (s.few() || s.values >= enough && s.least > 1e-6):
		add("%s are probabilities in steps of about %.2g, and their logarithms were taken as logits; for %d of %d images the probability of "+
			"their own class was rounded to 0, which counts as 1e-45, so NLL is too high; %s are not to be trusted: %s", of, s.least, s.zeros, s.images, unreliable, way)
	case probabilities && s.few():
		add("%s are probabilities in steps of about %.2g, and their logarithms were taken as logits; %s are not to be trusted: %s", of, s.least, unreliable, way)
	case probabilities && s.zeros > 0 && predicted:
		add("for %d of %d images the probability of their own class is 0, which counts as 1e-45, so NLL is decided by how the others were rounded: %s", s.zeros, s.images, way)
	case probabilities && s.zeros > 0:
		add("the model's scores are probabilities (each image's sum to 1), so their logarithms were taken as logits; for %d of %d images the probability of "+
			"their own class was so small that it became 0, which counts as 1e-45, so NLL is too low", s.zeros, s.images)
	case probabilities && predicted: // as the report says
	case probabilities:
		add("the model's scores are probabilities (each image's sum to 1), so their logarithms were taken as logits")
	case sum > 0 && outputs > 2 && predicted:
		add("the scores are no logits: each image's sum to about %.4g and none is negative, as of probabilities that were scaled or quantised; "+
			"top-1 and top-5 hold, but %s are wrong: if they are such, give --scores probability", sum, unreliable)
	case sum > 0 && outputs > 2:
		add("the model's scores are no logits: each image's sum to about %.4g and none is negative, as of probabilities that were scaled or quantised; "+
			"top-1 and top-5 hold, but %s are wrong: %s", sum, unreliable, way)
	case s.few():
		add("%s have only %d different values, as %s; %s are coarse, and ties decide", of, s.Distinct, quantised, unreliable)
	}
	if s.Tied > 0 {
		hits := func(n int) float64 { return 100 * float64(n) / float64(s.images) }
		add("for %d of %d images several classes share the largest score; the lowest of these outputs counts as the prediction (top-1 %.2f %%); with another choice top-1 is between %.2f %% and %.2f %%",
			s.Tied, s.images, hits(top1), hits(s.Least), hits(s.Most))
	}
	// An untrained model gives nearly the same probability to all classes.
	if n := float64(outputs); s.images >= 20 && outputs > 2 && s.confidence < 2/n && hitRate(top1, s.images) < 0.5 {
		scores := "its scores are no logits"
		if predicted {
			scores = "the scores are probabilities (--scores probability)"
		}
		if predicted && probabilities {
			scores = "the scores are logits (--scores logit)"
		}
		add("the model hardly tells the classes apart: its prediction has a probability of %.4g on average, and chance is %.4g; it looks untrained or broken, or %s",
			s.confidence, 1/n, scores)
	}
	return out
}

func hitRate(hits, n int) float64 { return float64(hits) / float64(max(n, 1)) }
