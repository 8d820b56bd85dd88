package datasets

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
//     folder in sorted order.
type labelFile struct {
	path string
	kind string // for people

	label   map[int]int // by index into tree.files
	names   []string    // classes of those labels
	indices []int       // as Dataset.Indices
	absent  []absent    // listed, but not in the tree

	classes map[string]int // class map: class -> model output
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
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLabelFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxLabelFile {
		return nil, fmt.Errorf("%q is larger than %d MiB, too large for a text file of labels", name, maxLabelFile>>20)
	}
	return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), nil
}

// readLabels reads a label file for the given images of a tree and class
// folders dirs.
func readLabels(name string, t *tree, images []int, dirs []string) (*labelFile, error) {
	data, err := readText(name)
	if err != nil {
		return nil, fmt.Errorf("reading labels: %w", err)
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
	m, hits, several := matchImages(rows, t, images)
	folders, isDir := 0, make(map[string]bool, len(dirs))
	for _, d := range dirs {
		isDir[d] = true
	}
	for _, r := range rows.rows {
		if isDir[strings.TrimSpace(r[0])] || isDir[strings.Join(r, " ")] {
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

// table is the rows of a text file and the columns that matter.
type table struct {
	rows        [][]string
	path, label int // columns
	headed      bool
}

// splitRows reads CSV (comma, semicolon or tab) or lines of "name label" where
// the label follows the last space.
func splitRows(data []byte) (table, error) {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	var comma rune
	for _, c := range ",\t;" {
		if bytes.ContainsRune(first, c) {
			comma = c
			break
		}
	}
	t := table{label: 1}
	if comma == 0 {
		for _, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			row := []string{line}
			if i := strings.LastIndexAny(line, " \t"); i > 0 {
				row = []string{strings.TrimSpace(line[:i]), line[i+1:]}
			}
			t.rows = append(t.rows, row)
		}
	} else {
		r := csv.NewReader(bytes.NewReader(data))
		r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace = comma, -1, true, true
		for {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return t, err
			}
			t.rows = append(t.rows, row)
		}
	}
	t.header()
	if len(t.rows) == 0 {
		return t, errors.New("it holds no rows")
	}
	return t, nil
}

// Column names, best first.
var (
	pathColumns  = []string{"path", "file", "filename", "file_name", "image", "imageid", "image_id", "image_name", "img", "id", "name"}
	labelColumns = []string{"label", "target", "index", "class_index", "class_id", "imagenet_index", "label_id", "class", "wnid", "synset", "category", "class_name", "predictionstring"}
)

func (t *table) header() {
	if len(t.rows) == 0 {
		return
	}
	find := func(names []string) int {
		for _, n := range names {
			for i, cell := range t.rows[0] {
				if strings.EqualFold(strings.TrimSpace(cell), n) {
					return i
				}
			}
		}
		return -1
	}
	p, l := find(pathColumns), find(labelColumns)
	if p >= 0 && l >= 0 && p != l {
		t.path, t.label, t.headed = p, l, true
		t.rows = t.rows[1:]
	}
}

func (t table) cell(row []string, col int) string {
	if col >= len(row) {
		return ""
	}
	return strings.TrimSpace(row[col])
}

// column returns the numbers of a file of one integer a line.
func column(t table) ([]int, bool) {
	out := make([]int, len(t.rows))
	for i, r := range t.rows {
		if len(r) != 1 {
			return nil, false
		}
		n, err := strconv.Atoi(r[0])
		if err != nil {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// numbers reads the file of one integer a line: the devkit's ground truth when
// there is one for each image, a class map when there is one for each folder.
func (l *labelFile) numbers(v []int, t *tree, images []int, dirs []string) error {
	switch {
	case len(v) == len(images) && len(v) != len(dirs):
		if slices.Contains(v, 0) {
			rows := table{label: 1}
			for i, n := range v {
				rows.rows = append(rows.rows, []string{strconv.Itoa(i), strconv.Itoa(n)})
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
	if data, err := os.ReadFile(beside); err == nil {
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

// matchImages finds the image that each row names, -1 for none; hits counts those that
// were found or, which several says, are not one alone.
func matchImages(t table, tr *tree, images []int) (match []int, hits int, several error) {
	paths := make([]string, len(images))
	for i, at := range images {
		paths[i] = tr.files[at].path
	}
	names := NewNames("the data", paths)
	match = make([]int, len(t.rows))
	for r, row := range t.rows {
		match[r] = -1
		i, err := names.Find(t.cell(row, t.path))
		switch {
		case err != nil:
			several = cmp.Or(several, fmt.Errorf("row %d: %w", r+1, err))
			hits++
		case i >= 0:
			match[r] = images[i]
			hits++
		}
	}
	return match, hits, several
}

// perImage takes labels row by row. Labels are numbers, or names whose sorted
// order is the class order.
func (l *labelFile) perImage(t table, match []int) error {
	values := make([]string, len(t.rows))
	allNumbers := true
	for i, row := range t.rows {
		v := t.cell(row, t.label)
		if f := strings.Fields(v); len(f) > 1 && wnid.MatchString(f[0]) { // Kaggle: synset x y x y
			v = f[0]
		}
		if v == "" {
			return fmt.Errorf("row %d (%s) has no label", i+1, t.cell(row, t.path))
		}
		if _, err := strconv.Atoi(v); err != nil {
			allNumbers = false
		}
		values[i] = v
	}
	l.kind = "label of each image, names sorted"
	index := map[string]int{}
	if allNumbers {
		l.kind = "label of each image, as numbers"
		var all []int
		for _, v := range values {
			n, _ := strconv.Atoi(v)
			if n < Unlabelled {
				return fmt.Errorf("label %d is below -1", n)
			}
			if n >= 0 {
				all = append(all, n)
			}
		}
		slices.Sort(all)
		l.indices = slices.Compact(all)
		for i, n := range l.indices {
			l.names = append(l.names, strconv.Itoa(n))
			index[strconv.Itoa(n)] = i
		}
		for i, v := range values { // "007" is 7
			n, _ := strconv.Atoi(v)
			values[i] = strconv.Itoa(n)
		}
		index[strconv.Itoa(Unlabelled)] = Unlabelled
	} else {
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

// classMap reads "class index" rows, or a list of classes in output order.
func (l *labelFile) classMap(t table, dirs []string) error {
	l.classes = map[string]int{}
	known := map[string]bool{}
	for _, d := range dirs {
		known[d] = true
	}
	hits := 0
	listed := !slices.ContainsFunc(t.rows, func(r []string) bool {
		if len(r) < 2 {
			return false
		}
		_, err := strconv.Atoi(strings.TrimSpace(r[len(r)-1]))
		return err == nil
	})
	for i, row := range t.rows {
		class, output := strings.TrimSpace(row[0]), i
		if !listed {
			last := strings.TrimSpace(row[len(row)-1])
			n, err := strconv.Atoi(last)
			if err != nil || n < 0 || len(row) < 2 {
				return fmt.Errorf("row %d: %q is not a class and the number of a model output", i+1, strings.Join(row, " "))
			}
			output = n
		} else if len(row) > 1 && !known[class] && known[strings.Join(row, " ")] {
			class = strings.Join(row, " ") // a class name with a space in it
		}
		if _, ok := l.classes[class]; ok {
			return fmt.Errorf("row %d: class %q occurs twice", i+1, class)
		}
		l.classes[class] = output
		if known[class] {
			hits++
		}
	}
	l.kind = "class map"
	if listed {
		l.kind = "list of classes in output order"
	}
	if hits == 0 {
		return errors.New("it names neither images nor class folders of the data")
	}
	return nil
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
