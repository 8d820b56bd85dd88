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

	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/text"
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
	if data, err = text.UTF8(data); err != nil {
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
