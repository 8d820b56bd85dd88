package evaluation_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
)

// TestStorageStops: a failure of the storage ends the run. What was recorded before stays, nothing is
// recorded of images that could not be read, and the same command goes on.
func TestStorageStops(t *testing.T) {
	tab := table(40)
	gone := &datasets.StorageError{Path: "x.png", Err: fs.ErrNotExist}
	tab.Bad = map[int]error{7: errors.New("it is torn"), 30: gone}
	store := evaluation.Store{Dir: filepath.Join(t.TempDir(), "run")}
	p, err := makePass(t, tab, tab.Samples(), store, evaluation.Spec{PartSize: 8}, all)
	if !errors.Is(err, gone) || !strings.Contains(err.Error(), "image 030") || !strings.Contains(err.Error(), "mend that") {
		t.Fatalf("%v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := results.Open(store.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if todo := found.Missing(results.Shard{}); len(todo) != 10 || todo[0] != 30 {
		t.Errorf("missing after the failure: %v", todo)
	}
	delete(tab.Bad, 30)
	if p, err = makePass(t, tab, tab.Samples(), store, evaluation.Spec{}, all); err != nil {
		t.Fatal(err)
	}
	got, _ := rows(t, p, "")
	for i, r := range got {
		if want := map[bool]string{true: results.Bad, false: results.OK}[i == 7]; r.Status != want {
			t.Errorf("image %d is %s: %s", i, r.Status, r.Error)
		}
	}
	if len(got) != 40 {
		t.Errorf("%d records", len(got))
	}
}

// stored are samples of a table whose contents lie in files.
type stored struct {
	*evaltest.Samples
	data *datasets.Dataset
}

func (s stored) Changed(i int) time.Time  { return s.data.Changed(i) }
func (s stored) Loader() *datasets.Loader { return s.data.Loader() }

func (s stored) Filler() (pipeline.Filler, error) {
	fill, err := s.Samples.Filler()
	l := s.data.Loader()
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		known, err := fill(i, dst)
		if _, serr := l.Stored(i); err == nil {
			err = serr
		}
		known.Sum = l.Sum()
		return known, err
	}, err
}

// TestReplaced: an image that was replaced by another of the same name and size is noticed, whether
// the run has ended or not; one that was only written again is not.
func TestReplaced(t *testing.T) {
	const n = 12
	for _, c := range []struct {
		name   string
		done   int // records before
		change func(file string) error
		want   string
	}{
		{"nothing", 6, func(string) error { return nil }, ""},
		{"the same again", n, func(f string) error { return os.WriteFile(f, []byte("a3"), 0o600) }, ""},
		{"another", 6, func(f string) error { return os.WriteFile(f, []byte("b3"), 0o600) }, "image 003 is not the one"},
		{"another, at the end", n, func(f string) error { return os.WriteFile(f, []byte("b3"), 0o600) }, "image 003 is not the one"},
		{"gone", n, os.Remove, "is gone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := func(i int) string { return filepath.Join(dir, "x", fmt.Sprintf("%03d.png", i)) }
			if err := os.Mkdir(filepath.Join(dir, "x"), 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if err := os.WriteFile(file(i), fmt.Appendf(nil, "a%x", i), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			open := func() stored {
				d, err := datasets.Open(dir, datasets.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.Close() })
				return stored{table(n).Samples(), d}
			}
			store := evaluation.Store{Dir: filepath.Join(t.TempDir(), "run")}
			s := open()
			p, err := makePass(t, table(n), s, store, evaluation.Spec{PartSize: 4}, c.done)
			if err != nil && c.done == n {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // clocks of file systems are coarse
			if c.name == "gone" {
				touch(t, file(3)) // it is looked at, and gone then
				s = open()
			}
			if err := c.change(file(3)); err != nil {
				t.Fatal(err)
			}
			if c.name != "gone" {
				s = open()
			}
			_, err = makePass(t, table(n), s, store, evaluation.Spec{}, all)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
}
