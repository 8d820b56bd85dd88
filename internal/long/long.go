// Package long keeps out of a plain go test what takes long, such as whole demos and
// evaluations of a hundred thousand images. With CUTMIX_EVAL_LONG=1 all of it runs.
package long

import (
	"os"
	"testing"
)

// Env is the environment variable with which tests run whole.
const Env = "CUTMIX_EVAL_LONG"

func whole() bool { return os.Getenv(Env) == "1" }

// Skip skips a test unless tests run whole. what says what would take long.
func Skip(t testing.TB, what string) {
	t.Helper()
	if !whole() {
		t.Skipf("%s; set %s=1 to run it", what, Env)
	}
}

// Or is a where tests run whole, else b: of how much a test does.
func Or[T any](a, b T) T {
	if whole() {
		return a
	}
	return b
}
