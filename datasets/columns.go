package datasets

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/text"
)

// Column names, best first, without what fold takes away.
var (
	pathColumns = []string{
		"path", "filepath", "imagepath", "imgpath", "file", "filename", "imagefile", "image", "imageid", "imagename", "imagefilename",
		"img", "imgname", "picture", "photo", "key", "id", "name",
	}
	labelColumns = []string{
		"label", "target", "index", "labelindex", "classindex", "classid", "imagenetindex", "labelid", "labelidx", "classidx", "targetid",
		"categoryid", "class", "labels", "targets", "wnid", "synset", "category", "classname", "labelname", "groundtruth", "gt", "ytrue", "predictionstring",
	}
	// calledColumns name classes that another column numbers.
	calledColumns = []string{"classname", "labelname", "categoryname", "targetname", "labeltext", "displayname", "class", "category"}
)

// find is the column that a header calls by one of some names, -1 for none.
func (t *table) find(names []string) int {
	for _, n := range names {
		if i := slices.IndexFunc(t.header, func(cell string) bool { return fold(cell) == n }); i >= 0 {
			return i
		}
	}
	return -1
}

// locate finds the header, the column of images and the column of labels. isImage says whether
// a cell names an image; asked is the column of labels where the user named one, else empty. What
// the columns are called counts where it is known; else the column whose cells are images is that
// of the images, and the first line is a header where it names no image and no label that others have.
func (t *table) locate(isImage func(cell string) bool, asked string) error {
	first := t.rows[0]
	t.header = first
	if asked != "" {
		return t.ask(asked, isImage)
	}
	if p, l := t.find(pathColumns), t.find(labelColumns); p >= 0 && l >= 0 && p != l {
		t.label = l
		t.behead()
		if len(t.rows) == 0 {
			t.path = p
			return nil
		}
		if t.path = t.mostly(isImage, l); !t.any(p, isImage) && t.any(t.path, isImage) {
			return t.findCalled()
		}
		t.path = p
		return t.findCalled()
	}
	t.header = nil
	t.path = t.mostly(isImage, -1)
	t.label = 1
	if t.path == 1 {
		t.label = 0
	}
	if len(first) < 2 {
		return nil
	}
	if len(first) > 2 {
		if !t.isHeader(first, isImage) {
			return t.onlyFit(isImage)
		}
		t.header = first
		t.behead()
		if l := t.find(labelColumns); l >= 0 && l != t.path {
			t.label = l
			return t.findCalled()
		}
		return t.oneLabel()
	}
	if isImage(t.cell(first, t.path)) || imageName(t.cell(first, t.path)) || len(t.rows) < 2 {
		return nil
	}
	label := t.cell(first, t.label)
	if slices.ContainsFunc(t.rows[1:], func(row []string) bool { return t.cell(row, t.label) == label }) {
		return nil // an image that is not there, of a class that others are of
	}
	if _, number, _ := wholeNumber(label); number {
		return nil // an image that is not there
	}
	t.header = first
	t.behead()
	return nil
}

// ask takes the column of labels that the user names, by what the header calls it or by its
// number, from 1.
func (t *table) ask(asked string, isImage func(string) bool) error {
	l := slices.IndexFunc(t.header, func(cell string) bool { return cell == asked })
	if l < 0 {
		l = slices.IndexFunc(t.header, func(cell string) bool { return fold(cell) == fold(asked) })
	}
	n, err := strconv.Atoi(asked)
	switch {
	case l >= 0:
		t.behead()
	case err == nil && n >= 1 && n <= len(t.rows[0]):
		l = n - 1
		if t.isHeader(t.rows[0], isImage) {
			t.behead()
		} else {
			t.header = nil
		}
	default:
		return fmt.Errorf("--label-column %q: its columns are %s; name one of them, or give its number, from 1", asked, text.Some(t.header, 20))
	}
	t.label = l
	if len(t.rows) > 0 {
		t.path = t.mostly(isImage, l)
	}
	if t.path == l {
		return fmt.Errorf("--label-column %q: no other column names images of the data", asked)
	}
	return t.findCalled()
}

// isHeader says whether a first row of several cells is a header: it names no image, and has no
// number unless it is of those columns of 0 and 1 that are called by numbers.
func (t *table) isHeader(first []string, isImage func(string) bool) bool {
	if p := t.cell(first, t.path); imageName(p) || isImage(p) || len(t.rows) < 2 {
		return false
	}
	numbers, truths := 0, true
	for c, cell := range first {
		if _, number, _ := wholeNumber(cell); number && c != t.path {
			numbers++
		}
	}
	for _, row := range t.rows[1:] {
		for c := range row {
			if _, ok := truth(row[c]); !ok && c != t.path {
				truths = false
			}
		}
	}
	return numbers == 0 || truths && (t.find(pathColumns) >= 0 || numbers == len(first)-1)
}

// onlyFit takes the columns of a table of three or more that has no header: there must be one
// alone that can be images of the data, and one alone that can be labels.
func (t *table) onlyFit(isImage func(string) bool) error {
	var images, labels []string // numbers of columns, from 1
	for c := range t.rows[0] {
		switch {
		case 2*t.hits(c, isImage) >= min(len(t.rows), sampledRows):
			images, t.path = append(images, strconv.Itoa(c+1)), c
		case t.fitsLabels(c):
			labels, t.label = append(labels, strconv.Itoa(c+1)), c
		}
	}
	switch {
	case len(images) == 0: // it may be a class map, or of other images
		t.path, t.label = 0, 1
		return nil
	case len(images) > 1:
		return fmt.Errorf("it has no header, and its columns %s all name images of the data; put a line before it that names the columns, such as image and label", strings.Join(images, ", "))
	case len(labels) == 0:
		return fmt.Errorf("it has no header, and none of its %d columns fits labels; say which it is with --label-column N", len(t.rows[0]))
	case len(labels) > 1:
		return fmt.Errorf("it has no header, and its columns %s could each be the labels (%s: %s); say which it is with --label-column N",
			strings.Join(labels, ", "), t.where(0), strings.Join(t.rows[0], ", "))
	}
	return nil
}

