package results

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"cutmix-eval/internal/filelock"
)

// TestAnew: what cannot be used is made again; a failure that has nothing to do with the run
// leaves it.
func TestAnew(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		gone bool
	}{
		"another run": {&DifferentRunError{}, true}, "other samples": {ErrOtherSamples, true}, "damage": {ErrUnreadable, true},
		"a device": {errors.New("no such device"), false}, "held": {filelock.ErrHeld, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			m := Manifest{Key: Key{Task: "test", Data: Data{N: 1}, PartSize: 1}}
			run, err := Claim(context.Background(), dir, m, nil, Shard{})
			if err != nil {
				t.Fatal(err)
			}
			if err := run.Close(); err != nil {
				t.Fatal(err)
			}
			tries := 0
			err = Anew(context.Background(), dir, func() error {
				if tries++; tries > 1 {
					return nil
				}
				return c.err
			})
			if (err == nil) != c.gone {
				t.Errorf("%v", err)
			}
			if IsRun(dir) == c.gone {
				t.Errorf("the run is there: %v", !c.gone)
			}
		})
	}
}
