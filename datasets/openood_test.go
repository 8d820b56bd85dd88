package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// lists writes image lists of a benchmark, of so many lines each.
func lists(t *testing.T, dir, benchmark string, lines map[string]int) {
	t.Helper()
	at := filepath.Join(dir, "benchmark_imglist", benchmark)
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range lines {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%s/%06d.png -1\n", name, i)
		}
		if err := os.WriteFile(filepath.Join(at, name+".txt"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func names(sets []OpenOODSet) (out []string) {
	for _, s := range sets {
		out = append(out, s.Name)
	}
	return out
}

// TestOpenOOD: versions are told apart by what the lists hold, roles and groups are
// OpenOOD's, and what is missing is named.
func TestOpenOOD(t *testing.T) {
	id := func(b string) map[string]int {
		return map[string]int{"test_" + b: 3, "val_" + b: 2, "train_" + b: 4}
	}
	with := func(m map[string]int, more map[string]int) map[string]int {
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	far := map[string]int{"test_mnist": 1, "test_svhn": 1, "test_texture": 1, "test_places365": 1}
	for _, c := range []struct {
		benchmark, version, outVal string
		lines                      map[string]int
		near, far, shifted         []string
		notes                      int
	}{
		{"cifar10", "v1.5", "val_tin", with(with(id("cifar10"), far), map[string]int{"val_tin": 1, "test_cifar100": 1, "test_tin": 7793}), []string{"cifar100", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, nil, 0},
		{"cifar10", "v1.0", "val_cifar100", with(with(id("cifar10"), far), map[string]int{"val_cifar100": 1, "test_cifar100": 1, "test_tin": 8793, "test_cifar10c": 1}), []string{"cifar100", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, []string{"cifar10c"}, 0},
		{"cifar100", "v1.5", "val_tin", with(id("cifar100"), map[string]int{"val_tin": 1, "test_tin": 6526, "test_svhn": 1}), []string{"tin"}, []string{"svhn"}, nil, 4},
		{"imagenet", "v1.5", "val_openimage_o", with(id("imagenet"), map[string]int{"val_openimage_o": 1, "test_ssb_hard": 1, "test_ninco": 1, "test_inaturalist": 1, "test_textures": 1, "test_openimage_o": 1, "test_imagenet_r": 1}), []string{"ssb_hard", "ninco"}, []string{"inaturalist", "textures", "openimage_o"}, []string{"imagenet_r"}, 0},
		{"imagenet", "v1.0", "val_openimage_o", with(id("imagenet"), map[string]int{"val_openimage_o": 1, "test_species": 1, "test_inaturalist": 1, "test_openimage_o": 1, "test_imagenet_o": 1, "test_texture": 1, "test_mnist": 1}), []string{"species", "inaturalist", "openimage_o", "imagenet_o"}, []string{"texture", "mnist"}, nil, 0},
	} {
		dir := t.TempDir()
		lists(t, dir, c.benchmark, c.lines)
		b, err := ReadOpenOOD(dir, c.benchmark)
		if err != nil {
			t.Errorf("%s %s: %v", c.benchmark, c.version, err)
			continue
		}
		if b.Version != c.version || filepath.Base(b.OutVal) != c.outVal+".txt" || filepath.Base(b.Test) != "test_"+c.benchmark+".txt" || b.Val == "" || b.Train == "" || len(b.Notes) != c.notes ||
			!slices.Equal(names(b.Near), c.near) || !slices.Equal(names(b.Far), c.far) || !slices.Equal(names(b.Shifted), c.shifted) {
			t.Errorf("%s %s: %+v", c.benchmark, c.version, b)
		}
		if again, err := ReadOpenOOD(filepath.Join(dir, "benchmark_imglist"), c.benchmark); err != nil || again.Test != b.Test {
			t.Errorf("from the folder of lists: %v", err)
		}
	}
	dir := t.TempDir()
	lists(t, dir, "cifar10", with(id("cifar10"), map[string]int{"test_tin": 5}))
	lists(t, dir, "cifar100", map[string]int{"test_tin": 6526})
	lists(t, dir, "imagenet", id("imagenet"))
	lists(t, dir, "imagenet200", id("imagenet200"))
	for _, c := range []struct{ benchmark, want string }{
		{"cifar10", "test_tin.txt has 5 lines, not those of a version that is known (8793 in v1.0, 7793 in v1.5)"},
		{"cifar100", "no test_cifar100.txt"},
		{"imagenet", "none of the lists that tell version 1.0 and 1.5 apart"},
		{"imagenet200", "no list of OOD test images"},
		{"mnist", `benchmark "mnist" is not one of cifar10, cifar100, imagenet200, imagenet`},
	} {
		if b, err := ReadOpenOOD(dir, c.benchmark); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v %v", c.benchmark, b, err)
		}
	}
	if _, err := ReadOpenOOD(t.TempDir(), "imagenet"); err == nil || !strings.Contains(err.Error(), "has no benchmark_imglist") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestUnlabelled: where labels do not matter, no image of a folder is passed over.
func TestUnlabelled(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"loose.jpg", "train/a/1.jpg", "train/b/2.jpg", "val/a/3.png", "deep/er/and/4.png", "notes.txt"} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(dir, Options{Unlabelled: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Samples) != 5 || d.Labelled() {
		t.Errorf("%d images, labelled %v: %s", len(d.Samples), d.Labelled(), d.Why)
	}
	one, err := Open(dir, Options{Unlabelled: true, Split: "val"})
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	if len(one.Samples) != 1 {
		t.Errorf("of val: %d images: %s", len(one.Samples), one.Why)
	}
}
