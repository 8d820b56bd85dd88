package datasets

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/regular"
)

// labelFile is what --labels names, in whichever form it was:
//
//   - one label per image: CSV with a header (path and label columns under
//     their usual names, Kaggle's ImageId,PredictionString among them), CSV or
//     spaces without one;
//   - one number per line, one line per image in name order: the ILSVRC devkit's
//     ground truth, whose numbers 1..1000 are in the devkit's own order;
//   - a class map: the model output of each class, as "class index" lines, as
//     JSON ({"class": index} or {"index": ["synset", "name"]}), as a list of
//     classes in output order, or as a list of output numbers, one per class
//     folder in sorted order. A class can have several outputs, each of which is
//     right ({"class": [3, 5]}; ObjectNet);
//   - a JSON list of lists of output numbers, one for each ILSVRC 2012 validation
//     image, each of which is right (ReaL); an empty list is no label.
type labelFile struct {
	path string
	kind string // for people

	label   map[int]int   // by index into tree.files
	names   []string      // classes of those labels
	indices []int         // as Dataset.Indices
	absent  []absent      // listed, but not in the tree
	also    map[int][]int // further classes of an image, where it is of several
	notes   []string

	classes map[string]int   // class map: class -> model output
	display []string         // names of the outputs, where classes are numbers
	sets    map[string][]int // class map of several outputs per class
}

type absent struct {
	name  string
	label int
}

func (l *labelFile) images() bool { return l.label != nil }

func (l *labelFile) of(i int) (int, bool) {
	v, ok := l.label[i]
	return v, ok
}

// maxLabelFile bounds the size of label files and lists.
const maxLabelFile = 512 << 20

func readText(name string) ([]byte, error) {
	data, err := regular.Read(name, maxLabelFile)
	if large := (*regular.SizeError)(nil); errors.As(err, &large) {
		return nil, fmt.Errorf("%q is larger than %d MiB, too large for a text file of labels", name, maxLabelFile>>20)
	}
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		return data, nil // of numbers, not of text
	}
	if data, err = asUTF8(data); err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return data, nil
}

// readLabels reads a label file for the given images of a tree and class
// folders dirs.
func readLabels(name string, t *tree, images []int, dirs []string) (*labelFile, error) {
	data, err := readText(name)
	if err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
	}
	if bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		if data, err = arrayAsText(data); err != nil {
			return nil, fmt.Errorf("reading labels from %q: %w", name, err)
		}
	}
	l := &labelFile{path: name}
	if err := l.parse(data, t, images, dirs); err != nil {
		return nil, fmt.Errorf("reading labels from %q: %w", name, err)
	}
	return l, nil
}

func (l *labelFile) parse(data []byte, t *tree, images []int, dirs []string) error {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return errors.New("it is empty")
	}
	if trimmed[0] == '{' || trimmed[0] == '[' {
		return l.parseJSON(trimmed, t, images, dirs)
	}
	rows, err := splitRows(trimmed)
	if err != nil {
		return err
	}
	if numbers, ok := column(rows); ok {
		return l.numbers(numbers, t, images, dirs)
	}
	single := !slices.ContainsFunc(rows.rows, func(r []string) bool { return len(r) != 1 })
	if single && len(rows.rows) == len(images) && len(images) != len(dirs) {
		return l.namesInOrder(rows, images)
	}
	names := imagesOf(t, images)
	if err := rows.locate(func(cell string) bool {
		i, err := names.Find(cell)
		return cell != "" && (err != nil || i >= 0)
	}); err != nil {
		return err
	}
	m, hits, several := matchImages(rows, names, images)
	folders, isDir := 0, make(map[string]bool, len(dirs))
	for _, d := range dirs {
		isDir[d] = true
	}
	for _, r := range rows.rows {
		_, number, _ := wholeNumber(r[0])
		if isDir[r[0]] || isDir[strings.Join(r, " ")] || number && isDir[r[len(r)-1]] {
			folders++
		}
	}
	// A few names can be both; the reading that explains more rows is meant.
	if hits > folders {
		if several != nil {
			return several
		}
		return l.perImage(rows, m)
	}
	return l.classMap(rows, dirs)
}

// namesInOrder reads one class name a line, one line per image in name order.
func (l *labelFile) namesInOrder(t table, images []int) error {
	for i := range t.rows {
		t.rows[i] = []string{strconv.Itoa(i), t.rows[i][0]}
	}
	t.path, t.label = 0, 1
	err := l.perImage(t, images)
	l.kind = "one class name a line, images in name order"
	return err
}

