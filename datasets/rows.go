package datasets

import (
	"errors"
	"fmt"
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
	switch {
	case o.Labels != "":
		if l, err = readLabels(o, t, images, nil); err == nil && !l.images() {
			err = fmt.Errorf("reading labels from %q: it has no label of each row", o.Labels)
		}
	case labels != nil:
		rows := newTable()
		rows.unit = "row"
		for i, label := range labels {
			rows.add(i+1, []string{ids[i], label})
		}
		l = &labelFile{path: name}
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
	d.Why = fmt.Sprintf("%d rows with labels (%s)", len(d.Samples), l.kind)
	return d, nil
}

// rowSource has no pictures.
type rowSource struct{}

func (rowSource) read(int, []byte) ([]byte, *imageproc.Image, error) {
	return nil, nil, errors.New("it has no picture")
}
func (rowSource) changed(int) time.Time { return time.Time{} }

func (rowSource) close() error { return nil }

// arrayAsText is a .npy file of labels as the text of one number per line.
func arrayAsText(data []byte) ([]byte, error) {
	info, v, err := npy.Values(data)
	if err != nil {
		return nil, err
	}
	if len(v) > maxLabelFile/16 {
		return nil, fmt.Errorf("it has %d values, too many for labels", len(v))
	}
	if n := len(info.Shape); n > 1 && info.Shape[n-1] != 1 || n > 2 {
		return nil, fmt.Errorf("its array has the shape %v; labels are one number per image", info.Shape)
	}
	var b strings.Builder
	for _, x := range v {
		fmt.Fprintf(&b, "%v\n", x)
	}
	return []byte(b.String()), nil
}
