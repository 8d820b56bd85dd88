package datasets

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// containerName is what data is called after its path.
func containerName(path string) string {
	name := filepath.Base(filepath.Clean(path))
	for _, ext := range []string{".gz", ".tgz", ".bz2", ".zst", ".tar", ".zip", ".parquet", ".npz", ".npy"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// onlyArchives refuses a tree that holds archives and no images.
func (t *tree) onlyArchives() error {
	archive := ""
	for _, f := range t.files {
		if f.image {
			return nil
		}
		switch strings.ToLower(filepath.Ext(f.path)) {
		case ".tar", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".parquet", ".arrow", ".npz", ".tfrecord":
			archive = cmp.Or(archive, f.path)
		}
	}
	switch {
	case archive == "":
		return nil
	case t.kind == "folder":
		return fmt.Errorf("it holds no images, but archives (%s): give one of them, or unpack it", archive)
	}
	return fmt.Errorf("it holds no images, but archives (%s), which are not read within another one: unpack it and give the folder", archive)
}

// label gives d's samples their labels: numbers or names, one for each, empty for none. Where
// classes are named, numbers say which.
func (d *Dataset) label(values []string, classes []string) error {
	for i := range d.Samples {
		d.Samples[i].Label = Unlabelled
	}
	numbers := make([]int, len(values))
	allNumbers, any := true, false
	for i, v := range values {
		if v == "" {
			continue
		}
		n, number, whole := wholeNumber(v)
		allNumbers = allNumbers && number && whole
		numbers[i], any = n, any || !whole || n != Unlabelled
	}
	switch {
	case !any:
		return nil
	case len(classes) > 0 && allNumbers:
		d.Classes = distinct(classes)
		for i, v := range values {
			switch n := numbers[i]; {
			case v == "" || n == Unlabelled:
			case n < 0 || n >= len(classes):
				return fmt.Errorf("%s has the label %d, and there are names of %d classes", d.Samples[i].ID, n, len(classes))
			default:
				d.Samples[i].Label = n
			}
		}
		return nil
	}
	rows, at := newTable(), []int{}
	rows.unit = "row"
	for i, v := range values {
		if v != "" {
			rows.add(i+1, []string{d.Samples[i].ID, v})
			at = append(at, i)
		}
	}
	l := &labelFile{path: d.Name}
	if err := l.perImage(rows, at); err != nil {
		return err
	}
	d.Classes, d.Indices = l.names, l.indices
	for i := range d.Samples {
		if n, ok := l.of(i); ok {
			d.Samples[i].Label = n
		}
	}
	if len(classes) > 0 && !slices.ContainsFunc(d.Classes, func(c string) bool { return !slices.Contains(classes, c) }) {
		// Names in the order that the data gives them.
		for i, s := range d.Samples {
			if s.Label >= 0 {
				d.Samples[i].Label = slices.Index(classes, d.Classes[s.Label])
			}
		}
		d.Classes = distinct(classes)
	}
	return nil
}

// distinct are names of classes that differ: ImageNet's are their synsets, for two of its names
// stand for two classes each; others that are there twice get their number.
func distinct(classes []string) []string {
	out := slices.Clone(classes)
	if len(classes) == 1000 {
		same := 0
		for i, c := range classes {
			if at, ok := imageNetClass(c); ok && at == i {
				same++
			}
		}
		if same >= 900 {
			for i, c := range ImageNet() {
				out[i] = c.Synset
			}
			return out
		}
	}
	count := map[string]int{}
	for _, c := range classes {
		count[c]++
	}
	for i, c := range classes {
		if count[c] > 1 {
			out[i] = c + " (" + strconv.Itoa(i) + ")"
		}
	}
	return out
}

// labelFrom reads the file of --labels for data that is no folder: labels of its samples, which
// take the place of its own, or a class map of its classes.
func (d *Dataset) labelFrom(o Options) error {
	if o.Labels == "" {
		return nil
	}
	t := &tree{kind: "rows"}
	images := make([]int, len(d.Samples))
	for i, s := range d.Samples {
		t.files = append(t.files, file{path: s.ID})
		images[i] = i
	}
	l, err := readLabels(o, t, images, d.Classes)
	if err != nil {
		return err
	}
	d.Notes = append(d.Notes, l.notes...)
	if l.sets != nil {
		return fmt.Errorf("%s maps classes to several outputs each, which only data in class folders can have", filepath.Base(o.Labels))
	}
	if !l.images() {
		d.mapClasses(l, o.Labels)
		return nil
	}
	d.Classes, d.Indices, d.Called = l.names, l.indices, nil
	d.call(l)
	missing := 0
	for i := range d.Samples {
		n, ok := l.of(i)
		if !ok {
			n = Unlabelled
			missing++
		}
		d.takeAlso(i, l.also[i])
		d.Samples[i].Label = n
	}
	if missing > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d of %d images have no entry in %s and are without a label", missing, len(images), filepath.Base(o.Labels)))
	}
	if len(l.absent) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d images of %s are missing", len(l.absent), filepath.Base(o.Labels)))
	}
	d.Why += fmt.Sprintf(", labels from %s (%s)", filepath.Base(o.Labels), l.kind)
	return nil
}
