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
	for _, name := range []string{"test_imagenet", "train_imagenet", "val_openimage_o", "test_ssb_hard", "test_textures", "test_imagenet_r"} {
		if err := os.WriteFile(list(name), []byte("a.jpg 0\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes := []string{
		"OpenOOD's list val_imagenet.txt is missing", "OpenOOD's list test_ninco.txt is missing",
		"OpenOOD's list test_inaturalist.txt is missing", "OpenOOD's list test_openimage_o.txt is missing",
		"OpenOOD imagenet, lists of v1.5",
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
	id := func(role Role, path string) Source { return Of(role, path, 0) }
	openood := Wanted{OpenOOD: dir, Benchmark: "imagenet", OutLimit: 5, TrainLimit: 3}
	with := func(change func(*Wanted)) Wanted {
		w := openood
		change(&w)
		return w
	}
	for _, c := range []struct {
		name   string
		wanted Wanted
		data   string
		want   []Source
		notes  []string
	}{
		{name: "scenes have sets of their own", data: "scenes", want: []Source{val, train, unseen, texture, noise}},
		{name: "limits", wanted: Wanted{OutLimit: 7, TrainLimit: 9}, data: "scenes",
			want: []Source{val, limited(train, 9), limited(unseen, 7), limited(texture, 7), limited(noise, 7)}},
		{name: "named sets in place of the scenes' own", wanted: Wanted{Data: "scenes:new-test", Out: []Source{blobs}, Val: "v"},
			data: "scenes:new-test", want: []Source{id(Val, "v"), train, blobs}},
		{name: "other data have nothing by themselves", wanted: Wanted{Data: "photos"}, data: "photos"},
		{name: "a folder that begins like the scenes", wanted: Wanted{Data: "scenes-none"}, data: "scenes-none"},
		{name: "all roles", data: "photos",
			wanted: Wanted{Data: "photos", Val: "v", Train: "t", OutVal: "o", Shifted: []Source{sketch}, Out: []Source{blobs}, OutLimit: 2},
			want:   []Source{id(Val, "v"), id(Train, "t"), Of(OutVal, "o", 2), limited(sketch, 2), limited(blobs, 2)}},
		{name: "OpenOOD's lists", wanted: openood, data: list("test_imagenet"), want: listed, notes: notes},
		{name: "its validation images choose among parameters", wanted: with(func(w *Wanted) { w.Grid = true }),
			data: list("test_imagenet"), notes: notes,
			want: slices.Insert(slices.Clone(listed), 1, Of(OutVal, list("val_openimage_o"), 5))},
		{name: "what its lists lack, and more sets", wanted: with(func(w *Wanted) { w.Val, w.Out = "v", []Source{blobs} }),
			data: list("test_imagenet"), notes: notes,
			want: slices.Concat([]Source{id(Val, "v")}, listed, []Source{limited(blobs, 5)})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Plan(c.wanted, "scenes")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(Sets{c.data, c.want, c.notes}, got); d != "" {
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
