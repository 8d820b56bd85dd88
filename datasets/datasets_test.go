package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/datasets/scenes"
)

// pngOf is a 2 x 2 picture of one grey, so that contents tell pictures apart.
func pngOf(grey byte) string {
	m := image.NewGray(image.Rect(0, 0, 2, 2))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	m.SetGray(0, 0, color.Gray{grey})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// files maps slash paths to contents.
type files map[string]string

func (f files) folder(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, data := range f {
		p := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func (f files) tar(t testing.TB) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "data.tar")
	if err := os.WriteFile(p, f.tarBytes(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (f files) tarBytes(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	var names []string
	for name := range f {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return -strings.Compare(a, b) }) // not in order
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(f[name])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file writes one file and returns its path.
func write(t testing.TB, name, data string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// describe writes samples as "id=class" for comparison.
func describe(d *Dataset) string {
	var out []string
	for _, s := range d.Samples {
		class := "-"
		if s.Label >= 0 {
			class = d.Classes[s.Label]
		}
		mark := ""
		if s.Size < 0 {
			mark = "!"
		}
		out = append(out, fmt.Sprintf("%s=%s%s", s.ID, class, mark))
	}
	return strings.Join(out, " ")
}

func TestLayouts(t *testing.T) {
	a, b, c := pngOf(1), pngOf(2), pngOf(3)
	for _, tc := range []struct {
		name   string
		data   files
		o      Options
		labels string // contents of a label file
		want   string
		format Format
		why    string // part of Why
		output string // Align against this many outputs gives these
	}{
		{name: "names", data: files{"dog/1.png": a, "cat/2.png": b, "cat/deep/1.png": c},
			want: "cat/2.png=cat cat/deep/1.png=cat dog/1.png=dog", format: ClassFolders, why: "names, sorted", output: "2:[0 1]"},
		{name: "upper case sorts first", data: files{"b/1.png": a, "C/1.png": b, "a/1.png": c},
			want: "C/1.png=C a/1.png=a b/1.png=b", format: ClassFolders, output: "3:[0 1 2]"},
		{name: "synsets of ImageNet", data: files{"n01443537/x.JPEG": a, "n01440764/x.JPEG": b, "n15075141/x.JPEG": c},
			want: "n01440764/x.JPEG=n01440764 n01443537/x.JPEG=n01443537 n15075141/x.JPEG=n15075141", why: "synset", output: "1000:[0 1 999]"},
		{name: "synsets, background class", data: files{"n01443537/x.JPEG": a, "n01440764/x.JPEG": b}, want: "n01440764/x.JPEG=n01440764 n01443537/x.JPEG=n01443537", output: "1001:[1 2]"},
		{name: "numbers in numeric order", data: files{"10/a.png": a, "2/a.png": b, "0/a.png": c},
			want: "0/a.png=0 2/a.png=2 10/a.png=10", why: "numeric order", output: "1000:[0 2 10]"},
		{name: "numbers from 1", data: files{"1/a.png": a, "2/a.png": b, "3/a.png": c}, want: "1/a.png=1 2/a.png=2 3/a.png=3", why: "label = number - 1", output: "3:[0 1 2]"},
		{name: "wrapper folder", data: files{"photos/dog/1.png": a, "photos/cat/2.png": b}, want: "photos/cat/2.png=cat photos/dog/1.png=dog"},
		{name: "the only folder", data: files{"photos/2.png": a, "photos/1.png": b}, want: "photos/1.png=- photos/2.png=-", format: Flat},
		{name: "val is taken", data: files{"d/train/x/1.png": a, "d/val/x/2.png": b, "d/val/y/3.png": c}, want: "d/val/x/2.png=x d/val/y/3.png=y", why: `split "val" of train, val`},
		{name: "split asked for", data: files{"train/x/1.png": a, "train/y/1.png": c, "val/x/2.png": b}, o: Options{Split: "train"}, want: "train/x/1.png=x train/y/1.png=y", why: `split "train"`},
		{name: "split preferred", data: files{"train/x/1.png": a, "train/y/1.png": c, "val/x/2.png": b}, o: Options{Prefer: "train"}, want: "train/x/1.png=x train/y/1.png=y", why: `split "train" of train, val`},
		{name: "split preferred that is not there", data: files{"test/x/1.png": a, "test/y/1.png": c, "val/x/2.png": b, "val/y/2.png": a}, o: Options{Prefer: "train"}, want: "val/x/2.png=x val/y/2.png=y", why: `split "val" of test, val`},
		{name: "split asked for before the preferred one", data: files{"train/x/1.png": a, "val/x/2.png": b, "val/y/2.png": b}, o: Options{Split: "val", Prefer: "train"}, want: "val/x/2.png=x val/y/2.png=y", why: `split "val"`},
		{name: "Tiny-ImageNet's training part preferred", data: files{"train/n01443537/images/n01443537_0.png": a, "train/n01629819/images/n01629819_0.png": c, "val/images/val_0.png": b, "val/val_annotations.txt": "val_0.png\tn01443537\t0\t0\t1\t1\n"}, o: Options{Prefer: "train"}, want: "train/n01443537/images/n01443537_0.png=n01443537 train/n01629819/images/n01629819_0.png=n01629819", why: `split "train"`},
		{name: "flat without labels", data: files{"b.png": a, "a.jpg": b}, want: "a.jpg=- b.png=-", format: Flat},
		{name: "other files", data: files{"x/1.png": a, "y/2.png": b, "x/readme.txt": "hello", ".DS_Store": "x", "x/._1.png": "x", "__MACOSX/x/1.png": "x"},
			want: "x/1.png=x y/2.png=y"},
		{name: "Tiny-ImageNet", data: files{
			"t/val/images/val_0.JPEG": a, "t/val/images/val_1.JPEG": b, "t/val/val_annotations.txt": "val_0.JPEG\tn03\t0\t0\t1\t1\nval_1.JPEG\tn01\t0\t0\t1\t1\nval_2.JPEG\tn01\t0\t0\t1\t1\n",
			"t/wnids.txt": "n03\nn02\nn01\n"},
			want: "t/val/images/val_1.JPEG=n01 t/val/images/val_2.JPEG=n01! t/val/images/val_0.JPEG=n03", format: TinyImageNet, output: "3:[0 1 2]"},
		{name: "inside Tiny-ImageNet's val", data: files{"images/val_0.JPEG": a, "val_annotations.txt": "val_0.JPEG\tn03\t0\t0\t1\t1\n"}, want: "images/val_0.JPEG=n03", format: TinyImageNet},
		{name: "Tiny-ImageNet sorted into folders", data: files{"val/n01/a.JPEG": a, "val/n02/b.JPEG": b, "val/val_annotations.txt": "a.JPEG\tn01\t0\t0\t1\t1\n"}, want: "val/n01/a.JPEG=n01 val/n02/b.JPEG=n02", format: ClassFolders},
		{name: "val beside a folder without images", data: files{"val/x/1.png": a, "val/y/2.png": b, "devkit/readme.txt": "hello"}, want: "val/x/1.png=x val/y/2.png=y"},
		{name: "classes called like splits", data: files{"airplane/1.png": a, "train/2.png": b, "test/3.png": c}, want: "airplane/1.png=airplane test/3.png=test train/2.png=train"},
		{name: "one class folder asked for", data: files{"dog/1.png": a}, o: Options{Format: ClassFolders}, want: "dog/1.png=dog"},
		{name: "file names that are folder names", data: files{"0/0.png": a, "1/7.png": b, "2/8.png": c, "2/9.png": pngOf(9)}, labels: "0 2\n1 1\n2 0\n", want: "0/0.png=0 1/7.png=1 2/8.png=2 2/9.png=2", output: "3:[2 1 0]"},
		{name: "one number a line from 0", data: files{"a.png": a, "b.png": b, "c.png": c}, labels: "0\n2\n2\n", want: "a.png=0 b.png=2 c.png=2", output: "3:[0 2]"},
		{name: "one name a line", data: files{"a.png": a, "b.png": b, "c.png": c}, labels: "dog\ncat\ndog\n", want: "a.png=dog b.png=cat c.png=dog"},
		{name: "JSON numbers", data: files{"dog/1.png": a, "cat/2.png": b, "cat/3.png": c}, labels: "[6, 11]", want: "cat/2.png=cat cat/3.png=cat dog/1.png=dog", output: "12:[6 11]"},
		{name: "control characters", data: files{"x/a\nb.png": a, "y/2.png": b}, want: "x/a%0Ab.png=x y/2.png=y"},
		{name: "CSV with header", data: files{"a.png": a, "b.png": b}, labels: "id,path,label\n1,a.png,dog\n2,b.png,cat\n", want: "a.png=dog b.png=cat", why: "labels from"},
		{name: "CSV without header", data: files{"a.png": a, "b.png": b}, labels: "a.png,7\nb.png,3\n", want: "a.png=7 b.png=3", output: "10:[3 7]"},
		{name: "name label lines", data: files{"a.png": a, "my dog.png": b}, labels: "my dog.png 1\na.png 0\nmissing.png 1\n", want: "a.png=0 my dog.png=1 missing.png=1!"},
		{name: "tab separated", data: files{"in/a.png": a, "in/b.png": b}, labels: "a.png\tx y\nb.png\tz\n", want: "in/a.png=x y in/b.png=z"},
		{name: "labels with the wrapper's name", data: files{"in/a.png": a, "in/b.png": b}, labels: "path,label\nin/a.png,x\nin/b.png,z\n", want: "in/a.png=x in/b.png=z"},
		{name: "labels without the split's name", data: files{"d/val/x/1.png": a, "d/val/y/1.png": b, "d/train/x/1.png": c}, labels: "x/1.png,4\ny/1.png,2\n", want: "d/val/x/1.png=4 d/val/y/1.png=2"},
		{name: "labels with the split's name", data: files{"d/val/x/1.png": a, "d/val/y/1.png": b, "d/train/x/1.png": c}, labels: "val/x/1.png,4\nval/y/1.png,2\n", want: "d/val/x/1.png=4 d/val/y/1.png=2"},
		{name: "labels of another folder", data: files{"in/x/1.png": a, "in/y/1.png": b}, labels: "/home/me/x/1.JPEG,4\n/home/me/y/1.JPEG,2\n", want: "in/x/1.png=4 in/y/1.png=2"},
		{name: "Kaggle", data: files{"ILSVRC2012_val_00000001.JPEG": a, "ILSVRC2012_val_00000002.JPEG": b},
			labels: "ImageId,PredictionString\nILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 5 6 7 8 \nILSVRC2012_val_00000001,n01443537 85 1 499 272 \n",
			want:   "ILSVRC2012_val_00000001.JPEG=n01443537 ILSVRC2012_val_00000002.JPEG=n01440764", output: "1000:[0 1]"},
		// Devkit number 1 is kit fox, n02119789; 449 is tench, n01440764, output 0.
		{name: "devkit", data: files{"ILSVRC2012_val_00000001.JPEG": a, "ILSVRC2012_val_00000002.JPEG": b, "ILSVRC2012_val_00000003.JPEG": c},
			labels: "449\n1\n449\n", want: "ILSVRC2012_val_00000001.JPEG=n01440764 ILSVRC2012_val_00000002.JPEG=n02119789 ILSVRC2012_val_00000003.JPEG=n01440764", why: "devkit order"},
		{name: "class map", data: files{"dog/1.png": a, "cat/2.png": b}, labels: "cat 5\ndog 2\nhorse 1\n", want: "cat/2.png=cat dog/1.png=dog", output: "6:[5 2]"},
		{name: "class list", data: files{"dog/1.png": a, "cat/2.png": b}, labels: "horse\ndog\ncat\n", want: "cat/2.png=cat dog/1.png=dog", output: "3:[2 1]"},
		{name: "class indices", data: files{"dog/1.png": a, "cat/2.png": b, "cat/3.png": c}, labels: "6\n11\n", want: "cat/2.png=cat cat/3.png=cat dog/1.png=dog", output: "12:[6 11]"},
		{name: "JSON names", data: files{"dog/1.png": a, "cat/2.png": b}, labels: `{"dog": 1, "cat": 3}`, want: "cat/2.png=cat dog/1.png=dog", output: "4:[3 1]"},
		{name: "JSON of Keras", data: files{"n02/1.png": a, "n01/2.png": b}, labels: `{"0": ["n02", "crane"], "1": ["n01", "crane"]}`, want: "n01/2.png=n01 n02/1.png=n02", output: "2:[1 0]"},
		{name: "JSON list", data: files{"dog/1.png": a, "cat/2.png": b}, labels: `["dog", "cat"]`, want: "cat/2.png=cat dog/1.png=dog", output: "2:[1 0]"},
	} {
		for kind, made := range map[string]func() string{
			"folder": func() string { return tc.data.folder(t) }, "tar": func() string { return tc.data.tar(t) },
			"zip": func() string { return tc.data.zip(t, zip.Deflate) }, "stored zip": func() string { return tc.data.zip(t, zip.Store) },
		} {
			t.Run(tc.name+" "+kind, func(t *testing.T) {
				path := made()
				o := tc.o
				if tc.labels != "" {
					o.Labels = write(t, "labels.txt", tc.labels)
				}
				d, err := Open(path, o)
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				if got := describe(d); got != tc.want {
					t.Errorf("samples\n%s, want\n%s (%s)", got, tc.want, d.Why)
				}
				if tc.format != "" && d.Format != tc.format {
					t.Errorf("format %s, want %s", d.Format, tc.format)
				}
				if !strings.Contains(d.Why, tc.why) {
					t.Errorf("recognised as %q, want %q in it", d.Why, tc.why)
				}
				l := d.Loader()
				for i, s := range d.Samples {
					img, err := l.Load(i)
					if (err != nil) != (s.Size < 0) || err == nil && (img.W != 2 || img.H != 2) {
						t.Errorf("%s: %v %v", s.ID, img, err)
					}
				}
				if outputs, want, ok := strings.Cut(tc.output, ":"); ok {
					var n int
					fmt.Sscan(outputs, &n)
					a, err := d.Align(n, nil)
					if err != nil || fmt.Sprint(a.Output) != want {
						t.Errorf("outputs %v (%s) %v, want %s", a.Output, a.How, err, want)
					}
				}
			})
		}
	}
}

// TestShort: IDs begin at the top of the data, what Short gives below wrappers and splits.
func TestShort(t *testing.T) {
	a := pngOf(1)
	record := string(make([]byte, 3073))
	for _, c := range []struct {
		name      string
		data      files
		id, short string
	}{
		{"class folders", files{"x/1.png": a, "y/1.png": a}, "x/1.png", "x/1.png"},
		{"wrapper", files{"in/x/1.png": a, "in/y/1.png": a}, "in/x/1.png", "x/1.png"},
		{"split", files{"in/val/x/1.png": a, "in/val/y/1.png": a, "in/train/x/1.png": a}, "in/val/x/1.png", "x/1.png"},
		{"one folder", files{"in/1.png": a, "in/2.png": a}, "in/1.png", "1.png"},
		{"Tiny-ImageNet", files{"t/val/images/1.png": a, "t/val/val_annotations.txt": "1.png n01"}, "t/val/images/1.png", "images/1.png"},
		{"CIFAR", files{"cifar-10-batches-bin/test_batch.bin": record}, "cifar-10-batches-bin/test_batch/00000", "test_batch/00000"},
	} {
		for kind, path := range map[string]string{"folder": c.data.folder(t), "tar": c.data.tar(t)} {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				d, err := Open(path, Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				if d.Samples[0].ID != c.id || d.Short(0) != c.short {
					t.Errorf("%q, in short %q; want %q and %q", d.Samples[0].ID, d.Short(0), c.id, c.short)
				}
			})
		}
	}
}

// A folder and a tar of the same files are the same data.
func TestFingerprint(t *testing.T) {
	f := files{"in/x/1.png": pngOf(1), "in/y/2.png": pngOf(2)}
	print := func(path string) string {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Fingerprint()
	}
	want := print(f.folder(t))
	if print(f.tar(t)) != want || print(f.zip(t, zip.Deflate)) != want {
		t.Error("folder, tar and zip have different fingerprints")
	}
	if print(filepath.Join(f.folder(t), "in")) == want {
		t.Error("other paths do not change the fingerprint")
	}
	f["in/y/3.png"] = pngOf(3)
	if print(f.folder(t)) == want {
		t.Error("one more image does not change the fingerprint")
	}
}

func TestOpenErrors(t *testing.T) {
	a := pngOf(1)
	gz := write(t, "x.tar.gz", "\x1f\x8b\x08rest")
	text := write(t, "x.txt", "hello\nworld\n")
	binary := write(t, "x.dat", "\x00\x01\x02")
	cut := files{"x/1.png": strings.Repeat("a", 4000)}.tarBytes(t)
	for _, c := range []struct {
		name, path string
		o          Options
		want       string
	}{
		{"absent", filepath.Join(t.TempDir(), "no"), Options{}, "no such file"},
		{"empty folder", t.TempDir(), Options{}, "no images"},
		{"gzip", gz, Options{}, "damaged"},
		{"text", text, Options{}, "paths of images"},
		{"binary", binary, Options{}, "none of what can be read"},
		{"empty file", write(t, "e.tar", ""), Options{}, "empty"},
		{"cut tar", write(t, "c.tar", string(cut[:2000])), Options{}, "cut off"},
		{"split", files{"train/x/1.png": a, "val/x/1.png": a}.folder(t), Options{Split: "dev"}, `no split "dev"`},
		{"labels absent", files{"1.png": a}.folder(t), Options{Labels: "/no/labels.csv"}, "labels.csv"},
		{"labels empty", files{"1.png": a}.folder(t), Options{Labels: write(t, "l.csv", "\n")}, "empty"},
		{"labels of others", files{"1.png": a}.folder(t), Options{Labels: write(t, "l.csv", "path,label\nzzz.png,1\n")}, "names neither"},
		{"count", files{"1.png": a, "2.png": a}.folder(t), Options{Labels: write(t, "l.txt", "1\n2\n3\n")}, "3 numbers; there are 2 images"},
		{"devkit number", files{"ILSVRC2012_val_1.JPEG": a, "ILSVRC2012_val_2.JPEG": a}.folder(t), Options{Labels: write(t, "l.txt", "1\n2000\n")}, "2000"},
		{"numbers from 1", files{"1.png": a, "2.png": a}.folder(t), Options{Labels: write(t, "l.txt", "1\n2\n")}, "unclear"},
		{"split of none", files{"x/1.png": a, "y/1.png": a}.folder(t), Options{Split: "dev"}, `no split "dev"`},
		{"other format", files{"x/1.png": a, "y/1.png": a}.folder(t), Options{Format: List}, "not \"list\" data"},
		{"not Tiny", files{"x/1.png": a, "y/1.png": a}.folder(t), Options{Format: TinyImageNet}, "val_annotations.txt"},
		{"no folders", files{"1.png": a}.folder(t), Options{Format: ClassFolders}, "no class folders"},
		{"no end", write(t, "c.tar", string(files{"x/1.png": a, "y/2.png": a}.tarBytes(t)[:2048])), Options{}, "cut off"},
		{"several images", files{"x/1.png": a, "y/1.png": a, "x/2.png": a}.folder(t), Options{Labels: write(t, "l.csv", "2.png,0\n1.png,1\n")}, "line 2: several images of the data are called"},
		{"two labels", files{"1.png": a}.folder(t), Options{Labels: write(t, "l.csv", "1.png,1\n1.png,2\n")}, "two labels"},
		{"no label", files{"1.png": a}.folder(t), Options{Labels: write(t, "l.csv", "path,label\n1.png,\n")}, "no label"},
		{"negative output", files{"x/1.png": a, "y/1.png": a}.folder(t), Options{Labels: write(t, "l.json", `{"x": -1, "y": 0}`)}, "output -1"},
		{"pickle", files{"cifar-10-batches-py/data_batch_1": "x", "cifar-10-batches-py/batches.meta": "x"}.folder(t), Options{}, "binary version"},
		{"list root", write(t, "l.txt", "a/1.png 0\nb/2.png 1\n"), Options{}, "--data-root"},
		{"scenes", "scenes:nope", Options{}, "nope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(c.path, c.o)
			if err == nil {
				d.Close()
				t.Fatalf("no error: %s, %s", d.Why, describe(d))
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q in one line", err, c.want)
			}
		})
	}
}

func TestAlignErrors(t *testing.T) {
	d := &Dataset{Name: "d", Classes: []string{"a", "b"}}
	if _, err := d.Align(5, nil); err == nil || !strings.Contains(err.Error(), "--labels") {
		t.Errorf("%v", err)
	}
	if _, err := d.Align(2, []string{"a", "c"}); err == nil || !strings.Contains(err.Error(), "has no b") {
		t.Errorf("half the names: %v", err)
	}
	if a, err := d.Align(2, []string{"B", "A"}); err != nil || !slices.Equal(a.Output, []int{1, 0}) {
		t.Errorf("other case: %v %v", a, err)
	}
	if _, err := d.Align(2, []string{"x", "y"}); err == nil || !strings.Contains(err.Error(), "otherwise") || !strings.Contains(err.Error(), "--class-order") {
		t.Errorf("other names: %v", err)
	}
	if a, err := d.Align(5, []string{"x", "b", "y", "a", "z"}); err != nil || !slices.Equal(a.Output, []int{3, 1}) {
		t.Errorf("by name: %v %v", a, err)
	}
	d.ClassMap = map[string]int{"a": 1}
	if _, err := d.Align(5, nil); err == nil || !strings.Contains(err.Error(), "lacks 1 classes (b)") {
		t.Errorf("%v", err)
	}
	d.ClassMap["b"] = 9
	if _, err := d.Align(5, nil); err == nil || !strings.Contains(err.Error(), "output 9") {
		t.Errorf("%v", err)
	}
	d.ClassMap["b"] = 1
	if _, err := d.Align(5, nil); err == nil || !strings.Contains(err.Error(), "both output 1") {
		t.Errorf("%v", err)
	}
	if _, err := (&Dataset{Name: "d"}).Align(5, nil); err == nil || !strings.Contains(err.Error(), "no labels") {
		t.Errorf("%v", err)
	}
}

// A class without images is a class: in a folder, and in a tar that lists it.
func TestEmptyClasses(t *testing.T) {
	root := files{"1/a.png": pngOf(1), "2/b.png": pngOf(2), "4/c.png": pngOf(3)}.folder(t)
	if err := os.Mkdir(filepath.Join(root, "3"), 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := d.Align(4, nil); err != nil || !slices.Equal(a.Output, []int{0, 1, 2, 3}) {
		t.Errorf("%v %v %v", d.Classes, a, err)
	}
	c, err := d.Check(context.Background(), 1, nil)
	if err != nil || !slices.Equal(c.NoImages, []string{"3"}) {
		t.Errorf("%+v %v", c, err)
	}
}

// Members that lead out of a tar, links in it, loops of links in folders and
// names that are not UTF-8 must do no harm.
func TestHostileTrees(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data string) {
		h.Size, h.Mode = int64(len(data)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: "../evil/1.png"}, pngOf(1))
	add(tar.Header{Name: "/abs/1.png"}, pngOf(1))
	add(tar.Header{Name: "x/link.png", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, "")
	add(tar.Header{Name: "x/bad\xff.png", Format: tar.FormatGNU}, pngOf(1))
	add(tar.Header{Name: "y/" + strings.Repeat("d/", 200) + "1.png", Format: tar.FormatPAX}, pngOf(2))
	add(tar.Header{Name: "y/twice.png"}, pngOf(3))
	add(tar.Header{Name: "y/twice.png"}, pngOf(4))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := Open(write(t, "h.tar", b.String()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Samples) != 3 || d.Samples[0].ID != "x/bad%FF.png" {
		t.Errorf("%s", describe(d))
	}
	img, err := d.Loader().Load(2)
	if err != nil || img.Pix[0] != 4 {
		t.Errorf("the last member of a name must win: %v %v", img, err)
	}
	for _, want := range []string{"../evil", "/abs", "is a link", "more than once"} {
		if !slices.ContainsFunc(d.Notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note about %q in %q", want, d.Notes)
		}
	}

	root := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.folder(t)
	for from, to := range map[string]string{"x/loop": root, "y/self": filepath.Join(root, "y"), "y/broken.png": "/no/such"} {
		if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
			t.Skip(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "x", "\xffname.png"), []byte(pngOf(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err = Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(d); got != "x/%FFname.png=x x/1.png=x y/2.png=y" {
		t.Errorf("%s", got)
	}
	if img, err := d.Loader().Load(0); err != nil || img.Pix[0] != 3 {
		t.Errorf("%v %v", img, err)
	}
}

func TestOpenOODList(t *testing.T) {
	root := files{
		"data/images_classic/texture/a/1.jpg": pngOf(1), "data/images_classic/texture/b/2.jpg": pngOf(2),
		"data/benchmark_imglist/cifar10/test.txt": "texture/a/1.jpg -1\ntexture/b/2.jpg -1\ntexture/b/gone.jpg -1\n",
		"data/benchmark_imglist/cifar10/id.txt":   "texture/a/1.jpg 3\ntexture/b/2.jpg 0\n",
		"data/images_classic/plain.txt":           "texture/a/1.jpg\ntexture/b/2.jpg\n",
	}.folder(t)
	d, err := Open(filepath.Join(root, "data/benchmark_imglist/cifar10/test.txt"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(d); got != "texture/a/1.jpg=- texture/b/2.jpg=- texture/b/gone.jpg=-!" || d.Format != List {
		t.Errorf("%s", got)
	}
	if img, err := d.Loader().Load(1); err != nil || img.Pix[0] != 2 {
		t.Errorf("%v %v", img, err)
	}
	d, err = Open(filepath.Join(root, "data/benchmark_imglist/cifar10/id.txt"), Options{})
	if err != nil || describe(d) != "texture/a/1.jpg=3 texture/b/2.jpg=0" {
		t.Errorf("%v %v", d, err)
	}
	if a, err := d.Align(10, nil); err != nil || !slices.Equal(a.Output, []int{0, 3}) {
		t.Errorf("%v %v", a, err)
	}
	d, err = Open(filepath.Join(root, "data/images_classic/plain.txt"), Options{})
	if err != nil || describe(d) != "texture/a/1.jpg=- texture/b/2.jpg=-" {
		t.Errorf("%v %v", d, err)
	}
}

func TestCIFAR(t *testing.T) {
	record := func(grey byte, labels ...byte) string {
		px := bytes.Repeat([]byte{grey}, 3072)
		px[0], px[1024], px[2048] = 10, 20, 30 // first pixel, channel by channel
		return string(labels) + string(px)
	}
	ten := files{"cifar-10-batches-bin/test_batch.bin": record(1, 3) + record(2, 9), "cifar-10-batches-bin/data_batch_1.bin": record(5, 0), "cifar-10-batches-bin/batches.meta.txt": "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"}
	hundred := files{"test.bin": record(7, 1, 99) + record(8, 0, 42)}
	for _, c := range []struct {
		path   string
		o      Options
		labels []int
		class  string
		grey   byte
	}{
		{ten.folder(t), Options{}, []int{3, 9}, "d", 1},
		{ten.tar(t), Options{Split: "train"}, []int{0}, "a", 5},
		{ten.tar(t), Options{Prefer: "train"}, []int{0}, "a", 5},
		{ten.tar(t), Options{Prefer: "val"}, []int{3, 9}, "d", 1},
		{hundred.folder(t), Options{Prefer: "train"}, []int{99, 42}, "class 99", 7},
		{hundred.folder(t), Options{}, []int{99, 42}, "class 99", 7},
		{write(t, "test_batch.bin", ten["cifar-10-batches-bin/test_batch.bin"]), Options{}, []int{3, 9}, "cat", 1},
	} {
		d, err := Open(c.path, c.o)
		if err != nil {
			t.Fatal(err)
		}
		var labels []int
		for _, s := range d.Samples {
			labels = append(labels, s.Label)
		}
		img, err := d.Loader().Load(0)
		if err != nil || !slices.Equal(labels, c.labels) || d.Classes[labels[0]] != c.class || img.W != 32 || !slices.Equal(img.Pix[:4], []byte{10, 20, 30, c.grey}) {
			t.Errorf("%s: %v %v %v", d.Why, labels, d.Classes[labels[0]], err)
		}
		d.Close()
	}
	if _, err := Open(write(t, "x.bin", record(1, 77)), Options{}); err == nil || !strings.Contains(err.Error(), "label 77") {
		t.Errorf("%v", err)
	}
}

func TestPick(t *testing.T) {
	d := &Dataset{}
	for i := range 100 {
		label := 0
		if i >= 90 {
			label = 1 + i%2
		}
		d.Samples = append(d.Samples, Sample{ID: fmt.Sprint(i), Label: label})
	}
	for _, n := range []int{1, 3, 9, 15, 40, 99} {
		a, b, larger := d.Pick(n, 7), d.Pick(n, 7), d.Pick(n+1, 7)
		if n == 99 {
			larger = a // all there are
		}
		if len(a) != n || !slices.Equal(a, b) || !slices.IsSorted(a) {
			t.Fatalf("limit %d: %v", n, a)
		}
		count := map[int]int{}
		for _, i := range a {
			count[d.Samples[i].Label]++
			if !slices.Contains(larger, i) {
				t.Errorf("limit %d does not hold limit %d", n+1, n)
			}
		}
		want := min((n+2)/3, 5)
		if count[1] > want || count[2] > want || n <= 15 && count[0] > want {
			t.Errorf("limit %d: %v", n, count)
		}
	}
	if d.Pick(0, 1) != nil || d.Pick(100, 1) != nil || d.Pick(1000, 1) != nil {
		t.Error("no limit must keep all")
	}
	if slices.Equal(d.Pick(10, 1), d.Pick(10, 2)) {
		t.Error("the seed decides nothing")
	}
}

func TestCheck(t *testing.T) {
	root := files{
		"x/1.png": pngOf(1), "x/2.png": pngOf(1), "x/3.png": "not an image", "y/4.png": pngOf(1), "y/5.png": "", "z/readme.txt": "no images here",
	}.folder(t)
	d, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Check(context.Background(), 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Images != 5 || c.Good != 3 || c.Bad() != 2 || len(c.Empty) != 1 || c.Empty[0].ID != "y/5.png" || c.Undecodable[0].ID != "x/3.png" ||
		!slices.Equal(c.NoImages, []string{"z"}) || len(c.Duplicates) != 1 || len(c.Duplicates[0]) != 3 || c.Conflicts != 1 {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Check(ctx, 2, nil); err == nil {
		t.Error("a context that ended gave no error")
	}
}

func TestScenes(t *testing.T) {
	for _, split := range []string{"", ":val", ":new-test", ":ood-near"} {
		d, err := Open("scenes"+split, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Labelled() == (split == ":ood-near") {
			t.Errorf("%s: labelled %v", d.Name, d.Labelled())
		}
		for _, s := range d.Samples {
			if d.Labelled() && d.Classes[s.Label] != path.Base(path.Dir(s.ID)) {
				t.Fatalf("%s: %s has label %d of %q", d.Name, s.ID, s.Label, d.Classes)
			}
		}
		img, err := d.Loader().Load(1)
		if err != nil || img.W != 64 || img.H != 64 || len(img.Pix) != 64*64*3 {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

// TestMadeOptions: options that say nothing about images that the program makes are refused,
// and a split can be named in either way.
func TestMadeOptions(t *testing.T) {
	for _, c := range []struct {
		path string
		o    Options
		want string
	}{
		{"scenes", Options{LabelColumn: "2"}, `opening data "scenes": --label-column says nothing without a table: give it by --labels`},
		{"scenes", Options{Labels: "l.csv"}, `opening data "scenes": --labels says nothing about the embedded scenes`},
		{"scenes:val", Options{Root: "r"}, `opening data "scenes:val": --data-root says nothing about the embedded scenes`},
		{"scenes", Options{Format: ClassFolders}, `opening data "scenes": --data-format folders says nothing about the embedded scenes`},
		{"scenes:val", Options{Split: "train"}, `opening data "scenes:val": it names a split, and --split another (train): give one`},
		{"noise:blobs", Options{Labels: "l.csv"}, `opening data "noise:blobs": --labels says nothing about noise`},
		{"noise:blobs", Options{Format: Scenes}, `opening data "noise:blobs": --data-format scenes says nothing about noise`},
		{"noise:blobs", Options{Split: "val"}, `opening data "noise:blobs": --split says nothing about noise`},
		{t.TempDir(), Options{Format: Scenes}, "it is not the embedded scenes, which are called scenes or scenes:SPLIT"},
	} {
		if d, err := Open(c.path, c.o); err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s %+v: %v %v, want %s", c.path, c.o, d, err, c.want)
		}
	}
	for want, c := range map[string]struct {
		path string
		o    Options
	}{
		"scenes:test":      {"scenes", Options{Format: Scenes}},
		"scenes:train":     {"scenes", Options{Split: "train", Prefer: "val"}},
		"scenes:new-train": {"scenes", Options{Prefer: "new-train"}},
		"scenes:val":       {"scenes:val", Options{Split: "val", Prefer: "train"}},
		"scenes:new-val":   {"scenes:new-val", Options{Prefer: "train"}},
	} {
		d, err := Open(c.path, c.o)
		if err != nil || d.Name != want {
			t.Errorf("%s %+v: %v, want %s", c.path, c.o, err, want)
		}
	}
}

// TestExportEnds: an export that was interrupted leaves nothing, and one that was killed leaves what the
// next one to the same folder clears.
func TestExportEnds(t *testing.T) {
	dir, masks := filepath.Join(t.TempDir(), "scenes"), filepath.Join(t.TempDir(), "masks")
	stopped, stop := context.WithCancel(context.Background())
	_, err := ExportScenes(stopped, dir, masks, "val", 10, func(n int) {
		if n == 5 {
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	for _, d := range []string{dir, masks} {
		if left, err := os.ReadDir(d); err != nil || len(left) > 0 {
			t.Errorf("%v is left in %s: %v", left, d, err)
		}
	}
	killed := filepath.Join(dir, stagingName, "cat", "000001.png")
	if err := errors.Join(os.MkdirAll(filepath.Dir(killed), 0o755), os.WriteFile(killed, []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := ExportScenes(context.Background(), dir, masks, "val", 10, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, masks} {
		if files, err := filepath.Glob(filepath.Join(d, "*", "*.png")); err != nil || len(files) != 10 {
			t.Errorf("%d files in %s, want 10: %v", len(files), d, err)
		}
		if _, err := os.Stat(filepath.Join(d, stagingName)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left in %s: %v", stagingName, d, err)
		}
	}
	if _, err := ExportScenes(context.Background(), dir, "", "val", 10, nil); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("onto an export that is whole: %v", err)
	}
}

// TestExportScenes: what is exported is read as the classes and pictures of its split.
func TestExportScenes(t *testing.T) {
	const n = 20
	for _, split := range []scenes.Split{scenes.Val, scenes.NewTrain} {
		dir := t.TempDir()
		if got, err := ExportScenes(context.Background(), dir, "", string(split), n, nil); err != nil || got != n {
			t.Fatal(got, err)
		}
		d, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		classes := scenes.Classes(split)
		slices.Sort(classes)
		if !slices.Equal(d.Classes, classes) || len(d.Samples) != n {
			t.Errorf("%s: %d images of %q, want %d of %q", split, len(d.Samples), d.Classes, n, classes)
		}
		l := d.Loader()
		for i, s := range d.Samples {
			var at int
			if _, err := fmt.Sscanf(path.Base(s.ID), "%d.png", &at); err != nil {
				t.Fatal(err)
			}
			img, err := l.Load(i)
			sc := scenes.Generate(split, at)
			if err != nil || string(img.Pix) != string(sc.Pixels) || d.Classes[s.Label] != scenes.Classes(split)[sc.Label] {
				t.Errorf("%s: %s is not scene %d: %v", split, s.ID, at, err)
			}
		}
		boxes, err := os.ReadFile(filepath.Join(dir, "boxes.csv"))
		b := scenes.Generate(split, 0).Box
		row := fmt.Sprintf("%s/000000.png,%[1]s,%d,%d,%d,%d", scenes.Classes(split)[0], b.Min.X, b.Min.Y, b.Max.X, b.Max.Y)
		if rows := strings.Split(string(boxes), "\n"); err != nil || rows[1] != row || len(rows) != n+2 {
			t.Errorf("%s: boxes %q, want %q first: %v", split, rows, row, err)
		}
	}
}

func TestImageNetList(t *testing.T) {
	c := ImageNet()
	seen := map[int]bool{}
	for i := range c {
		if i > 0 && c[i].Synset <= c[i-1].Synset || !wnid.MatchString(c[i].Synset) {
			t.Errorf("class %d: %+v is out of order", i, c[i])
		}
		seen[c[i].Devkit] = true
	}
	if len(c) != 1000 || len(seen) != 1000 || !seen[1] || !seen[1000] {
		t.Errorf("%d classes, %d devkit numbers", len(c), len(seen))
	}
	if c[0].Name != "tench" || c[207].Synset != "n02099601" { // golden retriever is 207 everywhere
		t.Errorf("%+v %+v", c[0], c[207])
	}
}

func FuzzTar(f *testing.F) {
	f.Add(files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.tarBytes(f))
	f.Add(files{"a/wnids.txt": "n1", "a/val/val_annotations.txt": "x.png n1", "a/val/images/x.png": pngOf(2)}.tarBytes(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Open(write(t, "f.tar", string(data)), Options{})
		if err != nil {
			return
		}
		defer d.Close()
		for i := range min(len(d.Samples), 20) {
			_, _ = d.Loader().Load(i)
		}
	})
}

func FuzzLabels(f *testing.F) {
	for _, s := range []string{"path,label\n1.png,3\n", "1.png dog\n2.png cat", "1\n2\n", `{"x": 1, "y": 0}`, `["x","y"]`, `{"0": ["x","b"], "1": "y"}`, "ImageId,PredictionString\n1,n01440764 1 2 3 4\n",
		`{"x/1.png": "cat", "y/2.png": ["dog"]}`, `[{"image": "1.png", "label": 3}, {"image": "2.png", "label": null}]`, "{\"file_name\": \"1.png\", \"label\": 0}\n{\"file_name\": \"2.png\", \"label\": 1.5}\n",
		`{"labels": [["1.png", 0], ["2.png", 1]]}`, `{"image": ["1.png"], "label": ["x"]}`, `{"images": [{"id": 1, "file_name": "1.png"}], "annotations": [{"image_id": 1, "category_id": 2}]}`,
		`{"id2label": {"0": "x", "1": "y"}}`, "image,x,y\n1,True,False\n2,no,yes\n", "0,x/1.png,cat\n1,y/2.png,dog\n", "\tpath\tlabel\n0\t1.png\tx\n", "sep=;\na;b\n1;x\n", "label\n", "image,label\n", "\"1.png\" \"a b\"\n",
		"n01440764 tench, Tinca tinca\nx y\n", "x\\1.png,\"a\nb\"\n", "image,label,class_name\n1,0,x\n2,0,y\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tr := &tree{kind: "folder", files: []file{{path: "x/1.png"}, {path: "y/2.png"}}}
		l := &labelFile{path: "labels"}
		if err := l.parse([]byte(text), tr, []int{0, 1}, []string{"x", "y"}); err != nil {
			return
		}
		for _, label := range l.label {
			if label != Unlabelled && (label < 0 || label >= len(l.names)) {
				t.Fatalf("label %d of %d names", label, len(l.names))
			}
		}
	})
}

func FuzzList(f *testing.F) {
	f.Add("x/1.png 0\ny/2.png -1\n")
	f.Add("path,label\nx/1.png,dog\n")
	f.Add("path,label\n")
	f.Add("x\\1.png 0\nx\\1.png 1\n")
	f.Add("x/1.png,cat,0.5\ny/2.png,dog,0.25\n")
	root := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.folder(f)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Open(write(t, "l.txt", text), Options{Format: List, Root: root})
		if err != nil {
			return
		}
		defer d.Close()
		for i := range min(len(d.Samples), 20) {
			if s := d.Samples[i]; s.Label >= len(d.Classes) {
				t.Fatalf("label %d of %d classes", s.Label, len(d.Classes))
			}
			_, _ = d.Loader().Load(i)
		}
	})
}
