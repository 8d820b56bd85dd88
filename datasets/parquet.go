package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/parquetfooter"

	"github.com/parquet-go/parquet-go"
)

// isParquet says whether a file begins as a Parquet file.
func isParquet(head []byte) bool { return string(head[:4]) == "PAR1" }

// shardName is what parts of a split are called: train-00000-of-00002.parquet, with a hash
// after it in older data.
var shardName = regexp.MustCompile(`^(.+?)-(\d+)-of-(\d+)(?:-[0-9a-f]+)?$`)

// openParquetFile opens one file.
func openParquetFile(name string, o Options) (*Dataset, error) {
	return openParquet([]file{{path: filepath.Base(name), open: name}}, o)
}

// parquetSplit is the split that a file is a part of by its name, or that of its folder; empty
// where neither says so.
func parquetSplit(p string) string {
	stem := strings.TrimSuffix(path.Base(p), path.Ext(p))
	if m := shardName.FindStringSubmatch(stem); m != nil {
		return m[1]
	}
	if splitKind(stem) != "" {
		return stem
	}
	if first, _, ok := strings.Cut(stem, "-"); ok && splitKind(first) != "" {
		return first
	}
	if dir := path.Base(path.Dir(p)); splitKind(dir) != "" {
		return dir
	}
	return ""
}

// parquetFolder opens the Parquet files of a folder, where it holds such and no images.
func parquetFolder(t *tree, o Options) (*Dataset, error) {
	var shards []file
	for _, f := range t.files {
		switch ext := strings.ToLower(path.Ext(f.path)); {
		case imageName(f.path) && o.Format != Parquet:
			return nil, nil
		case ext == ".parquet":
			shards = append(shards, f)
		}
	}
	if len(shards) == 0 {
		return nil, nil
	}
	return openParquet(shards, o)
}

// openParquet reads Hugging Face's data sets: rows of a picture, as {bytes, path} or bytes, and a
// label, whose names the "huggingface" entry of the file's metadata may have.
func openParquet(files []file, o Options) (d *Dataset, err error) {
	parts := map[string][]file{}
	var splits []string
	for _, f := range files {
		s := parquetSplit(f.path)
		if parts[s] == nil {
			splits = append(splits, s)
		}
		parts[s] = append(parts[s], f)
	}
	d = &Dataset{Format: Parquet}
	split, why := "", ""
	switch {
	case len(files) == 1 && o.Split == "":
		split = splits[0]
	case o.Unlabelled && o.Split == "":
	default:
		if split, why, err = takeSplit(splits, o); err != nil {
			return nil, err
		}
		files = parts[split]
		d.complete(files)
	}
	src := &parquetSource{keep: keptBytes}
	d.src = src
	defer func() {
		if err != nil {
			src.close()
		}
	}()
	var values, names, classes []string
	labels := ""
	for _, f := range files {
		s, err := openShard(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		src.shards = append(src.shards, s)
		v, n, err := s.columns(!o.Unlabelled)
		if problem := (labelProblem{}); o.Labels != "" && errors.As(err, &problem) {
			v, n, err = s.columns(false)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		first := src.shards[0]
		if s.labelName != first.labelName || !slices.Equal(s.classes, first.classes) {
			return nil, fmt.Errorf("%s and %s have different columns or class names, so they are not parts of one data set; give one of them", files[0].path, f.path)
		}
		values, names = append(values, v...), append(names, n...)
		classes, labels = s.classes, s.labelName
		d.content = append(d.content, s.sum)
	}
	src.start()
	useNames := distinctNames(names)
	prefix := ""
	if split != "" {
		prefix = split + "/"
	}
	for i := range src.rows {
		id := fmt.Sprintf("%srow-%06d", prefix, i)
		if useNames {
			id = cleanName(names[i])
		}
		d.Samples = append(d.Samples, Sample{ID: id, Label: Unlabelled, at: i})
	}
	d.Why = fmt.Sprintf("Parquet: %d rows of %d file(s), images in column %s", src.rows, len(files), src.shards[0].imageName)
	if why != "" {
		d.Why += ", " + why
	}
	if labels != "" {
		d.Why += ", labels in column " + labels
		if err := d.label(values, classes); err != nil && o.Labels == "" {
			return nil, fmt.Errorf("column %s: %w", labels, err)
		}
		if classes != nil && d.Classes != nil && d.Indices == nil {
			d.Why += ", class names of the metadata"
		}
	} else if o.Labels == "" {
		d.Why += ", without labels"
	}
	return d, d.labelFrom(o)
}

// complete notes parts of a split that are absent.
func (d *Dataset) complete(files []file) {
	of, have := 0, 0
	for _, f := range files {
		if m := shardName.FindStringSubmatch(strings.TrimSuffix(path.Base(f.path), path.Ext(f.path))); m != nil {
			of, _ = strconv.Atoi(m[3])
			have++
		}
	}
	if have < of {
		d.Notes = append(d.Notes, fmt.Sprintf("only %d of the %d parts that the names of the files speak of are there: the results are those of a part of the data", have, of))
	}
}

// distinctNames says whether all of some names are there and none is there twice.
func distinctNames(names []string) bool {
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		c := cleanName(n)
		if n == "" || c == "." || seen[c] {
			return false
		}
		seen[c] = true
	}
	return len(names) > 0
}

// shard is an open file.
type shard struct {
	f                    *stored
	t                    *parquet.File
	sum                  string // of the footer, which has the sizes of all columns
	image                int    // column
	imageName, labelName string
	classes              []string
	rows                 []int // of each row group
}

func openShard(at file) (s *shard, err error) {
	f, err := openStored(at.open)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	defer damaged(&err)
	size := f.size
	footer, err := parquetfooter.Read(f, size)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(footer)
	s = &shard{f: f, sum: hex.EncodeToString(sum[:8])}
	if s.t, err = parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(256<<10)); err != nil {
		return nil, fmt.Errorf("it is cut off or damaged: %w", err)
	}
	return s, nil
}

