package datasets

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
	units "unicode/utf16"

	"cutmix-eval/internal/golden"

	"github.com/google/go-cmp/cmp"
)

// inUTF16 is a text as UTF-16 without a byte order mark.
func inUTF16(order binary.AppendByteOrder, s string) string {
	var out []byte
	for _, u := range units.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

// tableStyles are tables of labels as people and programs write them, for images of which the
// first two are cats; after ! a part of the refusal.
var tableStyles = []struct {
	name, table, want string
	data              []string // images; nil: a.png b.png c.png
	column            string   // --label-column
	note              string   // a part of what is noted
}{
	// Headers, columns and which of them counts.
	{name: "no header, three columns, one fits", table: "0,a.png,cat\n1,b.png,cat\n2,c.png,dog\n", want: words},
	{name: "no header, confidence behind", table: "a.png,cat,0.93\nb.png,cat,0.5\nc.png,dog,0.25\n", want: words},
	{name: "no header, two fit", table: "a.png,train,cat\nb.png,train,cat\nc.png,val,dog\n", want: "!its columns 2, 3 could each be the labels (line 1: a.png, train, cat); say which it is with --label-column N"},
	{name: "no header, two fit, asked", table: "a.png,train,cat\nb.png,train,cat\nc.png,val,dog\n", column: "3", want: words},
	{name: "no header, boxes", table: "a.png,1,2,9,9,cat\nb.png,3,4,5,6,cat\nc.png,5,5,6,7,dog\n", want: "!--label-column N"},
	{name: "no header, none fits", table: "a.png,0.5,1.5\nb.png,0.5,2.5\nc.png,0.1,0.2\n", want: "!none of its 3 columns fits labels"},
	{name: "no header, images and masks", table: "a.png,a.png,cat\nb.png,b.png,cat\nc.png,c.png,dog\n", want: "!columns 1, 2 all name images"},
	{name: "no header, one row", data: []string{"a.png"}, table: "a.png,x,cat\n", want: "!--label-column N"},
	{name: "asked by name", table: "file,split,kind\na.png,train,cat\nb.png,train,cat\nc.png,val,dog\n", column: "Kind", want: words},
	{name: "asked by a number under a header", table: "file,split,kind\na.png,train,cat\nb.png,train,cat\nc.png,val,dog\n", column: "3", want: words},
	{name: "asked for none of them", table: "file,split,kind\na.png,train,cat\nb.png,train,cat\nc.png,val,dog\n", column: "breed", want: "!--label-column \"breed\": its columns are file, split, kind"},
	{name: "asked for the images", table: "a.png,cat\nb.png,cat\nc.png,dog\n", column: "1", want: "!--label-column"},
	{name: "pandas's numbers of rows", table: ",filename,label\n0,a.png,cat\n1,b.png,cat\n2,c.png,dog\n", want: words},
	{name: "pandas's numbers of rows in tabs", table: "\tfilename\tlabel\n0\ta.png\tcat\n1\tb.png\tcat\n2\tc.png\tdog\n", want: words},
	{name: "names of columns in words", table: "Image ID;Class Name;Weight\na.png;cat;3,5\nb.png;cat;4\nc.png;dog;2\n", want: words},
	{name: "an id beside the file", table: "id,image file,label\n7,a.png,cat\n8,b.png,cat\n9,c.png,dog\n", want: words},
	{name: "numbers of images beside the file", data: []string{"0.png", "1.png", "2.png"}, table: "1,0.png\n1,1.png\n2,2.png\n", want: "0.png=1 1.png=1 2.png=2"},
	{name: "image and number both labels by name", table: "image,label,class_name\na.png,0,cat\nb.png,0,cat\nc.png,2,dog\n", want: "a.png=0 b.png=0 c.png=2"},
	{name: "a number of two names", table: "image,label,class_name\na.png,0,cat\nb.png,0,dog\nc.png,2,dog\n", want: `!label 0 is called "cat" (line 2) and "dog" (line 3)`},
	{name: "rows of more cells", table: "image,label\na.png,cat\nb.png,cat, big\nc.png,dog\n", want: "!line 3 has 3 cells, the first line 2; put quotes"},
	{name: "hint of a spreadsheet", table: "sep=;\nimage;label\na.png;cat\nb.png;cat\nc.png;dog\n", want: words},

	// A column per class.
	{name: "one-hot True and False", table: "image,dog,cat\na,False,True\nb,False,True\nc,True,False\n", want: words},
	{name: "one-hot yes and no", table: "image;dog;cat\na;no;yes\nb;no;Yes\nc;YES;no\n", want: words},
	{name: "one-hot 1.0 and 0.0 behind numbers of rows", table: ",image,dog,cat\n0,a,0.0,1.0\n1,b,0.0,1.0\n2,c,1.0,0.0\n", want: words},
	{name: "one-hot, crosses", table: "image,dog,cat\na,,x\nb,,x\nc,x,\n", want: words},
	{name: "one-hot, numbered", table: "image,0,1,2\na,1,0,0\nb,1,0,0\nc,0,0,1\n", want: "a.png=0 b.png=0 c.png=2"},
	{name: "one-hot, two True", table: "image,dog,cat\na,True,True\nb,False,True\nc,True,False\n", want: "!line 2 has several labels; give the table with --multi-label"},
	{name: "one-hot, a class twice", table: "image,dog,dog\na,1,0\nb,1,0\nc,0,1\n", want: `!column 3 is called "dog"`},

	// Rows that name no images.
	{name: "a label per row", table: "label\ncat\ncat\ndog\n", want: words, note: "nothing in labels.csv names the images"},
	{name: "a number per row", table: "label\n0\n0\n2\n", want: "a.png=0 b.png=0 c.png=2", note: "in the order of the images' names"},
	{name: "a label per numbered row", table: ",label\n0,cat\n1,cat\n2,dog\n", want: words, note: "nothing in labels.csv names the images"},
	{name: "a label per row, order unclear", data: []string{"1.png", "10.png", "2.png"}, table: "label\ncat\ncat\ndog\n", want: "!as text (10.png before 2.png) or by number is unclear"},

	// Names of images.
	{name: "Windows paths", table: `C:\data\a.png,cat` + "\n" + `C:\data\b.png,cat` + "\n" + `c.png,dog` + "\n", want: words},
	{name: "Windows paths of folders", data: []string{"x/1.png", "x/2.png", "y/1.png"}, table: "file,label\n" + `x\1.png,cat` + "\n" + `x\2.png,cat` + "\n" + `y\1.png,dog` + "\n", want: "x/1.png=cat x/2.png=cat y/1.png=dog"},
	{name: "other case", table: "image,label\nA.PNG,cat\nB.png,cat\nc.Png,dog\n", want: words},
	{name: "other case, two fit", data: []string{"a.png", "A.png", "b.png"}, table: "image,label\na.PNG,cat\nA.png,dog\nB.PNG,dog\n", want: "A.png=dog a.png=cat b.png=dog"},
	{name: "addresses", table: "image,label\nhttp://x.org/a.png,cat\nhttp://x.org/b.png,cat\nhttp://x.org/c.png,dog\n", want: words},
	{name: "spaces in names", data: []string{"my a.png", "my b.png", "my c.png"}, table: "my a.png cat\nmy b.png cat\nmy c.png dog\n", want: "my a.png=cat my b.png=cat my c.png=dog"},
	{name: "spaces in labels", table: "a.png great white shark\nb.png great white shark\nc.png dog\n", want: "a.png=great white shark b.png=great white shark c.png=dog"},
	{name: "quotes between spaces", table: "\"a.png\" \"big cat\"\n\"b.png\" \"big cat\"\nc.png dog\n", want: "a.png=big cat b.png=big cat c.png=dog"},
	{name: "the same image again", table: "image,label\na.png,cat\na.png,cat\nb.png,cat\nc.png,dog\na,cat\n", want: words, note: "2 rows of labels.csv give an image again"},
	{name: "two labels", table: "image,label\na.png,cat\nb.png,cat\n\nc.png,dog\na,dog\n", want: "!image a has two labels, cat (line 2) and dog (line 6)"},
	{name: "two labels of an image that is not there", table: "image,label\na.png,cat\nx.png,cat\nx.png,dog\n", want: "!image x.png has two labels, cat (line 3) and dog (line 4)"},

	// Text and separators.
	{name: "UTF-16 without a mark", table: inUTF16(binary.LittleEndian, "image,label\r\na.png,cat\r\nb.png,cat\r\nc.png,dog\r\n"), want: words},
	{name: "UTF-16 of the other order without a mark", table: inUTF16(binary.BigEndian, "image,label\na.png,cat\nb.png,cat\nc.png,dog\n"), want: words},
	{name: "no text", table: "image,label\na.png,c\x00t\nb.png,cat\nc.png,dog\n", want: "!zero byte"},
	{name: "a mark and CR", table: "\xef\xbb\xbfimage,label\ra.png,cat\rb.png,cat\rc.png,dog\r\r\r", want: words},
	{name: "blank lines and comments", table: "\n\n# made by hand, in May\nimage,label\n\na.png,cat\n# x\nb.png,cat\nc.png,dog\n\n  \n,\n", want: words},
	{name: "tabs, and commas in the labels", table: "a.png\ttench, Tinca tinca\nb.png\ttench, Tinca tinca\nc.png\tgoldfish, Carassius\n", want: "a.png=tench, Tinca tinca b.png=tench, Tinca tinca c.png=goldfish, Carassius"},
	{name: "semicolons, and commas in the labels", table: "a.png;tench, Tinca tinca\nb.png;tench, Tinca tinca\nc.png;goldfish, Carassius\n", want: "a.png=tench, Tinca tinca b.png=tench, Tinca tinca c.png=goldfish, Carassius"},
	{name: "quoted cells of several lines", table: "image,label,caption\na.png,cat,\"a cat\nand more\"\nb.png,cat,\"one, two\n\"\nc.png,dog,x\n", want: words},
	{name: "an open quote", table: "image,label\na.png,\"cat\nb.png,cat\nc.png,dog\n", want: "!a quote is probably not closed"},

	// What stands for a label.
	{name: "floats", table: "image,label\na.png,0.0\nb.png,+0\nc.png,1e1\n", want: "a.png=0 b.png=0 c.png=10"},
	{name: "floats with a comma", table: "image;label\na.png;3,0\nb.png;03\nc.png;10,0\n", want: "a.png=3 b.png=3 c.png=10"},
	{name: "not whole", table: "image,label\na.png,0\nb.png,1.5\nc.png,2\n", want: "!line 3: label 1.5 is no whole number"},
	{name: "too large", table: "image,label\na.png,0\nb.png,99999999999\nc.png,2\n", want: "!line 3: label 99999999999 is no whole number"},
	{name: "NaN", table: "image,label\na.png,0.0\nb.png,nan\nc.png,2.0\n", want: `!line 3 (b.png) has the label "nan"`},
	{name: "None", table: "image,label\na.png,cat\nb.png,cat\nc.png,None\n", want: `!line 4 (c.png) has the label "None"`},
	{name: "nothing", table: "image,label\na.png,cat\nb.png,\nc.png,dog\n", want: "!line 3 (b.png) has no label"},
	{name: "no cell", table: "image,label\na.png,cat\nb.png\nc.png,dog\n", want: "!line 3 (b.png) has no label"},
	{name: "numbers and names", table: "image,label\na.png,10\nb.png,10\nc.png,dog\n", want: "a.png=10 b.png=10 c.png=dog", note: "2 of 3 labels in labels.csv are numbers"},
	{name: "synset and name", table: "image,label\na.png,\"n01440764 tench, Tinca tinca\"\nb.png,n01440764\nc.png,n01443537 goldfish\n", want: "a.png=n01440764 b.png=n01440764 c.png=n01443537"},
	{name: "synset and name of another", table: "image,label\na.png,n01440764 tench\nb.png,n01440764\nc.png,n01443537 tench\n", want: `!line 4: label "n01443537 tench" contradicts itself: n01443537 is goldfish`},
	{name: "a bird and a machine of one name", table: "image,label\na.png,n02012849 crane\nb.png,n02012849\nc.png,n03126707 crane\n", want: "a.png=n02012849 b.png=n02012849 c.png=n03126707"},

	{name: "not UTF-8", table: "image,label\na.png,caf\xe9\nb.png,cat\nc.png,dog\n", want: "!line 2 (a.png) has the label \"caf\\xe9\", which is not UTF-8"},

	// JSON.
	{name: "object of images", table: `{"a.png": "cat", "b.png": "cat", "c.png": "dog"}`, want: words},
	{name: "object of images, numbers", table: `{"a.png": 0, "b.png": 0.0, "c.png": "2"}`, want: "a.png=0 b.png=0 c.png=2"},
	{name: "object of images, lists of one", table: `{"a": ["cat"], "b": ["cat"], "c": ["dog"]}`, want: words},
	{name: "object of images, lists", table: `{"a.png": ["cat", "dog"], "b.png": ["cat"], "c.png": ["dog"]}`, want: "!--multi-label"},
	{name: "object, a key twice", table: `{"a.png": "cat", "b.png": "cat", "c.png": "dog", "a.png": "dog"}`, want: `!key "a.png" occurs twice`},
	{name: "records", table: `[{"image": "a.png", "label": "cat"}, {"label": "cat", "image": "b.png"}, {"image": "c.png", "label": "dog"}]`, want: words},
	{name: "a record without a label", table: `[{"image": "a.png", "label": "cat"}, {"image": "b.png", "label": null}, {"image": "c.png", "label": "dog"}]`, want: "!entry 2 (b.png) has no label"},
	{name: "lines of records", table: "{\"file_name\": \"a.png\", \"label\": 0}\n{\"file_name\": \"b.png\", \"label\": 0}\n\n{\"file_name\": \"c.png\", \"label\": 2}\n", want: "a.png=0 b.png=0 c.png=2"},
	{name: "lines of records, half a class", table: "{\"file_name\": \"a.png\", \"label\": 0}\n{\"file_name\": \"b.png\", \"label\": 0}\n\n{\"file_name\": \"c.png\", \"label\": 2.5}\n", want: "!line 4: label 2.5 is no whole number"},
	{name: "a broken line of records", table: "{\"file_name\": \"a.png\", \"label\": 0}\n{\"file_name\": \"b.png\", \n", want: "!its JSON is broken after line 1"},
	{name: "pairs", table: `{"labels": [["a.png", 0], ["b.png", 0], ["c.png", 2]]}`, want: "a.png=0 b.png=0 c.png=2"},
	{name: "columns", table: `{"image": ["a.png", "b.png", "c.png"], "label": ["cat", "cat", "dog"]}`, want: words},
	{name: "columns as pandas writes them", table: `{"path": {"0": "a.png", "1": "b.png", "2": "c.png"}, "label": {"0": 0, "1": 0, "2": 2}}`, want: "a.png=0 b.png=0 c.png=2"},
	{name: "uneven columns", table: `{"image": ["a.png", "b.png", "c.png"], "label": ["cat", "cat"]}`, want: `!column "label" has 2 values`},
	{name: "a label per image", table: `["cat", "cat", "dog"]`, want: words, note: "nothing in labels.csv names the images"},
	{name: "images, annotations and categories", table: `{"images": [{"id": 5, "file_name": "a.png"}, {"id": 6, "file_name": "b.png"}, {"id": 7, "file_name": "x/c.png"}],
		"annotations": [{"image_id": 5, "category_id": 0}, {"image_id": 6, "category_id": 0}, {"image_id": 7, "category_id": 2}], "categories": [{"id": 0, "name": "cat"}, {"id": 2, "name": "dog"}]}`, want: "a.png=0 b.png=0 c.png=2"},
	{name: "two annotations of an image", table: `{"images": [{"id": 5, "file_name": "a.png"}], "annotations": [{"image_id": 5, "category_id": 0}, {"image_id": 5, "category_id": 1}]}`, want: "!image a.png has two labels, 0 (annotation 1) and 1 (annotation 2)"},
}

const words = "a.png=cat b.png=cat c.png=dog"

// TestTableStyles: each table has the right answer, or the right refusal.
func TestTableStyles(t *testing.T) {
	for _, c := range tableStyles {
		t.Run(c.name, func(t *testing.T) {
			data := files{}
			if c.data == nil {
				c.data = []string{"a.png", "b.png", "c.png"}
			}
			for i, name := range c.data {
				data[name] = pngOf(byte(i + 1))
			}
			d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", c.table), LabelColumn: c.column})
			if refused(t, err, c.want) {
				return
			}
			defer d.Close()
			var got []string
			for _, s := range d.Samples {
				got = append(got, s.ID+"="+d.Classes[s.Label])
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%s (%s), want %s", text, d.Why, c.want)
			}
			if notes := strings.Join(d.Notes, "\n"); !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "labels.csv") {
				t.Errorf("notes %q, want one with %q", notes, c.note)
			}
		})
	}
}

