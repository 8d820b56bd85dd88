package datasets

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/npy"
)

// npyOf is a .npy file of values.
func npyOf(kind string, shape []int, values ...float64) string {
	data := npy.Header(kind, shape...)
	for _, v := range values {
		switch kind {
		case "u1", "i1", "b1":
			data = append(data, byte(v))
		case "i4":
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(v)))
		case "i8":
			data = binary.LittleEndian.AppendUint64(data, uint64(int64(v)))
		case "f4":
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		case "f8":
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		default:
			panic(kind)
		}
	}
	return string(data)
}

// counted are pictures of the given shape with the values 0, 1, 2 … times a factor.
func counted(kind string, factor float64, shape ...int) string {
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(i) * factor
	}
	return npyOf(kind, shape, v...)
}

// objects is an array of Python's objects.
func objects(n int) string {
	return strings.Replace(npyOf("u1", []int{n}, make([]float64, n)...), "'<u1', ", "'|O',  ", 1)
}

func texts(words ...string) string {
	width := 0
	for _, w := range words {
		width = max(width, len(w))
	}
	data := npy.Header(fmt.Sprintf("U%d", width), len(words))
	for _, w := range words {
		for i := range width {
			c := uint32(0)
			if i < len(w) {
				c = uint32(w[i])
			}
			data = binary.LittleEndian.AppendUint32(data, c)
		}
	}
	return string(data)
}

// medMNIST is an archive as MedMNIST's: three splits, labels of n x 1.
func medMNIST() files {
	return files{
		"train_images.npy": counted("u1", 1, 2, 4, 5, 3), "train_labels.npy": npyOf("u1", []int{2, 1}, 0, 1),
		"val_images.npy": counted("u1", 2, 2, 4, 5, 3), "val_labels.npy": npyOf("u1", []int{2, 1}, 1, 0),
		"test_images.npy": counted("u1", 3, 1, 4, 5, 3), "test_labels.npy": npyOf("u1", []int{1, 1}, 1),
	}
}

