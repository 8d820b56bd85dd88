package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// classMap reads rows of a class and its output, in either order, with a header or without, or
// a list of classes in output order.
func (l *labelFile) classMap(t table, dirs []string) error {
	if t.header != nil { // a first line that was taken for a header of images is a row again
		t.rows, t.lines = slices.Insert(t.rows, 0, t.header), slices.Insert(t.lines, 0, t.lines[0]-1)
	}
	known := map[string]bool{}
	for _, d := range dirs {
		known[d] = true
	}
	classes, outputs, err := t.classes(known)
	if err != nil {
		return err
	}
	if err := l.synsets(classes, known); err != nil {
		return err
	}
	if outputs == nil && len(classes) >= wordNetList && len(l.called) >= wordNetList {
		l.kind = "names of WordNet's synsets"
		return nil
	}
	l.kind = "class map"
	if outputs == nil {
		l.kind = "list of classes in output order"
	}
	l.classes = map[string]int{}
	twice := map[string]bool{} // names such as "crane" are two classes
	for i, class := range classes {
		output := i
		if outputs != nil {
			output = outputs[i]
		}
		if old, ok := l.classes[class]; ok && old != output {
			if known[class] {
				return fmt.Errorf("class %q occurs twice, as outputs %d and %d", class, old, output)
			}
			twice[class] = true
		}
		l.classes[class] = output
	}
	for name := range twice {
		delete(l.classes, name)
	}
	l.alias(dirs)
	if slices.ContainsFunc(dirs, func(d string) bool { _, ok := l.classes[d]; return ok }) {
		return nil
	}
	// Names that agree but for case, spaces and hyphens; or names for folders that are numbers.
	folded := map[string]bool{}
	for _, d := range dirs {
		folded[fold(d)] = true
	}
	if slices.ContainsFunc(classes, func(c string) bool { return folded[fold(c)] }) {
		return nil
	}
	if outputs == nil && len(dirs) > 0 && !slices.ContainsFunc(dirs, func(d string) bool { return !digits(d) || number(d) >= len(classes) }) {
		l.classes, l.display, l.kind = nil, classes, "names of the classes in output order"
		return nil
	}
	return errors.New("it names neither images nor class folders of the data")
}

// alias adds folders that are the first of several names of a class, or what a synset is called.
func (l *labelFile) alias(dirs []string) {
	of := map[string]int{} // output by folded name; -1 for several
	for class, output := range l.classes {
		for _, name := range []string{firstName(class), firstName(l.called[class])} {
			if old, ok := of[fold(name)]; ok && old != output {
				of[fold(name)] = -1
			} else {
				of[fold(name)] = output
			}
		}
	}
	exact := map[string]bool{}
	for class := range l.classes {
		exact[fold(class)] = true
	}
	for _, d := range dirs {
		if o, ok := of[fold(d)]; ok && o >= 0 && !exact[fold(d)] {
			l.classes[d] = o
		}
	}
}

// classes reads the rows of a class map. outputs is nil where only classes are listed. known
// are the class folders.
func (t table) classes(known map[string]bool) (classes []string, outputs []int, err error) {
	// Each row may be a class and a number, a number and a class, or a class alone; a header is
	// none of the three.
	read := func(row []string) (class string, output int, ok bool) {
		if len(row) < 2 {
			return row[0], 0, false
		}
		if v, _, whole := wholeNumber(row[len(row)-1]); whole && v >= 0 {
			if name := strings.TrimSpace(strings.TrimRight(row[0], ":=")); name != "" && !known[row[0]] {
				return name, v, true
			}
			return row[0], v, true
		}
		whole := strings.Join(row, t.between())
		if first, rest, cut := strings.Cut(whole, " "); cut && !known[whole] {
			if v, _, ok := wholeNumber(strings.TrimRight(first, ":.,)=")); ok && v >= 0 {
				return strings.TrimSpace(rest), v, true
			}
		}
		return row[0], 0, false
	}
	mapped := 0
	for _, row := range t.rows {
		if _, _, ok := read(row); ok {
			mapped++
		}
	}
	rows, lines := t.rows, t.lines
	if _, _, ok := read(rows[0]); !ok && mapped > 0 && mapped == len(rows)-1 && !known[rows[0][0]] {
		rows, lines = rows[1:], lines[1:] // a header
	}
	if mapped == 0 && len(rows) > 1 && len(rows[0]) == 1 && headsNames(rows[0][0]) && !known[rows[0][0]] {
		rows, lines = rows[1:], lines[1:]
	}
	for i, row := range rows {
		class, output, ok := read(row)
		switch {
		case mapped == 0:
			if whole := strings.Join(row, t.between()); len(row) > 1 && (!known[class] || wnid.MatchString(class) || t.comma == 0 && known[whole]) {
				class = whole // a class name with a space in it, or names of one class
			}
		case !ok:
			return nil, nil, fmt.Errorf("%s %d: %q is not a class and the number of a model output", t.unit, lines[i], strings.Join(row, " "))
		default:
			outputs = append(outputs, output)
		}
		classes = append(classes, class)
	}
	return classes, outputs, nil
}

// headsNames says whether a cell is the header of a list of classes.
func headsNames(cell string) bool {
	return slices.Contains([]string{"name", "names", "class", "classes", "classname", "classnames", "labels"}, fold(strings.TrimSuffix(cell, ":")))
}

// between is what stands between the words of a class whose line was cut in cells.
func (t table) between() string {
	if t.comma == ',' {
		return ", "
	}
	return " "
}

// outputSets is an object of classes and lists of outputs.
func outputSets(of []member) (map[string][]int, bool) {
	sets := map[string][]int{}
	for _, m := range of {
		var outputs []int
		if json.Unmarshal(m.value, &outputs) != nil {
			return nil, false
		}
		sets[m.key] = outputs
	}
	return sets, len(sets) > 0
}

// classObject reads a JSON object of classes and outputs, or of outputs and the names of classes.
func (l *labelFile) classObject(of []member) error {
	if sets, ok := outputSets(of); ok {
		l.sets, l.kind = sets, "JSON class map, several outputs per class"
		return checkSets(sets)
	}
	l.kind = "JSON class map"
	l.classes = map[string]int{}
	names := !slices.ContainsFunc(of, func(m member) bool {
		text, ok := m.text()
		_, _, whole := wholeNumber(text)
		return !ok || !whole
	})
	if names {
		for _, m := range of {
			text, _ := m.text()
			if l.classes[m.key], _, _ = wholeNumber(text); l.classes[m.key] < 0 {
				return fmt.Errorf("class %q has output %s", m.key, text)
			}
		}
		return nil
	}
	twice := map[string]bool{} // names such as "crane" are two classes; synsets tell them apart
	for _, m := range of {
		n, _, whole := wholeNumber(m.key)
		var names []string
		text, one := m.text()
		switch {
		case !whole || n < 0:
			return fmt.Errorf("JSON key %q is not the number of a model output", m.key)
		case json.Unmarshal(m.value, &names) == nil:
		case one:
			names = []string{text}
		default:
			return fmt.Errorf("JSON value of %q is not a name or a list of names", m.key)
		}
		if len(names) == 2 && wnid.MatchString(names[0]) {
			l.call(names[0], names[1])
		}
		for _, name := range names {
			if old, ok := l.classes[name]; ok && old != n {
				twice[name] = true
			}
			l.classes[name] = n
		}
	}
	for name := range twice {
		delete(l.classes, name)
	}
	return nil
}
