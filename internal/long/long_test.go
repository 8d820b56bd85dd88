package long

import (
	"fmt"
	"testing"
)

// skipper notes that it is told to skip.
type skipper struct {
	testing.TB
	why string
}

func (s *skipper) Helper()                          {}
func (s *skipper) Skipf(format string, args ...any) { s.why = fmt.Sprintf(format, args...) }

// TestSwitch: the variable alone decides whether tests run whole.
func TestSwitch(t *testing.T) {
	for value, whole := range map[string]bool{"1": true, "": false, "0": false} {
		t.Run(Env+"="+value, func(t *testing.T) {
			t.Setenv(Env, value)
			s, why := skipper{TB: t}, "it takes a minute; set CUTMIX_EVAL_LONG=1 to run it"
			if whole {
				why = ""
			}
			if Skip(&s, "it takes a minute"); s.why != why {
				t.Errorf("skipped with %q, want %q", s.why, why)
			}
			if got := Or("whole", "short"); (got == "whole") != whole {
				t.Errorf("%s", got)
			}
		})
	}
}