// fitsLabels says whether a column can be labels: every cell has something, numbers are whole and
// do not just count the rows.
func (t *table) fitsLabels(c int) bool {
	for _, row := range t.rows {
		cell := t.cell(row, c)
		v, number, whole := wholeNumber(cell)
		if noLabel(cell) || number && (!whole || v < Unlabelled) {
			return false
		}
	}
	return !t.counts(c)
}

// counts says whether a column numbers the rows, from whatever number.
func (t *table) counts(c int) bool {
	first, _, whole := wholeNumber(t.cell(t.rows[0], c))
	if !whole || len(t.rows) < 2 {
		return false
	}
	for i, row := range t.rows {
		if v, _, whole := wholeNumber(t.cell(row, c)); !whole || v != first+i {
			return false
		}
	}
	return true
}

// sampledRows are those by which columns are told apart.
const sampledRows = 200

// hits counts the images that the first cells of a column name.
func (t *table) hits(c int, isImage func(string) bool) (n int) {
	for _, row := range t.rows[:min(sampledRows, len(t.rows))] {
		cell := t.cell(row, c)
		if _, number, _ := wholeNumber(cell); isImage(cell) && (c == 0 || imageName(cell) || !number) {
			n++ // beyond the first column, a number may be an image's name by chance
		}
	}
	return n
}

func (t *table) any(c int, isImage func(string) bool) bool { return t.hits(c, isImage) > 0 }

// mostly is the column, other than one, most of whose first cells are images, those with an
// image's extension before others; 0 where none is.
func (t *table) mostly(isImage func(string) bool, other int) int {
	best, at := 0, 0
	for c := range min(len(t.rows[len(t.rows)-1]), 64) {
		if c == other {
			continue
		}
		hits := t.hits(c, isImage)
		for _, row := range t.rows[:min(sampledRows, len(t.rows))] {
			if cell := t.cell(row, c); imageName(cell) && isImage(cell) {
				hits++
			}
		}
		if hits > best {
			best, at = hits, c
		}
	}
	return at
}

// findCalled finds the column of names beside labels that are numbers.
func (t *table) findCalled() error {
	t.called = t.find(calledColumns)
	if t.called == t.label || t.called == t.path {
		t.called = -1
	}
	return nil
}

// oneLabel finds the label of a table with several columns of unknown names: one column that
// has label, class or category in its name, or columns of 0 and a single 1 per row, each called as a class.
func (t *table) oneLabel() error {
	var others, named []int
	for c, name := range t.header {
		if c == t.path || (name == "" || slices.Contains([]string{"unnamed:0", "index", "nr", "no", "row"}, fold(name))) && t.counts(c) {
			continue
		}
		others = append(others, c)
		name = strings.ToLower(name)
		for _, word := range []string{"label", "class", "categor", "target", "species", "breed"} {
			if strings.Contains(name, word) {
				named = append(named, c)
				break
			}
		}
	}
	hot, err := t.oneHot(others)
	switch {
	case err != nil:
		return err
	case hot:
		return nil
	case len(named) == 1:
		t.label = named[0]
		return t.findCalled()
	case len(others) == 1: // beside the numbers of rows
		t.label = others[0]
		return nil
	}
	return fmt.Errorf("which of its columns holds the labels? They are %s; say it with --label-column NAME, or call that one label", strings.Join(t.header, ", "))
}

// truth reads a cell of a column that says of each image whether it is of the class.
func truth(s string) (yes, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "t", "y", "x":
		return true, true
	case "false", "no", "f", "n", "":
		return false, true
	}
	v, _, whole := wholeNumber(s)
	return v == 1, whole && (v == 0 || v == 1)
}

// oneHot turns columns of yes and no (0 and 1, True and False) into one column of labels, and
// says whether they are that. The classes are in the order of the columns, as argmax has it.
func (t *table) oneHot(columns []int) (bool, error) {
	if len(columns) < 2 {
		return false, nil
	}
	labels := make([]string, len(t.rows))
	several, any := 0, false
	for i, row := range t.rows {
		for _, c := range columns {
			yes, ok := truth(t.cell(row, c))
			any = any || yes
			switch {
			case !ok:
				return false, nil
			case !yes:
			case labels[i] != "":
				several = i + 1
			default:
				labels[i] = t.header[c]
			}
		}
	}
	if !any {
		return false, nil
	}
	if several > 0 {
		return false, fmt.Errorf("%s has several labels; give the table with --multi-label", t.where(several-1))
	}
	seen := map[string]bool{}
	numbers := true
	for _, c := range columns {
		name := t.header[c]
		if name == "" || seen[name] {
			return false, fmt.Errorf("column %d is called %q; give each class a name of its own", c+1, name)
		}
		seen[name] = true
		_, number, _ := wholeNumber(name)
		numbers = numbers && number
		t.order = append(t.order, name)
	}
	if numbers {
		t.order = nil // what they are called says more than their order
	}
	for i, row := range t.rows {
		if labels[i] == "" {
			return false, fmt.Errorf("%s has no label: none of its columns is 1", t.where(i))
		}
		t.rows[i] = []string{t.cell(row, t.path), labels[i]}
	}
	t.header = []string{t.header[t.path], "label"}
	t.path, t.label = 0, 1
	return true, nil
}
