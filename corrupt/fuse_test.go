package corrupt

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"cutmix-eval/internal/long"
)

// TestNoFusedProducts: no machine's compiler adds to a product that was not rounded first,
// which could change a byte: the code for arm64, which has instructions for it, has none.
func TestNoFusedProducts(t *testing.T) {
	long.Skip(t, "it compiles for another machine, which takes half a minute the first time")
	cmd := exec.Command("go", "build", "-gcflags=-S", "-o", os.DevNull, ".")
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %.500s", err, out)
	}
	if !strings.Contains(string(out), "digital.go") {
		t.Fatal("the compiler shows no code")
	}
	for _, l := range regexp.MustCompile(`(?m)^.*\((?:[^()\n]*/)?([a-z]+\.go:\d+)\).*\bFN?M(?:ADD|SUB)[DS]\b.*$`).FindAllStringSubmatch(string(out), -1) {
		t.Errorf("%s multiplies and adds in one", l[1])
	}
}
