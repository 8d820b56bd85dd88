// Package house holds the rules that packages keep towards each other, as a
// test.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors lists the packages from the top down. A package may import those below it, not
// those beside or above it; internal packages are below all.
var floors = []string{
	"cmd/cutmix-eval",
	"tasks/demo",
	"tasks/bench",
	"tasks/finetune",
	"tasks/localize",
	"tasks/corruption",
	"tasks/ood",
	"tasks/classify",
	"tasks/doctor",
	"tasks/binary",
	"tasks/multilabel",
	"tasks",
	"tasks/compare",
	"evaluation/evaltest",
	"evaluation",
	"detector",
	"report",
	"results",
	"pipeline",
	"variants",
	"pixels",
	"scores",
	"metrics",
	"overlay",
	"cam",
	"datasets/annotations",
	"boxes",
	"augment",
	"corrupt/frost",
	"corrupt/baseline",
	"corrupt",
	"heads",
	"datasets",
	"datasets/scenes",
	"model/lock",
	"model",
	"recipes",
	"imageproc",
	"imageproc/jpeg",
	"models",
	".",
	"runtime/ortest",
	"runtime",
	"linear",
	"predictions",
	"internal",
}

// pure packages import none of ours (but their own parts) and touch no files.
var pure = map[string][]string{
	"metrics":         {},
	"cam":             {},
	"boxes":           {},
	"augment":         {"imageproc"},
	"heads":           {"linear"},
	"linear":          {},
	"overlay":         {"boxes", "imageproc"},
	"scores":          {"metrics", "linear"},
	"pixels":          {"imageproc", "metrics"},
	"corrupt":         {"imageproc", "imageproc/jpeg"}, // Pillow's box filter, and JPEG files
	"imageproc":       {"imageproc/jpeg"},
	"imageproc/jpeg":  {},
	"datasets/scenes": {},
}

func floor(pkg string) int {
	if strings.HasPrefix(pkg, "internal/") {
		pkg = "internal"
	}
	return slices.Index(floors, pkg)
}

func TestImportsPointDown(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if strings.HasPrefix(pkg, "tools/") || strings.HasPrefix(pkg, "bench") {
			return nil
		}
		seen[pkg] = true
		if floor(pkg) < 0 {
			t.Errorf("package %s has no floor in this test", pkg)
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, im := range f.Imports {
			path := strings.Trim(im.Path.Value, `"`)
			ours, mine := strings.CutPrefix(path, "cutmix-eval/")
			switch {
			case mine && floor(ours) <= floor(pkg) && floor(pkg) != floor("internal/x"):
				t.Errorf("%s imports %s, which is not below it", p, ours)
			case mine && pure[pkg] != nil && !slices.Contains(pure[pkg], ours):
				t.Errorf("%s imports %s; %s is to import none of ours", p, ours, pkg)
			case path == "github.com/yalue/onnxruntime_go" && pkg != "runtime":
				t.Errorf("%s imports the C wrapper; only runtime may", p)
			case path == "os" && pure[pkg] != nil:
				t.Errorf("%s touches files; %s must not", p, pkg)
			case path == "github.com/spf13/cobra" && pkg != "cmd/cutmix-eval":
				t.Errorf("%s imports cobra; only the command line may", p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range floors {
		if f != "internal" && !seen[f] {
			t.Errorf("there is no package %s any more", f)
		}
	}
}
