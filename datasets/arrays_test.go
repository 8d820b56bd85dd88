package datasets

import (
	"testing"

	"cutmix-eval/internal/golden"
)

// TestShiftArrays: CIFAR-10.1's files have the labels that golden/shift/README.md says.
func TestShiftArrays(t *testing.T) {
	var all map[string]any
	golden.JSON(t, &all, "golden", "shift", "cifar_files", "expected.json")
	for _, name := range []string{"cifar10.1_v4", "cifar10.1_v6"} {
		d, err := Open(golden.Path(t, "golden", "shift", "cifar_files", name+"_data.npy"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := all[name].(map[string]any)["labels"].([]any)
		if len(d.Samples) != len(want) {
			t.Fatalf("%d samples, want %d", len(d.Samples), len(want))
		}
		for i, s := range d.Samples {
			if float64(d.Indices[s.Label]) != want[i] {
				t.Errorf("%s row %d: %d, want %v", name, i, d.Indices[s.Label], want[i])
			}
		}
		if im, err := d.Loader().Load(63); err != nil || im.W != 32 || im.H != 32 {
			t.Errorf("%v", err)
		}
		d.Close()
	}
}
