package results

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// fewRows is a run of some rows with its files, for fuzzing.
func fewRows(f *testing.F) (dir string) {
	dir = filepath.Join(f.TempDir(), "run")
	r := create(f, dir, manifest(), upTo(20))
	if err := errors.Join(fill(f, r, upTo(20)), r.Close()); err != nil {
		f.Fatal(err)
	}
	return dir
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// walk reads all that there is of a run, and checks that samples come in order and arrays are
// as wide as the manifest says.
func walk(t *testing.T, r *Run) {
	var names []string
	for _, a := range r.Manifest.Arrays {
		names = append(names, a.Name)
	}
	last := int64(-1)
	_ = Each(context.Background(), r, names, func(row *record, arrays [][]float32) error {
		if row.Index <= last || row.Index >= int64(r.Manifest.Key.Data.N) {
			t.Errorf("sample %d after %d, of %d", row.Index, last, r.Manifest.Key.Data.N)
		}
		last = row.Index
		for k, values := range arrays {
			if w, _ := r.HasArray(names[k]); len(values) != w {
				t.Errorf("%d values of %s, not %d", len(values), names[k], w)
			}
		}
		return nil
	})
}

// FuzzManifest: whatever lies in manifest.json, the run beside it is read or refused, and no
// records but its own are taken for its.
func FuzzManifest(f *testing.F) {
	dir := fewRows(f)
	whole := read(f, filepath.Join(dir, manifestName))
	f.Add(whole)
	for key, value := range map[string]any{"format": 2, "arrays": nil, "outputs": -1, "limit": -1, "about": nil} {
		var m map[string]any
		if err := json.Unmarshal(whole, &m); err != nil {
			f.Fatal(err)
		}
		m[key] = value
		text, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, manifestName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir)
		if err != nil {
			return
		}
		var want Manifest
		if err := json.Unmarshal(whole, &want); err != nil {
			t.Fatal(err)
		}
		if len(r.parts) > 0 && r.Manifest.Key.id() != want.Key.id() {
			t.Errorf("parts of run %s were taken for those of %s", want.Key.id(), r.Manifest.Key.id())
		}
		_, _ = About[map[string]any](r, "test")
		walk(t, r)
	})
}

// FuzzPart: whatever lies in a part's table and array, they are read or refused.
func FuzzPart(f *testing.F) {
	dir := fewRows(f)
	table, array := tablePath(dir, 0), arrayPath(dir, 0, "logits", 16)
	rows, values := read(f, table), read(f, array)
	f.Add(rows, values)
	f.Add(rows[:len(rows)/2], values)
	f.Add(rows, values[:len(values)-1])
	f.Add(read(f, tablePath(dir, 1)), read(f, arrayPath(dir, 1, "logits", 4)))
	f.Fuzz(func(t *testing.T, rows, values []byte) {
		if err := errors.Join(os.WriteFile(table, rows, 0o600), os.WriteFile(array, values, 0o600)); err != nil {
			t.Fatal(err)
		}
		r, err := Open(dir)
		if err != nil {
			return
		}
		walk(t, r)
	})
}
