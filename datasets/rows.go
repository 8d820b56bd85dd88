package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
)

// Rows is a dataset without pictures: samples of the given names, in that order. Their labels
// are class names or numbers, one for each, or come from the file that o names; o's other fields
// do not matter, but for Order.
func Rows(name string, ids, labels []string, o Options) (*Dataset, error) {
	t := &tree{kind: "rows"}
	images := make([]int, len(ids))
	for i, id := range ids {
		t.files = append(t.files, file{path: printable(id)})
		images[i] = i
	}
	d := &Dataset{Name: name, src: rowSource{}, Order: o.Order}
	var l *labelFile
	var err error
	from := name
	if o.Labels != "" && labels == nil {
		if labels = o.fromOne(len(ids)); labels != nil {
			from = o.Labels
		}
	}
	switch {
	case o.Labels != "" && from == name:
		if l, err = readLabels(o, t, images, nil); err == nil && !l.images() {
			err = fmt.Errorf("reading labels from %q: it has no label of each row", o.Labels)
		}
	case labels != nil:
		rows := newTable()
		rows.unit = "row"
		for i, label := range labels {
			rows.add(i+1, []string{ids[i], label})
		}
		l = &labelFile{path: from}
		err = l.perImage(rows, images)
	default:
		err = errors.New("it has no labels; give the images by --data, or a file of labels by --labels")
	}
	if err == nil {
		err = d.byLabelFile(t, images, l, "rows")
	}
	if err != nil {
		return nil, err
	}
	for i := range d.Samples {
		d.Samples[i].Size = 0 // whether there is a row for it says nothing about the image
	}
	d.Why = fmt.Sprintf("%d rows with labels (%s)", len(d.Samples), l.kind)
	return d, nil
}

// SortByName brings the samples into the order of their names, so that the order in which they were
// given does not matter.
func (d *Dataset) SortByName() {
	at := make([]int, len(d.Samples))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return strings.Compare(d.Samples[a].ID, d.Samples[b].ID) })
	samples, also := make([]Sample, len(at)), map[int][]int{}
	for i, from := range at {
		samples[i] = d.Samples[from]
		if more, ok := d.also[from]; ok {
			also[i] = more
		}
	}
	if d.Samples = samples; d.also != nil {
		d.also = also
	}
}

// fromOne is the labels of a file of one number per row, where these are 1 to Highest: any lower ones
// could be counted from 0 or 1, and 1 to 1000 are the ILSVRC devkit's. nil where they are not.
func (o Options) fromOne(rows int) []string {
	data, err := readText(o.Labels)
	if err == nil && bytes.HasPrefix(data, []byte("\x93NUMPY")) {
		data, err = arrayAsText(data)
	}
	if err != nil {
		return nil
	}
	t, err := splitRows(data, func(string) bool { return false })
	if err != nil || len(t.rows) != rows {
		return nil
	}
	v, ok := column(t)
	if !ok || slices.Min(v) != 1 || slices.Max(v) != o.Highest || o.Highest == 1000 {
		return nil
	}
	var out []string
	for _, n := range v {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// rowSource has no pictures.
type rowSource struct{}

func (rowSource) read(int, []byte) ([]byte, *imageproc.Image, error) {
	return nil, nil, errors.New("it has no picture")
}
func (rowSource) changed(int) time.Time { return time.Time{} }

func (rowSource) close() error { return nil }

// arrayAsText is a .npy file of labels as text, one per line.
func arrayAsText(data []byte) ([]byte, error) {
	a, err := npy.Parsed(data)
	if err != nil {
		return nil, err
	}
	if n := len(a.Data) + len(a.Text); n > maxLabelFile/16 {
		return nil, fmt.Errorf("it has %d values, too many for labels", n)
	}
	if n := len(a.Shape); n > 1 && a.Shape[n-1] != 1 || n > 2 {
		return nil, fmt.Errorf("its array has the shape %v; labels are one per image", a.Shape)
	}
	var b strings.Builder
	for _, x := range a.Data {
		fmt.Fprintf(&b, "%v\n", x)
	}
	for _, x := range a.Text {
		fmt.Fprintf(&b, "%s\n", x)
	}
	return []byte(b.String()), nil
}
