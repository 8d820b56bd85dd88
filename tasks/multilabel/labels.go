package multilabel

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/text"
)

// Limited takes as many of the annotated images as the limit says. A larger limit takes those
// of a smaller one, too.
func Limited(im *evaluation.Images, m *datasets.MultiLabels) *evaluation.Images {
	n := im.Config.Limit
	if n == 0 {
		return im
	}
	var known []int
	for i, of := range m.Of {
		if of != nil {
			known = append(known, i)
		}
	}
	heads.Splitting.Rand(im.Config.Seed, -1, 0).Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	known = known[:min(n, len(known))]
	slices.Sort(known)
	return im.Select(known)
}

// align finds the model output of every class: by the names that the model has, else in order.
func align(classes []string, outputs int, names []string) (datasets.Alignment, error) {
	n := len(classes)
	if n != outputs {
		what := ""
		if len(names) == outputs {
			what = " (" + text.Some(names, 3) + ")"
		}
		return datasets.Alignment{}, fmt.Errorf("the model has %d outputs%s, and the annotations name %d classes (%s); each needs an output: give a table with a column for every class, in the model's order",
			outputs, what, n, text.Some(classes, 3))
	}
	a := datasets.Alignment{Output: make([]int, n), How: datasets.InOrder + ": class i is output i"}
	for i := range a.Output {
		a.Output[i] = i
	}
	if len(names) != outputs {
		return a, nil
	}
	byName := datasets.Alignment{How: "by the class names in the model"}
	used := map[int]bool{}
	var missing []string
	for _, c := range classes {
		o := slices.Index(names, c)
		if o < 0 {
			o = slices.IndexFunc(names, func(s string) bool { return strings.EqualFold(s, c) })
		}
		if o < 0 || used[o] {
			missing = append(missing, c)
			continue
		}
		used[o] = true
		byName.Output = append(byName.Output, o)
	}
	switch {
	case len(missing) == 0:
		return byName, nil
	case len(missing) < n:
		return a, fmt.Errorf("the model names its classes (%s), but has no %s; call them the same in the annotations", text.Some(names, 3), text.Some(missing, 3))
	}
	a.How += "; the model calls its classes otherwise (" + text.Some(names, 3) + ")"
	return a, nil
}

// fingerprint identifies what the samples are.
func fingerprint(t *datasets.Truth, n int) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", t.Classes)
	truth := make([]float64, len(t.Classes))
	line := make([]byte, len(t.Classes))
	for i := range n {
		labelled := t.Row(truth, i) >= 0
		for c, y := range truth {
			switch {
			case !labelled:
				line[c] = '-'
			case y == 0:
				line[c] = '0'
			case y == 1:
				line[c] = '1'
			default:
				line[c] = '?'
			}
		}
		h.Write(line)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
