package datasets

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// describeMulti writes multi-labels as classes and, for each sample in order, a sign a
// class: + is of it, - is not, ? is not known; nothing for a sample without annotation.
func describeMulti(m *MultiLabels) string {
	out := []string{strings.Join(m.Classes, ",") + ":"}
	for _, row := range m.Of {
		signs := ""
		for _, v := range row {
			signs += string("?-+"[v+1])
		}
		out = append(out, fmt.Sprintf("[%s]", signs))
	}
	return strings.Join(out, " ")
}

// multiData has a.png, x/b.png, x/same.png and y/same.png.
func multiData(t testing.TB) *Dataset {
	t.Helper()
	root := files{"x/a.png": pngOf(1), "x/b.png": pngOf(2), "x/same.png": pngOf(3), "y/same.png": pngOf(4)}.folder(t)
	d, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestMultiLabelFiles: files and what they say, or what is wrong with them.
func TestMultiLabelFiles(t *testing.T) {
	long := strings.Repeat("x", maxTextLine)
	var many strings.Builder
	for i := range maxMultiLabels + 1 {
		fmt.Fprintf(&many, ",%d", i)
	}
	for _, c := range []struct {
		name, text string
		want       string // describeMulti, or a part of the error after "!"
		notes      string // part of them
	}{
		{"table", "image,dog,cat\na.png,1,0\nx/b.png,-1,1\n", "dog,cat: [+-] [?+] [] []", "1 of 4 labels are not known"},
		{"table, BOM and CRLF", "\xef\xbb\xbf# from us\r\nimage,dog,cat\r\n\r\na.png,1,\r\nb,0,1\r\n", "dog,cat: [+?] [-+] [] []", "2 of 4 images have no annotation"},
		{"table with tabs", "file\tbig dog\tcat\na.png\t1\t0\nb.png\t0\t\n", "big dog,cat: [+-] [-?] [] []", ""},
		{"table with semicolons and quotes", "img;\"dog; big\";cat\n\"a.png\";1;0\n", "dog; big,cat: [+-] [] [] []", ""},
		{"table with spaces", "image dog cat\na.png  1 0\n", "dog,cat: [+-] [] [] []", ""},
		{"table of pandas", "Photo,dog,cat\na.png,1.0,0.0\nb.png,,1.0\n", "dog,cat: [+-] [?+] [] []", ""},
		{"table without a name for names", ",dog,cat\na,1,0\n", "dog,cat: [+-] [] [] []", ""},
		{"table, names of neither", "photo,dog,cat\n000,1,0\na,0,1\n", "dog,cat: [-+] [] [] []", "1 names in the annotations are no image"},
		{"table of class numbers", "image,3,0\na.png,1,0\n", "3,0: [+-] [] [] []", ""},
		{"table of one class", "image,dog\na.png,1\nb.png,0\n", "dog: [+] [-] [] []", ""},
		{"table, same row twice", "image,dog\na.png,1\nb.png,0\na.png,1\n", "dog: [+] [-] [] []", ""},
		{"table, other row twice", "image,dog\na.png,1\na.png,0\n", `!line 3: class "dog" of a.png has another value`, ""},
		{"table, wrong value", "image,dog,cat\na.png,1,0\nb.png,1,2\n", `!line 3: the value of column "cat" is "2"`, ""},
		{"table, other columns", "Image Index,Finding,Age\na.png,Mass|Nodule,58\n", `!line 2: the value of column "Finding" is "Mass|Nodule"`, ""},
		{"table, short row", "image,dog,cat\na.png,1,0\nb.png,1\n", "!line 3: it has 2 cells, the header 3", ""},
		{"table, column twice", "image,dog,dog\na.png,1,0\n", `!line 1: column 3 is called "dog"`, ""},
		{"table, column without name", "image,dog,\na.png,1,0\n", `!line 1: column 3 is called ""`, ""},
		{"table, -1 for not", "image,dog,cat\na.png,1,-1\n", "!no value of its table is 0", ""},
		{"table, no name", "image,dog,cat\n,1,0\n", "!line 2: there is no image name", ""},
		{"table, quotes", "image,dog,cat\n\"a.png,1,0\n", "!line 2: its quotes do not match", ""},
		{"table of nothing", "image,dog,cat\n", "!it names no image", ""},
		{"too many columns", "image" + many.String() + "\n", "!line 1: it has 100001 classes", ""},

		{"lines", "a.png dog cat\nb.png cat\n", "cat,dog: [++] [+-] [] []", ""},
		{"lines, aligned", "  a.png    dog\tcat\r\n\r\n# x\r\n  b.png    cat\r\n", "cat,dog: [++] [+-] [] []", ""},
		{"spaces and commas", "a.png dog,cat\nb.png cat,dog\n", "!none of the 2 images it names", ""},
		{"one class a line", "a.png dog\nb.png cat\na.png cat\na.png cat\n", "cat,dog: [++] [+-] [] []", ""},
		{"none of the classes", "a.png\nb.png dog\n", "dog: [-] [+] [] []", ""},
		{"commas", "a.png,dog,traffic light\nb.png,,\n", "dog,traffic light: [++] [--] [] []", ""},
		{"semicolons", "a.png;dog;cat\nb.png;cat\n", "cat,dog: [++] [+-] [] []", ""},
		{"comma and spaces", "a.png,dog cat\nb.png,cat\n", "cat,dog: [++] [+-] [] []", ""},
		{"comma and bars", "a.png,dog|traffic light\nb.png,traffic light\n", "dog,traffic light: [++] [-+] [] []", ""},
		{"comma and quoted commas", "a.png,\"dog, cat\"\nb.png,cat\n", "cat,dog: [++] [+-] [] []", ""},
		{"header", "image_name,tags\na,haze primary\nb,clear primary\n", "clear,haze,primary: [-++] [+-+] [] []", ""},
		{"header, numbers", "Id,Target\na,1\nb,16 0\n", "0,1,16: [-+-] [+-+] [] []", ""},
		{"header, unusual", "picture,tags\na,dog cat\n", "cat,dog: [++] [] [] []", ""},
		{"numbers", "a.png 10 2\nb.png 002\n", "2,10: [++] [+-] [] []", ""},
		{"numbers and commas", "other1,3,0\na,1,0\n", "0,1,3: [++-] [] [] []", "1 names in the annotations"},
		{"numbers and names", "a.png 10 dog\n", "10,dog: [++] [] [] []", ""},
		{"0 and 1 are classes", "a.png 0\nb.png 1\na.png 1\n", "0,1: [++] [-+] [] []", ""},
		{"the same thing twice", "a.png person person\nb.png dog\n", "dog,person: [-+] [+-] [] []", ""},
		{"values without header", "a.png,1,0,0\nb.png,0,0,1\n", "!values of 0 and 1 without a header", ""},
		{"two values without header", "a.png 1 0\nb.png 0 1\n", "!values of 0 and 1 without a header", ""},
		{"values -1 without header", "a.png -1 1\n", "!line 1: -1 is not the number of a class", ""},
		{"other extension and folder", "n1/a.JPEG dog\n./x/b.png cat\n", "cat,dog: [-+] [+-] [] []", ""},
		{"path without extension", "x/same dog\ny/same.png cat\n", "cat,dog: [] [] [-+] [+-]", ""},
		{"ambiguous", "a.png dog\nsame.png dog\n", `!line 2: several images of`, ""},
		{"two names of one", "x/a.png dog\nz/a.png cat\n", `!line 2: "x/a.png" and "z/a.png" both mean the image x/a.png`, ""},
		{"names of others", "1.png dog\n2.png cat\n", `!none of the 2 images it names, such as "1.png", is in`, ""},
		{"names only", "a.png\nb.png\n", "!it names no class", ""},
		{"empty", "\n\n", "!it is empty", ""},
		{"long line", "a.png dog\n" + long + "x\n", "!line 2: it is longer than 1 MiB", ""},
		{"a zero byte", "a\x00.png dog\n", "!line 1: it has a zero byte", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := multiData(t)
			m, err := d.MultiLabels(write(t, "labels.txt", c.text), "val")
			if why, bad := strings.CutPrefix(c.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "labels.txt") {
					t.Fatalf("%v, want an error with %q", err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if got := describeMulti(m); got != want || m.Why == "" {
				t.Errorf("%s, want %s (%s)", got, want, m.Why)
			}
			if !strings.Contains(strings.Join(m.Notes, "; "), c.notes) {
				t.Errorf("notes %q, want %q", m.Notes, c.notes)
			}
		})
	}
}

// TestMultiLabelVOC: VOC's folders, and what is wrong with them.
func TestMultiLabelVOC(t *testing.T) {
	const main = "VOC2007/ImageSets/Main/"
	voc := files{
		main + "train.txt": "a\n", main + "val.txt": "b\n", main + "notes_old.txt": "x", main + "._dog_val.txt": "x",
		main + "dog_train.txt": "a  1\n", main + "dog_val.txt": "a -1\r\nb  1\r\n9 -1\r\n",
		main + "cat_train.txt": "a -1\n", main + "cat_val.txt": "b  0\n9  1\n",
		main + "potted_plant_val.txt": "a  1\nb -1\n",
	}
	one := files{"dog_test.txt": "a 1\nb -1\n"}
	with := func(name, text string) files { return files{"dog_test.txt": "a 1\n", name: text} }
	for _, c := range []struct {
		name        string
		data        files
		path, split string
		want        string
	}{
		{"root", voc, "VOC2007", "val", "cat,dog,potted_plant: [?-+] [?+-] [] []"},
		{"root above", voc, "", "val", "cat,dog,potted_plant: [?-+] [?+-] [] []"},
		{"lists", voc, main, "train", "cat,dog: [-+] [] [] []"},
		{"ImageSets", voc, "VOC2007/ImageSets", "train", "cat,dog: [-+] [] [] []"},
		{"the only split", one, "", "", "dog: [+] [-] [] []"},
		{"which split", voc, "VOC2007", "", "!splits train, val"},
		{"no such split", voc, "VOC2007", "test", `!no split "test"; take one of train, val`},
		{"no lists", files{"readme.txt": "x"}, "", "", "!without lists of classes"},
		{"two of them", files{"VOC2007/ImageSets/Main/dog_val.txt": "a 1", "VOC2012/ImageSets/Main/dog_val.txt": "a 1"}, "", "val", "!VOC2007/ImageSets/Main, VOC2012/ImageSets/Main"},
		{"wrong value", with("cat_test.txt", "a 1\nb 2\n"), "", "", `!cat_test.txt: line 2: "b 2" is not an image and 1, -1 or 0`},
		{"no value", with("cat_test.txt", "a\n"), "", "", `!cat_test.txt: line 1: "a" is not`},
		{"two values", with("cat_test.txt", "a 1\na 1\na 0\n"), "", "", `!line 3: class "cat" of a has another value`},
		{"ambiguous", with("cat_test.txt", "same 1\n"), "", "", "!cat_test.txt: line 1: several images"},
		{"empty list", with("cat_test.txt", ""), "", "", "cat,dog: [?+] [] [] []"},
		{"names of others", files{"dog_test.txt": "1 1\n2 -1\n"}, "", "", "!none of the 2 images it names"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := multiData(t)
			m, err := d.MultiLabels(filepath.Join(c.data.folder(t), filepath.FromSlash(c.path)), c.split)
			if why, bad := strings.CutPrefix(c.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("%v, want an error with %q", err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := describeMulti(m); got != c.want || !strings.Contains(m.Why, "VOC") {
				t.Errorf("%s, want %s (%s)", got, c.want, m.Why)
			}
		})
	}
	if _, err := multiData(t).MultiLabels(filepath.Join(t.TempDir(), "none"), ""); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a path of nothing: %v", err)
	}
}

// An image that a list has twice is annotated both times.
func TestMultiLabelTwice(t *testing.T) {
	d := &Dataset{Name: "d", Samples: []Sample{{ID: "a.png"}, {ID: "b.v1.png"}, {ID: "a.png"}}}
	m, err := d.MultiLabels(write(t, "l.txt", "a dog\nb.v1 cat\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describeMulti(m), "cat,dog: [-+] [+-] [-+]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzMultiLabels(f *testing.F) {
	for _, s := range []string{"image,dog,cat\na.png,1,0\nb,,-1\n", "a.png dog cat\nb.png 7\n", "a;\"x;y\";z", "id,target\na,1 0\n", "a.png\t1\n", "a 1\nb -1\n", "# x\r\n\na,dog|big cat"} {
		f.Add([]byte(s))
	}
	d := &Dataset{Name: "d", Samples: []Sample{{ID: "a.png"}, {ID: "x/b.png"}, {ID: "y/b.png"}, {ID: "c.png"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, list := d.multi(), d.multi()
		list.Classes = []string{"dog", "cat"}
		for _, m := range []*multi{file, list} {
			parse := m.parse
			if m == list {
				parse = func(data []byte) error { return m.vocList(data, 1) }
			}
			if parse(data) != nil || m.finish() != nil {
				continue
			}
			if len(m.Of) != len(d.Samples) || len(m.Classes) == 0 {
				t.Fatalf("%d rows, %d classes", len(m.Of), len(m.Classes))
			}
			for _, row := range m.Of {
				if row != nil && len(row) != len(m.Classes) {
					t.Fatalf("%d values of %d classes", len(row), len(m.Classes))
				}
				for _, v := range row {
					if v < -1 || v > 1 {
						t.Fatalf("value %d", v)
					}
				}
			}
		}
	})
}
