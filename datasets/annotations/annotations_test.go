package annotations

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

const vocXML = `<annotation><filename>ILSVRC2012_val_00000001</filename><size><width>500</width><height>375</height></size>
<object><name>n01751748</name><bndbox><xmin>111</xmin><ymin>108</ymin><xmax>441</xmax><ymax>193</ymax></bndbox></object>
<object><name>n02084071</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object></annotation>`

const coco = `{"images":[{"id":7,"file_name":"val2017/a.jpg"}],"categories":[{"id":3,"name":"dog"}],
"annotations":[{"image_id":7,"category_id":3,"bbox":[10.5,20,30,40],"iscrowd":0},{"image_id":7,"category_id":3,"bbox":[0,0,99,99],"iscrowd":1}]}`

// Every format gives the boxes it says, found by the image's path in the data set.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name, file, text, id string
		want                 []Box
	}{
		{"ILSVRC XML", "ILSVRC2012_val_00000001.xml", vocXML, "n01751748/ILSVRC2012_val_00000001.JPEG", []Box{{111, 108, 441, 193, "n01751748"}, {1, 2, 3, 4, "n02084071"}}},
		{"Kaggle", "LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00048981,n03995372 85 1 499 272 n03995372 0 0 9 9 \n", "ILSVRC2012_val_00048981.JPEG", []Box{{85, 1, 499, 272, "n03995372"}, {0, 0, 9, 9, "n03995372"}}},
		{"wsolevaluation", "localization.txt", "val/ILSVRC2012_val_00000001.JPEG,111,108,441,193\nval/b.JPEG,1,2,3,4\nval/ILSVRC2012_val_00000001.JPEG,5,6,7,8", "val/ILSVRC2012_val_00000001.JPEG", []Box{{X0: 111, Y0: 108, X1: 441, Y1: 193}, {X0: 5, Y0: 6, X1: 7, Y1: 8}}},
		{"Tiny-ImageNet", "val_annotations.txt", "val_0.JPEG\tn03444034\t0\t32\t44\t62\r\nval_1.JPEG\tn04067472\t52\t55\t57\t59\r\n", "val/images/val_1.JPEG", []Box{{52, 55, 57, 59, "n04067472"}}},
		{"TS-CAM", "val_folder_new.txt", "n03995372/ILSVRC2012_val_00000002.JPEG 970 45 49 499 162 2 69 437 207\n", "ILSVRC2012_val_00000002.JPEG", []Box{{X0: 45, Y0: 49, X1: 499, Y1: 162}, {X0: 2, Y0: 69, X1: 437, Y1: 207}}},
		{"own", "boxes.csv", "path,class,x0,y0,x1,y1\nfox/1,2.png,fox,3,4,10,20\n", "fox/1,2.png", []Box{{3, 4, 9, 19, "fox"}}},
		{"COCO", "instances.json", coco, "a.jpg", []Box{{10.5, 20, 40.5, 60, "dog"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.file)
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, filepath.Dir(path)} {
				s, err := Open(p)
				if errors.Is(err, ErrUnknown) && p != path && !slices.Contains(Companions(), c.file) {
					continue // a folder is recognised by the names of its files
				}
				if err != nil {
					t.Fatal(err)
				}
				keys, err := s.Match([]string{c.id, "none/of/these.jpg"})
				if err != nil {
					t.Fatal(err)
				}
				if got := s.Boxes[keys[0]]; !slices.Equal(got, c.want) {
					t.Errorf("%s: %q: %v, want %v", p, keys[0], got, c.want)
				}
				if keys[1] != "" {
					t.Errorf("an image that is not there has the annotations of %q", keys[1])
				}
			}
		})
	}
	s, err := ParseCUB("1 001.Albatross/a.jpg\n2 001.Albatross/b.jpg\n", "1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n")
	if err != nil || !slices.Equal(s.Boxes["001.Albatross/a.jpg"], []Box{{X0: 60, Y0: 27, X1: 385, Y1: 331}}) {
		t.Errorf("CUB: %v %v", s, err)
	}
	m, err := parseText("a.jpg,m/0.png,m/ignore.png\na.jpg,m/1.png,\n")
	if err != nil || !slices.Equal(m.Masks["a.jpg"].Object, []string{"m/0.png", "m/1.png"}) || !slices.Equal(m.Masks["a.jpg"].Ignore, []string{"m/ignore.png"}) {
		t.Errorf("masks: %+v %v", m, err)
	}
}