// TestOneHotOrder: classes that are columns are in the order of the columns.
func TestOneHotOrder(t *testing.T) {
	data := files{"a.png": pngOf(1), "b.png": pngOf(2)}
	d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", "image,mel,nv,akiec\na,1,0,0\nb,0,0,1\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := strings.Join(d.Classes, " "); got != "mel nv akiec" || d.Samples[1].Label != 2 {
		t.Errorf("%s, %v", got, d.Samples)
	}
}

// TestMetadataFile: the labels that Hugging Face's imagefolder keeps among the images are read; a
// file of captions is none.
func TestMetadataFile(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"CSV":        {"metadata.csv", "file_name,label\na.png,cat\nb.png,dog\n", "cat dog"},
		"JSON lines": {"metadata.jsonl", "{\"file_name\": \"a.png\", \"label\": 1}\n{\"file_name\": \"b.png\", \"label\": 0}\n", "1 0"},
		"captions":   {"metadata.csv", "file_name,text\na.png,a cat\nb.png,a dog\n", ""},
		"two labels": {"metadata.csv", "file_name,label\na.png,cat\na.png,dog\nb.png,dog\n", "!reading labels from metadata.csv: image a.png has two labels"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(files{"a.png": pngOf(1), "b.png": pngOf(2), c.file: c.text}.folder(t), Options{})
			if refused(t, err, c.want) {
				return
			}
			defer d.Close()
			var got []string
			for _, s := range d.Samples {
				if s.Label >= 0 {
					got = append(got, d.Classes[s.Label])
				}
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%q (%s), want %q", text, d.Why, c.want)
			}
		})
	}
}

