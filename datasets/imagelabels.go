package datasets

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// noLabel says whether a cell stands for a missing label, as programs write it.
func noLabel(s string) bool {
	switch strings.ToLower(s) {
	case "", "nan", "null", "n/a", "<na>", "#n/a":
		return true
	}
	return s == "None" || s == "NA"
}

// perImage takes labels row by row. Labels are whole numbers, however written, or names whose
// sorted order is the class order, unless the table has an order of its own.
func (l *labelFile) perImage(t table, match []int) error {
	values := make([]string, len(t.rows))
	all := make([]int, 0, len(t.rows)) // as numbers
	numbers, broken := 0, -1
	width := len(t.header)
	if t.header == nil {
		width = len(t.rows[0])
	}
	for i, row := range t.rows {
		v := t.cell(row, t.label)
		if len(row) > width && strings.Join(row[width:], "") != "" {
			return fmt.Errorf("%s has %d cells, the first line %d; put quotes around a cell that has a %q in it", t.where(i), len(row), width, t.comma)
		}
		if synset, rest, ok := strings.Cut(v, " "); ok && wnid.MatchString(synset) { // Kaggle: synset x y x y; or synset name
			if other, named := otherClass(synset, rest); other {
				return fmt.Errorf("%s: label %q contradicts itself: %s is %s", t.where(i), v, synset, named)
			}
			v = synset
		}
		switch {
		case v == "":
			return fmt.Errorf("%s (%s) has no label", t.where(i), t.cell(row, t.path))
		case !utf8.ValidString(v):
			return fmt.Errorf("%s (%s) has the label %q, which is not UTF-8; save the file in UTF-8", t.where(i), printable(t.cell(row, t.path)), v)
		case noLabel(v):
			return fmt.Errorf("%s (%s) has the label %q, which stands for none; leave the image out, or give its class", t.where(i), t.cell(row, t.path), v)
		case t.json && (v[0] == '[' || v[0] == '{'):
			return fmt.Errorf("%s (%s) has the label %s; for several labels per image give the file with --multi-label", t.where(i), t.cell(row, t.path), shorten(v))
		case strings.ContainsRune(v, '\n'):
			return fmt.Errorf("%s: its label goes over several lines; a quote is probably not closed", t.where(i))
		}
		n, number, whole := wholeNumber(v)
		if number {
			numbers++
			if !whole && broken < 0 {
				broken = i
			}
		}
		values[i], all = v, append(all, n)
	}
	index := map[string]int{}
	switch {
	case numbers == len(values) && broken >= 0:
		return fmt.Errorf("%s: label %s is no whole number; labels are numbers of classes or their names", t.where(broken), values[broken])
	case numbers == len(values):
		l.kind = "label of each image, as numbers"
		for i, n := range all {
			if n < Unlabelled {
				return fmt.Errorf("%s: label %d is below -1", t.where(i), n)
			}
			values[i] = strconv.Itoa(n) // "007" and "7.0" are 7
			if n >= 0 {
				l.indices = append(l.indices, n)
			}
		}
		slices.Sort(l.indices)
		l.indices = slices.Compact(l.indices)
		for i, n := range l.indices {
			l.names = append(l.names, strconv.Itoa(n))
			index[strconv.Itoa(n)] = i
		}
		index[strconv.Itoa(Unlabelled)] = Unlabelled
		if err := l.callNumbers(t, values); err != nil {
			return err
		}
	case t.order != nil:
		l.kind = "a column per class, in the order of the columns"
		l.names = t.order
	default:
		l.kind = "label of each image, names sorted"
		l.names = slices.Clone(values)
		slices.Sort(l.names)
		l.names = slices.Compact(l.names)
		if numbers > 0 && slices.ContainsFunc(l.names, func(n string) bool { _, number, _ := wholeNumber(n); return number && len(n) > 1 }) {
			l.notes = append(l.notes, fmt.Sprintf("%d of %d labels in %s are numbers and the others are not, so all are taken for names of classes, sorted as text", numbers, len(values), filepath.Base(l.path)))
		}
	}
	for i, n := range l.names {
		index[n] = i
	}
	return l.assign(t, match, values, index)
}

// assign gives images the labels of their rows, as index has them.
func (l *labelFile) assign(t table, match []int, values []string, index map[string]int) error {
	l.label = map[int]int{}
	row := map[int]int{}        // of the first label, by image
	missing := map[string]int{} // the same, by name
	again, at := 0, -1
	for i, v := range values {
		name := printable(t.cell(t.rows[i], t.path))
		first, twice := row[match[i]]
		if match[i] < 0 {
			first, twice = missing[name]
		}
		switch {
		case twice && index[values[first]] != index[v]:
			return fmt.Errorf("image %s has two labels, %s (%s) and %s (%s); leave one of the two", name, values[first], t.where(first), v, t.where(i))
		case twice:
			if again++; at < 0 {
				at = i
			}
			continue
		case match[i] < 0:
			missing[name] = i
			l.absent = append(l.absent, absent{name, index[v]})
			continue
		}
		row[match[i]] = i
		l.label[match[i]] = index[v]
	}
	if again > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%d rows of %s give an image again, with the same label (first: %s); each image counts once", again, filepath.Base(l.path), t.where(at)))
	}
	return nil
}

// callNumbers takes the names that a table has beside labels that are numbers.
func (l *labelFile) callNumbers(t table, values []string) error {
	if t.called < 0 {
		return nil
	}
	called, first := map[string]string{}, map[string]int{}
	words := false
	for i, row := range t.rows {
		name := t.cell(row, t.called)
		_, number, _ := wholeNumber(name)
		words = words || !number
		if old, ok := called[values[i]]; ok && old != name && fold(old) != fold(name) {
			if j := first[values[i]]; strings.HasSuffix(fold(t.header[t.called]), "name") {
				return fmt.Errorf("label %s is called %q (%s) and %q (%s); one label has one name", values[i], old, t.where(j), name, t.where(i))
			}
			return nil // something else than names
		} else if !ok {
			called[values[i]], first[values[i]] = name, i
		}
	}
	if words {
		l.called = called
	}
	return nil
}
