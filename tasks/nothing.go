package tasks

import (
	"errors"
	"fmt"
	"strings"

	"cutmix-eval/report"
)

// ErrNothingLeft says that not one image could be evaluated.
var ErrNothingLeft = errors.New("not one image could be evaluated")

// NothingLeft is ErrNothingLeft with the images that could not be, and why.
func NothingLeft(bad []report.BadImage) error {
	if len(bad) == 0 {
		return fmt.Errorf("%w: there is no record yet", ErrNothingLeft)
	}
	const most = 20
	var names []string
	for i, b := range bad {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(bad)-i))
			break
		}
		names = append(names, b.ID+": "+b.Reason)
	}
	return fmt.Errorf("%w: %s", ErrNothingLeft, strings.Join(names, "; "))
}
