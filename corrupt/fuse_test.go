package corrupt

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"cutmix-eval/internal/long"
)

// TestNoFusedProducts: no machine's compiler adds to a product that was not rounded first,
// which could change a byte: the code for arm64, which has instructions for it, has none but
// where the source asks for one.
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
	for _, l := range regexp.MustCompile(`(?m)^.*\((?:[^()\n]*/)?([a-z]+\.go):(\d+)\).*\bFN?M(?:ADD|SUB)[DS]\b.*$`).FindAllStringSubmatch(string(out), -1) {
		source, err := os.ReadFile(l[1])
		if err != nil {
			t.Fatal(err)
		}
		line, err := strconv.Atoi(l[2])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Split(string(source), "\n")[line-1], "math.FMA(") {
			t.Errorf("%s:%d multiplies and adds in one", l[1], line)
		}
	}
}