// damaged turns a panic of the Parquet reader on damaged bytes into an error.
func damaged(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the Parquet file is damaged: %v", r)
	}
}

// Names of columns, best first.
var (
	imageColumns = []string{"image", "img", "images", "picture", "photo", "pixel_values", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "data", "content"}
	classColumns = []string{"label", "labels", "fine_label", "fine_labels", "target", "class", "cls", "category", "label_id", "class_id", "class_label", "class_name", "label_name", "species", "breed"}
)

// feature is what Hugging Face's metadata says of a column.
type feature struct {
	Type  string          `json:"_type"`
	Names json.RawMessage `json:"names"`
}

// labelProblem is what is wrong with the labels of a file, and no matter where others are given.
type labelProblem struct{ error }

// columns chooses the columns of pictures and labels, and reads the labels and the pictures'
// names; either is nil where the file has none, or labels are not wanted.
func (s *shard) columns(wanted bool) (labels, names []string, err error) {
	defer damaged(&err)
	var features map[string]feature
	if text, ok := s.t.Lookup("huggingface"); ok {
		var meta struct {
			Info struct {
				Features map[string]json.RawMessage `json:"features"`
			} `json:"info"`
		}
		if json.Unmarshal([]byte(text), &meta) == nil {
			features = map[string]feature{}
			for name, raw := range meta.Info.Features {
				var f feature
				if json.Unmarshal(raw, &f) == nil { // lists are no features of interest
					features[name] = f
				}
			}
		}
	}
	leaves := map[string]*parquet.Column{}
	var all []string
	var collect func(c *parquet.Column, depth int)
	collect = func(c *parquet.Column, depth int) {
		if c.Leaf() {
			name := strings.Join(c.Path(), ".")
			leaves[name] = c
			all = append(all, name)
			return
		}
		for _, child := range c.Columns() {
			if depth < maxDepth {
				collect(child, depth+1)
			}
		}
	}
	collect(s.t.Root(), 0)
	isBytes := func(name string) bool {
		c := leaves[name]
		return c != nil && c.Type().Kind() == parquet.ByteArray && c.MaxRepetitionLevel() == 0
	}
	var found []string
	for name, f := range features {
		if f.Type == "Image" && isBytes(name+".bytes") {
			found = append(found, name+".bytes")
		}
	}
	for _, name := range all {
		if len(features) == 0 && strings.HasSuffix(name, ".bytes") && isBytes(name) {
			found = append(found, name)
		}
	}
	image := ""
	for _, name := range imageColumns {
		for _, leaf := range []string{name + ".bytes", name} {
			if image == "" && isBytes(leaf) && (leaf != name || leaves[leaf].Type().LogicalType() == nil) {
				image = leaf
			}
		}
	}
	switch {
	case image != "":
	case len(found) == 1:
		image = found[0]
	case len(found) > 1:
		slices.Sort(found)
		return nil, nil, fmt.Errorf("it has several columns of images (%s), of which none is called image", strings.Join(found, ", "))
	default:
		return nil, nil, fmt.Errorf("it has no column of images (as {bytes, path} or bytes, called image or img); its columns are %s", strings.Join(all[:min(len(all), 12)], ", "))
	}
	s.image, s.imageName = leaves[image].Index(), strings.TrimSuffix(image, ".bytes")
	for _, g := range s.t.RowGroups() {
		n := g.NumRows()
		if n < 0 || n > s.f.size {
			return nil, nil, fmt.Errorf("the Parquet file is damaged: a row group of %d rows in a file of %d bytes", n, s.f.size)
		}
		s.rows = append(s.rows, int(n))
	}
	if c := leaves[s.imageName+".path"]; c != nil && isBytes(s.imageName+".path") && image != s.imageName {
		if names, err = s.read(c); err != nil {
			return nil, nil, err
		}
	}
	if !wanted {
		return nil, names, nil
	}
	label := ""
	for _, name := range classColumns {
		if c := leaves[name]; label == "" && c != nil {
			label = name
		}
	}
	if label == "" { // under another name, but known as a label
		var known []string
		for name, f := range features {
			if f.Type == "ClassLabel" && leaves[name] != nil {
				known = append(known, name)
			}
		}
		if len(known) > 1 {
			slices.Sort(known)
			return nil, nil, labelProblem{fmt.Errorf("it has several columns of labels (%s), of which none is called label; give the labels with --labels", strings.Join(known, ", "))}
		}
		if len(known) == 1 {
			label = known[0]
		}
	}
	for _, name := range classColumns {
		if slices.ContainsFunc(all, func(leaf string) bool { return label == "" && strings.HasPrefix(leaf, name+".") }) {
			return nil, nil, labelProblem{fmt.Errorf("its column %s holds lists, not one label per image; give the labels with --labels", name)}
		}
	}
	if label == "" {
		return nil, names, nil
	}
	if leaves[label].MaxRepetitionLevel() > 0 {
		return nil, nil, labelProblem{fmt.Errorf("its column %s holds lists, not one label per image; give the labels with --labels", label)}
	}
	s.labelName = label
	if f := features[label]; f.Names != nil {
		if err := json.Unmarshal(f.Names, &s.classes); err != nil {
			return nil, nil, fmt.Errorf("the class names of column %s in its metadata are not a list of names", label)
		}
	}
	labels, err = s.read(leaves[label])
	return labels, names, err
}

