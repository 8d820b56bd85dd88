package report

import (
	"math"
	"slices"

	"cutmix-eval/metrics"
)

// Number is a number with everything that must be said with it.
type Number struct {
	Name     string            `json:"name"`
	At       Keys              `json:"at"` // what it is of; none: of the whole
	Value    float64           `json:"value"`
	Unit     Unit              `json:"unit"`
	N        int               `json:"n,omitempty"` // images, or whatever Note says, that it is computed from
	Interval *metrics.Interval `json:"interval,omitempty"`
	Better   Better            `json:"better"`
	Test     *Test             `json:"test,omitempty"` // of the number being 0, for differences
	Note     string            `json:"note,omitempty"`
}

// Unit is a number's unit.
type Unit string

// Units of numbers.
const (
	None         Unit = ""
	Fraction     Unit = "fraction" // 0 to 1; people read percent
	Nats         Unit = "nats"
	PerSecond    Unit = "1/s"
	Milliseconds Unit = "ms"
)

// Better says which direction of a number is an improvement.
type Better string

// The directions. Neither is that of what should be right, not high: a mean confidence, a
// temperature.
const (
	Higher  Better = "higher"
	Lower   Better = "lower"
	Neither Better = "neither"
)

// Level is the significance level of tests, and 1 less that of intervals.
const Level = 0.05

// Test is a test of a number being 0.
type Test struct {
	Name      string  `json:"name"`
	P         float64 `json:"p"`
	PAdjusted float64 `json:"p_adjusted"` // for the number of tests; equal to P where one was made
}

// Shown says whether the test shows at Level that the number is not 0; false for no test.
func (t *Test) Shown() bool { return t != nil && t.PAdjusted < Level }

// Holm adjusts the p-values of all tests among the numbers for their number, by Holm's method.
func Holm(numbers ...*Number) {
	var tests []*Test
	var p []float64
	for _, n := range numbers {
		if n != nil && n.Test != nil {
			tests, p = append(tests, n.Test), append(p, n.Test.P)
		}
	}
	for i, adjusted := range metrics.Holm(p) {
		tests[i].PAdjusted = adjusted
	}
}

// Share is a proportion with Wilson's interval. Without n it is not a number, which Add leaves
// out.
func Share(name string, hits, n int, better Better, at ...Key) Number {
	out := Number{Name: name, At: at, Value: math.NaN(), Unit: Fraction, N: n, Better: better}
	if n > 0 {
		iv := metrics.Wilson(hits, n)
		out.Value, out.Interval = float64(hits)/float64(n), &iv
	}
	return out
}

// Noted returns the number with a note.
func (n Number) Noted(note string) Number {
	n.Note = note
	return n
}

// Label names the number for people: its name and the values of its keys, but for those
// without.
func (n *Number) Label(without ...KeyName) string {
	s := n.Name
	for _, k := range n.At {
		if !slices.Contains(without, k.Name) {
			s += " " + k.Value
		}
	}
	return s
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
