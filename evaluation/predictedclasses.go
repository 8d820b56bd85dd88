package evaluation

import (
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/datasets"
	"cutmix-eval/internal/text"
)

// settle finds out what the columns of the table are, given the classes of the data.
func (p *PredictedImages) settle(scale Scale) error {
	t := p.table
	p.asked = scale
	switch {
	case t.Hard && t.Names != nil:
		return p.predictedNames()
	case t.Hard:
		p.predictedNumbers()
		return nil
	case t.Classes == 1: // the task asks for its scale
		return nil
	}
	p.scale = t.Scale()
	if scale != Automatic {
		var err error
		if p.scale, err = t.As(scale == Probability); err != nil {
			return err
		}
	}
	if p.scale.Doubt != "" {
		p.doubt("%s", p.scale.Doubt)
	}
	p.columns()
	return nil
}

// columns chooses the names of the scores' columns: as they are written, where these are the data's
// classes, else without what they have in common. Numbers that count from 1 are names only where the
// data's classes are numbers.
func (p *PredictedImages) columns() {
	t := *p.table
	known := func(names []string) bool {
		of := (&datasets.Dataset{Classes: names}).ClassOf(p.Dataset.Classes)
		return len(names) > 0 && !slices.Contains(of, -1)
	}
	switch {
	case known(t.Headers) && !known(t.Names):
		t.Names = t.Headers
	case p.Indices == nil && countsFromOne(t.Names):
		t.Names = nil
		t.Notes = append(slices.Clip(t.Notes), "the classes are numbered from 1 in the predictions")
	}
	p.table = &t
}

// countsFromOne says whether names are 1, 2 and so on.
func countsFromOne(names []string) bool {
	for i, name := range names {
		if name != strconv.Itoa(i+1) {
			return false
		}
	}
	return len(names) > 0
}

// predictedNames gives a table of names of predicted classes the classes of the data, and after them
// those that only it has.
func (p *PredictedImages) predictedNames() error {
	t := p.table
	classes := p.Dataset.Classes
	if len(classes) == 0 {
		return nil // what is missing is said where labels are asked for
	}
	place := p.ClassOf(t.Names)
	names := slices.Clone(classes)
	var others []string
	for k, i := range place {
		if i < 0 {
			place[k] = len(names)
			names, others = append(names, t.Names[k]), append(others, t.Names[k])
		}
	}
	if len(others) == len(t.Names) {
		return fmt.Errorf("none of the classes that it predicts (%s) is one of the data's (%s)", text.Some(others, shown), text.Some(classes, shown))
	}
	if len(others) > 0 {
		rows := 0
		for _, k := range t.Predicted() {
			if place[k] >= len(classes) {
				rows++
			}
		}
		p.doubt("%d of %d predictions are of classes that the data does not have, and count as wrong: %s", rows, t.N, text.Some(others, shown))
	}
	p.table, p.byName = t.With(len(names), names, func(k int) int { return place[k] }), true
	return nil
}

// predictedNumbers gives a table of numbers of predicted classes as many classes as the data need, for
// the last ones may never be predicted. Numbers from 1 are moved where they cannot be counted from 0.
func (p *PredictedImages) predictedNumbers() {
	t := p.table
	predicted := t.Predicted()
	low, high := slices.Min(predicted), slices.Max(predicted)
	n := len(p.Dataset.Classes)
	first, last := 0, n-1 // numbers of the data's classes
	switch {
	case p.Indices != nil:
		first, last = slices.Min(p.Indices), slices.Max(p.Indices)
	case p.ClassMap != nil:
		for _, o := range p.ClassMap {
			last = max(last, o)
		}
	case n > 0 && n < 1000 && high < 1000 && p.ImageNet():
		last = 999
	}
	classes := max(last, high) + 1
	switch {
	case first == 0 && low > 0 && high == last+1 && p.fromOne(predicted):
		p.doubt("the predicted classes are numbered 1 to %d and those of the data 0 to %d: the predictions are taken as counted from 1", high, last)
		p.table = t.With(last+1, nil, func(k int) int { return k - 1 })
		return
	case first == 1 && last == n && low > 0 && high <= n: // both are counted from 1
		p.table = t.With(n, nil, func(k int) int { return k - 1 })
		return
	case first == 1 && last == n && high < n:
		classes = n // the data's are counted from 1
	}
	if classes != t.Classes {
		p.table = t.With(classes, nil, func(k int) int { return k })
	}
}

