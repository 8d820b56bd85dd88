package augment

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strconv"
)

// Method is how the images of a batch are mixed.
type Method string

// The methods. FeatureCutMix pastes boxes of feature maps in place of pixels.
const (
	None          Method = "none"
	CutMix        Method = "cutmix"
	FeatureCutMix Method = "feature-cutmix"
	Mixup         Method = "mixup"
	Cutout        Method = "cutout"
)

// Methods lists them.
func Methods() []Method { return []Method{CutMix, FeatureCutMix, Mixup, Cutout, None} }

// Mix says how batches are mixed. What differs from the official code's CutMix are the ablations
// of the paper (section 4.1) and what other programs do.
type Mix struct {
	Method Method  `json:"method"`
	Alpha  float64 `json:"alpha"` // of the Beta distribution that lambda is drawn from
	Prob   float64 `json:"prob"`  // that a batch is mixed
	// Box is how a box is drawn: uniform, gaussian (around the middle), or fixed (half the side,
	// everywhere alike).
	Box string `json:"box"`
	// Labels is shares (by area), one-hot (all to the larger part) or complete (half each).
	Labels      string  `json:"labels"`
	Scheduled   bool    `json:"scheduled"`   // the probability rises from 0 to Prob over the training
	PerImage    bool    `json:"per_image"`   // every image has a box, a lambda and a chance of its own
	Uncorrected bool    `json:"uncorrected"` // labels by the lambda that was drawn, not by the area that was pasted
	Length      float64 `json:"length"`      // of Cutout's square, as a share of the side
}

// What Box and Labels can be.
var (
	boxes     = []string{"uniform", "gaussian", "fixed"}
	labelings = map[string]Labelling{"shares": Shares, "one-hot": Larger, "complete": Halves}
)

// Validate says what in it makes no sense.
func (m Mix) Validate() error {
	_, label := labelings[m.Labels]
	switch {
	case !slices.Contains(Methods(), m.Method):
		return fmt.Errorf("mixing %q is not one of %v", m.Method, Methods())
	case !(m.Alpha > 0 && m.Alpha < 1e6):
		return fmt.Errorf("an alpha of %v is not above 0", m.Alpha)
	case !(m.Prob >= 0 && m.Prob <= 1):
		return fmt.Errorf("a mixing probability of %v is not within 0 and 1", m.Prob)
	case !slices.Contains(boxes, m.Box):
		return fmt.Errorf("boxes %q are not one of %v", m.Box, boxes)
	case !label:
		return fmt.Errorf("labels %q of mixed images are not one of shares, one-hot, complete", m.Labels)
	case !(m.Length > 0 && m.Length <= 1):
		return fmt.Errorf("a cut-out square of %v of the side is not above 0 and at most 1", m.Length)
	}
	return nil
}

// Plan is how a batch is mixed. Image i gets from image Partner[i] what is in Box[i], or, of Mixup,
// the share 1 - Lambda[i] of all values; of Cutout Box[i] is erased. It keeps the share Own[i] of
// its own label.
type Plan struct {
	Partner     []int
	Box         []image.Rectangle
	Lambda, Own []float64
}

// Labels says how labels are mixed: image i keeps the share own[i] of its own and gets the rest of
// image partner[i]'s. Of nil, nothing is mixed, and both are nil.
func (p *Plan) Labels() (partner []int, own []float64) {
	if p == nil {
		return nil, nil
	}
	return p.Partner, p.Own
}

// Plan draws how n images, or maps, of h x w places are mixed. progress is the share of the
// training that is done. nil: nothing is mixed.
func (m Mix) Plan(rng *rand.Rand, n, h, w int, progress float64) *Plan {
	prob := m.Prob
	if m.Scheduled {
		prob *= progress
	}
	perImage := m.PerImage || m.Method == Cutout // whose squares are every image's own
	if m.Method == None || !perImage && rng.Float64() >= prob {
		return nil
	}
	p := &Plan{make([]int, n), make([]image.Rectangle, n), make([]float64, n), make([]float64, n)}
	partner := rng.Perm(n)
	for i := range n {
		if i > 0 && !perImage {
			p.Partner[i], p.Box[i], p.Lambda[i], p.Own[i] = partner[i], p.Box[0], p.Lambda[0], p.Own[0]
			continue
		}
		if p.Partner[i] = partner[i]; perImage && rng.Float64() >= prob {
			p.Partner[i], p.Lambda[i], p.Own[i] = i, 1, 1
			continue
		}
		p.Box[i], p.Lambda[i], p.Own[i] = m.draw(rng, h, w)
	}
	return p
}

// draw draws what an image of h x w places gets, and the share of its label that it keeps.
func (m Mix) draw(rng *rand.Rand, h, w int) (box image.Rectangle, lambda, own float64) {
	if lambda = 0.75; m.Box != "fixed" || m.Method == Mixup { // 0.75 is half the side
		lambda = Beta(rng, m.Alpha)
	}
	switch m.Method {
	case Cutout:
		return CutoutBox(h, w, int(m.Length*float64(min(h, w))), rng.IntN(h), rng.IntN(w)), 1, 1
	case Mixup:
	default:
		centre := Uniform
		if m.Box == "gaussian" {
			centre = Gaussian
		}
		if box = RandomBox(rng, h, w, lambda, centre); !m.Uncorrected {
			lambda = Lambda(box, h, w)
		}
	}
	return box, lambda, labelings[m.Labels].Share(lambda)
}

// Apply mixes tensors of a batch in place, as p says: planes of h x w values, or, where channels
// lie together, one plane of h x w pixels of the given depth. scratch is memory for the batch as it
// was. Cutout fills with 0, the mean that was subtracted.
func (m Mix) Apply(p *Plan, slot func(i int) []float32, scratch *[]float32, channels, h, w, depth int) {
	n := len(p.Partner)
	size := channels * h * w * depth
	if m.Method == Cutout {
		for i := range n {
			Erase(slot(i), slot(i), channels, h, w*depth, deep(p.Box[i], depth), 0)
		}
		return
	}
	before := slices.Grow((*scratch)[:0], n*size)[:n*size]
	*scratch = before
	for i := range n {
		copy(before[i*size:], slot(i))
	}
	for i, o := range p.Partner {
		own, other := before[i*size:(i+1)*size], before[o*size:(o+1)*size]
		if m.Method == Mixup {
			Blend(slot(i), own, other, p.Lambda[i])
		} else {
			Paste(slot(i), own, other, channels, h, w*depth, deep(p.Box[i], depth))
		}
	}
}

// deep is a box of pixels as one of values.
func deep(b image.Rectangle, depth int) image.Rectangle {
	b.Min.X, b.Max.X = b.Min.X*depth, b.Max.X*depth
	return b
}

// String is the mixing in words.
func (m Mix) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	switch m.Method {
	case None:
		return "no mixing"
	case Cutout:
		return fmt.Sprintf("cutout of %s of the side, probability %s", number(m.Length), number(m.Prob))
	}
	s := fmt.Sprintf("%s, alpha %s, probability %s", m.Method, number(m.Alpha), number(m.Prob))
	for _, more := range []struct {
		said bool
		text string
	}{
		{m.Scheduled, " rising from 0"},
		{m.Box != "uniform" && m.Method != Mixup, ", " + m.Box + " boxes"},
		{m.Labels != "shares", ", " + m.Labels + " labels"},
		{m.PerImage, ", a box for each image"},
		{m.Uncorrected, ", labels by the drawn lambda"},
	} {
		if more.said {
			s += more.text
		}
	}
	return s
}
