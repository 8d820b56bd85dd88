package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cutmix-eval/internal/regular"
)

// keyed is a sample of a webdataset (https://github.com/webdataset/webdataset): files of one
// folder whose names agree up to the first dot.
type keyed struct {
	image int            // index of its file
	side  map[string]int // other files, by what follows the dot
}

// keyedSamples groups files by key. Samples without an image are left out; they are in the order
// in which they lie in a tar, elsewhere in that of paths.
func (t *tree) keyedSamples() ([]keyed, error) {
	order := make([]int, len(t.files))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(min(max(t.files[a].off-t.files[b].off, -1), 1)) })
	byKey := map[string]int{}
	var all []keyed
	for _, i := range order {
		dir, base := path.Split(t.files[i].path)
		stem, ext, _ := strings.Cut(base, ".")
		at, ok := byKey[dir+stem]
		if !ok {
			at = len(all)
			byKey[dir+stem] = at
			all = append(all, keyed{image: -1})
		}
		s := &all[at]
		switch {
		case !imageName(base):
			if s.side == nil {
				s.side = map[string]int{}
			}
			s.side[strings.ToLower(ext)] = i
		case s.image >= 0:
			return nil, fmt.Errorf("sample %s%s has several images (%s, %s), so which one is meant is unclear", dir, stem, path.Base(t.files[s.image].path), base)
		default:
			s.image = i
		}
	}
	return slices.DeleteFunc(all, func(s keyed) bool { return s.image < 0 }), nil
}

// Ends of names of the files that have labels, best first.
var labelEnds = []string{"cls", "json", "txt"}

// labelEnd is the first kind of label file that at least half of some samples have.
func labelEnd(samples []keyed) string {
	for _, end := range labelEnds {
		n := 0
		for _, s := range samples {
			if _, ok := s.side[end]; ok {
				n++
			}
		}
		if n > 0 && n*2 >= len(samples) {
			return end
		}
	}
	return ""
}

// webdataset opens a tar (or what was unpacked from one) with a label file beside every image; nil
// where there are none. Class folders stay what they are, whatever JSON lies with their images.
func (t *tree) webdataset(o Options) (*Dataset, error) {
	asked := o.Format == WebDataset
	if !asked && o.Format != Auto || o.Unlabelled && !asked {
		return nil, nil
	}
	if !slices.ContainsFunc(t.files, func(f file) bool {
		_, end, _ := strings.Cut(path.Base(f.path), ".")
		return slices.Contains(labelEnds, strings.ToLower(end))
	}) && !asked {
		return nil, nil
	}
	samples, err := t.keyedSamples()
	if err != nil || len(samples) == 0 {
		if asked {
			return nil, err
		}
		return nil, nil // names with dots in them are nothing strange in a folder
	}
	end := labelEnd(samples)
	dir := path.Dir(t.files[samples[0].image].path)
	flat := t.kind == "tar" && !slices.ContainsFunc(samples, func(s keyed) bool { return path.Dir(t.files[s.image].path) != dir })
	if !asked && end != "cls" && !(flat && end != "" && o.Labels == "") {
		return nil, nil
	}
	d, err := openKeyed([]*tree{t}, []string{""}, nil, o)
	if err == nil && !asked && end != "cls" && !d.Labelled() {
		return nil, nil
	}
	return d, err
}