// TestArrays: pictures in npz archives and npy files, by all the names, shapes and types in use. first
// is the first pixels of the first picture.
func TestArrays(t *testing.T) {
	grey := counted("u1", 1, 2, 5, 6)
	label := npyOf("i8", []int{2}, 1, 0)
	with := func(f files, name, data string) files { f[name] = data; return f }
	for _, c := range []struct {
		name                  string
		data                  files
		o                     Options
		path                  string // within the folder; empty: the folder, or the archive
		want, first, why, err string
		note                  string
	}{
		{name: "MedMNIST", data: medMNIST(), want: "val/row-000000=1 val/row-000001=0", first: "0 2 4 6", why: `split "val" of test, train, val, labels from val_labels.npy`},
		{name: "MedMNIST test", data: medMNIST(), o: Options{Split: "test"}, want: "test/row-000000=1", first: "0 3 6 9"},
		{name: "MedMNIST for fine-tuning", data: medMNIST(), o: Options{Prefer: "train"}, want: "train/row-000000=0 train/row-000001=1", first: "0 1 2 3"},
		{name: "no such split", data: medMNIST(), o: Options{Split: "dev"}, want: "val/row-000000=1 val/row-000001=0", err: `no split "dev", only test, train, val`},
		{name: "Keras", data: files{"x_test.npy": grey, "y_test.npy": label, "x_train.npy": grey, "y_train.npy": label}, want: "test/row-000000=1 test/row-000001=0", first: "0 0 0 1"},
		{name: "images and labels", data: files{"images.npy": grey, "labels.npy": label}, want: "row-000000=1 row-000001=0", first: "0 0 0 1"},
		{name: "x and y", data: files{"X.npy": grey, "y.npy": label}, want: "row-000000=1 row-000001=0"},
		{name: "without names", data: files{"arr_0.npy": grey, "arr_1.npy": label}, want: "row-000000=1 row-000001=0"},
		{name: "names of classes", data: files{"images.npy": grey, "labels.npy": label, "label_names.npy": texts("cat", "dog")}, want: "row-000000=dog row-000001=cat"},
		{name: "labels as texts", data: files{"images.npy": grey, "labels.npy": texts("dog", "cat")}, want: "row-000000=dog row-000001=cat"},
		{name: "names as objects", data: files{"images.npy": grey, "labels.npy": label, "label_names.npy": objects(2), "keywords.npy": objects(2)}, want: "row-000000=1 row-000001=0", note: "never loaded"},
		{name: "one-hot", data: files{"images.npy": grey, "labels.npy": npyOf("f4", []int{2, 3}, 0, 0, 1, 1, 0, 0)}, want: "row-000000=2 row-000001=0"},
		{name: "several labels", data: files{"images.npy": grey, "labels.npy": npyOf("u1", []int{2, 3}, 0, 1, 1, 0, 0, 0)}, want: "row-000000=- row-000001=-", why: "--multi-label"},
		{name: "without labels", data: files{"images.npy": grey}, want: "row-000000=- row-000001=-", why: "without labels"},
		{name: "channels first", data: files{"images.npy": counted("u1", 1, 2, 3, 4, 5)}, want: "row-000000=- row-000001=-", first: "0 20 40 1 21 41", why: "5 x 4, channels first"},
		{name: "one channel last", data: files{"images.npy": counted("u1", 1, 2, 4, 5, 1)}, want: "row-000000=- row-000001=-", first: "0 0 0 1 1 1"},
		{name: "one channel first", data: files{"images.npy": counted("u1", 1, 1, 1, 4, 5)}, want: "row-000000=-", first: "0 0 0 1 1 1"},
		{name: "0 to 1", data: files{"images.npy": counted("f4", 1/255.0, 1, 5, 5, 3)}, want: "row-000000=-", first: "0 1 2 3 4", why: "values 0 to 1 (f4), taken times 255"},
		{name: "0 to 1, between bytes", data: files{"images.npy": counted("f8", 1/100.0, 1, 5, 5, 3)}, want: "row-000000=-", first: "0 3 5 8", note: "rounded"},
		{name: "0 to 255 as floats", data: files{"images.npy": counted("f8", 1, 1, 5, 5, 3)}, want: "row-000000=-", first: "0 1 2 3", why: "values 0 to 255 (f8)"},
		{name: "0 to 255 with fractions", data: files{"images.npy": counted("f4", 0.75, 1, 5, 5, 3)}, want: "row-000000=-", first: "0 1 2 2 3", note: "are rounded"},
		{name: "0 to 255 as integers", data: files{"images.npy": counted("i8", 1, 1, 5, 5, 3)}, want: "row-000000=-", first: "0 1 2 3"},
		{name: "1 or 255", data: files{"images.npy": counted("f4", 1.5/74, 1, 5, 5, 3)}, err: "white may be 1 or 255"},
		{name: "normalised", data: files{"images.npy": npyOf("f4", []int{1, 1, 5}, -1, 0, 1, 2, 3)}, err: "from -1 to 3, which are no pixels"},
		{name: "sixteen bits", data: files{"images.npy": counted("i4", 100, 1, 5, 5, 3)}, err: "from 0 to 7400"},
		{name: "not a number", data: files{"images.npy": npyOf("f4", []int{1, 1, 5}, math.NaN(), 0, 1, 2, 3)}, err: "NaN"},
		{name: "almost black", data: files{"images.npy": npyOf("i4", []int{1, 1, 5}, 1, 0, 1, 0, 1)}, want: "row-000000=-", note: "almost black"},
		{name: "boolean", data: files{"images.npy": npyOf("b1", []int{1, 1, 5}, 1, 0, 1, 0, 1)}, want: "row-000000=-", first: "255 255 255 0"},
		{name: "channels first or last", data: files{"images.npy": counted("u1", 1, 1, 3, 5, 3)}, err: "first or last"},
		{name: "four channels", data: files{"images.npy": counted("u1", 1, 1, 5, 5, 4)}, err: "4 channels"},
		{name: "volumes", data: files{"images.npy": counted("u1", 1, 1, 5, 5, 5)}, err: "volumes"},
		{name: "one picture", data: files{"images.npy": counted("u1", 1, 5, 5, 3)}, err: "single picture"},
		{name: "vectors", data: files{"images.npy": counted("u1", 1, 2, 25)}, err: "shape [2 25] is not one of pictures"},
		{name: "objects", data: files{"images.npy": objects(2), "labels.npy": label}, err: "never loaded"},
		{name: "labels as objects", data: files{"images.npy": grey, "labels.npy": objects(2)}, err: "labels.npy: it holds Python objects"},
		{name: "labels too few", data: files{"images.npy": grey, "labels.npy": npyOf("u1", []int{1}, 1)}, err: "1 labels for 2 pictures"},
		{name: "labels in a cube", data: files{"images.npy": grey, "labels.npy": counted("u1", 1, 1, 1, 2)}, err: "one column per class"},
		{name: "soft labels", data: files{"images.npy": grey, "labels.npy": npyOf("f4", []int{2, 2}, 0.5, 0.5, 1, 0)}, err: "row 0 has 0.5"},
		{name: "no pictures", data: files{"scores.npy": counted("f4", 1, 2, 10), "labels.npy": label}, err: "none of pictures"},
		{name: "terabytes", data: files{"images.npy": string(npy.Header("u1", 1<<20, 1000, 1000, 3)) + "x"}, err: "too large"},
		{name: "gigabytes", data: files{"images.npy": string(npy.Header("u1", 1<<10, 1000, 1000, 3)) + "x"}, err: "it has 1 bytes of values, its header says 3072000000"},
		{name: "pairs", data: files{"cifar10.1_v4_data.npy": grey, "cifar10.1_v4_labels.npy": label, "cifar10.1_v6_data.npy": grey, "cifar10.1_v6_labels.npy": label}, err: "say which with --split"},
		{name: "pair", data: files{"cifar10.1_v4_data.npy": grey, "cifar10.1_v4_labels.npy": label, "cifar10.1_v6_data.npy": grey}, o: Options{Split: "cifar10.1_v4"}, want: "cifar10.1_v4/row-000000=1 cifar10.1_v4/row-000001=0"},
		{name: "file of a pair", data: files{"v4_data.npy": grey, "v4_labels.npy": label, "v6_labels.npy": npyOf("u1", []int{1}, 9)}, path: "v4_data.npy", want: "row-000000=1 row-000001=0", why: "labels from v4_labels.npy"},
		{name: "corruptions", data: files{"fog.npy": grey, "snow.npy": grey, "labels.npy": label}, o: Options{Split: "fog"}, want: "fog/row-000000=1 fog/row-000001=0"},
		{name: "one corruption", data: files{"c/fog.npy": grey, "c/snow.npy": grey, "c/labels.npy": label}, path: "c/fog.npy", want: "row-000000=1 row-000001=0"},
		{name: "folders of splits", data: files{"train/images.npy": grey, "train/labels.npy": label, "test/images.npy": grey, "test/labels.npy": label}, want: "test/row-000000=1 test/row-000001=0"},
		{name: "more than pictures", data: with(medMNIST(), "test_masks.npy", grey), o: Options{Split: "test"}, want: "test/row-000000=1"},
	} {
		check := func(t *testing.T, path string) {
			d, err := Open(path, c.o)
			if c.err != "" {
				refused(t, err, "!"+c.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if got := describe(d); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			im, err := d.Loader().Load(0)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Trim(fmt.Sprint(im.Pix), "[]"); !strings.HasPrefix(got, c.first) {
				t.Errorf("pixels %.40s, want %s", got, c.first)
			}
			if !strings.Contains(d.Why, c.why) || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%s, %q", d.Why, d.Notes)
			}
		}
		t.Run(c.name, func(t *testing.T) {
			check(t, filepath.Join(c.data.folder(t), filepath.FromSlash(c.path)))
			if c.path == "" {
				for _, method := range []uint16{zip.Store, zip.Deflate} {
					check(t, c.data.zip(t, method))
				}
				check(t, c.data.tar(t))
			}
		})
	}
}

// TestArrayContent: arrays of other pictures have another fingerprint, and those in an archive the same.
func TestArrayContent(t *testing.T) {
	print := func(path string) string {
		d, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Fingerprint()
	}
	a, b := files{"images.npy": counted("u1", 1, 2, 5, 6)}, files{"images.npy": counted("u1", 2, 2, 5, 6)}
	if x := print(a.folder(t)); x == print(b.folder(t)) || x != print(a.zip(t, zip.Deflate)) || x != print(a.zip(t, zip.Store)) || x != print(a.tar(t)) {
		t.Error("the fingerprint does not follow the contents")
	}
}

// TestArrayBombs: what unpacks to far more than it should, or to other bytes than it says, is refused
// and leaves no file.
func TestArrayBombs(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	old := unpackFloor
	unpackFloor = 1 << 16
	defer func() { unpackFloor = old }()
	zeros := string(npy.Header("u1", 100, 100, 100, 3)) + strings.Repeat("\x00", 3_000_000)
	_, err := Open(files{"images.npy": zeros}.zip(t, zip.Deflate), Options{})
	refused(t, err, "!it is no array of pictures")
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		data := files{"images.npy": counted("u1", 1, 4, 40, 50)}.zipBytes(t, method)
		data[len(data)/4] ^= 0x10
		_, err := Open(write(t, "x.npz", string(data)), Options{})
		refused(t, err, "!damaged")
	}
	if left, err := os.ReadDir(temp); err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "cutmix-eval-") }) {
		t.Errorf("%v is left (%v)", left, err)
	}
}

