package finetune

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/heads"
	"cutmix-eval/internal/npy"
	"cutmix-eval/results"

	"github.com/google/go-cmp/cmp"
)

func key() results.Key {
	return results.Key{Task: Name, Model: results.Model{SHA256: "ab", Output: "logits"}, Config: struct{}{}}
}

func state() heads.State {
	return heads.State{
		Log: heads.Log{{Epoch: 1, Best: true}}, Params: []float64{1, 2, 3}, Best: []float64{4, 5, 6}, Optimizer: [][]float64{{1}, {7, 8, 9}, nil},
	}
}

// TestCheckpoint: what is wrong with one is said, with what to do.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if s, err := loadCheckpoint(dir, key(), 3); err != nil || len(s.Log) != 0 {
		t.Fatalf("without one: %+v, %v", s, err)
	}
	if err := saveCheckpoint(dir, key(), state()); err != nil {
		t.Fatal(err)
	}
	s, err := loadCheckpoint(dir, key(), 3)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(state(), s); d != "" {
		t.Fatal(d)
	}
	other := key()
	other.Model.SHA256 = "cd"
	infinite, best := state(), state()
	infinite.Optimizer = [][]float64{{math.NaN()}}
	best.Log = heads.Log{{Epoch: 1}}
	write := func(t *testing.T, s heads.State) string {
		dir := t.TempDir()
		if err := saveCheckpoint(dir, key(), s); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, c := range map[string]struct {
		dir        func(t *testing.T) string
		key        results.Key
		parameters int
		want       string
	}{
		"another model":                 {func(*testing.T) string { return dir }, other, 3, dir},
		"other parameters":              {func(*testing.T) string { return dir }, key(), 4, "not 4"},
		"another model and other sizes": {func(*testing.T) string { return dir }, other, 4, "another one"},
		"no best epoch":                 {func(t *testing.T) string { return write(t, best) }, key(), 3, "best epoch"},
		"not finite":                    {func(t *testing.T) string { return write(t, infinite) }, key(), 3, "finite"},
		"half a file": {func(t *testing.T) string {
			dir := write(t, state())
			path := filepath.Join(dir, checkpointName)
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, data[:len(data)/2], 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}, key(), 3, checkpointName},
		"of another version": {func(t *testing.T) string {
			dir := t.TempDir()
			text := map[string][]byte{textName: []byte(`{"version": 1, "history": [{"epoch": 1, "best": true}]}`)}
			f, err := os.Create(filepath.Join(dir, checkpointName))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := (npy.Archive{Texts: text}).Write(f); err != nil {
				t.Fatal(err)
			}
			return dir
		}, key(), 3, "of version 1, and this program reads 2"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := loadCheckpoint(c.dir(t), c.key, c.parameters); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func FuzzCheckpoint(f *testing.F) {
	dir := f.TempDir()
	short := state()
	short.Params, short.Best, short.Optimizer = []float64{1}, []float64{4}, [][]float64{{1}, {}, {}}
	for _, s := range []heads.State{state(), short} {
		if err := saveCheckpoint(dir, key(), s); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, checkpointName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	var b bytes.Buffer
	if err := (npy.Archive{Texts: map[string][]byte{textName: []byte(`{"version":2}`)}}).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		_, s, err := parseCheckpoint(bytes.NewReader(data), int64(len(data)), 3)
		if err == nil && (len(s.Params) != 3 || len(s.Best) != 3 || len(s.Log) == 0) {
			t.Errorf("%+v", s)
		}
	})
}