// numbers reads the file of one integer a line: the devkit's ground truth when
// there is one for each image, a class map when there is one for each folder.
func (l *labelFile) numbers(v []int, t *tree, images []int, dirs []string) error {
	switch {
	case len(v) == len(images) && len(v) != len(dirs):
		if slices.Contains(v, 0) {
			rows := table{label: 1}
			for i, n := range v {
				rows.add(i+1, []string{strconv.Itoa(i), strconv.Itoa(n)})
			}
			err := l.perImage(rows, images)
			l.kind = "one output number per line, from 0, images in name order"
			return err
		}
		// Without a 0 it may be the devkit's numbering or anybody's from 1.
		ilsvrc := !slices.ContainsFunc(images, func(i int) bool { return !strings.Contains(path.Base(t.files[i].path), "ILSVRC20") })
		if !ilsvrc {
			return errors.New("its numbers start above 0 and the images are not ILSVRC's, so what they count is unclear; write \"path,output\" lines, with outputs from 0")
		}
		return l.devkit(v, images)
	case len(v) == len(dirs):
		l.kind = "output numbers, one per class folder in order"
		d := Dataset{}
		d.classOrder(dirs)
		l.classes = make(map[string]int, len(v))
		for i, c := range d.Classes {
			l.classes[c] = v[i]
		}
		return nil
	}
	return fmt.Errorf("it has %d numbers; there are %d images and %d class folders", len(v), len(images), len(dirs))
}

// devkit maps ground-truth numbers to synsets: by the devkit's list beside the
// file (map_clsloc.txt) where there is one, otherwise by the built-in copy of
// the ILSVRC 2012 list. Images are taken in name order.
func (l *labelFile) devkit(v []int, images []int) error {
	l.kind = "ILSVRC devkit ground truth, devkit order"
	synset := map[int]string{}
	beside := filepath.Join(filepath.Dir(l.path), "map_clsloc.txt")
	if data, err := regular.Read(beside, regular.Small); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			n, err := strconv.Atoi(f[1])
			if err != nil {
				return fmt.Errorf("%s: %q is not a synset, a number and a name", beside, line)
			}
			synset[n] = f[0]
		}
		l.kind += " of map_clsloc.txt"
	} else {
		for _, c := range ImageNet() {
			synset[c.Devkit] = c.Synset
		}
	}
	if !slices.Contains(v, len(synset)) && !strings.Contains(filepath.Base(l.path), "ground_truth") {
		l.notes = append(l.notes, fmt.Sprintf("no number in %s is 0 or %d, so they are taken for the ILSVRC devkit's, from 1; if they are numbers of outputs, write \"path,output\" lines", filepath.Base(l.path), len(synset)))
	}
	for _, s := range synset {
		l.names = append(l.names, s)
	}
	slices.Sort(l.names)
	l.label = make(map[int]int, len(v))
	for i, n := range v {
		s, ok := synset[n]
		if !ok {
			return fmt.Errorf("line %d: class number %d is not in the devkit's list of %d", i+1, n, len(synset))
		}
		at, _ := slices.BinarySearch(l.names, s)
		l.label[images[i]] = at
	}
	return nil
}

// imagesOf is the names of images of a tree.
func imagesOf(t *tree, images []int) *Names {
	paths := make([]string, len(images))
	for i, at := range images {
		paths[i] = t.files[at].path
	}
	return NewNames("the data", paths)
}

// matchImages finds the image that each row names, -1 for none; hits counts those that
// were found or, which several says, are not one alone.
func matchImages(t table, names *Names, images []int) (match []int, hits int, several error) {
	match = make([]int, len(t.rows))
	for r, row := range t.rows {
		match[r] = -1
		i, err := names.Find(t.cell(row, t.path))
		switch {
		case err != nil:
			several = cmp.Or(several, fmt.Errorf("line %d: %w", t.lines[r], err))
			hits++
		case i >= 0:
			match[r] = images[i]
			hits++
		}
	}
	return match, hits, several
}

