package metrics

import (
	"math"
	"slices"
)

// LabelSets are the classes that images are taken for beside those that they are of, prepared for
// evaluating many resamples. Safe for concurrent use.
type LabelSets struct {
	classes int
	images  []labelSet
}

// labelSet is an image's; classes of which it is not known whether the image is of them are left out.
type labelSet struct {
	taken, right, of []int32 // classes that the image is taken for, those of them that are right, and all that it is of
	known            int
}

// NewLabelSets prepares decisions and truths, one per class in each row; truths are as for
// NewMultiLabel.
func NewLabelSets(taken []bool, truth []float64, classes int) *LabelSets {
	if classes < 1 || len(taken) != len(truth) || len(taken)%classes != 0 {
		panic("metrics: NewLabelSets of lengths that disagree")
	}
	s := &LabelSets{classes: classes, images: make([]labelSet, len(taken)/classes)}
	for at, y := range truth {
		if math.IsNaN(y) {
			continue
		}
		set, c := &s.images[at/classes], int32(at%classes)
		set.known++
		if taken[at] {
			set.taken = append(set.taken, c)
		}
		if y == 1 {
			set.of = append(set.of, c)
		}
		if taken[at] && y == 1 {
			set.right = append(set.right, c)
		}
	}
	return s
}

// LabelSetNumbers are precision, recall and F1 of decisions, by class (C) and over all (O), as in
// the literature on several labels (Chen et al., CVPR 2019, section 4.1): CP and CR are means over
// the classes that have a positive image, the precision of a class for which no image is taken being
// 0, and CF1 is the harmonic mean of CP and CR, not a mean of F1s. What has no image is NaN.
type LabelSetNumbers struct {
	CP, CR, CF1, OP, OR, OF1 float64
	Exact                    float64 // share of images whose known labels are all right
	Hamming                  float64 // share of known labels that are wrong
	Classes                  []ClassCounts
}

// ClassCounts counts images of a class, images that are taken for it, and those that are both.
type ClassCounts struct{ Of, Taken, Right int }

// Evaluate computes the numbers of the resample in which image i counts count[i] times.
func (s *LabelSets) Evaluate(count []uint16) LabelSetNumbers {
	out := LabelSetNumbers{Classes: make([]ClassCounts, s.classes)}
	n, exact, known, wrong := 0, 0, 0, 0
	for i := range s.images {
		m, set := int(count[i]), &s.images[i]
		if m == 0 {
			continue
		}
		for _, c := range set.taken {
			out.Classes[c].Taken += m
		}
		for _, c := range set.right {
			out.Classes[c].Right += m
		}
		for _, c := range set.of {
			out.Classes[c].Of += m
		}
		off := len(set.taken) + len(set.of) - 2*len(set.right)
		n, known, wrong = n+m, known+m*set.known, wrong+m*off
		if off == 0 {
			exact += m
		}
	}
	out.Exact, out.Hamming = float64(exact)/float64(n), float64(wrong)/float64(known)
	var all ClassCounts
	classes := 0.0
	for _, c := range out.Classes {
		all.Of, all.Taken, all.Right = all.Of+c.Of, all.Taken+c.Taken, all.Right+c.Right
		if c.Of > 0 {
			classes++
			out.CP += float64(c.Right) / float64(max(c.Taken, 1))
			out.CR += float64(c.Right) / float64(c.Of)
		}
	}
	out.CP, out.CR = out.CP/classes, out.CR/classes
	out.OP, out.OR = float64(all.Right)/float64(all.Taken), float64(all.Right)/float64(all.Of)
	out.CF1, out.OF1 = f1(out.CP, out.CR), f1(out.OP, out.OR)
	return out
}

// f1 is the harmonic mean of two shares, 0 where both are.
func f1(a, b float64) float64 {
	if a+b == 0 {
		return 0
	}
	return 2 * a * b / (a + b)
}

// Right says whether all known labels of image i are right.
func (s *LabelSets) Right(i int) bool {
	set := &s.images[i]
	return len(set.taken) == len(set.right) && len(set.of) == len(set.right)
}

// Above marks the scores above a threshold.
func Above(scores []float32, threshold float64) []bool {
	out := make([]bool, len(scores))
	for i, v := range scores {
		out[i] = float64(v) > threshold
	}
	return out
}

// Highest marks the k highest scores of each row of so many classes, the lower class first among equals.
func Highest(scores []float32, classes, k int) []bool {
	out := make([]bool, len(scores))
	for at := 0; at < len(scores); at += classes {
		for _, c := range TopK(scores[at:at+classes], k) {
			out[at+c] = true
		}
	}
	return out
}

// LabelRanking are how well each image's classes are ranked by its scores, one value per image.
type LabelRanking struct {
	Loss      []float64 // share of the pairs of a class that it is of and one that it is not that are out of order, ties too; 0 without a pair
	Coverage  []float64 // number of classes down to the last one that it is of, ties too; 0 of an image of none
	Precision []float64 // mean over its classes of the share of its own among those that score as high; 1 where all or none are its own
	OneError  []float64 // 1 where the highest score is of a class that it is not of, else 0; NaN of an image of none
}

// NewLabelRanking computes them, as scikit-learn's label_ranking_loss, coverage_error and
// label_ranking_average_precision_score do. Of equal scores the lowest class is the highest for OneError.
// Classes that are not known of an image are left out.
func NewLabelRanking(scores []float32, truth []float64, classes int) LabelRanking {
	var out LabelRanking
	var own, others []float32
	for at := 0; at < len(scores); at += classes {
		own, others = own[:0], others[:0]
		top := -1
		for c := range classes {
			switch y := truth[at+c]; {
			case math.IsNaN(y):
				continue
			case y == 1:
				own = append(own, scores[at+c])
			default:
				others = append(others, scores[at+c])
			}
			if top < 0 || scores[at+c] > scores[top] {
				top = at + c
			}
		}
		loss, coverage, precision := 0.0, 0.0, 0.0
		one := math.NaN()
		if len(own) > 0 {
			one = 1 - truth[top]
			least := slices.Min(own)
			for _, s := range own {
				above, mine := 0.0, 0.0
				for _, o := range others {
					if o >= s {
						above++
					}
				}
				for _, o := range own {
					if o >= s {
						mine++
					}
				}
				loss += above
				precision += mine / (mine + above) / float64(len(own))
			}
			coverage = float64(len(own))
			for _, o := range others {
				if o >= least {
					coverage++
				}
			}
		}
		if pairs := float64(len(own) * len(others)); pairs > 0 {
			loss /= pairs
		} else {
			loss, precision = 0, 1
		}
		out.Loss, out.Coverage = append(out.Loss, loss), append(out.Coverage, coverage)
		out.Precision, out.OneError = append(out.Precision, precision), append(out.OneError, one)
	}
	return out
}

// MeanOf is the mean of values that are not NaN, value i counted count[i] times; NaN of none.
func MeanOf(values []float64, count []uint16) float64 {
	sum, n := 0.0, 0.0
	for i, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+float64(count[i])*v, n+float64(count[i])
		}
	}
	return sum / n
}
