package datasets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/npy"
)

// Corrupted is corrupted images as a benchmark keeps them.
type Corrupted struct {
	*Dataset
	Cells []Cell // of every sample, parallel to Samples
}

// Cell says what a sample is: which corruption and severity, of which image.
type Cell struct {
	Corruption string
	Severity   int
	Image      string // the same for all corruptions of one image
}

// OpenCorrupted reads corrupted images: a folder CORRUPTION/SEVERITY/CLASS/IMAGE, as
// ImageNet-C and Tiny-ImageNet-C have it, or CIFAR-10-C's and CIFAR-100-C's
// CORRUPTION.npy (images of all severities one after the other, 32 x 32 RGB bytes) with
// labels.npy. only names the corruptions that are looked for; classMap, if not empty, is a
// class map for folders.
func OpenCorrupted(dir string, only []string, classMap string) (*Corrupted, error) {
	c, err := openCorrupted(dir, only, classMap)
	if err != nil {
		return nil, fmt.Errorf("opening corrupted images %q: %w", dir, err)
	}
	return c, nil
}

func openCorrupted(dir string, only []string, classMap string) (*Corrupted, error) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil, errors.New("there is no such folder")
	}
	if _, err := os.Stat(filepath.Join(dir, "labels.npy")); err == nil {
		if classMap != "" {
			return nil, errors.New("labels.npy has the labels; --labels cannot be given with it")
		}
		return openCIFARC(dir, only)
	}
	// Archives unpack to folders of their own (noise, blur …): go through those too.
	find := func(name string) string {
		for _, try := range []string{filepath.Join(dir, name), filepath.Join(dir, "*", name)} {
			if m, _ := filepath.Glob(try); len(m) > 0 {
				return m[0]
			}
		}
		return ""
	}
	var parts []*Dataset
	var names []string
	var cells []Cell
	fail := func(err error) (*Corrupted, error) {
		for _, p := range parts {
			_ = p.Close()
		}
		return nil, err
	}
	for _, name := range only {
		at := find(name)
		if at == "" {
			continue
		}
		for s := 1; s <= 5; s++ {
			sub := filepath.Join(at, strconv.Itoa(s))
			if info, err := os.Stat(sub); err != nil || !info.IsDir() {
				continue
			}
			d, err := Open(sub, Options{Format: ClassFolders, Labels: classMap})
			if err != nil {
				return fail(err)
			}
			parts, names = append(parts, d), append(names, fmt.Sprintf("%s/%d", name, s))
			for _, x := range d.Samples {
				cells = append(cells, Cell{name, s, x.ID})
			}
		}
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("it holds neither folders CORRUPTION/SEVERITY (such as %s%c1) nor CORRUPTION.npy and labels.npy", only[0], filepath.Separator)
	}
	d, err := Join(filepath.Base(filepath.Clean(dir)), fmt.Sprintf("folders corruption/severity/class: %d of them", len(parts)), parts, names)
	if err != nil {
		return fail(err)
	}
	return &Corrupted{d, cells}, nil
}

func openCIFARC(dir string, only []string) (*Corrupted, error) {
	shape, labels, err := npy.Read(filepath.Join(dir, "labels.npy"))
	if err != nil {
		return nil, fmt.Errorf("labels.npy: %w", err)
	}
	if len(shape.Shape) != 1 || len(labels) == 0 || len(labels)%5 != 0 {
		return nil, fmt.Errorf("labels.npy has the shape %v, not a label for each image of five severities", shape.Shape)
	}
	n, classes := len(labels), 0
	for i, l := range labels {
		if l < 0 || l > 1e6 || l != float64(int(l)) {
			return nil, fmt.Errorf("labels.npy: label %d is %v", i, l)
		}
		classes = max(classes, int(l)+1)
	}
	d := &Dataset{Name: filepath.Base(filepath.Clean(dir)), Format: CIFAR}
	for c := range classes {
		d.Classes, d.Indices = append(d.Classes, strconv.Itoa(c)), append(d.Indices, c)
	}
	src := &npySource{}
	d.src = src
	out := &Corrupted{Dataset: d}
	for _, name := range only {
		f, err := openStored(filepath.Join(dir, name+".npy"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			_ = src.close()
			return nil, err
		}
		array := &arraySource{r: f, closers: []io.Closer{f}, at: f.at}
		src.arrays = append(src.arrays, array)
		var sum string
		if array.info, err = npy.Parse(f, f.size); err == nil {
			array.form, err = pictureForm(array.info)
		}
		if err == nil && (array.info.Kind != "u1" || !slices.Equal(array.info.Shape, []int{n, cifarSide, cifarSide, 3})) {
			err = fmt.Errorf("it holds %s of shape %v, not bytes of shape [%d %d %d 3]", array.info.Kind, array.info.Shape, n, cifarSide, cifarSide)
		}
		if err == nil {
			sum, err = array.sum(f.size)
		}
		if err != nil {
			_ = src.close()
			return nil, fmt.Errorf("%s.npy: %w", name, err)
		}
		d.content = append(d.content, sum)
		each := n / 5
		for i := range n {
			id := fmt.Sprintf("%s/%d/%05d", name, i/each+1, i%each)
			out.Cells = append(out.Cells, Cell{name, i/each + 1, strconv.Itoa(i % each)})
			d.Samples = append(d.Samples, Sample{ID: id, Label: int(labels[i]), Size: 3 * cifarSide * cifarSide, at: (len(src.arrays)-1)*n + i})
		}
	}
	if len(src.arrays) == 0 {
		return nil, fmt.Errorf("beside labels.npy there is no %s", strings.Join(only, ".npy, ")+".npy")
	}
	src.n = n
	d.Why = fmt.Sprintf("CIFAR-C: %d files of %d images at five severities", len(src.arrays), n/5)
	return out, nil
}

// npySource reads images from several arrays of n images.
type npySource struct {
	arrays []*arraySource
	n      int
}

func (s *npySource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	return s.arrays[at/s.n].read(at%s.n, buf)
}

func (s *npySource) changed(at int) time.Time { return s.arrays[at/s.n].at }

func (s *npySource) close() error {
	var errs []error
	for _, a := range s.arrays {
		errs = append(errs, a.close())
	}
	return errors.Join(errs...)
}
