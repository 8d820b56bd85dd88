package datasets

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
)

// arraySource is pictures in a numpy file: bytes of n x h x w, or n x h x w x 3.
type arraySource struct {
	f       *stored
	offset  int64
	h, w, c int
}

func (s *arraySource) read(at int, _ []byte) ([]byte, *imageproc.Image, error) {
	data := make([]byte, s.h*s.w*s.c)
	if _, err := s.f.ReadAt(data, s.offset+int64(at)*int64(len(data))); err != nil {
		return nil, nil, err
	}
	if s.c == 3 {
		return nil, &imageproc.Image{W: s.w, H: s.h, Pix: data}, nil
	}
	im := imageproc.New(s.w, s.h)
	for i, v := range data {
		im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2] = v, v, v
	}
	return nil, &im, nil
}

func (s *arraySource) changed(int) time.Time { return s.f.at }

func (s *arraySource) close() error { return s.f.Close() }

// openArray reads pictures of a .npy file, with the labels beside it: NAME_labels.npy for
// NAME_data.npy, else labels.npy.
func openArray(name string, o Options) (d *Dataset, err error) {
	f, err := openStored(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	head, err := npy.Parse(f, f.size)
	if err != nil {
		return nil, err
	}
	s := head.Shape
	if head.Kind != "u1" || len(s) < 3 || len(s) > 4 || len(s) == 4 && s[3] != 3 && s[3] != 1 || s[1]*s[2] == 0 || s[1] > 1<<15 || s[2] > 1<<15 {
		return nil, fmt.Errorf("its array of %s %v is not one of pictures; save them as bytes (uint8) of the shape n x height x width x 3", head.Kind, s)
	}
	src := &arraySource{f, head.Offset, s[1], s[2], 1}
	if len(s) == 4 {
		src.c = s[3]
	}
	d = &Dataset{Format: Arrays, src: src, Why: fmt.Sprintf("numpy array of %d pictures of %d x %d", s[0], s[2], s[1])}
	for i := range s[0] {
		d.Samples = append(d.Samples, Sample{ID: fmt.Sprintf("row-%06d", i), Label: Unlabelled, Size: int64(src.h * src.w * src.c), at: i})
	}
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	beside := []string{filepath.Join(filepath.Dir(name), "labels.npy")}
	for _, end := range []string{"_data", "_images"} {
		if base, ok := strings.CutSuffix(stem, end); ok {
			beside = append([]string{base + "_labels.npy"}, beside...)
		}
	}
	given := o.Labels != ""
	if given {
		beside = nil
		if strings.EqualFold(filepath.Ext(o.Labels), ".npy") {
			beside, o.Labels = []string{o.Labels}, ""
		}
	}
	for _, file := range beside {
		lf, err := regular.Open(file)
		if err != nil {
			if given {
				return nil, fmt.Errorf("reading labels: %w", err)
			}
			continue
		}
		data, err := io.ReadAll(io.LimitReader(lf, maxLabelFile))
		_ = lf.Close() // only read
		if err != nil {
			return nil, err
		}
		text, err := arrayAsText(data)
		if err != nil {
			return nil, fmt.Errorf("reading labels from %q: %w", file, err)
		}
		values := strings.Fields(string(text))
		if len(values) != s[0] {
			return nil, fmt.Errorf("%q has %d labels for %d pictures", file, len(values), s[0])
		}
		d.Why += ", labels from " + filepath.Base(file)
		if err := d.label(values, nil); err != nil {
			return nil, err
		}
		break
	}
	return d, d.labelFrom(o)
}
