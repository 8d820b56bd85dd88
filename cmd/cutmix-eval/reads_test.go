package main

import (
	"path/filepath"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/runtime/ortest"
)

// A model's file can be hundreds of megabytes: every command reads and parses it once,
// whatever it edits and however many sets it looks at.
func TestModelIsReadOnce(t *testing.T) {
	ortest.Load(t)
	const model = "../../models/scenes-base.onnx"
	out := func() string { return filepath.Join(t.TempDir(), "run") }
	for name, args := range map[string][]string{
		"classify":       {"classify", "--limit", "20", "--bootstrap", "0"},
		"classify, kept": {"classify", "--limit", "20", "--bootstrap", "0", "--save", "logits,features", "--out", out()},
		"localize":       {"localize", "--limit", "20", "--bootstrap", "0"},
		"localize, enlarged": {
			"localize", "--limit", "20", "--bootstrap", "0", "--enlarge", "2", "--overlays", "1", "--out", out(),
		},
		"ood": {
			"ood", "--limit", "20", "--ood-limit", "20", "--train-limit", "40", "--score", "msp,mds",
			"--ood", "noise:blobs", "--ood", "noise:gaussian",
		},
		"bench":       {"bench", "--limit", "20", "--rounds", "1", "--images", "20"},
		"models show": {"models", "show"},
	} {
		t.Run(name, func(t *testing.T) {
			reads, parses := onnx.Counts()
			args := append(args, "--model", model)
			if args[0] == "models" {
				args = []string{"models", "show", model}
			}
			if code, _, errs := command(t, args...); code != exitDone {
				t.Fatalf("%v: exit code %d: %s", args, code, errs)
			}
			r, p := onnx.Counts()
			want := int64(1)
			if args[0] == "models" {
				want++ // a head is replaced for a try, and what would be written is read back
			}
			if r-reads != 1 || p-parses != want {
				t.Errorf("%v: %d reads and %d parses of the model", args, r-reads, p-parses)
			}
		})
	}
}
