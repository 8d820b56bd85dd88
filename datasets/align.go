package datasets

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/text"
)

// Alignment says which output of a model each class of a dataset is.
type Alignment struct {
	Output []int   // by class
	More   [][]int // further outputs by class, which are right as well; nil where classes have one each
	How    string  // for people
}

// ErrOtherNames is wrapped where none of the data's classes has a name of the model's.
var ErrOtherNames = errors.New("the model calls its classes otherwise")

// InOrder begins How where nothing but the number of classes says which outputs are meant.
const InOrder = "in order"

// Align finds the model output of every class. outputs is the number of the
// model's outputs, names their names where the model has them (else nil).
//
// In this order: a class map that the user gave; an order that was asked for; labels that are
// numbers of outputs, unless the model calls its classes by them; the same class names in data
// and model, without regard to case, spaces, underscores, hyphens and Unicode form; ImageNet's
// synsets and class names, in the model's own order where its names are those, else sorted by
// synset (1000 outputs, or 1001 with the background first); as many classes as outputs, in
// order, unless the model's names contradict that.
// Anything else is an error: there is no guessing which outputs are meant.
func (d *Dataset) Align(outputs int, names []string) (Alignment, error) {
	if len(d.Classes) == 0 {
		return Alignment{}, fmt.Errorf("data %s has no labels (%s); give them with --labels", d.Name, d.Why)
	}
	a, err := d.align(outputs, names)
	if err != nil {
		return a, fmt.Errorf("matching %s (%d classes) to the model's %d outputs: %w", d.Name, len(d.Classes), outputs, err)
	}
	for c, more := range a.More {
		for _, o := range more {
			if o >= outputs {
				return a, fmt.Errorf("matching %s to the model: class %q would be output %d, the model has 0 to %d; give another class map by --labels", d.Name, d.Classes[c], o, outputs-1)
			}
		}
	}
	used := map[int]int{}
	for c, o := range a.Output {
		if o < 0 || o >= outputs {
			return a, fmt.Errorf("matching %s to the model: class %q would be output %d, the model has 0 to %d; say which outputs are meant with --class-order, or with a class map by --labels",
				d.Name, d.Classes[c], o, outputs-1)
		}
		if other, ok := used[o]; ok {
			return a, fmt.Errorf("matching %s to the model: classes %q and %q are both output %d", d.Name, d.Classes[other], d.Classes[c], o)
		}
		used[o] = c
	}
	return a, nil
}

func (d *Dataset) align(outputs int, names []string) (Alignment, error) {
	if d.ClassSets != nil {
		a := Alignment{How: "by " + d.MapName + ": an image is right where the prediction is one of the outputs of its class"}
		for _, c := range d.Classes {
			a.Output, a.More = append(a.Output, d.ClassSets[c][0]), append(a.More, d.ClassSets[c][1:])
		}
		return a, nil
	}
	if d.ClassMap != nil {
		return d.byClassMap()
	}
	if d.Order != "" {
		return d.inOrder(outputs)
	}
	if len(names) != outputs || say(names) == 0 {
		names = nil
	}
	if d.Indices != nil {
		if a, ok := d.byNumber(outputs, names); ok {
			return a, nil
		}
	}
	if names != nil {
		if a, missing := d.byNames(names); len(missing) == 0 {
			return a, nil
		} else if a, ok := d.byImageNet(outputs, names); ok {
			return a, nil
		} else if len(missing) < len(d.Classes) {
			return a, fmt.Errorf("the model names its classes (%s), but has no %s; rename the classes or give a class map with --labels",
				text.Some(names, 3), text.Some(missing, 3))
		}
		way := "give a class map with --labels (lines of \"class output\")"
		if len(d.Classes) == outputs {
			way += ", or say with --class-order in which order the classes are the outputs"
		}
		return Alignment{}, fmt.Errorf("%w (%s; the data: %s); %s", ErrOtherNames, text.Some(names, 3), text.Some(d.Classes, 3), way)
	}
	if a, ok := d.byImageNet(outputs, nil); ok {
		return a, nil
	}
	if n := len(d.Classes); n == outputs {
		a := Alignment{Output: make([]int, n), How: InOrder + ": class i is output i"}
		for i := range a.Output {
			a.Output[i] = i
		}
		if d.Indices != nil { // numbers that are names: 0, 90, 180, 270
			a = Alignment{Output: TextOrder.outputs(d.Classes), How: InOrder + ", " + TextOrder.about() + " as torchvision does, for the numbers are not those of outputs"}
		}
		return a, nil
	}
	return Alignment{}, fmt.Errorf("nothing says which outputs are meant; give a class map with --labels (lines of \"class output\")")
}

