package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	cutmixeval "cutmix-eval"
	"cutmix-eval/internal/cache"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/models"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
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

// published tables what others have measured with a model.
func published(e *lock.Entry) []report.Table {
	if e == nil || len(e.Published) == 0 {
		return nil
	}
	t := report.Table{Name: "published", Title: "published numbers of this model", Columns: []string{"metric", "value", "data", "source"}}
	for _, p := range e.Published {
		t.Rows = append(t.Rows, []string{p.Metric, strconv.FormatFloat(100*p.Value, 'f', 2, 64) + " %", p.Data, p.Source})
	}
	return []report.Table{t}
}

// ModelKey is what of a model enters the key of a run.
func ModelKey(m *model.Model) results.Model {
	return results.Model{SHA256: m.SHA256, Edits: m.Edits(), Output: m.Logits}
}

// source is the model as a session takes it.
func source(m *model.Model) runtime.Source {
	return runtime.Source{Name: cmp.Or(m.Path, m.Name), Dir: m.Dir(), Model: m.File()}
}

// openSession opens the model on its device. A batch size that is fixed in the
// file is opened where the opened graph runs at other sizes and gives the same
// values; otherwise the model runs at its own size.
func (s *Setup) openSession(ctx context.Context, threads int, shape []int64) error {
	m := s.Model
	if t := m.InputType; t != onnx.Float32 && t != onnx.Float16 {
		return fmt.Errorf("opening model %q: input %q takes %v; float32 and float16 are supported", cmp.Or(m.Path, m.Name), m.Input, t)
	}
	o := runtime.Options{
		Device: s.Config.Device, Threads: threads,
		Inputs: []runtime.Input{{Name: m.Input, Shape: shape}}, Outputs: append([]string{m.Logits}, s.Taps...),
	}
	var err error
	if s.Session, err = runtime.Open(ctx, source(m), o); err != nil && m.Edits() != "" && ctx.Err() == nil {
		return fmt.Errorf("the changed graph of model %q does not run (its head probably insists on the size of its map): %w", m.Name, err)
	}
	if err != nil || s.Session.Fixed == 0 {
		return err
	}
	s.FreedBatch = fmt.Sprintf("fixed at %d by the file", s.Session.Fixed)
	freed, ok, err := m.FreeBatch()
	if err != nil || !ok {
		return err
	}
	free, err := runtime.Open(ctx, source(freed), o)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.FreedBatch += "; it cannot be opened"
		return nil // it runs as it is
	}
	if free.Fixed > 0 || !sameResults(ctx, s.Session, free) {
		s.FreedBatch += "; it cannot be opened"
		return errors.Join(free.Close(), ctx.Err())
	}
	old := s.Session
	s.Session = free
	s.FreedBatch += ", opened after checking that results stay the same"
	return old.Close()
}

// sameResults runs both sessions on the same random images, one more than a
// batch of a, and compares: sums in another order may differ in the last digits.
func sameResults(ctx context.Context, a, b *runtime.Session) bool {
	n := a.Fixed + 1
	run := func(s *runtime.Session) [][]float32 {
		batch, err := s.NewBatch(n)
		if err != nil {
			return nil
		}
		defer batch.Close()
		rng := rand.New(rand.NewPCG(1, 1))
		var out [][]float32
		for at := 0; at < n; at += batch.Size() {
			k := min(batch.Size(), n-at)
			noise(batch, rng)
			if batch.Run(ctx, k) != nil {
				return nil
			}
			for i := range k {
				out = append(out, append([]float32(nil), batch.Output(0, i)...))
			}
		}
		return out
	}
	x, y := run(a), run(b)
	if x == nil || y == nil {
		return false
	}
	for i := range x {
		scale := 0.0
		for _, v := range x[i] {
			scale = max(scale, math.Abs(float64(v)))
		}
		for k, v := range x[i] {
			if !(math.Abs(float64(v-y[i][k])) <= 1e-4*max(scale, 1e-3)) {
				return false
			}
		}
	}
	return true
}