// TestMatch: which annotations images have, by their paths.
func TestMatch(t *testing.T) {
	for _, c := range []struct{ name, keys, ids, want string }{
		{"the same paths", "b/x/1.jpg b/y/1.jpg", "b/x/1.jpg b/y/1.jpg", "b/x/1.jpg b/y/1.jpg"},
		{"other extensions", "c/2.xml c/3", "c/3.JPEG c/2.png", "c/3 c/2.xml"},
		{"longer IDs", "c/2.jpg b/y/1.jpg", "root/b/y/1.png root/c/2.JPEG", "b/y/1.jpg c/2.jpg"},
		{"longer keys", "c/2.jpg b/y/1.jpg b/z/1.jpg", "2.png y/1.jpg", "c/2.jpg b/y/1.jpg"},
		{"the one that agrees further", "1.jpg b/1.jpg", "b/1.jpg", "b/1.jpg"},
		{"none", "b/x/1.jpg c/2.jpg", "3.jpg d/2.jpg b/x/1.jpg", "- - b/x/1.jpg"},
		{"an image that is there twice", "a/1.jpg", "a/1.jpg a/1.jpg", "a/1.jpg a/1.jpg"},
		{"several keys", "a/x/1.jpg b/x/1.jpg b/y/1.jpg", "y/1.jpg x/1.jpg", `!several images of the annotations are called "x/1.jpg"`},
		{"several keys for a file name", "a/1.jpg b/1.jpg", "1.jpg", `!several images of the annotations are called "1.jpg"`},
		{"several images", "1.jpg", "cat/1.jpg dog/1.jpg", "!the annotations of 1.jpg fit cat/1.jpg and dog/1.jpg"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSet("test")
			for i, k := range strings.Fields(c.keys) {
				if i%2 == 1 {
					s.Masks[k] = Marks{Object: []string{"m.png"}}
				} else if err := s.add(k, Box{X1: 1, Y1: 1}); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := s.Match(strings.Fields(c.ids))
			if why, bad := strings.CutPrefix(c.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("%q %v, want an error with %q", keys, err, why)
				}
				return
			}
			for i := range keys {
				keys[i] = cmp.Or(keys[i], "-")
			}
			if want := strings.Fields(c.want); err != nil || !slices.Equal(keys, want) {
				t.Errorf("%q %v, want %q", keys, err, want)
			}
		})
	}
}

func TestOf(t *testing.T) {
	s := newSet("test")
	s.Boxes["k"] = []Box{{Class: "cat"}, {Class: "dog", X0: 1}, {Class: "dog", X0: 2}}
	if got := s.Of("k", "dog"); len(got) != 2 || got[0].X0 != 1 {
		t.Errorf("%v", got)
	}
	if got := s.Of("k", "bird"); len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "empty",
		"hello world":                        "no known annotation format",
		"{":                                  "COCO JSON",
		"{}":                                 "no images and annotations",
		"<a></a>":                            "no objects",
		"<a":                                 "XML",
		"a.jpg,1,2,x,4":                      `"x" is not a number`,
		"a.jpg,5,2,1,4":                      "inside out",
		"a.jpg,1,2,NaN,4":                    "NaN",
		"a.jpg,1,2,1e300,4":                  "coordinate",
		"a.jpg,1,2,3,4\nb.jpg":               "line 2",
		"ImageId,PredictionString\na,n1 2 3": "groups",
		"a.jpg 1 2 3 4 5\nb.jpg 1 2 3 4":     "line 2",
	} {
		if _, err := Parse("file", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}

// The golden metadata of wsolevaluation, which has no newline at its end.
func TestGoldenMetadata(t *testing.T) {
	s, err := Open(golden.Path(t, "golden", "wsol", "metadata"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range s.Boxes {
		n += len(b)
	}
	if len(s.Boxes) != 114 || n < 114 || s.Format != "wsolevaluation boxes" {
		t.Errorf("%d images, %d boxes, %s", len(s.Boxes), n, s.Format)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{vocXML, coco, "a.jpg,1,2,3,4", "a\tb\t1\t2\t3\t4", "ImageId,PredictionString\na,n1 1 2 3 4", "a.jpg 1 1 2 3 4", "path,class,x0,y0,x1,y1\na,b,1,2,3,4", "a.jpg,m.png,i.png"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("f", []byte(text))
		if err != nil {
			return
		}
		for k, boxes := range s.Boxes {
			for _, b := range boxes {
				if !(b.X0 <= b.X1 && b.Y0 <= b.Y1) {
					t.Fatalf("%q: %+v", k, b)
				}
			}
			_, _ = s.Match([]string{"x/" + k})
		}
	})
}
