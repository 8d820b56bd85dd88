package multilabel

import (
	"cmp"
	"fmt"
	"slices"

	"cutmix-eval/metrics"
)

// Bounds of what orderWarning looks at: images, and classes, whose number counts twice.
const (
	mostImages  = 2000
	mostClasses = 200
)

// orderWarning says where classes were matched to outputs by their order alone and would fit other
// outputs far better: each class to the output with which it has the highest average precision, outputs
// used once.
func (res *result) orderWarning() string {
	c, n := len(res.a.Classes), min(len(res.At), mostImages)
	if !res.a.inOrder() || c < 2 || c > mostClasses || n < 20 {
		return ""
	}
	count := slices.Repeat([]uint16{1}, n)
	scores, truth := make([]float32, n*c), make([]float64, n*c)
	type cell struct {
		class, output int
		precision     float64
	}
	var cells []cell
	own := 0.0
	of := 0                // classes with a positive image
	for shift := range c { // class k with output k + shift
		for i := range n {
			for k := range c {
				scores[i*c+k], truth[i*c+k] = res.Scores[i*c+(k+shift)%c], res.Truth[i*c+k]
			}
		}
		for k, p := range metrics.NewMultiLabel(scores, truth, c).Evaluate(count)[1:] {
			if p == p {
				cells = append(cells, cell{k, (k + shift) % c, p})
				if shift == 0 {
					own, of = own+p, of+1
				}
			}
		}
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(b.precision, a.precision), cmp.Compare(a.class, b.class), cmp.Compare(a.output, b.output))
	})
	class, output := map[int]bool{}, map[int]bool{}
	best := 0.0
	for _, at := range cells {
		if !class[at.class] && !output[at.output] {
			class[at.class], output[at.output] = true, true
			best += at.precision
		}
	}
	own, best = own/float64(of), best/float64(of)
	// Half of what is missing to 1, which noise does not give where a class has some images.
	if of < 2 || n < 10*c || best <= own+0.5*(1-own) {
		return ""
	}
	return fmt.Sprintf("matching each class to the output that fits it best would give a mean average precision of %.2f %%, not %.2f %%: "+
		"the annotations' classes and the outputs are probably in different orders; give a table whose columns are in the model's order", 100*best, 100*own)
}
