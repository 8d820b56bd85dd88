package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"cutmix-eval/internal/regular"
)

// StorageError says that something which was there when the data was opened cannot be read now. It
// says nothing about an image: the same command can go on when the storage is back.
type StorageError struct {
	Path string
	Err  error
}

func (e *StorageError) Error() string {
	what := ""
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		what = "it was there when the data was opened, and is gone"
	case errors.Is(e.Err, fs.ErrPermission):
		what = "there is no permission to read it"
	default:
		what = e.Err.Error()
	}
	return fmt.Sprintf("%q cannot be read: %s", e.Path, what)
}

// Unwrap is the reason.
func (e *StorageError) Unwrap() error { return e.Err }

// stored is a file that is read as long as a dataset is open. ReadAt's errors are *StorageError, an
// end before the file's length too.
type stored struct {
	*os.File
	size int64     // in bytes, when it was opened
	at   time.Time // of its last change then
}

// openStored opens a regular file.
func openStored(path string) (*stored, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	return store(f)
}

// store takes an open file, and closes it where that fails.
func store(f *os.File) (*stored, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &stored{f, info.Size(), changedAt(info)}, nil
}

func (s *stored) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.File.ReadAt(p, off)
	switch {
	case err == nil, errors.Is(err, io.EOF) && off+int64(n) >= s.size:
		return n, err
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("it ends after %d bytes, and had %d when the data was opened", off+int64(n), s.size)
	default:
		err = cause(err)
	}
	return n, &StorageError{s.Name(), err}
}

// cause is an error of the system without the path, which whoever tells it names.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Changed is when what is stored of sample i was last changed, as far as is known: the zero time
// where it is not stored.
func (d *Dataset) Changed(i int) time.Time {
	if d.derived != nil {
		return d.derived.from.Changed(i / len(d.derived.variants))
	}
	if d.Samples[i].Size < 0 {
		return time.Time{}
	}
	return d.src.changed(d.Samples[i].at)
}

// Stored is the loader of what is stored of sample i, without decoding it: see Loader.Sum.
func (l *Loader) Stored(i int) (sum uint32, err error) {
	if d := l.d.derived; d != nil {
		return (&Loader{d: d.from}).Stored(i / len(d.variants))
	}
	_, _, err = l.read(i)
	return l.sum, err
}
