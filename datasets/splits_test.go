package datasets

import (
	"strings"
	"testing"
)

// TestSplitBesideOthers: splits beside other folders and files are taken, told of as classes or refused,
// never in silence.
func TestSplitBesideOthers(t *testing.T) {
	a := pngOf(1)
	for _, c := range []struct {
		name       string
		data       files
		o          Options
		want, note string // err: in want, after an exclamation mark
	}{
		{"samples beside test", files{"g/test/0/1.png": a, "g/test/1/2.png": a, "g/samples/3.png": a, "g/boxes.csv": "x"}, Options{}, "g/test/0/1.png=0 g/test/1/2.png=1", "the images in samples, beside the split that is taken (test), were passed over"},
		{"pictures beside test", files{"test/x/1.png": a, "test/y/2.png": a, "3.png": a}, Options{}, "test/x/1.png=x test/y/2.png=y", "1 images outside any folder"},
		{"train and test", files{"train/x/1.png": a, "test/x/2.png": a, "extra/x/3.png": a}, Options{}, "test/x/2.png=x", "the images in extra"},
		{"flat splits", files{"train/1.png": a, "test/2.png": a, "masks/3.png": a}, Options{}, "masks/3.png=masks test/2.png=test train/1.png=train", "folders called test, train are taken for classes, as masks; if they are splits, say which with --split"},
		{"a class called train", files{"bus/1.png": a, "car/2.png": a, "train/3.png": a}, Options{}, "bus/1.png=bus car/2.png=car train/3.png=train", "folders called train are taken for classes, as bus, car"},
		{"the split all the same", files{"bus/1.png": a, "car/2.png": a, "train/3.png": a}, Options{Split: "train", Unlabelled: true}, "train/3.png=-", ""},
		{"unclear", files{"bus/day/1.png": a, "train/day/3.png": a}, Options{}, "!may be a split or a class, beside bus: give --split train", ""},
		{"training images beside test", files{"x/1.png": a, "y/2.png": a, "test/x/3.png": a, "test/y/4.png": a}, Options{}, "!may be a split or a class, beside x, y", ""},
		{"which the split says", files{"x/1.png": a, "y/2.png": a, "test/x/3.png": a, "test/y/4.png": a}, Options{Split: "test"}, "test/x/3.png=x test/y/4.png=y", "the images in x, y"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Open(c.data.folder(t), c.o)
			if refused(t, err, c.want) {
				return
			}
			defer d.Close()
			if got := describe(d); got != c.want || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%s, %q", got, d.Notes)
			}
		})
	}
}

func TestTakeSplit(t *testing.T) {
	for _, c := range []struct {
		name   string
		splits []string
		o      Options
		want   string
		err    bool
	}{
		{"val before test", []string{"test", "train", "val"}, Options{}, "val", false},
		{"the exact name first", []string{"val2", "val"}, Options{Split: "val"}, "val", false},
		{"dev is a val", []string{"dev", "train"}, Options{}, "dev", false},
		{"asked for by kind", []string{"training_set", "test_set"}, Options{Split: "train"}, "training_set", false},
		{"preferred", []string{"Training Images", "valid"}, Options{Prefer: "train"}, "Training Images", false},
		{"preferred, absent", []string{"test"}, Options{Prefer: "train"}, "test", false},
		{"evaluation", []string{"evaluation", "training"}, Options{}, "evaluation", false},
		{"own name", []string{"a", "train"}, Options{Split: "A"}, "a", false},
		{"a name that is no kind", []string{"val", "train"}, Options{Split: "dev"}, "", true},
		{"own names, none asked for", []string{"a", "b"}, Options{}, "", true},
		{"one without a name", []string{""}, Options{}, "", false},
		{"one without a name, asked for", []string{""}, Options{Split: "val"}, "", true},
		{"a class that begins so", []string{"trainer", "devil"}, Options{}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := takeSplit(c.splits, c.o)
			if got != c.want || (err != nil) != c.err {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}
