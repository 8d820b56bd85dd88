package report

import (
	"slices"

	"cutmix-eval/metrics"
)

// Histogram is how values of two kinds of images are distributed, for plots: counts in bins of
// equal width from Low to High, and what lies below and above.
type Histogram struct {
	At    Keys         `json:"at"` // as of the numbers that the values gave
	Low   float64      `json:"low"`
	High  float64      `json:"high"`
	Parts []Population `json:"parts"`
}

// Population is a kind of images in a histogram.
type Population struct {
	Name   string `json:"name"`
	Counts []int  `json:"counts"`
	Below  int    `json:"below"`
	Above  int    `json:"above"`
}

// Values are those of one kind of image.
type Values struct {
	Name string
	Of   []float64 // finite
}

// bins of a histogram.
const bins = 50

// NewHistogram counts values of several kinds of images in bins between the 0.5 % and 99.5 %
// quantiles of all: a few far ones would leave the others one bin. There must be a value.
func NewHistogram(at Keys, parts ...Values) Histogram {
	var all []float64
	for _, p := range parts {
		all = append(all, p.Of...)
	}
	slices.Sort(all)
	h := Histogram{At: at, Low: metrics.Quantile(all, 0.005), High: metrics.Quantile(all, 0.995)}
	if !(h.High > h.Low) {
		h.Low, h.High = all[0], all[len(all)-1]
	}
	for _, p := range parts {
		h.Parts = append(h.Parts, h.count(p))
	}
	return h
}

func (h Histogram) count(values Values) Population {
	p := Population{Name: values.Name, Counts: make([]int, bins)}
	for _, v := range values.Of {
		switch {
		case v < h.Low:
			p.Below++
		case v > h.High:
			p.Above++
		case h.High == h.Low:
			p.Counts[0]++
		default:
			p.Counts[min(int((v-h.Low)/(h.High-h.Low)*bins), bins-1)]++
		}
	}
	return p
}
