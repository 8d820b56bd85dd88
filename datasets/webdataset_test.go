package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWebdataset(t *testing.T) {
	a, b, c := pngOf(1), pngOf(2), pngOf(3)
	shard := func(f files) string { return string(f.tarBytes(t)) }
	one := files{"x.png": a, "x.cls": "3\n", "y.png": b, "y.cls": "0"}
	two := files{"z.jpg": c, "z.cls": "3", "z.json": `{"label": 1}`}
	captions, classes := files{}, files{}
	for i := range 60 {
		captions[fmt.Sprintf("%02d.png", i)], captions[fmt.Sprintf("%02d.txt", i)] = a, fmt.Sprintf("a dog on hill %d", i)
		classes[fmt.Sprintf("%02d.png", i)], classes[fmt.Sprintf("%02d.txt", i)] = a, []string{"dog", "traffic light"}[i%2]
	}
	for _, tc := range []struct {
		name           string
		data           files
		path           string // within the folder
		o              Options
		labels         string
		want, classes  string
		why, note, err string
	}{
		// Samples are in the order of the tar, which the tests write backwards.
		{name: "one tar", data: files{"a.tar": shard(one)}, path: "a.tar", want: "y.png=0 x.png=3", classes: "0 3", why: "labels in .cls"},
		{name: "pattern", data: files{"val-09.tar": shard(one), "val-10.tar": shard(two), "val-11.tar": "no tar"}, path: "val-{09..10}.tar", want: "y.png=0 x.png=3 z.jpg=3", classes: "0 3", why: "2 shard(s)"},
		{name: "list", data: files{"a-1.tar": shard(one), "b-1.tar": shard(two)}, path: "{b,a}-1.tar", want: "z.jpg=3 y.png=0 x.png=3"},
		{name: "folder", data: files{"0.tar": shard(one), "1.tar": shard(two)}, want: "y.png=0 x.png=3 z.jpg=3"},
		{name: "same keys", data: files{"0.tar": shard(one), "1.tar": shard(one)}, want: "0/y.png=0 0/x.png=3 1/y.png=0 1/x.png=3"},
		{name: "splits", data: files{"imagenet1k-train-0.tar": shard(one), "imagenet1k-validation-0.tar": shard(two)}, want: "z.jpg=3", why: `split "validation" of train, validation`},
		{name: "split", data: files{"imagenet1k-train-0.tar": shard(one), "imagenet1k-validation-0.tar": shard(two)}, o: Options{Split: "train"}, want: "y.png=0 x.png=3"},
		{name: "class names", data: files{"classnames.txt": "ant\nbee\ncat\ndog\n", "test/0.tar": shard(one), "test/nshards.txt": "1"}, want: "y.png=ant x.png=dog", classes: "ant bee cat dog"},
		{name: "JSON numbers", data: files{"a.tar": shard(files{"1.png": a, "1.json": `{"label": 7, "text": "x"}`, "2.png": b, "2.json": `{"label": 2.0}`})}, path: "a.tar", want: "2.png=2 1.png=7"},
		{name: "JSON names", data: files{"a.tar": shard(files{"1.png": a, "1.json": `{"class": "dog"}`, "2.png": b, "2.json": `{"class": "cat"}`})}, path: "a.tar", want: "2.png=cat 1.png=dog", classes: "cat dog"},
		{name: "longer ends", data: files{"a.tar": shard(files{"d/1.image.png": a, "d/1.cls": "1", "d/2.image.png": b, "d/2.cls": "0"})}, path: "a.tar", want: "d/2.image.png=0 d/1.image.png=1"},
		{name: "captions", data: files{"a.tar": shard(captions)}, path: "a.tar", o: Options{Format: WebDataset}, note: "descriptions"},
		{name: "texts that are classes", data: files{"a.tar": shard(classes)}, path: "a.tar", classes: "dog traffic light", why: "labels in .txt"},
		{name: "class folders with JSON", data: files{"a.tar": shard(files{"x/1.png": a, "x/1.json": `{"label": 7}`, "y/2.png": b, "y/2.json": `{"label": 8}`})}, path: "a.tar", want: "x/1.png=x y/2.png=y"},
		{name: "some without", data: files{"a.tar": shard(files{"1.png": a, "1.cls": "1", "2.png": b})}, path: "a.tar", want: "2.png=- 1.png=1", note: "1 of 2 samples have no label"},
		{name: "labels of a file", data: files{"a.tar": shard(one)}, path: "a.tar", labels: "x.png,5\ny.png,6\n", want: "y.png=6 x.png=5"},
		{name: "several images", data: files{"a.tar": shard(files{"1.left.png": a, "1.right.png": b, "1.cls": "1"})}, path: "a.tar", o: Options{Format: WebDataset}, err: "several images"},
		{name: "several labels", data: files{"a.tar": shard(files{"1.png": a, "1.json": `{"label": [1, 2]}`})}, path: "a.tar", o: Options{Format: WebDataset}, err: "2 labels"},
		{name: "no number", data: files{"a.tar": shard(files{"1.png": a, "1.cls": "1.5"})}, path: "a.tar", err: "no whole number"},
		{name: "bytes as label", data: files{"a.tar": shard(files{"1.png": a, "1.cls": "\x00\x01\x00"})}, path: "a.tar", err: "no label in one line"},
		{name: "shard missing", data: files{"v-0.tar": shard(one)}, path: "v-{0..2}.tar", err: `v-1.tar", shard 2 of the 3`},
		{name: "shard cut", data: files{"v-0.tar": shard(one), "v-1.tar": shard(one)[:700]}, path: "v-{0..1}.tar", err: "shard v-1.tar"},
		{name: "backwards", data: files{}, path: "v-{2..1}.tar", err: "range {2..1}"},
		{name: "too many", data: files{}, path: "v-{1..9999}{1..9999}.tar", err: "more than 100000"},
		{name: "no split", data: files{"0.tar": shard(one)}, o: Options{Split: "val"}, err: `no split "val"`},
		{name: "tar in a tar", data: files{"a.tar": shard(files{"inner.tar": shard(one)})}, path: "a.tar", err: "inner.tar"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.labels != "" {
				tc.o.Labels = write(t, "labels.txt", tc.labels)
			}
			d, err := Open(filepath.Join(tc.data.folder(t), tc.path), tc.o)
			if err != nil {
				if tc.err == "" || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, tc.err)
				}
				return
			}
			defer d.Close()
			if diff := cmp.Diff(tc.want, describe(d)); (diff != "" && tc.want != "") || tc.err != "" {
				t.Errorf("samples (-want +got): %s", diff)
			}
			if got := strings.Join(d.Classes, " "); tc.classes != "" && got != tc.classes {
				t.Errorf("classes %s, want %s", got, tc.classes)
			}
			if !strings.Contains(d.Why, tc.why) || !strings.Contains(strings.Join(d.Notes, "\n"), tc.note) {
				t.Errorf("%s (%v), want %q and %q in it", d.Why, d.Notes, tc.why, tc.note)
			}
			for _, s := range d.Samples {
				data, _, err := d.src.read(s.at, nil)
				if err != nil || int64(len(data)) != s.Size {
					t.Errorf("%s: %d bytes, %v", s.ID, len(data), err)
				}
			}
		})
	}
}

func TestExpandBraces(t *testing.T) {
	for pattern, want := range map[string]string{
		"a.tar":              "a.tar",
		"{8..11}":            "8 9 10 11",
		"v-{008..010}.tar":   "v-008.tar v-009.tar v-010.tar",
		"{a,b}-{0..1}{x,}":   "a-0x a-0 a-1x a-1 b-0x b-0 b-1x b-1",
		"{}{abc}{1..}{x..y}": "{}{abc}{1..}{x..y}",
	} {
		got, err := expandBraces(pattern)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v; want %s", pattern, got, err, want)
		}
	}
}

func FuzzWebdataset(f *testing.F) {
	f.Add(files{"x.png": pngOf(1), "x.cls": "3\n", "y.png": pngOf(2), "y.json": `{"label": "a"}`}.tarBytes(f))
	path := filepath.Join(f.TempDir(), "f.tar")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		openAndLoad(t, path)
	})
}
