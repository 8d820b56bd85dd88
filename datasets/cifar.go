package datasets

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cutmix-eval/imageproc"
)

// CIFAR's binary version: records of a label byte (CIFAR-100: coarse, then
// fine) and 3 x 32 x 32 bytes, channel by channel.
const (
	cifarSide   = 32
	cifarPixels = 3 * cifarSide * cifarSide
)

var cifar10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// isCIFARFile goes by name and size: the format has no signature.
func isCIFARFile(name string, size int64) bool {
	return strings.EqualFold(filepath.Ext(name), ".bin") && size > 0 && (size%(cifarPixels+1) == 0 || size%(cifarPixels+2) == 0)
}

func openCIFARFile(name string) (*Dataset, error) {
	f, err := openStored(name)
	if err != nil {
		return nil, err
	}
	t := &tree{kind: "file", root: name, tar: f} // offsets into one open file, as in a tar
	t.files = []file{{path: filepath.Base(name), size: f.size}}
	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(name), ".bin"), src: t}
	if err := d.cifar(t, []int{0}, ""); err != nil {
		t.close()
		return nil, err
	}
	return d, nil
}

// cifarTree recognises a folder or tar of the binary version.
func (d *Dataset) cifarTree(t *tree, base string, o Options) (bool, error) {
	if o.Format != Auto && o.Format != CIFAR {
		return false, nil
	}
	var test, train []int
	pickled := false
	for _, i := range t.under(base) {
		if path.Join(base, path.Base(t.files[i].path)) != t.files[i].path {
			continue
		}
		switch name := path.Base(t.files[i].path); {
		case !isCIFARFile(name, t.files[i].size):
			pickled = pickled || name == "batches.meta" || name == "data_batch_1"
		case strings.HasPrefix(name, "test"):
			test = append(test, i)
		case strings.HasPrefix(name, "data_batch") || name == "train.bin":
			train = append(train, i)
		}
	}
	if len(test)+len(train) == 0 {
		if pickled {
			return true, fmt.Errorf("it is CIFAR's Python version (pickle files); use the binary version or a folder of images")
		}
		return false, nil
	}
	files, split := test, "test"
	if o.Split == "train" || o.Split == "" && len(train) > 0 && (len(test) == 0 || o.Prefer == "train") {
		files, split = train, "train"
	}
	if o.Split != "" && o.Split != "train" && o.Split != "test" || len(files) == 0 {
		return true, fmt.Errorf("there is no split %q; CIFAR has test and train", o.Split)
	}
	names := func(file string) []string {
		data, ok, err := t.text(path.Join(base, file))
		if !ok || err != nil {
			return nil
		}
		return strings.Fields(string(data))
	}
	if fine := names("fine_label_names.txt"); len(fine) == 100 {
		d.Classes = fine
	} else if ten := names("batches.meta.txt"); len(ten) == 10 {
		d.Classes = ten
	}
	d.base = base
	return true, d.cifar(t, files, split)
}

// cifar makes samples of the records of files.
func (d *Dataset) cifar(t *tree, files []int, split string) error {
	// A file of 3073 * 3074 records' length could be either; the name decides.
	labels := 1
	for _, i := range files {
		f := t.files[i]
		name := path.Base(f.path)
		if f.size%(cifarPixels+1) != 0 || (name == "test.bin" || name == "train.bin") && f.size%(cifarPixels+2) == 0 {
			labels = 2
		}
	}
	record := cifarPixels + labels
	src := cifarSource{t: t, labels: labels}
	buf := make([]byte, 1)
	limit := map[int]int{1: 10, 2: 100}[labels]
	for _, i := range files {
		f := t.files[i]
		if f.size%int64(record) != 0 {
			return fmt.Errorf("%s has %d bytes, which is not a number of records of %d bytes", f.path, f.size, record)
		}
		for k := range int(f.size / int64(record)) {
			off := int64(k) * int64(record)
			if err := src.readAt(i, off+int64(labels-1), buf); err != nil {
				return err
			}
			if int(buf[0]) >= limit {
				return fmt.Errorf("%s record %d has label %d, above %d: it is not a CIFAR binary", f.path, k, buf[0], limit-1)
			}
			d.Samples = append(d.Samples, Sample{
				ID: fmt.Sprintf("%s/%05d", strings.TrimSuffix(f.path, ".bin"), k), Label: int(buf[0]),
				Size: cifarPixels, at: len(src.records),
			})
			src.records = append(src.records, cifarRecord{i, off + int64(labels)})
		}
	}
	if d.Classes == nil {
		if labels == 1 {
			d.Classes = slices.Clone(cifar10Classes)
		} else {
			for i := range 100 {
				d.Classes = append(d.Classes, fmt.Sprintf("class %d", i))
			}
		}
	}
	d.src, d.Format = &src, CIFAR
	kind := map[int]string{1: "CIFAR-10", 2: "CIFAR-100, fine labels"}[labels]
	d.Why = fmt.Sprintf("%s, binary version (%d files of %d-byte records)", kind, len(files), record)
	if split != "" {
		d.Why += ", split " + split
	}
	return nil
}

type cifarRecord struct {
	file int
	off  int64
}

type cifarSource struct {
	t       *tree
	labels  int
	records []cifarRecord
}

func (s *cifarSource) readAt(i int, off int64, buf []byte) error {
	f := s.t.files[i]
	if f.zip != nil {
		return errors.New("CIFAR's binaries are not read within a zip archive; unpack it and give the folder")
	}
	if s.t.tar != nil {
		_, err := s.t.tar.ReadAt(buf, f.off+off)
		return err
	}
	h, err := openStored(f.open)
	if err != nil {
		return &StorageError{f.open, cause(err)}
	}
	defer h.Close()
	_, err = h.ReadAt(buf, off)
	return err
}

func (s *cifarSource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	r := s.records[at]
	planar := make([]byte, cifarPixels)
	if err := s.readAt(r.file, r.off, planar); err != nil {
		return nil, nil, err
	}
	img := imageproc.New(cifarSide, cifarSide)
	for i := range cifarSide * cifarSide {
		for c := range 3 {
			img.Pix[3*i+c] = planar[c*cifarSide*cifarSide+i]
		}
	}
	return nil, &img, nil
}

func (s *cifarSource) changed(at int) time.Time { return s.t.changed(s.records[at].file) }

func (s *cifarSource) close() error { return s.t.close() }
