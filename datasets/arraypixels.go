package datasets

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
)

// arraySource is pictures in a numpy array of n x h x w, n x h x w x c or n x c x h x w.
type arraySource struct {
	r       io.ReaderAt
	closers []io.Closer
	info    npy.Info
	form    arrayForm
	scale   float64 // of values other than bytes: what they are multiplied by
	how     string  // the values, for people; empty for bytes
	note    string
	at      time.Time // of the last change of what is stored
}

// arrayForm is the form of one picture.
type arrayForm struct {
	h, w, c int
	planar  bool // c x h x w
}

// pictureForm is the form of the pictures of an array, or what keeps it from being one of pictures.
func pictureForm(info npy.Info) (f arrayForm, err error) {
	s := info.Shape
	channels := func(n int) bool { return n == 1 || n == 3 }
	const way = "save pictures as bytes (uint8) of the shape n x height x width x 3"
	switch {
	case info.Kind == "" || info.Kind[0] == 'U' || info.Kind[0] == 'S':
		return f, errors.New("it holds no numbers; " + way)
	case len(s) == 3 && s[2] <= 4:
		return f, fmt.Errorf("its shape %v is that of a single picture, or of rows; %s", s, way)
	case len(s) == 3:
		f = arrayForm{s[1], s[2], 1, false}
	case len(s) != 4:
		return f, fmt.Errorf("its shape %v is not one of pictures; %s", s, way)
	case channels(s[3]) && channels(s[1]):
		return f, fmt.Errorf("its shape %v does not tell whether the channels come first or last; %s", s, way)
	case channels(s[3]):
		f = arrayForm{s[1], s[2], s[3], false}
	case channels(s[1]):
		f = arrayForm{s[2], s[3], s[1], true}
	case s[3] == 4 || s[1] == 4 || s[3] == 2 || s[1] == 2:
		return f, fmt.Errorf("its shape %v has pictures of %d channels; %s", s, min(s[1], s[3]), way)
	default:
		return f, fmt.Errorf("its shape %v has neither one channel nor three (volumes are not read); %s", s, way)
	}
	if f.h < 1 || f.w < 1 || f.h > 1<<15 || f.w > 1<<15 {
		return f, fmt.Errorf("its pictures would be %d x %d; %s", f.w, f.h, way)
	}
	return f, nil
}

// settleLevels finds out by the type and the range of all values which are black and white, and
// refuses what it is not sure of.
func (s *arraySource) settleLevels() error {
	if s.info.Kind == "u1" {
		return nil
	}
	low, high, whole, onGrid := math.Inf(1), math.Inf(-1), true, true
	const chunk = 1 << 15
	buf, v := make([]byte, chunk*s.info.Width), make([]float64, chunk)
	for at, n := 0, s.info.Len(); at < n; at += chunk {
		k := min(chunk, n-at)
		if _, err := s.r.ReadAt(buf[:k*s.info.Width], s.info.Offset+int64(at)*int64(s.info.Width)); err != nil {
			return err
		}
		if err := s.info.Widen(v[:k], buf); err != nil {
			return err
		}
		for _, x := range v[:k] {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("value %v in it is no pixel; save pictures as bytes (uint8)", x)
			}
			low, high = min(low, x), max(high, x)
			whole = whole && x == math.Trunc(x)
			onGrid = onGrid && math.Abs(x*255-math.Round(x*255)) < 0.01 // half precision has steps of 0.0005
		}
	}
	const way = "save pixels of 0 to 255 as bytes (uint8), before they are normalised"
	s.scale = 1
	isFloat := s.info.Kind[0] == 'f'
	switch {
	case s.info.Len() == 0:
	case s.info.Kind == "b1":
		s.scale, s.how = 255, "true is white"
	case low < 0 || high > 255:
		return fmt.Errorf("its values (%s) go from %.4g to %.4g, which are no pixels; %s", s.info.Kind, low, high, way)
	case isFloat && high <= 1:
		s.scale, s.how = 255, "values 0 to 1 ("+s.info.Kind+"), taken times 255"
		if !onGrid {
			s.note = "values of 0 to 1 are rounded to bytes, of which there are 256"
		}
	case isFloat && high <= 2 && !whole:
		return fmt.Errorf("its values (%s) go from %.4g to %.4g, so that white may be 1 or 255; %s", s.info.Kind, low, high, way)
	default:
		s.how = "values 0 to 255 (" + s.info.Kind + ")"
		if !whole {
			s.note = "values of 0 to 255 that are no whole numbers are rounded"
		} else if high <= 1 {
			s.note = fmt.Sprintf("no value is above %.0f, of 255: the pictures are almost black as they are", high)
		}
	}
	return nil
}

// read is picture at, as RGB.
func (s *arraySource) read(at int, _ []byte) ([]byte, *imageproc.Image, error) {
	n := s.form.h * s.form.w * s.form.c
	data := make([]byte, n*s.info.Width)
	if _, err := s.r.ReadAt(data, s.info.Offset+int64(at)*int64(len(data))); err != nil {
		return nil, nil, err
	}
	if s.info.Kind != "u1" {
		v := make([]float64, n)
		if err := s.info.Widen(v, data); err != nil {
			return nil, nil, err
		}
		data = data[:n]
		for i, x := range v {
			data[i] = byte(math.Round(max(0, min(x*s.scale, 255))))
		}
	}
	if s.form.c == 3 && !s.form.planar {
		return nil, &imageproc.Image{W: s.form.w, H: s.form.h, Pix: data}, nil
	}
	im := imageproc.New(s.form.w, s.form.h)
	plane := s.form.h * s.form.w
	for i := range plane {
		for c := range 3 {
			im.Pix[3*i+c] = data[min(c, s.form.c-1)*plane+i]
		}
	}
	return nil, &im, nil
}

func (s *arraySource) changed(int) time.Time { return s.at }

func (s *arraySource) close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