// read reads a whole column of numbers or texts; what is null is empty.
func (s *shard) read(c *parquet.Column) (out []string, err error) {
	for i, g := range s.t.RowGroups() {
		pages := g.ColumnChunks()[c.Index()].Pages()
		n, err := readValues(pages, s.rows[i], func(v parquet.Value) error {
			text := ""
			switch {
			case v.IsNull():
			case v.Kind() == parquet.ByteArray || v.Kind() == parquet.FixedLenByteArray:
				text = string(v.ByteArray())
			case v.Kind() == parquet.Int32:
				text = strconv.Itoa(int(v.Int32()))
			case v.Kind() == parquet.Int64:
				text = strconv.FormatInt(v.Int64(), 10)
			case v.Kind() == parquet.Boolean:
				text = "0"
				if v.Boolean() {
					text = "1"
				}
			case v.Kind() == parquet.Float:
				text = strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)
			case v.Kind() == parquet.Double:
				text = strconv.FormatFloat(v.Double(), 'g', -1, 64)
			default:
				return fmt.Errorf("its values are of the kind %s", v.Kind())
			}
			out = append(out, text)
			return nil
		})
		_ = pages.Close() // only read
		if err == nil && n != s.rows[i] {
			err = fmt.Errorf("row group %d has %d values for %d rows", i, n, s.rows[i])
		}
		if err != nil {
			return nil, fmt.Errorf("reading column %s: %w", strings.Join(c.Path(), "."), err)
		}
	}
	return out, nil
}

// readValues calls do for the values of pages, of which there are at most most.
func readValues(pages parquet.Pages, most int, do func(parquet.Value) error) (n int, err error) {
	var buf [256]parquet.Value
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		values := page.Values()
		for err == nil {
			var k int
			k, err = values.ReadValues(buf[:])
			if n += k; n > most {
				return n, errors.New("it has more values than rows")
			}
			for _, v := range buf[:k] {
				if err := do(v); err != nil {
					return n, err
				}
			}
			if k == 0 && err == nil {
				err = io.ErrNoProgress
			}
		}
		parquet.Release(page)
		if !errors.Is(err, io.EOF) {
			return n, err
		}
	}
}
