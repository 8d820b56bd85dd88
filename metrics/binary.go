package metrics

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Logistic is the probability of the positive class whose logit is z, and the negative
// log-likelihoods (natural logarithm) of an image that is of the class and of one that is not. They
// are computed from the logit, so that none is lost where the probability rounds to 0 or 1.
func Logistic(z float64) (p, positive, negative float64) {
	e := math.Exp(-math.Abs(z))
	positive = math.Log1p(e) + max(-z, 0)
	negative = math.Log1p(e) + max(z, 0)
	if p = 1 / (1 + e); z < 0 {
		p = e / (1 + e)
	}
	return p, positive, negative
}

// halfUlp is half the distance between 1 and the float32 number below it.
const halfUlp = 1.0 / (1 << 25)

// LogOdds is the logit of a float32 probability. One that was rounded to 0 counts as the smallest
// that is not 0, and one that was rounded to 1 as the least that is so rounded.
func LogOdds(p float64) float64 {
	return math.Log(max(p, math.SmallestNonzeroFloat32)) - math.Log(max(1-p, halfUlp))
}

// Binary are the scores of images of two classes, one score for each, prepared for evaluating
// many resamples, each in linear time. Safe for concurrent use.
type Binary struct {
	probabilities bool
	bins          int
	cut           float64 // a score above it is taken for the positive class
	order         []int   // of the images, by falling score
	v             []binary
}

// binary is an image; v is in the order of the images.
type binary struct {
	score, p, nll float64
	positive      bool
	bin           int
}

// NewBinary prepares scores, which are logits of the positive class or probabilities of it, and
// whether the images are of that class. An image is taken for positive where the probability is
// above the threshold, 0 to 1, compared in float32 as the scores are. Calibration has so many bins.
func NewBinary(scores []float32, positive []bool, probabilities bool, threshold float64, bins int) *Binary {
	if len(scores) != len(positive) {
		panic("metrics: NewBinary of lengths that disagree")
	}
	b := &Binary{probabilities: probabilities, bins: bins, order: make([]int, len(scores)), v: make([]binary, len(scores))}
	if b.cut = float64(float32(threshold)); !probabilities {
		b.cut = math.Log(threshold) - math.Log1p(-threshold)
	}
	for i, s := range scores {
		of := binary{score: float64(s), positive: positive[i]}
		z := of.score
		if probabilities {
			z = LogOdds(z)
		}
		var no float64
		if of.p, of.nll, no = Logistic(z); !of.positive {
			of.nll = no
		}
		if probabilities {
			of.p = min(of.score, 1)
		}
		of.bin = widthBin(of.p, bins)
		b.v[i], b.order[i] = of, i
	}
	slices.SortStableFunc(b.order, func(x, y int) int { return cmp.Compare(b.v[y].score, b.v[x].score) })
	return b
}

// Taken says whether image i is taken for positive.
func (b *Binary) Taken(i int) bool { return b.v[i].score > b.cut }

// Right says whether image i is taken for what it is.
func (b *Binary) Right(i int) bool { return b.Taken(i) == b.v[i].positive }

// P is the probability that image i is positive, as the model gives it.
func (b *Binary) P(i int) float64 { return b.v[i].p }

// probability is that of a score.
func (b *Binary) probability(score float64) float64 {
	if b.probabilities {
		return score
	}
	p, _, _ := Logistic(score)
	return p
}

// Split are the scores of the positive images and of the others, in order.
func (b *Binary) Split() (positive, negative []float64) {
	for _, v := range b.v {
		if v.positive {
			positive = append(positive, v.score)
		} else {
			negative = append(negative, v.score)
		}
	}
	return positive, negative
}

// BinaryNumbers are the numbers of a binary classifier. Shares are fractions. What is of images
// of which there are none is NaN; F1 and MCC are 0 there, as in scikit-learn.
type BinaryNumbers struct {
	Confusion
	Accuracy         float64
	AUROC            float64 // ties half
	AveragePrecision float64 // as scikit-learn's average_precision_score
	NLL              float64 // mean, natural logarithm
	Brier            float64 // mean of (p - [image is positive])^2, 0 to 1
	ECE              float64 // of p in bins of equal width: mean p against the share of positive images
	MeanProbability  float64
	Precision        float64
	Recall           float64
	Specificity      float64
	F1, Balanced     float64
	MCC              float64 // Matthews' correlation coefficient, -1 to 1
	Points           []Point // in the order of PointNames
}

