package datasets

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"
)

// TestTables: tables of labels in the styles that people have, each for the same three images,
// of which the first two are cats.
func TestTables(t *testing.T) {
	const names, numbers = "a.png=cat b.png=cat c.png=dog", "a.png=0 b.png=0 c.png=2"
	utf16 := func(e unicode.Endianness, s string) string {
		out, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct{ name, table, want string }{ // after ! a part of the error
		{"unknown header", "id,breed\na,cat\nb,cat\nc,dog\n", names},
		{"known header", "image_id,label\na,cat\nb,cat\nc,dog\n", names},
		{"no header", "a,cat\nb,cat\nc,dog\n", names},
		{"no header, the first image is not there", "x.png,cat\na.png,cat\nb.png,cat\nc.png,dog\n", names + " x.png=cat"},
		{"no header, an image without extension is not there", "x,cat\na,cat\nb,cat\nc,dog\n", names + " x=cat"},
		{"label first", "breed,picture\ncat,a.png\ncat,b.png\ndog,c.png\n", names},
		{"name,id", "name,id\ncat,a.png\ncat,b.png\ndog,c.png\n", names},
		{"several columns", "nr,picture,breed of dog,weight\n1,a.png,cat,3.5\n2,b.png,cat,4\n3,c.png,dog,9\n", names},
		{"several columns, none known", "nr,picture,what,weight\n1,a.png,cat,3.5\n2,b.png,cat,4\n3,c.png,dog,9\n", "!which of its columns holds the labels"},
		{"one-hot", "image,cat,dog\na,1,0\nb,1,0\nc,0,1\n", names},
		{"one-hot floats", "image\tcat\tdog\na\t1.0\t0.0\nb\t1.0\t0.0\nc\t0.0\t1.0\n", names},
		{"one-hot, several", "image,cat,dog\na,1,0\nb,1,1\nc,0,1\n", "!line 3 has several labels; give the table with --multi-label"},
		{"one-hot, none", "image,cat,dog\na,1,0\nb,0,0\nc,0,1\n", "!line 3 has no label"},
		{"comments", "# made by hand\na cat\n#b dog\nb cat\n\nc dog\n", names},
		{"comments in CSV", "# image, label\nid,breed\na,cat\nb,cat\nc,dog\n", names},
		{"quoted", "\"id\",\"breed\"\n\"a.png\",\"cat\"\n\"b.png\",\"cat\"\n\"c.png\",\"dog\"\n", names},
		{"semicolons", "Bild;Rasse\na.png;cat\nb.png;cat\nc.png;dog\n", names},
		{"bars", "a.png|cat\nb.png|cat\nc.png|dog\n", names},
		{"a comma in some lines", "a.png cat\nb.png cat\nc.png dog,\n", "a.png=cat b.png=cat c.png=dog,"},
		{"UTF-16, little-endian", utf16(unicode.LittleEndian, "id,breed\r\na,cat\r\nb,cat\r\nc,dog\r\n"), names},
		{"UTF-16, big-endian", utf16(unicode.BigEndian, "id,breed\na,cat\nb,cat\nc,dog\n"), names},
		{"UTF-8 with its mark", "\xef\xbb\xbfid,breed\na,cat\nb,cat\nc,dog\n", names},
		{"CR", "id,breed\ra,cat\rb,cat\rc,dog\r", names},
		{"CRLF", "id,breed\r\na,cat\r\nb,cat\r\nc,dog\r\n", names},
		{"numbers", "path,label\na,0\nb,0\nc,2\n", numbers},
		{"floats", "path,label\na,0.0\nb,0.\nc,2.0\n", numbers},
		{"floats without a header", "a,0.0\nb,0e0\nc,2.0\n", numbers},
		{"leading zeros", "path,label\na,000\nb,00\nc,002\n", numbers},
		{"half a class", "path,label\na,0\nb,1.5\nc,2\n", "!line 3: label 1.5 is no whole number"},
		{"below -1", "path,label\na,0\nb,-2\nc,2\n", "!line 3: label -2 is below -1"},
		{"numbers and names", "path,label\na,0\nb,0\nc,dog\n", "a.png=0 b.png=0 c.png=dog"},
		{"no label", "path,label\na,cat\nb,\nc,dog\n", "!line 3 (b) has no label"},
		{"empty", "\n \n", "!it is empty"},
		{"only a comment", "# nothing\n", "!it holds no rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := files{"a.png": pngOf(1), "b.png": pngOf(2), "c.png": pngOf(3)}
			d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", c.table)})
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
		})
	}
}

