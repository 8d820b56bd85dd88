package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"cutmix-eval/internal/text"
)

// Alignment says which output of a model each class of a dataset is.
type Alignment struct {
	Output []int   // by class
	More   [][]int // further outputs by class, which are right as well; nil where classes have one each
	How    string  // for people
	// Called is what people call each output, empty where that is not known; nil where it is of none.
	Called []string
}

// ErrOtherNames is wrapped where none of the data's classes has a name of the model's.
var ErrOtherNames = errors.New("the model calls its classes otherwise")

// otherNames is ErrOtherNames of what gives the scores.
type otherNames struct{ scorer string }

func (e otherNames) Error() string        { return e.scorer + " calls its classes otherwise" }
func (e otherNames) Is(target error) bool { return target == ErrOtherNames }

// scorer is what gives the class scores.
func (d *Dataset) scorer() string { return cmp.Or(d.Scorer, "the model") }

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
		return a, fmt.Errorf("matching %s (%d classes) to %s's %d outputs: %w", d.Name, len(d.Classes), d.scorer(), outputs, err)
	}
	for c, more := range a.More {
		for _, o := range more {
			if o >= outputs {
				return a, fmt.Errorf("matching %s to %s: class %q would be output %d, %s has 0 to %d; give another class map by --labels", d.Name, d.scorer(), d.Classes[c], o, d.scorer(), outputs-1)
			}
		}
	}
	used := map[int]int{}
	for c, o := range a.Output {
		if o < 0 || o >= outputs {
			way := "say which outputs are meant with --class-order, or with a class map by --labels"
			if o == outputs && d.Indices != nil && d.Order == "" && d.Indices[0] > 0 {
				way = "if labels count from 1, give --class-order from-1, else a class map by --labels"
			}
			return a, fmt.Errorf("matching %s to %s: class %q%s would be output %d, %s has 0 to %d; %s", d.Name, d.scorer(), d.Classes[c], d.such(c), o, d.scorer(), outputs-1, way)
		}
		if other, ok := used[o]; ok {
			return a, fmt.Errorf("matching %s to %s: classes %q and %q are both output %d", d.Name, d.scorer(), d.Classes[other], d.Classes[c], o)
		}
		used[o] = c
	}
	a.Called = d.outputsCalled(a.Output, outputs, telling(names, outputs))
	return a, nil
}

// such names an image of a class, in words.
func (d *Dataset) such(class int) string {
	for _, s := range d.Samples {
		if s.Label == class {
			return " (of " + s.ID + ")"
		}
	}
	return ""
}

// telling is the names of a model's outputs where each has one and they say more than numbers; else nil.
func telling(names []string, outputs int) []string {
	if len(names) != outputs || say(names) == 0 {
		return nil
	}
	return names
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
	names = telling(names, outputs)
	if d.Indices != nil {
		if a, ok, err := d.byCalled(names); ok || err != nil {
			return a, err
		}
		if a, ok := d.byNumber(outputs, names); ok {
			return a, nil
		}
	}
	if a, b, ok := alike(d.Classes); ok {
		if exact, missing := d.lookup("by the class names in "+d.scorer(), byName(names), asItIs); names != nil && len(missing) == 0 {
			return exact, nil
		}
		return Alignment{}, fmt.Errorf("the classes %q and %q differ only in case, spaces, underscores, hyphens or Unicode form, so whether they are one is unclear; write one like the other, or give a class map of both with --labels", a, b)
	}
	if names != nil {
		if a, missing := d.byNames(names); len(missing) == 0 {
			return a, nil
		} else if a, ok := d.byImageNet(outputs, names); ok {
			return a, nil
		} else if len(missing) < len(d.Classes) {
			return a, fmt.Errorf("%s names its classes (%s), but has no %s; rename the classes or give a class map with --labels",
				d.scorer(), text.Some(names, 3), text.Some(missing, 3))
		}
		way := "give a class map with --labels (lines of \"class output\")"
		if len(d.Classes) == outputs {
			way += ", or say with --class-order in which order the classes are the outputs"
		}
		return Alignment{}, fmt.Errorf("%w (%s; the data: %s); %s", otherNames{d.scorer()}, text.Some(names, 3), text.Some(d.Classes, 3), way)
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
			a = Alignment{Output: TextOrder.outputs(d.Classes), How: InOrder + ", " + TextOrder.about(d.Classes) + " as torchvision does, for the numbers are not those of outputs"}
			within := 0
			for _, v := range d.Indices {
				if v < outputs {
					within++
				}
			}
			if 2*within > n {
				return a, fmt.Errorf("most of its labels are numbers of outputs, but %d%s is none (the model has 0 to %d); mend the label, or say with --class-order in which order the classes are the outputs",
					slices.Max(d.Indices), d.such(slices.Index(d.Indices, slices.Max(d.Indices))), outputs-1)
			}
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
	how := "by the class map " + d.MapName
	a, missing := d.lookup(how, d.ClassMap, asItIs)
	if len(missing) == 0 {
		return a, nil
	}
	index, first, clash := map[string]int{}, map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.ClassMap)) {
		key, output := fold(name), d.ClassMap[name]
		switch old, there := index[key]; {
		case !there:
			index[key], first[key] = output, name
		case old != output:
			clash[key] = name
		}
	}
	for _, class := range d.Classes {
		if key := fold(class); clash[key] != "" {
			return a, fmt.Errorf("the class map %s has %q and %q, which are the same but for case, spaces, underscores and hyphens, as different outputs, and class %q could be either; write it as the data does",
				d.MapName, first[key], clash[key], class)
		}
	}
	folded, none := d.lookup(how+", names compared without regard to case, spaces, underscores and hyphens", index, fold)
	if len(none) == 0 {
		return folded, nil
	}
	return a, fmt.Errorf("the class map %s lacks %d classes (%s)", d.MapName, len(none), text.Some(none, 3))
}