// openKeyed makes a dataset of the samples of shards, which have names.
func openKeyed(shards []*tree, names, classes []string, o Options) (*Dataset, error) {
	src := &tree{kind: "webdataset"}
	var values []string
	var ids []string
	var notes []string
	ends := map[string]bool{}
	for i, t := range shards {
		samples, err := t.keyedSamples()
		if err != nil {
			return nil, shardError(names[i], err)
		}
		end := labelEnd(samples)
		for _, s := range samples {
			f := t.files[s.image]
			if f.from == nil {
				f.from = t.tar
			}
			src.files = append(src.files, f)
			ids = append(ids, f.path)
			value := ""
			if at, ok := s.side[end]; ok && end != "" {
				ends["."+end] = true
				if value, err = t.labelText(t.files[at], end); err != nil {
					return nil, shardError(names[i], err)
				}
			}
			values = append(values, value)
		}
		notes = append(notes, t.skip...)
		if t.tar != nil {
			src.handles = append(src.handles, t.tar)
		}
		src.handles = append(src.handles, t.handles...)
	}
	if !distinctNames(ids) {
		at := 0
		for i, t := range shards {
			for ; at < len(ids) && src.files[at].from == t.tar; at++ {
				ids[at] = path.Join(strings.TrimSuffix(names[i], ".tar"), ids[at])
			}
		}
	}
	d := &Dataset{Format: WebDataset, src: src, Notes: notes}
	if ends[".txt"] && !areClasses(values) {
		d.Notes = append(d.Notes, "the texts beside the images are descriptions, not names of classes; they were passed over")
		clear(values)
		delete(ends, ".txt")
	}
	for i, id := range ids {
		d.Samples = append(d.Samples, Sample{ID: id, Label: Unlabelled, Size: src.files[i].size, at: i})
	}
	d.Why = fmt.Sprintf("webdataset: %d samples of %d shard(s)", len(ids), len(shards))
	if !slices.ContainsFunc(values, func(v string) bool { return v != "" }) {
		d.Why += ", without labels"
		return d, d.labelFrom(o)
	}
	without := 0
	for _, v := range values {
		if v == "" {
			without++
		}
	}
	if without > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d of %d samples have no label", without, len(ids)))
	}
	if highest(values) >= len(classes) {
		classes = nil
	}
	if err := d.label(values, classes); err != nil && o.Labels == "" {
		return nil, err
	}
	var kinds []string
	for _, end := range labelEnds {
		if ends["."+end] {
			kinds = append(kinds, "."+end)
		}
	}
	d.Why += ", labels in " + strings.Join(kinds, " and ")
	return d, d.labelFrom(o)
}

func shardError(name string, err error) error {
	if name == "" {
		return err
	}
	return fmt.Errorf("shard %s: %w", name, err)
}

// highest is the highest number of labels, -1 for none.
func highest(values []string) int {
	most := -1
	for _, v := range values {
		if n, _, ok := wholeNumber(v); ok {
			most = max(most, n)
		}
	}
	return most
}

// Keys of labels in JSON, best first.
var labelKeys = []string{"label", "cls", "class", "target", "class_id", "class_index", "label_id", "class_name", "label_name", "classname", "category", "wnid", "synset", "text"}

// labelText is the label that a file beside an image has; empty where it has none.
func (t *tree) labelText(f file, end string) (string, error) {
	const most = 1 << 20
	if f.size > most {
		return "", fmt.Errorf("%s has %d bytes, too many for a label", f.path, f.size)
	}
	data, err := t.readFile(f, nil)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", f.path, err)
	}
	if end != "json" {
		text := strings.TrimSpace(string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
		if end == "cls" && strings.ContainsFunc(text, unicode.IsControl) {
			return "", fmt.Errorf("%s is no label in one line of text", f.path)
		}
		return text, nil
	}
	var fields map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		var one json.Number
		if json.Unmarshal(data, &one) == nil {
			return one.String(), nil
		}
		return "", fmt.Errorf("%s is no JSON object: %w", f.path, err)
	}
	for _, key := range labelKeys {
		switch v := fields[key].(type) {
		case json.Number:
			return v.String(), nil
		case string:
			if v = strings.TrimSpace(v); v != "" {
				return v, nil
			}
		case []any:
			if len(v) > 1 {
				return "", fmt.Errorf("%s has %d labels in %q; give one label per image with --labels", f.path, len(v), key)
			}
		}
	}
	return "", nil
}

// areClasses says whether texts are names of classes rather than descriptions of pictures: short,
// and in data of some size hardly any of them alone.
func areClasses(texts []string) bool {
	const long, few = 64, 40
	seen := map[string]bool{}
	for _, t := range texts {
		if len(t) > long || strings.ContainsFunc(t, unicode.IsControl) || len(strings.Fields(t)) > 6 {
			return false
		}
		seen[t] = true
	}
	return len(texts) <= few || len(seen)*2 <= len(texts)
}

// openShards opens tars as one webdataset.
func openShards(files []file, classes []string, o Options) (*Dataset, error) {
	var shards []*tree
	var names []string
	fail := func(err error) (*Dataset, error) {
		for _, t := range shards {
			_ = t.close() // only read
		}
		return nil, err
	}
	for _, f := range files {
		t, err := indexTar(f.open)
		if err != nil {
			var p *os.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			return fail(shardError(f.path, err))
		}
		shards, names = append(shards, t), append(names, f.path)
	}
	d, err := openKeyed(shards, names, classes, o)
	if err != nil {
		return fail(err)
	}
	if !d.Labelled() && o.Labels == "" && !o.Unlabelled {
		d.Notes = append(d.Notes, "no label (.cls, .json) lies beside the images of the shards")
	}
	return d, nil
}