// Confusion counts images by what they are and what they are taken for.
type Confusion struct {
	TruePositive, FalseNegative int // positive images
	TrueNegative, FalsePositive int // the others
}

// Positives and Negatives are the numbers of images of the two classes.
func (c Confusion) Positives() int { return c.TruePositive + c.FalseNegative }
func (c Confusion) Negatives() int { return c.TrueNegative + c.FalsePositive }

// Point is a point of the ROC curve: the shares of positive images and of others whose probability
// is above the threshold, which lies midway between two scores.
type Point struct {
	Threshold float64
	TPR, FPR  float64
	// Found and Passed are the images behind the shares.
	Found, Passed int
}

// PointNames name the operating points of BinaryNumbers: the largest TPR whose FPR is at most 1 %
// and 5 %, the smallest FPR whose TPR is at least 95 %, and the largest TPR - FPR (Youden, 1950).
// Of several such thresholds it is the highest.
func PointNames() []string {
	return []string{"fpr at most 1 %", "fpr at most 5 %", "tpr at least 95 %", "largest tpr - fpr"}
}

// Evaluate computes the numbers of the resample in which image i counts count[i] times.
func (b *Binary) Evaluate(count []uint16) BinaryNumbers {
	var out BinaryNumbers
	bins := make([]Bin, b.bins)
	n := 0
	for i, v := range b.v {
		m := int(count[i])
		if m == 0 {
			continue
		}
		n += m
		y := 0.0
		switch taken := v.score > b.cut; {
		case v.positive && taken:
			y, out.TruePositive = 1, out.TruePositive+m
		case v.positive:
			y, out.FalseNegative = 1, out.FalseNegative+m
		case taken:
			out.FalsePositive += m
		default:
			out.TrueNegative += m
		}
		f := float64(m)
		out.NLL += f * v.nll
		out.Brier += f * (v.p - y) * (v.p - y)
		out.MeanProbability += f * v.p
		add(&bins[v.bin], Confident{v.p, v.positive}, m)
	}
	all := float64(n)
	out.NLL, out.Brier, out.MeanProbability = out.NLL/all, out.Brier/all, out.MeanProbability/all
	out.ECE = Errors(means(bins)).ECE
	out.counted()
	b.rank(count, &out)
	return out
}

// counted computes what follows from the counts at the threshold.
func (b *BinaryNumbers) counted() {
	tp, fn, tn, fp := float64(b.TruePositive), float64(b.FalseNegative), float64(b.TrueNegative), float64(b.FalsePositive)
	b.Accuracy = (tp + tn) / (tp + tn + fp + fn)
	b.Precision, b.Recall, b.Specificity = tp/(tp+fp), tp/(tp+fn), tn/(tn+fp)
	b.Balanced = (b.Recall + b.Specificity) / 2
	if tp > 0 {
		b.F1 = 2 * tp / (2*tp + fp + fn)
	}
	if d := (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn); d > 0 {
		b.MCC = (tp*tn - fp*fn) / math.Sqrt(d)
	}
}

