package datasets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
	notes   []string      // what was assumed

	classes map[string]int    // class map: class -> model output
	display []string          // names of the outputs, where classes are numbers
	sets    map[string][]int  // class map of several outputs per class
	called  map[string]string // what people call a class
	asked   string            // column of labels that the user named; empty: found
}

type absent struct {
	name  string
	label int
}

func newTable() table { return table{label: 1, called: -1, unit: "line"} }

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
func readLabels(o Options, t *tree, images []int, dirs []string) (*labelFile, error) {
	name := o.Labels
	data, err := readText(name)
	if err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
	}
	if bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		if data, err = arrayAsText(data); err != nil {
			return nil, fmt.Errorf("reading labels from %q: %w", name, err)
		}
	}
	l := &labelFile{path: name, asked: o.LabelColumn}
	if err := l.parse(data, t, images, dirs); err != nil {
		return nil, fmt.Errorf("reading labels from %q: %w", name, err)
	}
	return l, nil
}

func (l *labelFile) parse(data []byte, t *tree, images []int, dirs []string) error {
	trimmed := bytes.TrimSpace(data)
	switch {
	case len(trimmed) == 0:
		return errors.New("it is empty")
	case bytes.IndexByte(trimmed, 0) >= 0:
		return errors.New("it has a zero byte, so it is no text; save it as CSV in UTF-8")
	}
	names := imagesOf(t, images)
	if trimmed[0] == '{' || trimmed[0] == '[' {
		return l.parseJSON(trimmed, t, names, images, dirs)
	}
	rows, err := splitRows(data, names.has)
	if err != nil {
		return err
	}
	return l.table(rows, t, names, images, dirs)
}

// table reads rows, of images or of classes.
func (l *labelFile) table(rows table, t *tree, names *Names, images []int, dirs []string) error {
	isDir := make(map[string]bool, len(dirs))
	for _, d := range dirs {
		isDir[d] = true
	}
	if !slices.ContainsFunc(rows.rows, func(r []string) bool { return len(r) != 1 }) {
		rows.header = rows.rows[0]
		_, number, _ := wholeNumber(rows.header[0])
		if (headsNames(rows.header[0]) || rows.find(labelColumns) == 0) && !number && !isDir[rows.header[0]] && len(rows.rows) > 1 {
			rows.behead()
		}
		rows.header = nil
		return l.column(rows, t, images, dirs)
	}
	if err := rows.locate(names.has, l.asked); err != nil {
		return err
	}
	if len(rows.rows) == 0 {
		return errors.New("it has a header and no rows")
	}
	m, hits, several := matchImages(rows, names, images)
	folders := 0
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
	if hits == 0 && folders == 0 && rows.header != nil && len(rows.rows) == len(images) && len(images) != len(dirs) && len(rows.header) == 2 && rows.counts(rows.path) {
		// The numbers of the rows and their labels.
		for i, r := range rows.rows {
			rows.rows[i] = []string{rows.cell(r, rows.label)}
		}
		rows.path, rows.label = 0, 1
		return l.column(rows, t, images, dirs)
	}
	return l.classMap(rows, dirs)
}

// column reads rows of one cell: numbers or names, of images or of classes.
func (l *labelFile) column(rows table, t *tree, images []int, dirs []string) error {
	if numbers, ok := column(rows); ok {
		return l.numbers(numbers, t, images, dirs)
	}
	if len(rows.rows) == len(images) && len(images) != len(dirs) {
		return l.namesInOrder(rows, t, images)
	}
	return l.classMap(rows, dirs)
}

// namesInOrder reads one class name a line, one line per image in name order.
func (l *labelFile) namesInOrder(rows table, t *tree, images []int) error {
	if err := l.inNameOrder(t, images); err != nil {
		return err
	}
	for i := range rows.rows {
		rows.rows[i] = []string{t.files[images[i]].path, rows.rows[i][0]}
	}
	rows.path, rows.label, rows.called = 0, 1, -1
	err := l.perImage(rows, images)
	l.kind = "one class name a line, images in name order"
	return err
}

// inNameOrder refuses rows that name no images where it is not clear which row is whose: where
// the images' names are in another order as text than by their numbers.
func (l *labelFile) inNameOrder(t *tree, images []int) error {
	if t.kind == "rows" { // in an order of their own
		return nil
	}
	for k := 1; k < len(images); k++ {
		a, b := t.files[images[k-1]].path, t.files[images[k]].path
		if natural(strings.ToLower(a), strings.ToLower(b)) > 0 {
			return fmt.Errorf("it names no images, and whether its rows follow their names as text (%s before %s) or by number is unclear; write lines of \"image,label\"", a, b)
		}
	}
	l.notes = append(l.notes, fmt.Sprintf("nothing in %s names the images: its rows are taken in the order of the images' names", filepath.Base(l.path)))
	return nil
}

// numbers reads the file of one integer a line: the devkit's ground truth when
// there is one for each image, a class map when there is one for each folder.
func (l *labelFile) numbers(v []int, t *tree, images []int, dirs []string) error {
	switch {
	case len(v) == len(images) && len(v) != len(dirs):
		if slices.Contains(v, 0) {
			rows := newTable()
			for i, n := range v {
				rows.add(i+1, []string{t.files[images[i]].path, strconv.Itoa(n)})
			}
			if err := l.inNameOrder(t, images); err != nil {
				return err
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
		if err := l.inNameOrder(t, images); err != nil {
			return err
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
			several = cmp.Or(several, fmt.Errorf("%s: %w", t.where(r), err))
			hits++
		case i >= 0:
			match[r] = images[i]
			hits++
		}
	}
	return match, hits, several
}

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