// TestMultiLabelArrays: labels of several classes per picture, as ChestMNIST has them.
func TestMultiLabelArrays(t *testing.T) {
	f := medMNIST()
	f["val_labels.npy"] = npyOf("u1", []int{2, 3}, 0, 1, 1, 0, 0, 0)
	f["test_labels.npy"] = npyOf("i4", []int{1, 3}, 1, -1, 0)
	archive := filepath.Join(t.TempDir(), "chestmnist.npz")
	if err := os.WriteFile(archive, f.zipBytes(t, zip.Deflate), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := write(t, "y.npy", npyOf("f8", []int{2, 2}, 1, 0, 1, 0))
	for _, c := range []struct{ split, path, multi, want, err string }{
		{"", archive, "", "0,1,2: [-++] [---]", ""},
		{"test", archive, "", "0,1,2: [+?-]", ""},
		{"", archive, "val", "0,1,2: [-++] [---]", ""},
		{"", alone, "", "0,1: [+-] [+-]", ""},
		{"", archive, "test", "", "1 rows for 2 pictures"},
		{"train", archive, "", "", "one label per image"},
		{"", archive, "dev", "", `no labels of "dev", only of test, train, val`},
	} {
		d, err := Open(archive, Options{Split: c.split})
		if err != nil {
			t.Fatal(err)
		}
		m, err := d.MultiLabels(c.path, c.multi)
		if c.err != "" {
			refused(t, err, "!"+c.err)
		} else if err != nil {
			t.Error(err)
		} else if got := describeMulti(m); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.split, c.multi, got, c.want)
		}
		d.Close()
	}
	d := multiData(t)
	_, err := d.MultiLabels(archive, "val")
	refused(t, err, "!name no images")
}

