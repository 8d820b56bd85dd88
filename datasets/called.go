package datasets

import (
	"fmt"
	"slices"
	"strings"
)

// wordNetList is how long a list of synsets and names is that has all of WordNet: its lines are
// no outputs. ImageNet-21k has 21,843 classes.
const wordNetList = 50_000

// synsets cuts lines of "synset name" in two, and notes the names. What are class folders as they
// are stays so.
func (l *labelFile) synsets(lines []string, known map[string]bool) error {
	for i, line := range lines {
		synset, name, _ := strings.Cut(line, " ")
		if synset = strings.TrimSuffix(synset, ","); !wnid.MatchString(synset) || name == "" || known[line] {
			continue
		}
		number, _, _ := strings.Cut(name, " ")
		if _, ok, _ := wholeNumber(strings.TrimSuffix(number, ",")); ok {
			return fmt.Errorf("%q has a number between synset and name, which may count anything, as in the ILSVRC devkit's list; write lines of \"class output\"", line)
		}
		if other, called := otherClass(synset, name); other {
			return fmt.Errorf("%q contradicts itself: %s is %s", line, synset, called)
		}
		l.call(synset, name)
		lines[i] = synset
	}
	return nil
}

// call notes what people call a class.
func (l *labelFile) call(class, name string) {
	if l.called == nil {
		l.called = map[string]string{}
	}
	l.called[class] = name
}

// call takes the names that a label file has for classes.
func (d *Dataset) call(l *labelFile) {
	if len(l.called) > 0 {
		d.Called = d.names(l.called)
	}
}

func (d *Dataset) names(called map[string]string) []string {
	out := make([]string, len(d.Classes))
	for i, c := range d.Classes {
		out[i] = firstName(called[c])
	}
	return out
}

// mapClasses takes a class map, or names of classes that are numbers.
func (d *Dataset) mapClasses(l *labelFile, file string) {
	d.ClassMap, d.MapName = l.classes, file
	d.call(l)
	if l.display == nil {
		return
	}
	names, seen := make([]string, len(d.Indices)), map[string]bool{}
	for i, n := range d.Indices {
		names[i] = l.display[n]
		seen[names[i]] = true
	}
	if len(seen) == len(names) {
		copy(d.Classes, names)
	} else {
		d.Called = names // some are called alike: the numbers tell them apart
	}
}

// firstName is the first of several names that stand for one class, as in "tench, Tinca tinca".
func firstName(names string) string {
	first, _, _ := strings.Cut(names, ",")
	return strings.TrimSpace(first)
}

// synsetFiles are those that say beside images what synsets are called.
var synsetFiles = []string{"LOC_synset_mapping.txt", "words.txt", "synset_words.txt", "imagenet_synsets.txt"}

// classesCalled is what people call the classes: as a file of labels says, or of synsets a file
// among the images or ImageNet's own list. It is nil where none says anything.
func (d *Dataset) classesCalled() []string {
	if d.Called != nil || !slices.ContainsFunc(d.Classes, wnid.MatchString) {
		return d.Called
	}
	called := map[string]string{}
	for _, c := range ImageNet() {
		called[c.Synset] = strings.ReplaceAll(c.Name, "_", " ")
	}
	for _, name := range synsetFiles {
		data, _, ok := d.Companion(name)
		if !ok {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) > 1 && wnid.MatchString(f[0]) {
				called[f[0]] = strings.TrimSpace(line[strings.Index(line, f[0])+len(f[0]):])
			}
		}
	}
	return d.names(called)
}

// outputsCalled is what people call the outputs of a model, empty where that is not known; nil
// where it is of none. output is that of each class, names those that the model has, or nil.
func (d *Dataset) outputsCalled(output []int, outputs int, names []string) []string {
	out := make([]string, outputs)
	some := false
	set := func(o int, name string) {
		if o >= 0 && o < outputs && name != "" {
			out[o], some = name, true
		}
	}
	switch {
	case names != nil:
		for o, name := range names {
			if at, ok := imageNetIndex()[name]; ok {
				name = strings.ReplaceAll(ImageNet()[at].Name, "_", " ")
			}
			set(o, firstName(name))
		}
	case d.sorted(output, outputs):
		for i, c := range ImageNet() {
			set(i+outputs-1000, strings.ReplaceAll(c.Name, "_", " "))
		}
	}
	for c, name := range d.classesCalled() {
		set(output[c], name)
	}
	if !some {
		return nil
	}
	return out
}

// sorted says whether the outputs are ImageNet's classes in the order of the synsets, as far as the data's classes show.
func (d *Dataset) sorted(output []int, outputs int) bool {
	if outputs != 1000 && outputs != 1001 {
		return false
	}
	for c, o := range output {
		if at, ok := imageNetClass(d.Classes[c]); !ok || at+outputs-1000 != o {
			return false
		}
	}
	return true
}

// otherClass says whether a name beside an ImageNet synset is that of another class, and what the synset is called.
func otherClass(synset, names string) (other bool, called string) {
	at, ok := imageNetIndex()[synset]
	if !ok {
		return false, ""
	}
	called = ImageNet()[at].Name
	key := fold(firstName(names))
	if key == "crane" { // a bird and a machine
		return false, called
	}
	i, known := imageNetNames()[key]
	return known && i != at, called
}
