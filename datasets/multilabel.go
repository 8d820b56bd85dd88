package datasets

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// MultiLabels are the labels of images of which each can be of several classes.
type MultiLabels struct {
	Classes []string // in the order of a table's columns, otherwise sorted
	// Of has for each sample of the data one value per class: 1 is of the class, 0 is not,
	// -1 is not known (VOC's difficult ones). It is nil for a sample without annotation.
	Of    [][]int8
	Why   string   // what was recognised
	Notes []string // what was passed over or is not known
}

const (
	maxTextLine    = 1 << 20
	maxMultiLabels = 100_000   // classes
	maxMultiValues = 1<<31 - 1 // images by classes, a byte each
)

// MultiLabels reads labels of d's images from a path, whose form is recognised:
//
//   - a folder of VOC's lists CLASS_SPLIT.txt (ImageSets/Main), or a folder with that in
//     it: lines of an image and 1 (of the class), -1 (not) or 0 (difficult: not known).
//     split is train, val, trainval or test; it may be empty where there is only one;
//   - a table, separated by commas, semicolons, tabs or spaces: a header of "image" and
//     class names, rows of an image and 1, 0, -1 or nothing, the latter two for not known;
//   - lines of an image and its classes, names or numbers: "a.jpg dog cat",
//     "a.jpg;dog;traffic light", "a.jpg,dog cat", "a.jpg,dog|traffic light". An image may
//     be on several lines. What is not named is not of the class.
//   - numpy's n x k array of 0, 1 and -1 (not known), a row for each picture of numpy's: a .npy
//     file, or the labels of a .npz archive, of which split says which; without it those beside
//     the pictures.
//
// Images are named as in a file for Named. A split is not looked at for another file.
func (d *Dataset) MultiLabels(path, split string) (*MultiLabels, error) {
	m := d.multi()
	info, err := os.Stat(path)
	var data []byte
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no such file or folder")
	case err != nil:
	case info.IsDir():
		err = m.voc(path, split)
	case isArray(path) || isArrayArchive(path):
		err = m.arrays(path, split)
	default:
		if data, err = readText(path); err == nil {
			err = m.parse(data)
		}
	}
	if err == nil {
		err = m.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("multi-label annotations %q: %w", path, err)
	}
	return &m.MultiLabels, nil
}

// multi collects multi-labels, by the samples' ID.
type multi struct {
	MultiLabels
	d         *Dataset
	names     *Names
	rows      map[string][]int8
	values    int               // in rows
	called    map[string]string // what a sample was called
	strangers map[string]bool   // names of no image
}

// unset stands in multi.rows for a value that was not given.
const unset int8 = 2

func (d *Dataset) multi() *multi {
	return &multi{d: d, names: d.Names(), rows: map[string][]int8{}, called: map[string]string{}, strangers: map[string]bool{}}
}

// find returns the ID of the sample with a name, empty for none. Names that are not equal
// must not mean the same sample.
func (m *multi) find(name string) (string, error) {
	if name == "" {
		return "", errors.New("there is no image name")
	}
	name = cleanName(name)
	i, err := m.names.Find(name)
	if err != nil {
		return "", err
	}
	if i < 0 {
		m.strangers[name] = true
		return "", nil
	}
	id := m.d.Samples[i].ID
	if old, ok := m.called[id]; ok && old != name {
		return "", fmt.Errorf("%q and %q both mean the image %s; take out the one that is not in the data, or give paths", old, name, id)
	}
	m.called[id] = name
	return id, nil
}

// row is the values of a sample, new ones being all fill.
func (m *multi) row(id string, fill int8) ([]int8, error) {
	if row, ok := m.rows[id]; ok {
		return row, nil
	}
	if m.values += len(m.Classes); m.values > maxMultiValues {
		return nil, fmt.Errorf("%d classes of so many images are more than %d values, too many to hold; take fewer classes or images", len(m.Classes), maxMultiValues)
	}
	row := slices.Repeat([]int8{fill}, len(m.Classes))
	m.rows[id] = row
	return row, nil
}

// set gives the image of a name its value of class c.
func (m *multi) set(id string, c int, value int8) error {
	row, err := m.row(id, unset)
	if err != nil {
		return err
	}
	if row[c] != unset && row[c] != value {
		return fmt.Errorf("class %q of %s has another value than on a line before; leave one of the two", m.Classes[c], m.called[id])
	}
	row[c] = value
	return nil
}