// rank computes what depends on the order of the scores alone.
func (b *Binary) rank(count []uint16, out *BinaryNumbers) {
	positives, negatives := float64(out.Positives()), float64(out.Negatives())
	fresh, freshFP, tp, fp := 0, 0, 0, 0
	pairs, area := 0.0, 0.0
	none := Point{Threshold: 1}
	points := []Point{none, none, none, none}
	// Where a point's threshold is the last of its images' scores, the next score that occurs
	// settles it.
	var open []int
	found, best, last := false, 0.0, 0.0
	out.AUROC, out.AveragePrecision, out.Points = math.NaN(), math.NaN(), points
	for k, i := range b.order {
		v := &b.v[i]
		m := int(count[i])
		if m > 0 && len(open) > 0 {
			for _, at := range open {
				points[at].Threshold = b.probability((last + v.score) / 2)
			}
			open = open[:0]
		}
		if v.positive {
			fresh += m
		} else {
			freshFP += m
		}
		if k+1 < len(b.order) && b.v[b.order[k+1]].score == v.score || fresh+freshFP == 0 {
			continue
		}
		pairs += float64(freshFP) * (float64(tp) + float64(fresh)/2)
		tp, fp = tp+fresh, fp+freshFP
		area += float64(fresh) * (float64(tp) / float64(tp+fp))
		fresh, freshFP, last = 0, 0, v.score
		here := Point{TPR: float64(tp) / positives, FPR: float64(fp) / negatives, Found: tp, Passed: fp}
		take := func(at int) { points[at], open = here, append(open, at) }
		for at, limit := range []float64{0.01, 0.05} {
			if here.FPR <= limit && here.TPR > points[at].TPR {
				take(at)
			}
		}
		if !found && here.TPR >= 0.95 {
			found = true
			take(2)
		}
		if d := here.TPR - here.FPR; d > best {
			best = d
			take(3)
		}
	}
	for _, at := range open { // below the lowest score
		if points[at].Threshold = b.probability(last) / 2; b.probabilities && last <= 0 {
			points[at].Threshold = -halfUlp
		}
	}
	if positives > 0 && negatives > 0 {
		out.AUROC, out.AveragePrecision = pairs/positives/negatives, area/positives
		return
	}
	if positives > 0 {
		out.AveragePrecision = area / positives
	}
	out.Points = nil
}

// BinaryIntervals are 95 % intervals of BinaryNumbers, under the same names: DeLong's of the
// AUROC, Logit95's of an average precision of 1, the seeded bootstrap over images of the rest. Shares have Wilson's.
type BinaryIntervals struct {
	AUROC Interval
	// Of the bootstrap; nil without one.
	AveragePrecision, NLL, Brier, ECE, MeanProbability, F1, MCC *Interval
	Points                                                      []PointIntervals
}

// PointIntervals are those of a Point. The threshold is found anew in each resample.
type PointIntervals struct{ Threshold, TPR, FPR Interval }

// Intervals computes them; no replicates, no bootstrap. The only error is ctx's.
func (b *Binary) Intervals(ctx context.Context, of BinaryNumbers, replicates int, seed uint64) (BinaryIntervals, error) {
	out := BinaryIntervals{AUROC: Interval{0, 1, 0.95, "none"}}
	if of.Positives() > 0 && of.Negatives() > 0 {
		positive, negative := b.Split()
		s, err := Separate(positive, negative)
		if err != nil {
			panic("metrics: " + err.Error()) // scores are finite
		}
		out.AUROC = s.AUROCInterval
	}
	if replicates == 0 {
		return out, nil
	}
	boot, err := Bootstrap(ctx, len(b.v), replicates, seed, func(count []uint16) []float64 {
		n := b.Evaluate(count)
		v := []float64{n.AveragePrecision, n.NLL, n.Brier, n.ECE, n.MeanProbability, n.F1, n.MCC}
		for k := range PointNames() {
			p := Point{math.NaN(), math.NaN(), math.NaN(), 0, 0}
			if n.Points != nil {
				p = n.Points[k]
			}
			v = append(v, p.Threshold, p.TPR, p.FPR)
		}
		return v
	})
	if err != nil {
		return out, err
	}
	next := 0
	percentile := func() *Interval {
		iv := Percentile(boot[next])
		next++
		return &iv
	}
	out.AveragePrecision, out.NLL, out.Brier = percentile(), percentile(), percentile()
	if iv := *out.AveragePrecision; iv.High == iv.Low {
		iv = Logit95(of.AveragePrecision, of.Positives())
		out.AveragePrecision = &iv
	}
	basic := Basic(of.ECE, boot[next])
	out.ECE, next = &basic, next+1
	out.MeanProbability, out.F1, out.MCC = percentile(), percentile(), percentile()
	for range of.Points {
		out.Points = append(out.Points, PointIntervals{*percentile(), *percentile(), *percentile()})
	}
	return out, nil
}