// TestListStyles: lists that carry their labels.
func TestListStyles(t *testing.T) {
	root := files{"x/1.png": pngOf(1), "y/2.png": pngOf(2)}.folder(t)
	for name, c := range map[string]struct{ text, want, note string }{
		"Windows paths":   {`x\1.png 0` + "\n" + `y\2.png 1` + "\n", "0 1", ""},
		"three columns":   {"x/1.png,cat,0.5\ny/2.png,dog,0.25\n", "cat dog", ""},
		"two could be":    {"x/1.png,cat,a\ny/2.png,dog,b\n", "!--label-column N", ""},
		"the same again":  {"x/1.png 0\ny/2.png 1\nx/1.png 0\n", "0 1 0", "1 rows of the list name an image that an earlier one names"},
		"two labels":      {"x/1.png 0\ny/2.png 1\nx/1.png 1\n", "!image x/1.png has two labels, 0 (line 1) and 1 (line 3)", ""},
		"floats":          {"x/1.png 0.0\ny/2.png 1e1\n", "0 10", ""},
		"a header alone":  {"path,label\n", "!it has a header and no rows", ""},
		"half a class":    {"x/1.png 0\ny/2.png 1.5\n", "!line 2: label 1.5 is no whole number", ""},
		"label, then NaN": {"path,label\nx/1.png,0\ny/2.png,NaN\n", "!line 3 (y/2.png) has the label \"NaN\"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(write(t, "list.txt", c.text), Options{Format: List, Root: root})
			if refused(t, err, c.want) {
				return
			}
			defer d.Close()
			var got []string
			for i, s := range d.Samples {
				got = append(got, d.Classes[s.Label])
				if _, err := d.Loader().Load(i); err != nil {
					t.Error(err)
				}
			}
			if text := strings.Join(got, " "); text != c.want || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%q, notes %q, want %q and %q", text, d.Notes, c.want, c.note)
			}
		})
	}
}