// fromOne says whether numbers of predicted classes, of which the highest is one too high for the data,
// count from 1: the data may lack its last class, and the table the first, but then numbers from 0 are
// right more often.
func (p *PredictedImages) fromOne(predicted []int) bool {
	if p.Indices == nil {
		return true
	}
	asTheyAre, moved := 0, 0
	for i, r := range p.row {
		if r < 0 || p.Label(i) < 0 {
			continue
		}
		switch predicted[r] - p.Indices[p.Label(i)] {
		case 0:
			asTheyAre++
		case 1:
			moved++
		}
	}
	return moved > asTheyAre
}

// Align matches the classes of the data to the columns of the table.
func (p *PredictedImages) Align(outputs int, names []string) (datasets.Alignment, error) {
	if !p.byName {
		return p.Dataset.Align(outputs, names)
	}
	a := datasets.Alignment{How: "by the names of the predicted classes"}
	for i := range p.Dataset.Classes {
		a.Output = append(a.Output, i)
	}
	return a, nil
}

// Orders are those of the data, where the table does not name the classes.
func (p *PredictedImages) Orders(outputs int, names []string) []datasets.Order {
	if p.byName {
		return nil
	}
	return p.Dataset.Orders(outputs, names)
}

// disagreeing is the share of rows above which labels in the table that are not those of the data mean
// that rows or classes are in another order: cleaned labels differ for fewer.
const disagreeing = 0.2

// agree compares the labels in the table with those of the data, whose classes are matched as a says.
func (p *PredictedImages) agree(a datasets.Alignment) error {
	t := p.table
	if t.Labels == nil || p.own {
		return nil
	}
	var readings []func(class int) []int // numbers of a class in the table
	numbers := make([]int, t.N)
	if named := slices.ContainsFunc(t.Labels, func(s string) bool { _, err := strconv.ParseFloat(s, 64); return err != nil }); named {
		numbers = p.ClassOf(t.Labels)
		readings = append(readings, func(class int) []int { return []int{class} })
	} else {
		for r, s := range t.Labels {
			v, _ := strconv.ParseFloat(s, 64)
			numbers[r] = int(v)
		}
		outputs := func(class int) []int {
			if a.More == nil {
				return []int{a.Output[class]}
			}
			return append([]int{a.Output[class]}, a.More[class]...)
		}
		readings = append(readings, outputs)
		if slices.Min(numbers) > 0 {
			readings = append(readings, func(class int) (out []int) {
				for _, o := range outputs(class) {
					out = append(out, o+1)
				}
				return out
			})
		}
		if p.Indices != nil {
			readings = append(readings, func(class int) []int { return []int{p.Indices[class]} })
		}
	}
	compared, least, first := 0, t.N+1, -1
	for _, number := range readings {
		others, at := 0, -1
		compared = 0
		for i, r := range p.row {
			if r < 0 || p.Label(i) < 0 {
				continue
			}
			compared++
			right := func(class int) bool { return slices.Contains(number(class), numbers[r]) }
			if !right(p.Label(i)) && !slices.ContainsFunc(p.Also(i), right) {
				if others++; at < 0 {
					at = i
				}
			}
		}
		if others < least {
			least, first = others, at
		}
	}
	if compared == 0 || least == 0 {
		return nil
	}
	r := p.row[first]
	what := fmt.Sprintf("its labels are not those of the data for %d of %d images (%s has %s, and the data %s)",
		least, compared, t.Place(r), t.Labels[r], p.Dataset.Classes[p.Label(first)])
	if float64(least) <= disagreeing*float64(compared) {
		p.doubt("the predictions file has labels, but %s; those of the data count", what)
		return nil
	}
	way := "rows are in another order, or of other images; give them the images' names, or leave the labels out of the file"
	switch {
	case p.renumbered(numbers):
		way = "each of them stands for one class of the data, so classes or rows are in another order: call the columns as the classes and give the rows the images' names, or say the order of the classes by --class-order or a class map (--labels)"
	case t.IDs != nil:
		way = "they are of other images of these names, or the labels of other data"
	}
	return predictionsError(t, fmt.Errorf("%s: %s", what, way))
}

// renumbered says whether numbers of labels by row stand for one class of the data each.
func (p *PredictedImages) renumbered(numbers []int) bool {
	class, number := map[int]int{}, map[int]int{}
	for i, r := range p.row {
		c := p.Label(i)
		if r < 0 || c < 0 {
			continue
		}
		if old, ok := class[numbers[r]]; ok && old != c {
			return false
		}
		if old, ok := number[c]; ok && old != numbers[r] {
			return false
		}
		class[numbers[r]], number[c] = c, numbers[r]
	}
	return len(class) > 1
}