// lookup is the output of each class by an index of keys of classes.
func (d *Dataset) lookup(how string, index map[string]int, key func(string) string) (a Alignment, missing []string) {
	a = Alignment{Output: make([]int, len(d.Classes)), How: how}
	for i, c := range d.Classes {
		o, ok := index[key(c)]
		if !ok {
			missing = append(missing, c)
		}
		a.Output[i] = o
	}
	return a, missing
}

func asItIs(name string) string { return name }

func (d *Dataset) byClassMap() (Alignment, error) {
	a, missing := d.lookup("by the class map "+d.MapName, d.ClassMap, asItIs)
	if len(missing) > 0 {
		index := map[string]int{}
		var keys []string
		for name := range d.ClassMap {
			keys = append(keys, name)
		}
		slices.Sort(keys)
		of, all := folds(keys)
		for key, i := range of {
			index[key] = d.ClassMap[keys[i]]
		}
		if folded, none := d.lookup(a.How+", names compared without regard to case, spaces, underscores and hyphens", index, fold); len(none) == 0 && all {
			return folded, nil
		}
		return a, fmt.Errorf("the class map %s lacks %d classes (%s)", d.MapName, len(missing), text.Some(missing, 3))
	}
	return a, nil
}

// byNumber takes labels that are numbers as those of outputs, unless the model's names are
// these numbers, or they cannot be: of as many classes as outputs some are too large.
func (d *Dataset) byNumber(outputs int, names []string) (Alignment, bool) {
	if names != nil {
		if _, missing := d.byNames(names); len(missing) == 0 {
			return Alignment{}, false
		}
	}
	last, n := slices.Max(d.Indices), len(d.Classes)
	if last >= outputs && n == outputs {
		if slices.Min(d.Indices) == 1 && last == n {
			a := Alignment{Output: make([]int, n), How: fmt.Sprintf("by number: labels are 1 to %d, output numbers one less", n)}
			for i, v := range d.Indices {
				a.Output[i] = v - 1
			}
			return a, true
		}
		return Alignment{}, false
	}
	return Alignment{Output: slices.Clone(d.Indices), How: "by number: labels are output numbers"}, true
}

// byNames matches the classes to the model's names.
func (d *Dataset) byNames(names []string) (a Alignment, missing []string) {
	index := map[string]int{}
	for i, s := range names {
		index[s] = i
	}
	const how = "by the class names in the model"
	if a, missing = d.lookup(how, index, asItIs); len(missing) == 0 {
		return a, nil
	}
	of, _ := folds(names)
	if _, all := folds(d.Classes); !all {
		return a, missing // some classes are told apart by what folding takes away
	}
	return d.lookup(how+", without regard to case, spaces, underscores and hyphens", of, fold)
}

// say counts the names that say more than the number of their output, as LABEL_3, class 3
// and 3 do not.
func say(names []string) int {
	n := 0
	for i, name := range names {
		key := strings.TrimRight(fold(name), "0123456789")
		if rest := fold(name)[len(key):]; rest != strconv.Itoa(i) || !slices.Contains([]string{"", "label", "class", "output", "c", "n"}, key) {
			n++
		}
	}
	return n
}