// TestShiftArrays: the files of CIFAR-10.1, CIFAR-10.2 and CIFAR-10-C have the labels and pictures that
// golden/shift/README.md says.
func TestShiftArrays(t *testing.T) {
	type set struct{ Rows, Labels []int }
	var raw map[string]any
	golden.JSON(t, &raw, "golden", "shift", "cifar_files", "expected.json")
	of := func(v any) (s set) {
		m := v.(map[string]any)
		for i, l := range m["labels"].([]any) {
			s.Labels = append(s.Labels, int(l.(float64)))
			s.Rows = append(s.Rows, int(m["rows"].([]any)[i].(float64)))
		}
		return s
	}
	want := map[string]set{}
	for file, key := range map[string]string{"cifar10.1_v4_data.npy": "cifar10.1_v4", "cifar10.1_v6_data.npy": "cifar10.1_v6", "cifar102_train.npz": "cifar10.2_train", "cifar102_test.npz": "cifar10.2_test"} {
		want[file] = of(raw[key])
	}
	for _, c := range []string{"fog", "gaussian_noise"} {
		var all set
		for _, severity := range raw["cifar-10-c/"+c].([]any) {
			s := of(severity)
			all.Labels, all.Rows = append(all.Labels, s.Labels...), append(all.Rows, s.Rows...)
		}
		want["CIFAR-10-C/"+c+".npy"] = all
	}
	for file, w := range want {
		t.Run(file, func(t *testing.T) {
			d, err := Open(golden.Path(t, "golden", "shift", "cifar_files", filepath.FromSlash(file)), Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			if len(d.Samples) != len(w.Labels) || len(w.Labels) == 0 {
				t.Fatalf("%d samples, want %d", len(d.Samples), len(w.Labels))
			}
			a, err := d.Align(10, nil)
			if err != nil {
				t.Fatal(err)
			}
			l := d.Loader()
			for i, s := range d.Samples {
				if got := a.Output[s.Label]; got != w.Labels[i] {
					t.Errorf("row %d: %d, want %d", i, got, w.Labels[i])
				}
				im, err := l.Load(i)
				if err != nil || im.W != 32 || im.H != 32 {
					t.Fatalf("%v", err)
				}
				if row := codedRow(im.Pix, im.W, im.H); row != w.Rows[i] {
					t.Errorf("picture %d is that of row %d, want %d", i, row, w.Rows[i])
				}
			}
		})
	}
}

// codedRow is the number that the colour of a picture's centre stands for in golden/shift.
func codedRow(pix []byte, w, h int) int {
	at := 3 * (h/2*w + w/2)
	return int(pix[at]/8) + 32*int(pix[at+1]/8)
}

func FuzzArrays(f *testing.F) {
	f.Add([]byte(counted("u1", 1, 2, 3, 4, 3)))
	f.Add([]byte(counted("f4", 1/255.0, 1, 3, 4, 3)))
	f.Add(medMNIST().zipBytes(f, zip.Store))
	f.Add(files{"images.npy": counted("i8", 1, 2, 3, 5, 5), "labels.npy": npyOf("u1", []int{2, 2}, 0, 1, 1, 1), "names.npy": texts("a", "b")}.zipBytes(f, zip.Deflate))
	f.Add(bytes.Clone(files{"x.npy": counted("u1", 1, 2, 3, 5), "y.npy": npyOf("u1", []int{2}, 0, 1)}.tarBytes(f)))
	path := filepath.Join(f.TempDir(), "f.npz")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		openAndLoad(t, path)
		d, err := Open(path, Options{})
		if err == nil {
			_, _ = d.MultiLabels(path, "")
			d.Close()
		}
	})
}
