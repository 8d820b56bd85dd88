package results

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestSeal: whichever byte of a table is another one, its rows are what they were or it is refused. The
// footer says which column is which, so that a byte of it can make all scores 0.
func TestSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := create(t, dir, manifest(), upTo(20))
	if err := errors.Join(fill(t, r, upTo(20)), r.Close()); err != nil {
		t.Fatal(err)
	}
	path := tablePath(dir, 0)
	whole := read(t, path)
	rows := func() (out []record, err error) {
		r, err := Open(dir)
		if err != nil || len(r.Damaged) > 0 {
			return nil, errors.New("damaged")
		}
		err = Each[record](context.Background(), r, []string{"logits"}, func(row *record, _ [][]float32) error {
			out = append(out, *row)
			return nil
		})
		return out, err
	}
	want, err := rows()
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for i := range whole {
		for _, flip := range []byte{0x01, 0x20, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[i] ^= flip
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := rows(); err == nil {
				if read++; !reflect.DeepEqual(got, want) {
					t.Fatalf("byte %d of %d changed by %#x: other rows, and no word of it", i, len(whole), flip)
				}
			}
		}
	}
	if read > 3*len(sealMark) {
		t.Errorf("%d damaged tables were read, more than those whose mark is damaged", read)
	}
	// Any reader of Parquet reads the table, and one of an earlier version without a checksum is read.
	if _, err := parquet.OpenFile(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Error(err)
	}
	at, err := footer(whole, int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole[:at-8:at-8], whole[at:]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := rows(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a table without a checksum: %v", err)
	}
}