// byImageNet matches classes that are all ImageNet's, by synset or name. Outputs are in the
// order of the model's names where these are ImageNet's as well, else sorted by synset.
func (d *Dataset) byImageNet(outputs int, names []string) (Alignment, bool) {
	a := Alignment{Output: make([]int, len(d.Classes)), How: "by ImageNet class name"}
	if !slices.ContainsFunc(d.Classes, func(c string) bool { return !wnid.MatchString(c) }) {
		a.How = "by ImageNet synset"
	}
	for i, c := range d.Classes {
		at, ok := imageNetClass(c)
		if !ok {
			return a, false
		}
		a.Output[i] = at
	}
	if names == nil {
		if outputs != 1000 && outputs != 1001 {
			return a, false
		}
		if outputs == 1001 {
			a.How += ", output 0 being the background"
			for i := range a.Output {
				a.Output[i]++
			}
		}
		return a, true
	}
	// Two names of lists in use stand for two classes each (crane, maillot): what is there
	// twice says nothing.
	output, twice := map[int]int{}, map[int]bool{} // by ImageNet class
	agree, other := 0, 0
	for i, name := range names {
		at, ok := imageNetClass(name)
		if !ok {
			continue
		}
		if _, there := output[at]; there {
			twice[at] = true
		}
		output[at] = i
		if i == at+outputs-1000 {
			agree++
		} else {
			other++
		}
	}
	if (outputs == 1000 || outputs == 1001) && agree >= 900 && other <= 10 {
		for i := range a.Output {
			a.Output[i] += outputs - 1000
		}
		a.How += "; the model's names are in the order of the synsets"
		return a, true
	}
	for i, at := range a.Output {
		o, ok := output[at]
		if !ok || twice[at] {
			return a, false
		}
		a.Output[i] = o
	}
	a.How += " and the class names in the model"
	return a, true
}

// Order is another way in which a dataset's classes may have been numbered
// when a model was trained.
type Order struct {
	Name   string
	Flag   ClassOrder // that asks for it; empty where none does
	Output []int      // by class
}

// Orders lists the numberings that are known to be mixed up, for telling why an
// accuracy is low.
func (d *Dataset) Orders(outputs int) []Order {
	n := len(d.Classes)
	var orders []Order
	for _, o := range ClassOrders() {
		if o == NumericOrder && slices.ContainsFunc(d.Classes, func(c string) bool { return !digits(c) }) {
			continue
		}
		order := Order{Name: o.about(), Output: o.outputs(d.Classes)}
		if n == outputs {
			order.Flag = o
		}
		orders = append(orders, order)
	}
	shift := func(name string, by int) {
		o := Order{Name: name, Output: make([]int, n)}
		for i := range n {
			o.Output[i] = i + by
			if d.Indices != nil {
				o.Output[i] = d.Indices[i] + by
			}
		}
		orders = append(orders, o)
	}
	shift("labels one higher (output 0 is a background class)", 1)
	shift("labels one lower (labels start at 1)", -1)
	if outputs >= 1000 {
		classes := ImageNet()
		index := imageNetIndex()
		toSorted := make([]int, 1000) // devkit number - 1 -> sorted index
		for i, c := range classes {
			toSorted[c.Devkit-1] = i
		}
		from := Order{Name: "ILSVRC devkit order in the data, sorted synsets in the model", Output: make([]int, n)}
		to := Order{Name: "sorted synsets in the data, ILSVRC devkit order in the model", Output: make([]int, n)}
		for i, c := range d.Classes {
			at, ok := index[c]
			if !ok {
				at = i
				if d.Indices != nil {
					at = d.Indices[i]
				}
			}
			from.Output[i], to.Output[i] = -1, -1
			if at >= 0 && at < 1000 {
				from.Output[i], to.Output[i] = toSorted[at], classes[at].Devkit-1
			}
		}
		orders = append(orders, from, to)
	}
	return orders
}
