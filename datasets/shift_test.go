package datasets

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

// TestSeveralClasses: ReaL's lists and class maps with several outputs, and what is wrong with them.
func TestSeveralClasses(t *testing.T) {
	a := pngOf(1)
	val := files{"val/ILSVRC2012_val_00000002.JPEG": a, "val/n01440764/ILSVRC2012_val_00000001_n01440764.JPEG": a, "val/ILSVRC2012_val_00000004.JPEG": a}
	folders := files{"chair/1.png": a, "tea pot/2.png": a, "zipper/3.png": a}
	for _, c := range []struct {
		name         string
		data         files
		labels       string
		want, note   string
		output, more string
	}{
		{"lists", val, "[[7], [9, 7], [1], []]", "val/ILSVRC2012_val_00000002.JPEG=9[7] val/n01440764/ILSVRC2012_val_00000001_n01440764.JPEG=7[]", "1 images have no entry", "[1 7 9]", "[]"},
		{"too few lists", val, "[[7], [9, 7]]", "!2 lists of classes, and none for val/ILSVRC2012_val_00000004.JPEG", "", "", ""},
		{"lists of other images", folders, "[[7], [9, 7], [1]]", "!is none (ILSVRC2012", "", "", ""},
		{"a list below 0", val, "[[7], [9, -7]]", "!class number -7", "", "", ""},
		{"outputs beyond", val, "[[7], [9, 1000], [1], [2]]", "!output 1000", "", "", ""},
		{"class map", folders, `{"chair": [423, 559], "teapot": [849], "shoe": [630, 770], "zipper": []}`, "chair/1.png=chair[] tea pot/2.png=teapot[]", "1 images of 1 classes", "[423 630 849]", "[[559] [770] []]"},
		{"class map twice", folders, `{"chair": [423, 559], "teapot": [559]}`, `!"chair" and "teapot" are both output 559`, "", "", ""},
		{"class map of others", folders, `{"x": [423, 559]}`, "!none of its class folders", "", "", ""},
		{"class map beyond", folders, `{"chair": [423, 1559]}`, "!output 1559", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(c.data.folder(t), Options{Labels: write(t, "l.json", c.labels)})
			var al Alignment
			if err == nil {
				defer d.Close()
				al, err = d.Align(1000, nil)
			}
			if refused(t, err, c.want) {
				return
			}
			var got []string
			for i, s := range d.Samples {
				var more []string
				for _, o := range d.Also(i) {
					more = append(more, d.Classes[o])
				}
				got = append(got, fmt.Sprintf("%s=%s%v", s.ID, d.Classes[s.Label], more))
			}
			if s := strings.Join(got, " "); s != c.want || fmt.Sprint(al.Output) != c.output || fmt.Sprint(al.More) != c.more || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%s\n%v %v %q", s, al.Output, al.More, d.Notes)
			}
		})
	}
}

// TestObjectNet: the mappings of ObjectNet are found above or beside the images, whose red border is cut
// off where it is there.
func TestObjectNet(t *testing.T) {
	framed := func(border color.Color) string {
		m := image.NewRGBA(image.Rect(0, 0, 6, 5))
		for y := range 5 {
			for x := range 6 {
				m.Set(x, y, color.Gray{100})
				if x == 0 || y == 0 || x == 5 || y == 4 {
					m.Set(x, y, border)
				}
			}
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	f := files{
		"objectnet-1.0/images/alarm_clock/1.png": framed(color.RGBA{255, 0, 0, 255}), "objectnet-1.0/images/chair/2.png": framed(color.Gray{9}), "objectnet-1.0/images/zipper/3.png": pngOf(1),
		"objectnet-1.0/mappings/folder_to_objectnet_label.json":   `{"alarm_clock": "Alarm clock", "chair": "Chair", "zipper": "Zipper"}`,
		"objectnet-1.0/mappings/objectnet_to_imagenet_1k.json":    `{"Alarm clock": "analog clock; digital clock", "Chair": "folding chair"}`,
		"objectnet-1.0/mappings/imagenet_to_label_2012_v2":        "folding chair\nanalog clock\ndigital clock\n",
		"objectnet-1.0/mappings/pytorch_to_imagenet_2012_id.json": `{"2": 1, "0": 2, "1": 0}`,
	}
	top := f.folder(t)
	for _, path := range []string{top, filepath.Join(top, "objectnet-1.0"), filepath.Join(top, "objectnet-1.0", "images"), f.tar(t), f.zip(t, zip.Deflate)} {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := d.Align(3, nil)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(d.Classes, a.Output, a.More, len(d.Samples)) != "[alarm_clock chair] [0 1] [[2] []] 2" {
			t.Errorf("%s: %v %v %v %d", path, d.Classes, a.Output, a.More, len(d.Samples))
		}
		for i, want := range []image.Point{{4, 3}, {6, 5}} {
			if im, err := d.Loader().Load(i); err != nil || im.Size() != want {
				t.Errorf("%v, %v; want %v", im.Size(), err, want)
			}
		}
		d.Close()
	}
	f["objectnet-1.0/mappings/objectnet_to_imagenet_1k.json"] = `{"Chair": "sofa"}`
	_, err := Open(f.folder(t), Options{})
	refused(t, err, `!has no "sofa"`)
	delete(f, "objectnet-1.0/mappings/imagenet_to_label_2012_v2")
	_, err = Open(f.folder(t), Options{})
	refused(t, err, "!imagenet_to_label_2012_v2: it is missing")
}

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
