package datasets

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClassOrder: the orders that libraries sort class folders by. The natural one is what
// timm's natural_key gives: re.split(r'(\d+)', name.lower()), digits as numbers, sorted by
// Python 3.11.
func TestClassOrder(t *testing.T) {
	names := []string{"b", "A10", "a2", "B1", "a02b", "a2a", "_x", "10", "9", "x9y10", "x9y2", "x09y3", "a"}
	for order, want := range map[ClassOrder]string{
		TextOrder:    "10 9 A10 B1 _x a a02b a2 a2a b x09y3 x9y10 x9y2",
		NaturalOrder: "9 10 _x a a2 a2a a02b A10 b B1 x9y2 x09y3 x9y10",
		CaselessText: "10 9 _x a a02b A10 a2 a2a b B1 x09y3 x9y10 x9y2",
	} {
		t.Run(string(order), func(t *testing.T) {
			got := make([]string, len(names))
			for i, rank := range order.outputs(names) {
				got[rank] = names[i]
			}
			if d := cmp.Diff(strings.Fields(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestAlignNames: names that are the same to a person are the same, and nothing else is.
func TestAlignNames(t *testing.T) {
	imagenet := func(of func(ImageNetClass) string) (out []string) {
		for _, c := range ImageNet() {
			out = append(out, of(c))
		}
		return out
	}
	synset := func(c ImageNetClass) string { return c.Synset }
	byDevkit := make([]string, 1000)
	for _, c := range ImageNet() {
		byDevkit[c.Devkit-1] = c.Synset
	}
	// As Hugging Face's id2label has them, in which two names stand for two classes each.
	labels := imagenet(func(c ImageNetClass) string {
		name := strings.ReplaceAll(c.Name, "_", " ")
		switch name {
		case "crane bird":
			name = "crane"
		case "maillot 1":
			name = "maillot"
		}
		return name + ", something else"
	})
	devkit := func(c string) int { return slices.Index(byDevkit, c) }
	for name, c := range map[string]struct {
		classes []string
		indices []int
		order   ClassOrder
		outputs int
		names   []string
		want    []int
		how     string // in how, or in the error where want is nil
	}{
		"underscores and spaces":        {[]string{"cat_one", "dog_one", "emu_one"}, nil, "", 3, []string{"emu one", "Cat one", "dog-one"}, []int{1, 2, 0}, "without regard"},
		"Unicode forms":                 {[]string{"cafe\u0301", "na\u00efve"}, nil, "", 2, []string{"NAI\u0308VE", "Caf\u00e9"}, []int{1, 0}, "without regard"},
		"full width and sharp s":        {[]string{"ｃａｔ", "Straße"}, nil, "", 2, []string{"STRASSE", "cat"}, []int{1, 0}, "without regard"},
		"told apart by case":            {[]string{"a", "A"}, nil, "", 2, []string{"A", "a"}, []int{1, 0}, "by the class names in the model"},
		"classes that fold to one":      {[]string{"a b", "a_b"}, nil, "", 2, []string{"ab", "c"}, nil, "differ only in case"},
		"one name differs":              {[]string{"cat_one", "dog"}, nil, "", 2, []string{"cat one", "emu"}, nil, "has no dog"},
		"names that say nothing":        {[]string{"cat", "dog"}, nil, "", 2, []string{"LABEL_0", "LABEL_1"}, []int{0, 1}, InOrder},
		"numbers that say nothing":      {[]string{"cat", "dog"}, nil, "", 2, []string{"0", "1"}, []int{0, 1}, InOrder},
		"other names":                   {[]string{"cat", "dog"}, nil, "", 2, []string{"Katze", "Hund"}, nil, "--class-order"},
		"other names, order given":      {[]string{"cat", "dog"}, nil, TextOrder, 2, []string{"Katze", "Hund"}, []int{0, 1}, "asked for"},
		"natural order given":           {[]string{"a10", "A2", "b"}, nil, NaturalOrder, 3, nil, []int{1, 0, 2}, "timm"},
		"order of too few":              {[]string{"a", "b"}, nil, TextOrder, 3, nil, nil, "as many classes"},
		"numeric order of words":        {[]string{"a", "b"}, nil, NumericOrder, 2, nil, nil, "not all numbers"},
		"numbers of outputs":            {[]string{"0", "2"}, []int{0, 2}, "", 3, nil, []int{0, 2}, "by number"},
		"numbers from 1":                {[]string{"1", "2", "3"}, []int{1, 2, 3}, "", 3, nil, []int{0, 1, 2}, "one less"},
		"degrees":                       {[]string{"0", "90", "180", "270"}, []int{0, 90, 180, 270}, "", 4, nil, []int{0, 3, 1, 2}, "sorted as text"},
		"degrees, by number":            {[]string{"0", "90", "180", "270"}, []int{0, 90, 180, 270}, NumericOrder, 4, nil, []int{0, 1, 2, 3}, "their number"},
		"degrees in the model":          {[]string{"0", "90", "180"}, []int{0, 90, 180}, "", 3, []string{"90", "0", "180"}, []int{1, 0, 2}, "class names in the model"},
		"numbers from 1, one missing":   {[]string{"1", "3", "4"}, []int{1, 3, 4}, "", 4, nil, []int{0, 2, 3}, "1 to 4, output numbers one less"},
		"numbers, the last missing":     {[]string{"1", "2", "3"}, []int{1, 2, 3}, "", 4, nil, []int{1, 2, 3}, "none is 0: if they count from 1, give --class-order from-1"},
		"numbers from 1, said so":       {[]string{"1", "2", "3"}, []int{1, 2, 3}, FromOne, 4, nil, []int{0, 1, 2}, "count from 1"},
		"numbers from 1, of folders":    {[]string{"1", "2", "3"}, nil, FromOne, 4, nil, []int{0, 1, 2}, "count from 1"},
		"from 1, but one is 0":          {[]string{"0", "2", "3"}, []int{0, 2, 3}, FromOne, 4, nil, nil, "one of the labels is 0"},
		"from 1, of words":              {[]string{"a", "b"}, nil, FromOne, 4, nil, nil, "not all numbers"},
		"one number too large":          {[]string{"0", "1", "2", "7"}, []int{0, 1, 2, 7}, "", 4, nil, nil, "most of its labels are numbers of outputs, but 7 is none"},
		"words that differ in case":     {[]string{"Cat", "cat"}, nil, "", 2, nil, nil, "differ only in case"},
		"letters that differ in case":   {[]string{"A", "a"}, nil, "", 2, nil, []int{0, 1}, InOrder},
		"example of an order":           {[]string{"Beagle", "Pug", "boxer"}, nil, NaturalOrder, 3, nil, []int{0, 2, 1}, "(Beagle, boxer, Pug)"},
		"numbers beyond the outputs":    {[]string{"0", "7"}, []int{0, 7}, "", 5, nil, nil, "--class-order"},
		"ImageNet synsets":              {imagenet(synset)[:3], nil, "", 1000, nil, []int{0, 1, 2}, "synset"},
		"ImageNet with a background":    {imagenet(synset)[:3], nil, "", 1001, nil, []int{1, 2, 3}, "background"},
		"ImageNet names":                {[]string{"Great White Shark", "tench"}, nil, "", 1000, nil, []int{2, 0}, "ImageNet class name"},
		"synsets, names in the model":   {[]string{"n01440764", "n01484850"}, nil, "", 1000, labels, []int{0, 2}, "order of the synsets"},
		"synsets in the devkit's order": {[]string{"n01440764", "n01484850"}, nil, "", 1000, byDevkit, []int{devkit("n01440764"), devkit("n01484850")}, "class names in the model"},
		"synsets, few names":            {[]string{"n01440764", "n01484850"}, nil, "", 2, []string{"great white shark", "tench"}, []int{1, 0}, "class names in the model"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Dataset{Name: "d", Classes: c.classes, Indices: c.indices, Order: c.order}
			a, err := d.Align(c.outputs, c.names)
			if c.want == nil {
				if err == nil || !strings.Contains(err.Error(), c.how) {
					t.Errorf("%+v, error %v, want one with %q", a, err, c.how)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, a.Output); d != "" || !strings.Contains(a.How, c.how) {
				t.Errorf("%s (-want +got):\n%s", a.How, d)
			}
		})
	}
}
