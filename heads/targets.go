package heads

import "slices"

// Targets are what a head is to give for rows of features: each row has one class, or several.
type Targets struct {
	Classes int
	Class   []int // of each row; of several the first, or Classes where it has none
	// Several are rows of 0 and 1, and NaN for what is not known; nil where each row has one class.
	Several []float64

	Smoothing float64   // share that is spread over all classes; where a row has several, to a half
	Weight    []float64 // of classes; nil is 1 for all
}

// Row writes the targets of row i.
func (t *Targets) Row(dst []float64, i int) {
	if t.Several != nil {
		for c, v := range t.Several[i*t.Classes : (i+1)*t.Classes] {
			dst[c] = v*(1-t.Smoothing) + t.Smoothing/2
		}
		return
	}
	for c := range dst {
		dst[c] = t.Smoothing / float64(t.Classes)
	}
	dst[t.Class[i]] += 1 - t.Smoothing
	for c, w := range t.Weight {
		dst[c] *= w
	}
}

// Rows are the targets of all rows.
func (t *Targets) Rows() []float64 {
	out := make([]float64, len(t.Class)*t.Classes)
	for i := range t.Class {
		t.Row(out[i*t.Classes:(i+1)*t.Classes], i)
	}
	return out
}

// Only are the targets of some of the rows.
func (t *Targets) Only(at []int) Targets {
	out := *t
	out.Class, out.Several = make([]int, 0, len(at)), nil
	for _, i := range at {
		if out.Class = append(out.Class, t.Class[i]); t.Several != nil {
			out.Several = append(out.Several, t.Several[i*t.Classes:(i+1)*t.Classes]...)
		}
	}
	return out
}

// Counts are the numbers of rows by class, where each has one.
func (t *Targets) Counts() []int {
	out := make([]int, t.Classes)
	for _, c := range t.Class {
		out[c]++
	}
	return out
}

// Balance gives every class that has rows the same weight in all, and rows the weight 1 on average.
func (t *Targets) Balance() {
	count, present := t.Counts(), 0.0
	for _, n := range count {
		if n > 0 {
			present++
		}
	}
	t.Weight = slices.Repeat([]float64{1}, t.Classes)
	for k, n := range count {
		if n > 0 {
			t.Weight[k] = float64(len(t.Class)) / (present * float64(n))
		}
	}
}

// Shown says whether a row is of class k, where rows have several.
func (t *Targets) Shown(k int) bool {
	for i := k; i < len(t.Several); i += t.Classes {
		if t.Several[i] == 1 {
			return true
		}
	}
	return false
}

// Mixed writes the targets of a batch of the rows at, and returns dst, which may be too short: of
// the i-th, the share own[i] of its own and the rest of those of the partner[i]-th. nil partners
// mix nothing.
func (t *Targets) Mixed(dst []float64, at, partner []int, own []float64) []float64 {
	dst = slices.Grow(dst[:0], len(at)*t.Classes)[:len(at)*t.Classes]
	y, other := make([]float64, t.Classes), make([]float64, t.Classes)
	for i, a := range at {
		row := dst[i*t.Classes : (i+1)*t.Classes]
		if t.Row(row, a); partner == nil || partner[i] == i || own[i] == 1 {
			continue
		}
		copy(y, row)
		t.Row(other, at[partner[i]])
		blend(row, y, other, own[i])
	}
	return dst
}

// blend writes the share own of y and the rest of other. What is not known of a row of which
// nothing is seen does not matter.
func blend(dst, y, other []float64, own float64) {
	switch own {
	case 1:
		copy(dst, y)
		return
	case 0:
		copy(dst, other)
		return
	}
	for c, v := range y {
		dst[c] = own*v + (1-own)*other[c]
	}
}