// refused checks an error where want is "!" and a part of it, else that there is none.
func refused(t *testing.T, err error, want string) bool {
	t.Helper()
	part, refusal := strings.CutPrefix(want, "!")
	switch {
	case !refusal && err != nil:
		t.Fatal(err)
	case refusal && (err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n")):
		t.Errorf("error %v, want one with %q", err, part)
	}
	return refusal
}

// TestLabelsOfAPipe: what is no regular file is refused at once.
func TestLabelsOfAPipe(t *testing.T) {
	data := files{"a.png": pngOf(1)}
	if _, err := Open(data.folder(t), Options{Labels: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
}

// TestTableOfFolders: labels of images in folders that are called as the labels are.
func TestTableOfFolders(t *testing.T) {
	data := files{"cat/1.png": pngOf(1), "dog/2.png": pngOf(2)}
	for _, table := range []string{"cat/1.png,dog\ndog/2.png,cat\n", "file,breed\ncat/1.png,dog\ndog/2.png,cat\n", "1.png dog\n2.png cat\n"} {
		d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", table)})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if s := d.Samples; d.Classes[s[0].Label] != "dog" || d.Classes[s[1].Label] != "cat" {
			t.Errorf("%q: %v of %v", table, s, d.Classes)
		}
	}
}

// TestClassMaps: files that say which output a class folder is, or what outputs are called.
func TestClassMaps(t *testing.T) {
	words := files{"cat/1.png": pngOf(1), "great white shark/2.png": pngOf(2)}
	synsets := files{"n01440764/1.png": pngOf(1), "n01484850/2.png": pngOf(2)}
	digits := files{"0/1.png": pngOf(1), "2/2.png": pngOf(2)}
	for _, c := range []struct {
		name    string
		data    files
		table   string
		classes string
		want    string // outputs of the classes in order; after ! a part of the error
	}{
		{"class and output", words, "cat 4\ngreat white shark 2\n", "cat, great white shark", "[4 2]"},
		{"output and class", words, "4 cat\n2 great white shark\n", "cat, great white shark", "[4 2]"},
		{"output: class", words, "4: cat\n2: great white shark\n", "cat, great white shark", "[4 2]"},
		{"CSV, output first, with a header", words, "id,name\n4,cat\n2,great white shark\n", "cat, great white shark", "[4 2]"},
		{"CSV, class first, with a header", words, "name,id\ncat,4\ngreat white shark,2\n", "cat, great white shark", "[4 2]"},
		{"floats", words, "cat,4.0\ngreat white shark,2.0\n", "cat, great white shark", "[4 2]"},
		{"other spelling", words, "Cat,4\ngreat_white_shark,2\n", "cat, great white shark", "[4 2]"},
		{"list in output order", words, "dog\ngreat white shark\ncat\n", "cat, great white shark", "[2 1]"},
		{"class: output", words, "cat: 4\ngreat white shark: 2\n", "cat, great white shark", "[4 2]"},
		{"YAML", words, "names:\n  4: cat\n  2: great white shark\n", "cat, great white shark", "[4 2]"},
		{"list with a header", words, "class\ndog\ngreat white shark\ncat\n", "cat, great white shark", "[2 1]"},
		{"several names a line", words, "dog, hound\ngreat white shark, white shark, man-eater\ncat, house cat\n", "cat, great white shark", "[2 1]"},
		{"numbered, several names a line", words, "0: dog, hound\n2: great white shark, white shark, man-eater\n4: cat, house cat\n", "cat, great white shark", "[4 2]"},
		{"synsets and names", synsets, "n01443537 goldfish, Carassius auratus\nn01484850 great white shark, white shark\nn01440764 tench, Tinca tinca\n", "n01440764, n01484850", "[2 1]"},
		{"synsets and names in tabs", synsets, "n01443537\tgoldfish, Carassius auratus\nn01484850\tgreat white shark, white shark\nn01440764\ttench, Tinca tinca\n", "n01440764, n01484850", "[2 1]"},
		{"synsets and names, folders are names", words, "n02123045 cat\nn01484850 great white shark, white shark\n", "cat, great white shark", "[0 1]"},
		{"a synset and the name of another", synsets, "n01443537 goldfish\nn01484850 tench\nn01440764 great white shark\n", "", "!contradicts itself: n01484850 is great_white_shark"},
		{"the devkit's list", synsets, "n01440764 449 tench\nn01484850 442 great_white_shark\n", "", "!has a number between synset and name"},
		{"ImageNet's JSON", synsets, `{"0": ["n01443537", "goldfish"], "1": ["n01484850", "great_white_shark"], "2": ["n01440764", "tench"]}`, "n01440764, n01484850", "[2 1]"},
		{"Hugging Face's config.json", words, `{"model_type": "vit", "id2label": {"4": "cat", "2": "great white shark"}, "label2id": {"cat": 4}}`, "cat, great white shark", "[4 2]"},
		{"JSON, outputs as text", words, `{"cat": "4", "great white shark": 2.0}`, "cat, great white shark", "[4 2]"},
		{"JSON, a class twice", words, `{"cat": 4, "great white shark": 2, "cat": 3}`, "", `!key "cat" occurs twice`},
		{"a class twice", words, "cat 4\ngreat white shark 2\ncat 3\n", "", "!occurs twice, as outputs 4 and 3"},
		{"only a header", words, "class,output\n", "", "!names neither"},
		{"half a row", words, "cat 4\ndog 1\ngreat white shark\n", "", "!line 3"},
		{"names for numbers", digits, "ant\nbee\nwasp\n", "ant, wasp", "[0 2]"},
		{"too few names for numbers", digits, "ant\nbee\n", "", "!names neither images nor class folders"},
		{"of something else", words, "x 1\ny 2\n", "", "!names neither images nor class folders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(c.data.folder(t), Options{Labels: write(t, "classes.txt", c.table)})
			if refused(t, err, c.want) {
				return
			}
			defer d.Close()
			a, err := d.Align(5, nil)
			if got := fmt.Sprint(a.Output); err != nil || got != c.want || strings.Join(d.Classes, ", ") != c.classes {
				t.Errorf("classes %q, outputs %s (%s), %v; want %q and %s", d.Classes, got, a.How, err, c.classes, c.want)
			}
		})
	}
}

// TestClassMapOfSameNames: a class map whose names are the same to a person, as different outputs, is
// refused where a class could be either.
func TestClassMapOfSameNames(t *testing.T) {
	for _, c := range []struct {
		of   map[string]int
		want string // after ! a part of the error
	}{
		{map[string]int{"Cat": 1, "C a t": 1, "dog": 0}, "[1 0]"},
		{map[string]int{"Cat": 1, "C a t": 2, "dog": 0}, `!"C a t" and "Cat"`},
		{map[string]int{"Cat": 1, "Emu": 2, "emu": 3, "DOG": 0}, "[1 0]"},
		{map[string]int{"Cat": 1, "emu": 3}, "!lacks 1 classes (dog)"},
	} {
		a, err := (&Dataset{Name: "d", Classes: []string{"cat", "dog"}, ClassMap: c.of, MapName: "m"}).Align(5, nil)
		if !refused(t, err, c.want) && fmt.Sprint(a.Output) != c.want {
			t.Errorf("%v: %v, want %s", c.of, a.Output, c.want)
		}
	}
}
