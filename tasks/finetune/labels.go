package finetune

import (
	"math"
	"slices"

	"cutmix-eval/datasets"
)

// truth says what the images of a data set are: their targets, or why they are left out.
type truth struct {
	classes []string
	index   map[string]int // of classes
	multi   *datasets.MultiLabels
}

// row writes the targets of sample i, 0 or 1, NaN where it is not known, and returns its
// class: of several, the first. -1: it has none.
func (t *truth) row(dst []float64, d *datasets.Dataset, i int) int {
	clear(dst)
	if t.multi == nil {
		l := d.Samples[i].Label
		if l == datasets.Unlabelled {
			return -1
		}
		c := t.index[d.Classes[l]]
		dst[c] = 1
		return c
	}
	if t.multi.Of[i] == nil {
		return -1
	}
	class := len(dst)
	for c, v := range t.multi.Of[i] {
		switch v {
		case 1:
			dst[c] = 1
			class = min(class, c)
		case -1:
			dst[c] = math.NaN()
		}
	}
	return class // one more than the last for none of them: it is an example of nothing
}

// labels are what images are of, and how they count as targets.
type labels struct {
	classes int
	class   []int // of each image; of several the first, or the number of classes where there is none
	// several are rows of 0 and 1, NaN for what is not known, of images with several labels; nil
	// where each has one.
	several []float64

	smoothing float64   // share that is spread over all classes; of several labels, to a half
	weight    []float64 // of classes; nil: all 1
}

// row writes the targets of image i.
func (l *labels) row(dst []float64, i int) {
	if l.several != nil {
		for c, v := range l.several[i*l.classes : (i+1)*l.classes] {
			dst[c] = v*(1-l.smoothing) + l.smoothing/2
		}
		return
	}
	for c := range dst {
		dst[c] = l.smoothing / float64(l.classes)
	}
	dst[l.class[i]] += 1 - l.smoothing
	for c, w := range l.weight {
		dst[c] *= w
	}
}

// rows are the targets of all images.
func (l *labels) rows() []float64 {
	out := make([]float64, len(l.class)*l.classes)
	for i := range l.class {
		l.row(out[i*l.classes:(i+1)*l.classes], i)
	}
	return out
}

// only are the labels of some of the images.
func (l *labels) only(at []int) labels {
	out := *l
	out.class, out.several = make([]int, 0, len(at)), nil
	for _, i := range at {
		if out.class = append(out.class, l.class[i]); l.several != nil {
			out.several = append(out.several, l.several[i*l.classes:(i+1)*l.classes]...)
		}
	}
	return out
}

// balanced makes every class weigh the same, and images 1 on average.
func (l *labels) balanced() {
	count, present := make([]float64, l.classes), 0.0
	for _, k := range l.class {
		if count[k]++; count[k] == 1 {
			present++
		}
	}
	l.weight = slices.Repeat([]float64{1}, l.classes)
	for k, n := range count {
		if n > 0 {
			l.weight[k] = float64(len(l.class)) / (present * n)
		}
	}
}

// known is how many images are known to be of class k, or not.
func (l *labels) known(k int) int {
	n := 0
	for i := k; i < len(l.several); i += l.classes {
		if !math.IsNaN(l.several[i]) {
			n++
		}
	}
	return n
}

// any says whether an image is of class k.
func (l *labels) any(k int) bool {
	for i := k; i < len(l.several); i += l.classes {
		if l.several[i] == 1 {
			return true
		}
	}
	return false
}
