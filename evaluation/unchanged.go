package evaluation

import (
	"context"
	"fmt"
	"time"

	"cutmix-eval/datasets"
	"cutmix-eval/results"
)

// unchanged says whether samples that a run has records of are still what they were: a picture can
// be replaced by another of the same name and size. Only those that were changed since are read.
func unchanged(ctx context.Context, run *results.Run, dir string, s Samples) error {
	data, ok := s.(interface {
		Changed(i int) time.Time
		Loader() *datasets.Loader
	})
	if !ok {
		return nil
	}
	oldest, err := run.Oldest()
	if err != nil || oldest.IsZero() {
		return err
	}
	var newest time.Time
	for i := range s.Len() {
		if at := data.Changed(i); at.After(newest) {
			newest = at
		}
	}
	if newest.Before(oldest) {
		return nil
	}
	l := data.Loader()
	return run.EachRow(ctx, func(row results.Row, written time.Time) error {
		i := int(row.Index)
		if row.Sum == 0 || i >= s.Len() || data.Changed(i).Before(written) {
			return nil
		}
		sum, err := l.Stored(i)
		switch {
		case err != nil && lost(s, i, err) != nil:
			return lost(s, i, err)
		case sum != row.Sum:
			return fmt.Errorf("image %s is not the one that run %q has evaluated, though name and size are the same: put the old one back, or choose another --out", row.ID, dir)
		}
		return nil
	})
}