func (m *multi) finish() error {
	m.Of = make([][]int8, len(m.d.Samples))
	images, unknown := 0, 0
	for i, s := range m.d.Samples {
		row := m.rows[s.ID]
		for c, v := range row {
			if v == unset || v == -1 {
				row[c] = -1
				unknown++
			}
		}
		if row != nil {
			m.Of[i] = row
			images++
		}
	}
	if images == 0 {
		if len(m.strangers) == 0 {
			return errors.New("it names no image")
		}
		first := slices.Min(slices.Collect(maps.Keys(m.strangers)))
		return fmt.Errorf("none of the %d images it names, such as %q, is in %s; take the annotations of this data", len(m.strangers), first, m.d.Name)
	}
	if n := len(m.strangers); n > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d names in the annotations are no image of the data", n))
	}
	if n := len(m.Of) - images; n > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d of %d images have no annotation", n, len(m.Of)))
	}
	if unknown > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d of %d labels are not known", unknown, images*len(m.Classes)))
	}
	return nil
}

// voc reads the lists of a split in a folder or in the ImageSets/Main below it.
func (m *multi) voc(root, split string) error {
	fsys := os.DirFS(root)
	var dir string
	var lists map[string][]string // classes by split
	for _, dir = range []string{".", "Main", "ImageSets/Main"} {
		if lists = vocLists(fsys, dir); len(lists) > 0 {
			break
		}
	}
	if len(lists) == 0 {
		below, err := fs.Glob(fsys, "*/ImageSets/Main")
		switch {
		case err != nil:
			return err
		case len(below) > 1:
			return fmt.Errorf("it holds several folders of lists (%s); name one of them", strings.Join(below, ", "))
		case len(below) == 1:
			dir, lists = below[0], vocLists(fsys, below[0])
		}
	}
	splits := slices.Sorted(maps.Keys(lists))
	if split == "" && len(splits) == 1 {
		split = splits[0]
	}
	switch {
	case len(lists) == 0:
		return errors.New("it is a folder without lists of classes (dog_train.txt, dog_val.txt, …), also in ImageSets/Main; name VOC's folder, or a file")
	case split == "":
		return fmt.Errorf("it has lists of the splits %s; say which of them the data is", strings.Join(splits, ", "))
	case lists[split] == nil:
		return fmt.Errorf("there is no split %q; take one of %s", split, strings.Join(splits, ", "))
	case len(lists[split]) > maxMultiLabels:
		return fmt.Errorf("it has lists of %d classes, more than the %d that are read", len(lists[split]), maxMultiLabels)
	}
	slices.Sort(lists[split])
	for _, class := range lists[split] {
		m.Classes = append(m.Classes, printable(class))
	}
	m.Why = fmt.Sprintf("VOC's lists of %d classes, sorted, split %q", len(m.Classes), split)
	for c, class := range lists[split] {
		name := class + "_" + split + ".txt"
		data, err := readText(filepath.Join(root, filepath.FromSlash(dir), name))
		if err == nil {
			err = m.vocList(data, c)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func vocLists(fsys fs.FS, dir string) map[string][]string {
	lists := map[string][]string{}
	entries, _ := fs.ReadDir(fsys, dir) // none where it is not there
	for _, e := range entries {
		name, isText := strings.CutSuffix(e.Name(), ".txt")
		at := strings.LastIndexByte(name, '_')
		if !isText || at < 1 || hidden(name) || e.IsDir() {
			continue
		}
		switch split := name[at+1:]; split {
		case "train", "val", "trainval", "test":
			lists[split] = append(lists[split], name[:at])
		}
	}
	return lists
}

// vocList reads the list of class c.
func (m *multi) vocList(data []byte, c int) error {
	values := map[string]int8{"1": 1, "-1": 0, "0": -1}
	return eachLine(data, ' ', func(_ int, cells []string) error {
		value, ok := values[cells[len(cells)-1]]
		if len(cells) != 2 || !ok {
			return fmt.Errorf("%q is not an image and 1, -1 or 0", shorten(strings.Join(cells, " ")))
		}
		id, err := m.find(cells[0])
		if err == nil && id != "" {
			err = m.set(id, c, value)
		}
		return err
	})
}

// eachLine hands on the cells of the lines that are neither blank nor comments, with the
// line's number, which it adds to errors.
func eachLine(data []byte, comma rune, do func(n int, cells []string) error) error {
	for n, line := range textLines(data) {
		cells, err := textCells(line, comma)
		if err == nil {
			err = do(n, cells)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

func textLines(data []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for n := 1; len(data) > 0; n++ {
			var line []byte
			line, data, _ = bytes.Cut(data, []byte("\n"))
			if t := bytes.TrimSpace(line); len(t) > 0 && t[0] != '#' && !yield(n, string(line[:min(len(line), maxTextLine+1)])) {
				return
			}
		}
	}
}

// textCells splits a line at commas, or at any space for a space, and takes quotes off.
func textCells(line string, comma rune) ([]string, error) {
	if len(line) > maxTextLine {
		return nil, fmt.Errorf("it is longer than %d MiB, too long for a line of labels", maxTextLine>>20)
	}
	if strings.ContainsRune(line, 0) {
		return nil, errors.New("it has a zero byte, so it is not text in UTF-8; save it as that")
	}
	if comma == ' ' {
		return strings.Fields(line), nil
	}
	cells := strings.Split(line, string(comma))
	if strings.Contains(line, `"`) {
		r := csv.NewReader(strings.NewReader(line))
		r.Comma, r.TrimLeadingSpace = comma, comma != '\t'
		var err error
		if cells, err = r.Read(); err != nil {
			return nil, fmt.Errorf("its quotes do not match (%w); put them around whole cells, and double those inside", cmp.Or(errors.Unwrap(err), err))
		}
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, nil
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// tableValues are the cells of a table; some programs write all numbers with a point.
var tableValues = map[string]int8{"1": 1, "0": 0, "-1": -1, "": -1, "1.0": 1, "0.0": 0, "-1.0": -1}

func areValues(cells []string) bool {
	return !slices.ContainsFunc(cells, func(s string) bool { _, ok := tableValues[s]; return !ok })
}

// parse reads a file: a table, or lines of images and classes.
func (m *multi) parse(data []byte) error {
	comma := ' '
	var first [][]string // two lines
	header := 0          // the number of its line
	for n, line := range textLines(data) {
		if header == 0 {
			header = n
			comma = commaOf(line)
		}
		cells, err := textCells(line, comma)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if first = append(first, cells); len(first) == 2 {
			break
		}
	}
	if len(first) == 0 {
		return errors.New("it is empty")
	}
	head, next := first[0], first[len(first)-1]
	switch {
	case !m.isHeader(head, next):
		return m.list(data, comma, 0)
	case len(head) > 2 && comma != ' ': // whatever the values: a message tells more than a list of odd classes
	case len(head) == 2 && isLabelColumn(head[1]), len(head) != len(next), !areValues(next[1:]):
		return m.list(data, comma, header)
	}
	return m.table(data, comma, header)
}

// commaOf is what separates the cells of a line: a space for any space.
func commaOf(line string) rune {
	i := strings.IndexAny(line, ",;\t")
	if i < 0 {
		return ' '
	}
	if f := strings.Fields(line[:i]); line[i] == '\t' && len(f) > 1 && imageName(f[0]) {
		return ' ' // a.jpg, spaces, dog, tab, cat
	}
	return rune(line[i])
}

// isHeader says whether the first line of a file is a header, not as the next one.
func (m *multi) isHeader(head, next []string) bool {
	if i, _ := m.names.Find(head[0]); len(head) < 2 || imageName(head[0]) || i >= 0 {
		return false
	}
	return head[0] == "" || slices.Contains(pathColumns, fold(head[0])) || imageName(next[0]) ||
		len(head) == 2 && isLabelColumn(head[1]) ||
		areValues(next[1:]) && slices.ContainsFunc(head[1:], func(s string) bool { return !digits(s) })
}

// isLabelColumn says whether a column has classes in it, rather than being one.
func isLabelColumn(name string) bool {
	name = fold(name)
	return name == "tags" || slices.ContainsFunc(labelColumns, func(c string) bool { return name == c || name == c+"s" || name == c+"es" })
}

// table reads rows of an image and a value per class.
func (m *multi) table(data []byte, comma rune, header int) error {
	zeros, unknown := false, false
	err := eachLine(data, comma, func(n int, cells []string) error {
		if n == header {
			return m.columns(cells[1:])
		}
		if len(cells) != len(m.Classes)+1 {
			return fmt.Errorf("it has %d cells, the header %d; write an image and one value per class", len(cells), len(m.Classes)+1)
		}
		id, err := m.find(cells[0])
		for c := 0; c < len(m.Classes) && err == nil; c++ {
			value, ok := tableValues[cells[c+1]]
			zeros, unknown = zeros || ok && value == 0, unknown || value == -1
			switch {
			case !ok:
				err = fmt.Errorf("the value of column %q is %q, not 1, 0 or (not known) -1 or empty; the first column must be the image and the others classes", m.Classes[c], shorten(cells[c+1]))
			case id != "":
				err = m.set(id, c, value)
			}
		}
		return err
	})
	if err == nil && unknown && !zeros {
		err = errors.New("no value of its table is 0, and -1 and empty mean not known; write 0 for an image that is not of a class")
	}
	return err
}

// columns takes the classes from a table's header.
func (m *multi) columns(names []string) error {
	if len(names) > maxMultiLabels {
		return fmt.Errorf("it has %d classes, more than the %d that are read", len(names), maxMultiLabels)
	}
	seen := map[string]bool{}
	for i, name := range names {
		name = printable(name)
		if name == "" || seen[name] {
			return fmt.Errorf("column %d is called %q; give each class a name of its own", i+2, name)
		}
		seen[name] = true
		m.Classes = append(m.Classes, name)
	}
	m.Why = fmt.Sprintf("table of %d classes, in the order of its columns", len(m.Classes))
	return nil
}

// list reads lines of an image and the classes it is of.
func (m *multi) list(data []byte, comma rune, header int) error {
	// Where all classes are in one cell, something else than the comma is between them.
	oneCell, apart := comma != ' ', unicode.IsSpace
	err := eachLine(data, comma, func(n int, cells []string) error {
		oneCell = oneCell && (len(cells) <= 2 || n == header)
		if len(cells) == 2 && n != header && strings.ContainsAny(cells[1], ",;|") {
			apart = func(r rune) bool { return strings.ContainsRune(",;|", r) }
		}
		return nil
	})
	if err != nil {
		return err
	}
	index := map[string]int{}
	of := map[string][]int{}
	var on []int // the line a class was last on
	twice, even, width := false, true, -1
	err = eachLine(data, comma, func(n int, cells []string) error {
		if n == header {
			return nil
		}
		id, err := m.find(cells[0])
		if err != nil {
			return err
		}
		classes := cells[1:]
		if oneCell && len(classes) == 1 {
			classes = strings.FieldsFunc(classes[0], apart)
		}
		even = even && len(classes) > 1 && (width < 0 || width == len(classes))
		width = len(classes)
		var ofThis []int
		for _, class := range classes {
			if class = printable(strings.TrimSpace(class)); class == "" {
				continue
			}
			if v, err := strconv.Atoi(class); err == nil && v < 0 {
				return fmt.Errorf("%d is not the number of a class; give numbers from 0, or for a table of values a header that names its classes", v)
			}
			c, ok := index[class]
			if !ok {
				if c = len(index); c == maxMultiLabels {
					return fmt.Errorf("with %q there are more than %d classes, too many", shorten(class), maxMultiLabels)
				}
				index[class], on = c, append(on, 0)
			}
			twice = twice || on[c] == n
			on[c] = n
			ofThis = append(ofThis, c)
		}
		if id != "" {
			of[id] = append(of[id], ofThis...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(index))
	if len(names) == 0 {
		return errors.New("it names no class; write an image and its classes on each line")
	}
	if areValues(names) && (twice || even) {
		return errors.New("its lines are an image and values of 0 and 1 without a header; put a line before them that names the columns: image and the classes")
	}
	m.Why = fmt.Sprintf("lines of an image and its classes, %d names, sorted", len(names))
	numbers := !slices.ContainsFunc(names, func(s string) bool { return !digits(s) })
	if numbers {
		number := func(s string) int { n, _ := strconv.Atoi(s); return n }
		slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
		m.Why = fmt.Sprintf("lines of an image and its classes, which are numbers, %d to %d", number(names[0]), number(names[len(names)-1]))
	}
	place := make([]int, len(names)) // in m.Classes, by index
	for _, name := range names {
		class := name
		if numbers {
			class = cmp.Or(strings.TrimLeft(name, "0"), "0") // 007 is 7
		}
		if last := len(m.Classes) - 1; last < 0 || m.Classes[last] != class {
			m.Classes = append(m.Classes, class)
		}
		place[index[name]] = len(m.Classes) - 1
	}
	for id, classes := range of {
		row, err := m.row(id, 0)
		if err != nil {
			return err
		}
		for _, c := range classes {
			row[place[c]] = 1
		}
	}
	return nil
}
