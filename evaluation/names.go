package evaluation

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	cutmixeval "cutmix-eval"
	"cutmix-eval/internal/cache"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/models"
	"cutmix-eval/report"
)

// LockFile is the lock file that the user's own models are added to:
// models.local.lock in the current folder where there is one, otherwise
// models.lock in the cache.
func LockFile() (string, error) {
	const here = "models.local.lock"
	if info, err := os.Stat(here); err == nil && info.Mode().IsRegular() {
		return here, nil
	}
	dir, err := cache.Dir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "models.lock"), nil
}

// Lock returns the models that are known: the program's, with the user's in
// place of those of the same name.
func Lock() (*lock.Lock, error) {
	own, err := lock.Parse(cutmixeval.ModelsLock)
	if err != nil {
		return nil, fmt.Errorf("the program's models.lock: %w", err)
	}
	path, err := LockFile()
	if err != nil {
		return nil, err
	}
	users, err := lock.Read(path)
	if err != nil {
		return nil, err
	}
	return lock.Merge(own, users), nil
}

// ErrNoFile is wrapped where a model of models.lock has no file here yet.
var ErrNoFile = errors.New("it has no file here")

// OpenModel opens a model by file, or by its name in models.lock. A file whose
// checksum is pinned there has its entry too; entry is nil for other files.
func OpenModel(name, output string) (m *model.Model, entry *lock.Entry, err error) {
	l, err := Lock()
	if err != nil {
		return nil, nil, err
	}
	e, named := l.Find(name)
	if info, err := os.Stat(name); err == nil && !info.IsDir() || !named {
		m, err := model.Open(name, output)
		if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(name, `/\`) {
			return nil, nil, fmt.Errorf("model %q is neither a file nor a name in models.lock; cutmix-eval models list shows those", name)
		}
		if err != nil {
			return nil, nil, err
		}
		if e, ok := l.BySHA256(m.SHA256); ok {
			return m, &e, nil
		}
		return m, nil, nil
	}
	switch e.Kind {
	case lock.Embedded:
		data, ok := models.Bytes(name)
		if !ok {
			return nil, nil, fmt.Errorf("model %q is listed as embedded, but it is not in this program", name)
		}
		m, err = model.FromBytes(name, data, output)
	case lock.Convert:
		return nil, nil, fmt.Errorf("model %q: %w: it is published as a PyTorch file; get it from %s, convert it with tools/convert/convert.py --arch %s, then: cutmix-eval models add %s FILE.onnx", name, ErrNoFile, e.Page, e.Arch, name)
	default:
		path := e.File
		if e.Kind == lock.Download {
			dir, err := cache.Dir()
			if err != nil {
				return nil, nil, err
			}
			path = e.Path(dir)
			if _, err := os.Stat(path); err != nil {
				return nil, nil, fmt.Errorf("model %q: %w; run: cutmix-eval models fetch %s", name, ErrNoFile, name)
			}
		}
		m, err = model.OpenPinned(name, path, e.SHA256, output)
	}
	if err != nil {
		return nil, nil, err
	}
	return m, &e, nil
}

// published are the numbers that others have measured with a model.
func published(e *lock.Entry) []report.Number {
	if e == nil {
		return nil
	}
	var out []report.Number
	for _, p := range e.Published {
		out = append(out, report.Number{
			Name: p.Metric, At: report.Keys{report.KeyDataset.Is(p.Data), report.KeySource.Is(p.Source)},
			Value: p.Value, Unit: report.Fraction, Better: report.Higher,
		})
	}
	return out
}
