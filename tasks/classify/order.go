package classify

import (
	"cmp"
	"fmt"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/metrics"
)

// confusion counts images by class and prediction.
type confusion struct {
	count map[[2]int]int
	n     int
}

func (res *result) confusion() confusion {
	c := confusion{count: map[[2]int]int{}, n: len(res.Good)}
	for i, at := range res.Good {
		c.count[[2]int{res.class[i], int(res.Records[at].Prediction)}]++
	}
	return c
}

// hits counts the images whose prediction is the output of their class.
func (c confusion) hits(output []int) int {
	n := 0
	for class, o := range output {
		n += c.count[[2]int{class, o}]
	}
	return n
}

// Below this p, corrected for the orders that are tried, another order of the classes is told.
const orderP = 0.01

// orderWarning says which other numbering of the classes the predictions fit better, by
// McNemar's test on the same images; near chance it says so, and what else may be the reason.
func (res *result) orderWarning(a About) string {
	n := len(res.Good)
	if n < 20 || len(a.Output) < 2 {
		return ""
	}
	if a.Several {
		if res.nearChance() {
			return res.chanceText() + ": check model, preprocessing (models doctor tries others) and labels"
		}
		return ""
	}
	c := res.confusion()
	now := c.hits(a.Output)
	var better *datasets.Order
	most, p := now, 1.0
	for i, o := range a.Orders {
		hits := c.hits(o.Output)
		if hits <= most {
			continue
		}
		// An image is right in both only where its class has the same output in both.
		both := 0
		for class, output := range a.Output {
			if o.Output[class] == output {
				both += c.count[[2]int{class, output}]
			}
		}
		test := min(1, metrics.McNemar(now-both, hits-both)*float64(len(a.Orders)))
		if test < orderP {
			better, most, p = &a.Orders[i], hits, test
		}
	}
	near := res.nearChance()
	switch {
	case better == nil && !near:
		return ""
	case near && (better == nil || float64(most)/float64(n) < res.enough()):
		// A known order may fit by a few classes of an unknown one.
		if w := res.unknownOrder(c, len(a.Output)); w != "" {
			return w
		}
		if better == nil {
			if a.Predicted {
				return res.chanceText() + ", and no known order of the classes fits better: check that each row of scores is of the image that it is matched to, and the labels"
			}
			return res.chanceText() + ", and no known order of the classes fits better: check model, preprocessing (models doctor tries others) and labels"
		}
	}
	way := cmp.Or(better.Way, "give a class map of it with --labels (lines of \"class output\")")
	if better.Flag != "" {
		way = "give --class-order " + string(better.Flag)
	}
	start := "labels and outputs are probably in different orders"
	if near {
		start = res.chanceText() + ": " + start
	}
	return fmt.Sprintf("%s; with %s top-1 would be %.2f %% in place of %.2f %% (p = %.2g, McNemar, corrected for %d orders): %s",
		start, better.Name, 100*float64(most)/float64(n), 100*float64(now)/float64(n), p, len(a.Orders), way)
}

func (res *result) chanceText() string {
	return fmt.Sprintf("top-1 is near chance (%.2f %%, chance is %.2f %%)", 100*res.Whole.Top1, 100/float64(res.Outputs))
}

// nearChance says whether the accuracy is that of a model that knows nothing.
func (res *result) nearChance() bool {
	chance := 1 / float64(res.Outputs)
	// Half as much again, or a tenth of the way to 1 where that is less; with many outputs,
	// where chance is nearly nothing, two percent.
	near := max(min(1.5*chance, chance+0.1*(1-chance)), min(0.02, 20*chance))
	// Luck may lift a few images' accuracy above that.
	return res.Whole.Top1 <= min(1.5*near, near+0.1) && metrics.Wilson(res.Whole.Top1Hits, len(res.Good)).Low <= near
}

// enough is an accuracy clearly better than one near chance, and than chance.
func (res *result) enough() float64 {
	chance := 1 / float64(res.Outputs)
	return min(max(3*res.Whole.Top1, 5*chance, 0.1), (1+chance)/2)
}

// unknownOrder is said of an accuracy near chance that no known order explains: would any do?
// It is empty where none does.
// Each of k classes goes to the output it gets most, outputs are used once, largest counts first.
func (res *result) unknownOrder(c confusion, k int) string {
	type cell struct{ class, as, n int }
	var cells []cell
	for key, m := range c.count {
		cells = append(cells, cell{key[0], key[1], m})
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.class, b.class), cmp.Compare(a.as, b.as))
	})
	takenC, takenO, hits := map[int]bool{}, map[int]bool{}, 0
	for _, c := range cells {
		if !takenC[c.class] && !takenO[c.as] {
			takenC[c.class], takenO[c.as] = true, true
			hits += c.n
		}
	}
	// With few images per class, such a matching fits noise; ask for ten per class.
	if f := float64(hits) / float64(c.n); f >= max(res.enough(), 0.3) && c.n >= 10*k {
		return fmt.Sprintf("%s: labels and outputs are probably in different orders; no known order fits, but matching each class to the output it gets most would give %.2f %%: check the class order and give a class map with --labels", res.chanceText(), 100*f)
	}
	return ""
}