// byCalled matches labels that are numbers by what the data's own files call them. Where the model
// has these names, they must not contradict the numbers in part.
func (d *Dataset) byCalled(names []string) (a Alignment, ok bool, err error) {
	if d.Called == nil || names == nil {
		return a, false, nil
	}
	index, _ := folds(names)
	for i, name := range names {
		if _, there := index[fold(firstName(name))]; !there {
			index[fold(firstName(name))] = i
		}
	}
	a = Alignment{Output: make([]int, len(d.Classes)), How: "by the names of the labels, which are the class names in " + d.scorer()}
	found, other := 0, -1
	for c, called := range d.Called {
		o, there := index[fold(called)]
		if !there {
			continue
		}
		found++
		if a.Output[c] = o; o != d.Indices[c] {
			other = c
		}
	}
	if found == len(d.Classes) {
		return a, true, nil
	}
	if other >= 0 {
		return a, false, fmt.Errorf("label %d is called %q, which the model calls output %d, and not all names of labels are the model's; make them so, or say with --class-order numeric or a class map by --labels which outputs are meant",
			d.Indices[other], d.Called[other], a.Output[other])
	}
	return a, false, nil
}

// byNumber takes labels that are numbers as those of outputs, unless the model's names are
// these numbers, or they cannot be: of as many classes as outputs some are too large. Most of the
// numbers from 1 to that of the outputs count from 1.
func (d *Dataset) byNumber(outputs int, names []string) (Alignment, bool) {
	if names != nil {
		if _, missing := d.byNames(names); len(missing) == 0 {
			return Alignment{}, false
		}
	}
	first, last, n := slices.Min(d.Indices), slices.Max(d.Indices), len(d.Classes)
	switch {
	case first >= 1 && last == outputs && (first == 1 && n == outputs || n < outputs && 2*n > outputs):
		a := Alignment{Output: make([]int, n), How: fmt.Sprintf("by number: labels are 1 to %d, output numbers one less", outputs)}
		for i, v := range d.Indices {
			a.Output[i] = v - 1
		}
		return a, true
	case last >= outputs && n == outputs:
		return Alignment{}, false
	}
	a := Alignment{Output: slices.Clone(d.Indices), How: "by number: labels are output numbers"}
	if first == 1 && n > 1 {
		a.How += fmt.Sprintf(", and none is 0: if they count from 1, give --class-order %s", FromOne)
	}
	return a, true
}

// ClassOf is the class that each name means, -1 for none: the one of that name, without regard to case,
// spaces, underscores, hyphens and Unicode form, or of that ImageNet class.
func (d *Dataset) ClassOf(names []string) []int {
	exact, imageNet := map[string]int{}, map[int]int{}
	for i, c := range d.Classes {
		exact[c] = i
		if at, ok := imageNetClass(c); ok {
			imageNet[at] = i
		}
	}
	folded, _ := folds(d.Classes)
	out := make([]int, len(names))
	for i, name := range names {
		class, ok := exact[name]
		if !ok {
			class, ok = folded[fold(name)]
		}
		if at, is := imageNetClass(name); !ok && is && len(imageNet) == len(d.Classes) {
			class, ok = imageNet[at]
		}
		if out[i] = class; !ok {
			out[i] = -1
		}
	}
	return out
}

// ImageNet says whether all classes are ImageNet's, by synset or name.
func (d *Dataset) ImageNet() bool {
	return !slices.ContainsFunc(d.Classes, func(c string) bool { _, ok := imageNetClass(c); return !ok })
}

// byName is the index of each name.
func byName(names []string) map[string]int {
	index := map[string]int{}
	for i, s := range names {
		index[s] = i
	}
	return index
}

// alike finds two classes of more than a letter that differ only in what does not tell names apart.
func alike(classes []string) (a, b string, ok bool) {
	seen := map[string]string{}
	for _, c := range classes {
		key := fold(c)
		if first, there := seen[key]; there && utf8.RuneCountInString(key) > 1 {
			return first, c, true
		}
		seen[key] = c
	}
	return "", "", false
}

// byNames matches the classes to the model's names.
func (d *Dataset) byNames(names []string) (a Alignment, missing []string) {
	index := byName(names)
	how := "by the class names in " + d.scorer()
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
		a.How += "; " + d.scorer() + "'s names are in the order of the synsets"
		return a, true
	}
	for i, at := range a.Output {
		o, ok := output[at]
		if !ok || twice[at] {
			return a, false
		}
		a.Output[i] = o
	}
	a.How += " and the class names in " + d.scorer()
	return a, true
}
