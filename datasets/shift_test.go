package datasets

import (
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

// TestShiftLayouts: sets of shifted ImageNet pictures, laid out as they are published, have the
// labels that golden/shift/README.md says.
func TestShiftLayouts(t *testing.T) {
	var all map[string]struct {
		Images []struct {
			File   string
			Target any
		}
	}
	golden.JSON(t, &all, "golden", "shift", "layouts", "expected.json")
	for _, name := range []string{
		"imagenetv2-matched-frequency", "imagenetv2-threshold0.7", "imagenetv2-top-images",
		"imagenetv2-matched-frequency-format-val", "imagenet-a", "imagenet-r", "imagenet-sketch",
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(golden.Path(t, "golden", "shift", "layouts", name), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			a, err := d.Align(1000, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]int{}
			for _, s := range d.Samples {
				got[s.ID] = a.Output[s.Label]
			}
			want := all[name].Images
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("%d images, want %d", len(got), len(want))
			}
			for _, w := range want {
				id := strings.TrimPrefix(filepath.ToSlash(w.File), name+"/")
				if n, ok := got[id]; !ok || float64(n) != w.Target {
					t.Errorf("%s: %d (%v), want %v", id, n, ok, w.Target)
				}
			}
		})
	}
}