// TestLabelsAsFloats: numbers are numbers, however written: a table of floats gives what the same
// table of whole numbers does.
func TestLabelsAsFloats(t *testing.T) {
	read := func(name string) *Dataset {
		text, err := os.ReadFile(golden.Path(t, "cases", "attacks", name))
		if err != nil {
			t.Fatal(err)
		}
		data := files{}
		for line := range strings.Lines(string(text)) {
			if image, _, _ := strings.Cut(line, ","); imageName(image) {
				data[image] = pngOf(1)
			}
		}
		d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", string(text))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	}
	whole, float := read("r12_int.csv"), read("r12_float.csv")
	if len(whole.Samples) < 500 || len(whole.Classes) != 12 {
		t.Fatalf("%d images, %d classes", len(whole.Samples), len(whole.Classes))
	}
	for name, pair := range map[string][2]any{
		"classes": {whole.Classes, float.Classes}, "numbers": {whole.Indices, float.Indices}, "labels": {labelsOf(whole), labelsOf(float)},
	} {
		if d := cmp.Diff(pair[0], pair[1]); d != "" {
			t.Errorf("%s (-whole +float):\n%s", name, d)
		}
	}
}

func labelsOf(d *Dataset) map[string]int {
	of := map[string]int{}
	for _, s := range d.Samples {
		of[s.ID] = s.Label
	}
	return of
}
