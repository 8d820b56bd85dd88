package results

import (
	"context"
	"errors"
)

// ErrUnreadable is wrapped where records are there and cannot be read.
var ErrUnreadable = errors.New("its records cannot be used")

// Anew opens the run in dir, of which what is there can be made again: where it is another run, or
// damaged, it is removed first. Other failures of open, of a device say, leave what is there.
func Anew(ctx context.Context, dir string, open func() error) error {
	err := open()
	if err == nil || ctx.Err() != nil || !IsRun(dir) {
		return err
	}
	var different *DifferentRunError
	if !errors.As(err, &different) && !errors.Is(err, ErrOtherSamples) && !errors.Is(err, ErrUnreadable) {
		if _, bad := Open(dir); bad == nil {
			return err
		}
	}
	if err := Discard(dir); err != nil {
		return err
	}
	return open()
}
