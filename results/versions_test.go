package results

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// newer is the record of a version that keeps more than this one.
type newer struct {
	record
	More string `parquet:"more"`
}

// unsealed takes the checksums out of a run's tables, which earlier versions did not write.
func unsealed(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, partsName, "*.parquet"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, path := range tables {
		table := read(t, path)
		at, err := footer(table, int64(len(table)))
		if err != nil || !bytes.Equal(table[at-8:at-4], sealMark) {
			t.Fatalf("%s has no checksum: %v", path, err)
		}
		if err := os.WriteFile(path, append(table[:at-8:at-8], table[at:]...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoVersions: a run that one version has begun is gone on with by another, in the middle of a
// part too, whichever of them knows more.
func TestTwoVersions(t *testing.T) {
	half := slices.DeleteFunc(upTo(samples), func(i int) bool { return i%16 >= 7 }) // of every part
	rest := slices.DeleteFunc(upTo(samples), func(i int) bool { return i%16 < 7 })
	for name, begin := range map[string]func(t *testing.T, dir string, r *Run){
		"begun by an earlier version": func(t *testing.T, dir string, r *Run) {
			if err := errors.Join(fill(t, r, half), r.Close()); err != nil {
				t.Fatal(err)
			}
			unsealed(t, dir)
		},
		"begun by a later version": func(t *testing.T, _ string, r *Run) {
			w := NewWriter[newer](r)
			for _, i := range half {
				if err := w.Add(newer{rowOf(i), "more"}, logitsOf(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(w.Close(), r.Close()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			begin(t, dir, create(t, dir, manifest(), nil))
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := contents(t, r); !slices.Equal(got, half) {
				t.Errorf("%d records are read, not %d", len(got), len(half))
			}
			if r = create(t, dir, manifest(), nil); !slices.Equal(r.Missing(Shard{}), rest) {
				t.Errorf("%d samples are missing, not %d", len(r.Missing(Shard{})), len(rest))
			}
			if err := errors.Join(fill(t, r, rest), r.Close()); err != nil {
				t.Fatal(err)
			}
			if r, err = Open(dir); err != nil {
				t.Fatal(err)
			}
			if got := contents(t, r); !slices.Equal(got, upTo(samples)) {
				t.Errorf("%d records of %d", len(got), samples)
			}
			err = Each[newer](context.Background(), r, nil, func(row *newer, _ [][]float32) error { // the later version's turn again
				if row.Score != rowOf(int(row.Index)).Score {
					t.Errorf("sample %d has the score %v", row.Index, row.Score)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLaterFormat: a run of a format that this version does not know is refused in one sentence, and
// nothing of it is touched, by reading or by writing.
func TestLaterFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := create(t, dir, manifest(), nil)
	if err := errors.Join(fill(t, r, upTo(20)), r.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, manifestName)
	text := bytes.Replace(read(t, path), []byte(`"format": 1`), []byte(`"format": 2, "new": {}`), 1)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	_, err := Open(dir)
	_, err2 := Claim(context.Background(), dir, manifest(), nil, Shard{})
	for _, err := range []error{err, err2} {
		if err == nil || !strings.Contains(err.Error(), "has format 2, this program reads 1") {
			t.Errorf("%v", err)
		}
	}
	if after := tree(t, dir); !slices.Equal(before, after) {
		t.Errorf("%q, before %q", after, before)
	}
}

// tree lists the files below a folder with what they hold.
func tree(t *testing.T, dir string) (out []string) {
	t.Helper()
	for _, pattern := range []string{"*", "*/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if data, err := os.ReadFile(n); err == nil {
				out = append(out, n+": "+string(data))
			}
		}
	}
	return out
}