// perImage takes labels row by row. Labels are whole numbers, however written, or names whose
// sorted order is the class order.
func (l *labelFile) perImage(t table, match []int) error {
	values := make([]string, len(t.rows))
	all := make([]int, 0, len(t.rows)) // as numbers
	numbers, broken := 0, -1
	for i, row := range t.rows {
		v := t.cell(row, t.label)
		if f := strings.Fields(v); len(f) > 1 && wnid.MatchString(f[0]) { // Kaggle: synset x y x y
			v = f[0]
		}
		if v == "" {
			return fmt.Errorf("line %d (%s) has no label", t.lines[i], t.cell(row, t.path))
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
		return fmt.Errorf("line %d: label %s is no whole number; labels are numbers of classes or their names", t.lines[broken], values[broken])
	case numbers == len(values):
		l.kind = "label of each image, as numbers"
		for i, n := range all {
			if n < Unlabelled {
				return fmt.Errorf("line %d: label %d is below -1", t.lines[i], n)
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
	default:
		l.kind = "label of each image, names sorted"
		l.names = slices.Clone(values)
		slices.Sort(l.names)
		l.names = slices.Compact(l.names)
		for i, n := range l.names {
			index[n] = i
		}
	}
	l.label = map[int]int{}
	for i, v := range values {
		if match[i] < 0 {
			l.absent = append(l.absent, absent{printable(t.cell(t.rows[i], t.path)), index[v]})
			continue
		}
		if old, ok := l.label[match[i]]; ok && old != index[v] {
			return fmt.Errorf("image %s has two labels, %s and %s", t.cell(t.rows[i], t.path), l.names[old], v)
		}
		l.label[match[i]] = index[v]
	}
	return nil
}

// classMap reads rows of a class and its output, in either order, with a header or without, or
// a list of classes in output order.
func (l *labelFile) classMap(t table, dirs []string) error {
	if t.header != nil { // a first line that was taken for a header of images is a row again
		t.rows, t.lines = slices.Insert(t.rows, 0, t.header), slices.Insert(t.lines, 0, 0)
	}
	known := map[string]bool{}
	for _, d := range dirs {
		known[d] = true
	}
	classes, outputs, err := t.classes(known)
	if err != nil {
		return err
	}
	l.kind = "class map"
	if outputs == nil {
		l.kind = "list of classes in output order"
	}
	l.classes = map[string]int{}
	hits := 0
	for i, class := range classes {
		if _, ok := l.classes[class]; ok {
			return fmt.Errorf("class %q occurs twice", class)
		}
		if l.classes[class] = i; outputs != nil {
			l.classes[class] = outputs[i]
		}
		if known[class] {
			hits++
		}
	}
	if hits > 0 {
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
			return row[0], v, true
		}
		whole := strings.Join(row, " ")
		if first, rest, cut := strings.Cut(whole, " "); cut && !known[whole] {
			if v, _, ok := wholeNumber(strings.TrimRight(first, ":.)")); ok && v >= 0 {
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
	for i, row := range rows {
		class, output, ok := read(row)
		switch {
		case mapped == 0:
			if whole := strings.Join(row, " "); len(row) > 1 && t.comma == 0 && (!known[class] || known[whole]) {
				class = whole // a class name with a space in it
			}
		case !ok:
			return nil, nil, fmt.Errorf("line %d: %q is not a class and the number of a model output", lines[i], strings.Join(row, " "))
		default:
			outputs = append(outputs, output)
		}
		classes = append(classes, class)
	}
	return classes, outputs, nil
}

func (l *labelFile) parseJSON(data []byte, t *tree, images []int, dirs []string) error {
	l.kind = "JSON class map"
	var numbers []int
	if json.Unmarshal(data, &numbers) == nil {
		return l.numbers(numbers, t, images, dirs)
	}
	var list []string
	if json.Unmarshal(data, &list) == nil {
		l.classes = make(map[string]int, len(list))
		for i, c := range list {
			l.classes[c] = i
		}
		return nil
	}
	if twice := repeatedKey(data); twice != "" {
		return fmt.Errorf("key %q occurs twice", twice)
	}
	var several [][]int
	if json.Unmarshal(data, &several) == nil {
		return l.severalClasses(several, t, images)
	}
	if json.Unmarshal(data, &l.sets) == nil {
		l.kind = "JSON class map, several outputs per class"
		return checkSets(l.sets)
	}
	l.sets = nil
	var byName map[string]int
	if json.Unmarshal(data, &byName) == nil {
		for c, n := range byName {
			if n < 0 {
				return fmt.Errorf("class %q has output %d", c, n)
			}
		}
		l.classes = byName
		return nil
	}
	var byIndex map[string]json.RawMessage
	if err := json.Unmarshal(data, &byIndex); err != nil {
		return fmt.Errorf("its JSON is not a list of classes or an object: %w", err)
	}
	l.classes = map[string]int{}
	twice := map[string]bool{} // names such as "crane" are two classes; synsets tell them apart
	for key, raw := range byIndex {
		n, err := strconv.Atoi(key)
		var names []string
		var one string
		switch {
		case err != nil || n < 0:
			return fmt.Errorf("JSON key %q is not the number of a model output", key)
		case json.Unmarshal(raw, &names) == nil:
		case json.Unmarshal(raw, &one) == nil:
			names = []string{one}
		default:
			return fmt.Errorf("JSON value of %q is not a name or a list of names", key)
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

// repeatedKey is a key that a JSON object has twice, of which encoding/json would take the last
// in silence; empty where there is none or data is no object.
func repeatedKey(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return ""
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return ""
		}
		if seen[name] {
			return name
		}
		seen[name] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return ""
		}
	}
	return ""
}