// openPattern opens the shards that a pattern with braces names.
func openPattern(pattern string, o Options) (*Dataset, error) {
	paths, err := expandBraces(pattern)
	if err != nil {
		return nil, err
	}
	files := make([]file, len(paths))
	for i, p := range paths {
		files[i] = file{path: filepath.Base(p), open: p}
		if info, err := os.Stat(p); err != nil || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("there is no file %q, shard %d of the %d that the pattern names", p, i+1, len(paths))
		}
	}
	if strings.EqualFold(filepath.Ext(paths[0]), ".parquet") {
		return openParquet(files, o)
	}
	dir := filepath.Dir(paths[0])
	var classes []string
	if data, err := regular.Read(filepath.Join(dir, classNamesFile), regular.Small); err == nil {
		classes = classList(data)
	}
	d, err := openShards(files, classes, o)
	if err == nil {
		d.Name = filepath.Base(dir)
	}
	return d, err
}

// classNamesFile has the names of the classes of a webdataset, one per line.
const classNamesFile = "classnames.txt"

func classList(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// shardFolder opens the tars of a folder, where it holds such and no images.
func shardFolder(t *tree, o Options) (*Dataset, error) {
	parts := map[string][]file{}
	var splits []string
	var classes []string
	all := []file{}
	for _, f := range t.files {
		switch {
		case imageName(f.path):
			return nil, nil
		case path.Base(f.path) == classNamesFile:
			if data, err := t.readFile(f, nil); err == nil {
				classes = classList(data)
			}
		case strings.EqualFold(path.Ext(f.path), ".tar"):
			s := tarSplit(f.path)
			if parts[s] == nil {
				splits = append(splits, s)
			}
			parts[s] = append(parts[s], f)
			all = append(all, f)
		}
	}
	if len(splits) == 0 {
		return nil, nil
	}
	if o.Unlabelled && o.Split == "" {
		return openShards(all, classes, o)
	}
	split, why, err := takeSplit(splits, o)
	if err != nil {
		return nil, err
	}
	d, err := openShards(parts[split], classes, o)
	if err == nil && why != "" {
		d.Why += ", " + why
	}
	return d, err
}

// tarSplit is the split that a shard is of: a word of its name, or its folder.
func tarSplit(p string) string {
	words := strings.FieldsFunc(path.Base(p), func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	for _, w := range append(words, path.Base(path.Dir(p))) {
		if splitKind(w) != "" {
			return w
		}
	}
	return ""
}

// brace is a range of numbers, or a list.
var brace = regexp.MustCompile(`\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}`)

// hasBraces says whether a path is a pattern of shards.
func hasBraces(p string) bool { return brace.MatchString(p) }

// expandBraces lists what a pattern names, as a shell does: {000..012} and {a,b}.
func expandBraces(pattern string) ([]string, error) {
	const most = 100_000
	m := brace.FindStringSubmatchIndex(pattern)
	if m == nil {
		return []string{pattern}, nil
	}
	rest, err := expandBraces(pattern[m[1]:])
	if err != nil {
		return nil, err
	}
	var middle []string
	if m[6] >= 0 {
		middle = strings.Split(pattern[m[6]:m[7]], ",")
	} else {
		first, last := pattern[m[2]:m[3]], pattern[m[4]:m[5]]
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || to < from || to-from >= most {
			return nil, fmt.Errorf("the range {%s..%s} is not one of at most %d ascending numbers", first, last, most)
		}
		width := 0 // as bash: padded where either end is
		if first[0] == '0' && len(first) > 1 || last[0] == '0' && len(last) > 1 {
			width = max(len(first), len(last))
		}
		for n := from; n <= to; n++ {
			middle = append(middle, fmt.Sprintf("%0*d", width, n))
		}
	}
	if len(middle)*len(rest) > most {
		return nil, fmt.Errorf("the pattern names more than %d files", most)
	}
	var out []string
	for _, mid := range middle {
		for _, r := range rest {
			out = append(out, pattern[:m[0]]+mid+r)
		}
	}
	return out, nil
}
