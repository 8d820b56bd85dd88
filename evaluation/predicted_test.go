package evaluation

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/predictions"
	"cutmix-eval/report"
)

// folders makes class folders, each with n images that nobody looks at: cat/c0.png and so on.
func folders(t *testing.T, n int, classes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, class := range classes {
		if err := os.Mkdir(filepath.Join(dir, class), 0o700); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if err := os.WriteFile(filepath.Join(dir, class, fmt.Sprintf("%c%d.png", class[0], i)), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// predicted opens a file of predictions and matches its classes, and gives for each image that is
// evaluated whether its predicted class is that of its label.
func predicted(t *testing.T, text string, d DataConfig, scale Scale) (*PredictedImages, string, error) {
	t.Helper()
	table, err := predictions.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	table.Name, table.Path, table.SHA256 = "scores", "scores.csv", strings.Repeat(hex.EncodeToString([]byte{7}), 32)
	c, im, err := Predicted(table, d, scale, Running{})
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() {
		c.Close()
		_ = im.Close()
	})
	labels, err := c.Labels(context.Background(), im)
	if err != nil {
		return nil, "", err
	}
	at := labels.Selected
	if at == nil {
		for i := range im.Len() {
			at = append(at, i)
		}
	}
	var right strings.Builder
	classes := im.table.Predicted()
	for _, i := range at {
		fmt.Fprintf(&right, "%d", map[bool]int{true: 1}[classes[im.row[i]] == labels.Output[im.Label(i)]])
	}
	return im, right.String(), nil
}

// rowsOf are rows of scores of the classes cat, dog and emu for images called name(class, i), of which
// all but the first are right.
func rowsOf(name func(class string, i int) string) []string {
	var out []string
	for k, class := range []string{"cat", "dog", "emu"} {
		for i := range 3 {
			scores := [3]float64{-1, -1, -1}
			best := k
			if len(out) == 0 {
				best = 2
			}
			scores[best] = 2
			out = append(out, fmt.Sprintf("%s,%v,%v,%v", name(class, i), scores[0], scores[1], scores[2]))
		}
	}
	return out
}

func shuffled(rows []string) []string {
	out := slices.Clone(rows)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

const allButFirst = "011111111"

// TestPredictedNames: rows are matched to images by what they call them, in any order.
func TestPredictedNames(t *testing.T) {
	data := DataConfig{Path: folders(t, 3, "cat", "dog", "emu")}
	for name, of := range map[string]func(class string, i int) string{
		"paths":             func(class string, i int) string { return fmt.Sprintf("%s/%c%d.png", class, class[0], i) },
		"deeper paths":      func(class string, i int) string { return fmt.Sprintf("/data/val/%s/%c%d.png", class, class[0], i) },
		"Windows":           func(class string, i int) string { return fmt.Sprintf(`C:\val\%s\%c%d.png`, class, class[0], i) },
		"files":             func(class string, i int) string { return fmt.Sprintf("%c%d.png", class[0], i) },
		"no extension":      func(class string, i int) string { return fmt.Sprintf("%c%d", class[0], i) },
		"another extension": func(class string, i int) string { return fmt.Sprintf("%s/%c%d.jpeg", class, class[0], i) },
	} {
		im, right, err := predicted(t, "image,cat,dog,emu\n"+strings.Join(shuffled(rowsOf(of)), "\n"), data, Automatic)
		if err != nil || right != allButFirst || len(im.doubts) > 0 {
			t.Errorf("%s: right %s, doubts %q, %v", name, right, im.doubts, err)
		}
	}
	paths := func(class string, i int) string { return fmt.Sprintf("%s/%c%d.png", class, class[0], i) }
	rows := rowsOf(paths)

	im, right, err := predicted(t, "image,cat,dog,emu\n"+strings.Join(append(shuffled(rows[1:8]), "cat/none.png,1,2,3"), "\n"), data, Automatic)
	if want := []string{"1 of 8 predictions are of no image of the data and are left out: cat/none.png", "2 of 9 images have no predictions and are left out: cat/c0.png, emu/e2.png"}; err != nil || right != "1111111" || !slices.Equal(im.doubts, want) {
		t.Errorf("%s %q %v", right, im.doubts, err)
	}
	// A folder that is not the image's means another image, unless no folder is.
	moved := slices.Clone(rows)
	moved[4] = strings.Replace(moved[4], "dog/", "emu/", 1)
	im, right, err = predicted(t, "image,cat,dog,emu\n"+strings.Join(moved, "\n"), data, Automatic)
	if err != nil || right != "01111111" || len(im.doubts) != 2 || !strings.Contains(im.doubts[0], "emu/d1.png") || !strings.Contains(im.doubts[1], "dog/d1.png") {
		t.Errorf("%s %q %v", right, im.doubts, err)
	}
	im, right, err = predicted(t, "image,cat,dog,emu\n"+strings.Join(rowsOf(func(class string, i int) string { return fmt.Sprintf("elsewhere/%c%d.png", class[0], i) }), "\n"), data, Automatic)
	if err != nil || right != allButFirst || len(im.doubts) != 1 || !strings.Contains(im.doubts[0], "by the names of files alone") {
		t.Errorf("%s %q %v", right, im.doubts, err)
	}
	for want, text := range map[string]string{
		"none of its rows (x.png, …) is of an image of":       "image,cat,dog,emu\nx.png,1,2,3\ny.png,1,2,3",
		"if these are numbers of rows":                        "id,cat,dog,emu\n0,1,2,3\n1,1,2,3",
		"rows 1 (c1.png) and 2 (cat/c1.png) are both of":      "image,cat,dog,emu\nc1.png,1,2,3\ncat/c1.png,1,2,3",
		"2 rows without names":                                "1,2,3\n4,5,6",
		"probably transposed":                                 strings.Repeat("1,2,3,4,5,6,7,8,9\n", 3),
		"names its classes (cat, dog, ant), but has no emu":   "image,cat,dog,ant\nc1.png,1,2,3\n",
		"the predictions file calls its classes otherwise":    "image,x,y,z\nc1.png,1,2,3\n",
		"none of the classes that it predicts (x) is one of ": "image,prediction\nc1.png,x\n",
	} {
		if _, _, err := predicted(t, text, data, Automatic); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestPredictedClasses: what the columns and the predicted classes are called.
func TestPredictedClasses(t *testing.T) {
	data := DataConfig{Path: folders(t, 3, "cat", "dog", "emu")}
	for name, c := range map[string]struct{ text, right, doubt string }{
		"no names":               {text: strings.Repeat("-1,2,0\n", 9), right: "000111000"},
		"names, another order":   {text: "emu,cat,dog\n" + strings.Repeat("-1,2,0\n", 9), right: "111000000"},
		"names, another case":    {text: "EMU,Cat,dog\n" + strings.Repeat("-1,2,0\n", 9), right: "111000000"},
		"prefixes":               {text: "prob_emu,prob_cat,prob_dog\n" + strings.Repeat("-1,2,0\n", 9), right: "111000000"},
		"numbers, another order": {text: "2,0,1\n" + strings.Repeat("-1,2,0\n", 9), right: "111000000"},
		"numbers from 1":         {text: "3,1,2\n" + strings.Repeat("-1,2,0\n", 9), right: "111000000"},

		"predicted numbers":               {text: "pred\n" + strings.Repeat("1\n", 9), right: "000111000"},
		"predicted numbers from 1":        {text: "pred\n" + strings.Repeat("1\n2\n3\n", 3), right: "100010001", doubt: "numbered 1 to 3 and those of the data 0 to 2"},
		"predicted names":                 {text: "pred\n" + strings.Repeat("Dog\n", 9), right: "000111000"},
		"predicted names and others":      {text: "pred\nyak\n" + strings.Repeat("dog\n", 8), right: "000111000", doubt: "1 of 9 predictions are of classes that the data does not have, and count as wrong: yak"},
		"one-hot rows":                    {text: strings.Repeat("0,1,0\n", 9), right: "000111000"},
		"predicted class of a new column": {text: "photo,pred\n" + strings.Join(rowsOfPairs("dog"), "\n"), right: "000111000"},
	} {
		t.Run(name, func(t *testing.T) {
			im, right, err := predicted(t, c.text, data, Automatic)
			if err != nil || right != c.right {
				t.Fatalf("%s, want %s; %v", right, c.right, err)
			}
			if (c.doubt == "") != (len(im.doubts) == 0) || !strings.Contains(strings.Join(im.doubts, " "), c.doubt) {
				t.Errorf("doubts %q", im.doubts)
			}
		})
	}
	// What is shared by the headers may be part of the classes' names.
	shared := DataConfig{Path: folders(t, 3, "class_1", "class_10", "class_2")}
	if _, right, err := predicted(t, "class_1,class_2,class_10\n"+strings.Repeat("-1,2,0\n", 9), shared, Automatic); err != nil || right != "000000111" {
		t.Errorf("%s %v", right, err)
	}
}

// rowsOfPairs are rows of an image and a class.
func rowsOfPairs(class string) []string {
	var out []string
	for _, folder := range []string{"cat", "dog", "emu"} {
		for i := range 3 {
			out = append(out, fmt.Sprintf("%c%d.png,%s", folder[0], i, class))
		}
	}
	return out
}

// TestPredictedLabels: labels in the file are compared with those of the data.
func TestPredictedLabels(t *testing.T) {
	data := DataConfig{Path: folders(t, 3, "cat", "dog", "emu")}
	text := func(labels ...string) string {
		rows := rowsOf(func(class string, i int) string { return fmt.Sprintf("%c%d.png", class[0], i) })
		for i := range rows {
			rows[i] = labels[i] + "," + rows[i]
		}
		return "label,image,cat,dog,emu\n" + strings.Join(shuffled(rows), "\n")
	}
	split := func(s string) []string { return strings.Split(s, " ") }
	for name, c := range map[string]struct{ labels, doubt, refused string }{
		"names":           {labels: "cat cat cat dog dog dog emu emu emu"},
		"other case":      {labels: "CAT CAT CAT Dog Dog Dog emu emu emu"},
		"numbers":         {labels: "0 0 0 1 1 1 2 2 2"},
		"floats":          {labels: "0.0 0.0 0.0 1.0 1.0 1.0 2.0 2.0 2.0"},
		"numbers from 1":  {labels: "1 1 1 2 2 2 3 3 3"},
		"one differs":     {labels: "cat cat cat dog dog emu emu emu emu", doubt: "for 1 of 9 images (row 1 (d2.png) has emu, and the data dog)"},
		"rows are others": {labels: "dog emu cat cat emu dog dog cat emu", refused: "they are of other images of these names"},
		"another order":   {labels: "1 1 1 2 2 2 0 0 0", refused: "so classes or rows are in another order"},
		"other classes":   {labels: "x x x y y y z z z", refused: "for 9 of 9 images"},
	} {
		im, right, err := predicted(t, text(split(c.labels)...), data, Automatic)
		switch {
		case c.refused != "":
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %q", name, err, c.refused)
			}
		case err != nil || right != allButFirst:
			t.Errorf("%s: %s %v", name, right, err)
		case (c.doubt == "") != (len(im.doubts) == 0) || !strings.Contains(strings.Join(im.doubts, " "), strings.TrimPrefix(c.doubt, "for 1 of 9 images (row 1 ")):
			t.Errorf("%s: doubts %q", name, im.doubts)
		}
	}
}

// TestPredictedRows: without data, the labels are in the file or in another one, and the order of rows
// with names does not matter.
func TestPredictedRows(t *testing.T) {
	file := func(text string) DataConfig {
		path := filepath.Join(t.TempDir(), "labels.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return DataConfig{Labels: path}
	}
	const named = "image,label,cat,dog\nb.png,dog,0,-2\na.png,cat,1,-1\nc.png,cat,-1,1\n"
	im, right, err := predicted(t, named, DataConfig{}, Automatic)
	if err != nil || right != "100" {
		t.Fatalf("%s %v", right, err)
	}
	other, _, err := predicted(t, "image,label,cat,dog\nc.png,cat,-1,1\na.png,cat,1,-1\nb.png,dog,0,-2\n", DataConfig{}, Automatic)
	if err != nil || other.Fingerprint() != im.Fingerprint() {
		t.Errorf("the order of the rows makes other data (%v)", err)
	}
	const bare = "image,cat,dog\nb.png,0,-2\na.png,1,-1\nc.png,-1,1\n"
	for name, c := range map[string]struct {
		text   string
		labels string
		right  string
		want   string // of the error
	}{
		"by name":                  {text: bare, labels: "image,label\nc,dog\nb,cat\na,cat\n", right: "111"},
		"in order":                 {text: "1,-2\n-1,0\n-1,1\n", labels: "0\n1\n1\n", right: "111"},
		"in order, from 1":         {text: "1,-2\n-1,0\n-1,1\n", labels: "1\n2\n2\n", right: "111"},
		"from 1, but for the last": {text: "1,-2,0\n-1,0,0\n-1,1,0\n", labels: "1\n2\n2\n", want: "what they count is unclear"},
		"both from 1":              {text: "1\n2\n2\n", labels: "1\n2\n1\n", right: "110"},
		"neither first nor last":   {text: "1\n2\n1\n2\n", labels: "1\n1\n1\n0\n", right: "1010"},
		"predicted from 1":         {text: "1\n2\n1\n2\n", labels: "0\n1\n0\n0\n", right: "1110"},
		"names in no order":        {text: bare, labels: "0\n1\n1\n", want: "not in their order (b.png before a.png)"},
		"names for rows":           {text: "1,-2\n-1,0\n-1,1\n", labels: "image,label\na,0\nb,1\nc,1\n", want: "rows have no names of images"},
		"too few":                  {text: "1,-2\n-1,0\n-1,1\n", labels: "0\n1\n", want: "its 3 rows have no names"},
		"transposed":               {text: "1,-1,-1\n-1,1,1\n", labels: "0\n1\n1\n", want: "probably transposed"},
	} {
		_, right, err := predicted(t, c.text, file(c.labels), Automatic)
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) || c.want == "" && (err != nil || right != c.right) {
			t.Errorf("%s: %q %v", name, right, err)
		}
	}
	if _, _, err := predicted(t, "1,-2\n-1,0\n", DataConfig{}, Automatic); err == nil || !strings.Contains(err.Error(), "has no labels; give the images by --data") {
		t.Errorf("%v", err)
	}
}

// TestPredictedScale: what the scores are is decided by all of them, or said, and told.
func TestPredictedScale(t *testing.T) {
	rows := func(row string) string { return "image,label,cat,dog\na,cat,0.25,0.75\nb,dog," + row + "\n" }
	for name, c := range map[string]struct {
		row           string
		scale         Scale
		probabilities bool
		said, doubt   string
	}{
		"probabilities":         {"0.5,0.5", Automatic, true, "probabilities: each row sums to 1", ""},
		"one row tells":         {"-0.5,1.5", Automatic, false, "logits: some are negative", ""},
		"said to be logits":     {"0.5,0.5", Logit, false, "logits: as --scores says", "look like probabilities"},
		"in doubt":              {"0.5,0.9", Automatic, false, "logits: rows do not sum to 1", "neither like logits nor like"},
		"said to be what it is": {"0.5,0.9", Probability, true, "probabilities: as --scores says", ""},
	} {
		im, _, err := predicted(t, rows(c.row), DataConfig{}, c.scale)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var h report.Head
		im.Describe(&h)
		doubts := strings.Join(h.Doubts, " ")
		if im.scale.Probabilities != c.probabilities || !strings.Contains(h.Preprocessing.Source, c.said) || (c.doubt == "") != (doubts == "") || !strings.Contains(doubts, c.doubt) {
			t.Errorf("%s: %+v, %q, doubts %q", name, im.scale, h.Preprocessing.Source, doubts)
		}
	}
	asked, _, err := predicted(t, rows("0.5,0.5"), DataConfig{}, Logit)
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := predicted(t, rows("0.5,0.5"), DataConfig{}, Automatic)
	if err != nil {
		t.Fatal(err)
	}
	if asked.Identity() == found.Identity() {
		t.Error("a run of what scores are said to be is taken for one of what they look like")
	}
	if _, _, err := predicted(t, rows("-0.5,0.5"), DataConfig{}, Probability); err == nil || !strings.Contains(err.Error(), "row 2 (b) has the score -0.5 for cat, which is no probability") {
		t.Errorf("%v", err)
	}
}

var _ Samples = (*PredictedImages)(nil)
