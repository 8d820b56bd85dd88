package ood

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlan: which sets an evaluation has, in which order, and how many images of each.
func TestPlan(t *testing.T) {
	dir := t.TempDir()
	lists := filepath.Join(dir, "benchmark_imglist", "imagenet")
	if err := os.MkdirAll(lists, 0o755); err != nil {
		t.Fatal(err)
	}
	list := func(name string) string { return filepath.Join(lists, name+".txt") }
	for _, name := range []string{
		"test_imagenet", "train_imagenet", "val_openimage_o", "test_ssb_hard", "test_textures", "test_imagenet_r",
	} {
		if err := os.WriteFile(list(name), []byte("a.jpg 0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes := []string{
		"OpenOOD's list val_imagenet.txt is missing", "OpenOOD's list test_ninco.txt is missing",
		"OpenOOD's list test_inaturalist.txt is missing",
		"OpenOOD's list test_openimage_o.txt is missing", "OpenOOD imagenet, lists of v1.5",
	}
	blobs := Source{Name: "blobs", Role: Out, Group: "far", Path: "noise:blobs"}
	sketch := Source{Name: "sketch", Role: Shifted, Path: "sketch"}
	limited := func(s Source, n int) Source {
		s.Limit = n
		return s
	}
	val, train := Source{Name: "id-val", Role: Val, Path: "scenes:val"}, Source{Name: "id-train", Role: Train, Path: "scenes:train"}
	unseen, texture, noise := ScenesSources()[0], ScenesSources()[1], ScenesSources()[2]
	listed := []Source{
		{Name: "id-train", Role: Train, Path: list("train_imagenet"), Limit: 3},
		{Name: "imagenet_r", Role: Shifted, Path: list("test_imagenet_r"), Limit: 5},
		{Name: "ssb_hard", Role: Out, Group: "near", Path: list("test_ssb_hard"), Limit: 5},
		{Name: "textures", Role: Out, Group: "far", Path: list("test_textures"), Limit: 5},
	}
	openOOD := Wanted{OpenOOD: dir, Benchmark: "imagenet", OutLimit: 5, TrainLimit: 3}
	chosen, more := openOOD, openOOD
	chosen.Grid, more.Val, more.Out = true, "v", []Source{blobs}
	for _, c := range []struct {
		name   string
		wanted Wanted
		want   Sets
	}{
		{"scenes have sets of their own", Wanted{}, Sets{Data: "scenes", Sources: []Source{val, train, unseen, texture, noise}}},
		{"limits", Wanted{OutLimit: 7, TrainLimit: 9}, Sets{Data: "scenes", Sources: []Source{
			val, limited(train, 9), limited(unseen, 7), limited(texture, 7), limited(noise, 7),
		}}},
		{"named sets in place of the scenes' own", Wanted{Data: "scenes:new-test", Out: []Source{blobs}, Val: "v"},
			Sets{Data: "scenes:new-test", Sources: []Source{{Name: "id-val", Role: Val, Path: "v"}, train, blobs}}},
		{"other data have nothing by themselves", Wanted{Data: "photos"}, Sets{Data: "photos"}},
		{"a folder that begins like the scenes", Wanted{Data: "scenes-none"}, Sets{Data: "scenes-none"}},
		{
			"all roles", Wanted{Data: "photos", Val: "v", Train: "t", OutVal: "o", Shifted: []Source{sketch}, Out: []Source{blobs}, OutLimit: 2},
			Sets{Data: "photos", Sources: []Source{
				{Name: "id-val", Role: Val, Path: "v"}, {Name: "id-train", Role: Train, Path: "t"},
				{Name: "ood-val", Role: OutVal, Path: "o", Limit: 2}, limited(sketch, 2), limited(blobs, 2),
			}},
		},
		{"OpenOOD's lists", openOOD, Sets{Data: list("test_imagenet"), Sources: listed, Notes: notes}},
		{"its validation images choose among parameters", chosen, Sets{
			Data: list("test_imagenet"), Notes: notes,
			Sources: slices.Insert(slices.Clone(listed), 1, Source{Name: "ood-val", Role: OutVal, Path: list("val_openimage_o"), Limit: 5}),
		}},
		{"what its lists lack, and more sets", more, Sets{
			Data: list("test_imagenet"), Notes: notes,
			Sources: slices.Concat([]Source{{Name: "id-val", Role: Val, Path: "v"}}, listed, []Source{limited(blobs, 5)}),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Plan(c.wanted, "scenes")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	for _, c := range []struct {
		wanted Wanted
		want   string
	}{
		{Wanted{OpenOOD: dir}, "--openood and --benchmark (cifar10, cifar100, imagenet200, imagenet) go together"},
		{Wanted{Benchmark: "imagenet"}, "--openood and --benchmark (cifar10, cifar100, imagenet200, imagenet) go together"},
		{Wanted{OpenOOD: t.TempDir(), Benchmark: "imagenet"}, "--openood: "},
		{Wanted{OpenOOD: dir, Benchmark: "imagenet", Data: "scenes", Train: "t"}, "--data and --openood say the same; give one"},
		{Wanted{OpenOOD: dir, Benchmark: "imagenet", Train: "t", Shifted: []Source{sketch}}, "--train and --openood say the same; give one"},
		{Wanted{OpenOOD: dir, Benchmark: "imagenet", Shifted: []Source{sketch}}, "--csid and --openood say the same; give one"},
	} {
		if got, err := Plan(c.wanted, "scenes"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %+v, %v, want %s", c.wanted, got, err, c.want)
		}
	}
}
