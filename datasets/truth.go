package datasets

import "math"

// Truth says which classes the samples of a dataset are of: one each, or several.
type Truth struct {
	Classes []string
	data    *Dataset
	index   []int // of Classes, by the dataset's classes
	several *MultiLabels
}

// Truth is that of samples of one class each, by their labels. The classes have an index for each of
// the dataset's classes, by name; unknown are those that have none.
func (d *Dataset) Truth(classes []string, index map[string]int) (t *Truth, unknown []string) {
	t = &Truth{Classes: classes, data: d}
	for _, c := range d.Classes {
		i, ok := index[c]
		if !ok {
			unknown = append(unknown, c)
		}
		t.index = append(t.index, i)
	}
	return t, unknown
}

// Truth is that of the samples of d.
func (m *MultiLabels) Truth(d *Dataset) *Truth {
	return &Truth{Classes: m.Classes, data: d, several: m}
}

// Row writes what sample i is: 0 or 1 for every class, NaN where it is not known. It returns its
// class, of several the first, len(Classes) where it is of none; -1 without a label.
func (t *Truth) Row(dst []float64, i int) int {
	clear(dst)
	if t.several == nil {
		l := t.data.Samples[i].Label
		if l == Unlabelled {
			return -1
		}
		dst[t.index[l]] = 1
		return t.index[l]
	}
	if t.several.Of[i] == nil {
		return -1
	}
	class := len(dst)
	for c, v := range t.several.Of[i] {
		switch v {
		case 1:
			dst[c] = 1
			class = min(class, c)
		case -1:
			dst[c] = math.NaN()
		}
	}
	return class
}

// Labelled are the samples with a label, ascending; nil is all.
func (t *Truth) Labelled() []int {
	at := []int{}
	row := make([]float64, len(t.Classes))
	for i := range t.data.Samples {
		if t.Row(row, i) >= 0 {
			at = append(at, i)
		}
	}
	if len(at) == len(t.data.Samples) {
		return nil
	}
	return at
}
