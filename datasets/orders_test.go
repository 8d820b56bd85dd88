package datasets

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOrders: numberings that are known to be mixed up are named by the data's own classes, and
// those that more may have come first.
func TestOrders(t *testing.T) {
	model := []string{"pug", "beagle", "chow", "boxer"}
	for name, c := range map[string]struct {
		d     Dataset
		names []string
		part  string // of the order's name
		want  []int
		flag  ClassOrder
		way   string
	}{
		"by name, in spite of an order": {Dataset{Classes: []string{"Beagle", "Boxer", "Chow", "Pug"}, Order: TextOrder}, model, "matched by the class names", []int{1, 3, 2, 0}, "", "leave --class-order out"},
		"by name, in spite of a map":    {Dataset{Classes: []string{"beagle", "pug"}, ClassMap: map[string]int{"beagle": 0}, MapName: "map.txt"}, model, "matched by the class names", []int{1, 0}, "", "leave the class map map.txt out"},
		"numbers of the sorted names":   {Dataset{Classes: []string{"0", "3"}, Indices: []int{0, 3}}, model, "alphabetical order", []int{1, 0}, "", ""},
		"one lower":                     {Dataset{Classes: []string{"1", "2", "3"}, Indices: []int{1, 2, 3}}, nil, "one lower", []int{0, 1, 2}, FromOne, ""},
		"text":                          {Dataset{Classes: []string{"1", "2", "10", "11"}, Indices: []int{1, 2, 10, 11}}, nil, "sorted as text (1, 10, 11, …)", []int{0, 3, 1, 2}, TextOrder, ""},
		"natural, with words":           {Dataset{Classes: []string{"Akita", "Borzoi", "Chow", "airedale"}}, nil, "natural order, without regard to case (airedale, Akita, Borzoi, …)", []int{1, 2, 3, 0}, NaturalOrder, ""},
	} {
		t.Run(name, func(t *testing.T) {
			orders := c.d.Orders(4, c.names)
			i := slices.IndexFunc(orders, func(o Order) bool { return strings.Contains(o.Name, c.part) })
			if i < 0 {
				t.Fatalf("no order %q in %+v", c.part, orders)
			}
			if d := cmp.Diff([]any{c.want, c.flag, c.way}, []any{orders[i].Output, orders[i].Flag, orders[i].Way}); d != "" {
				t.Errorf("%s (-want +got):\n%s", orders[i].Name, d)
			}
			same := slices.IndexFunc(orders, func(o Order) bool { return slices.Equal(o.Output, c.want) })
			if same < i {
				t.Errorf("%q comes before %q", orders[same].Name, orders[i].Name)
			}
		})
	}
}

// TestCalled: what people call outputs is known from the model, a list of synsets, or a file of labels.
func TestCalled(t *testing.T) {
	synsets := files{"n01440764/1.png": pngOf(1), "n01484850/2.png": pngOf(2)}
	own := files{"n01440764/1.png": pngOf(1), "n01484850/2.png": pngOf(2), "words.txt": "n01440764\tmy tench, fish\nn01484850\tmy shark\n"}
	plain := files{"0/1.png": pngOf(1), "1/2.png": pngOf(2)}
	flat := files{"a.png": pngOf(1), "b.png": pngOf(2)}
	model := []string{"tench, Tinca tinca", "shark"}
	for name, c := range map[string]struct {
		data    files
		labels  string
		outputs int
		names   []string
		want    map[int]string // some of them; nil: nothing is known
	}{
		"ImageNet's own":        {synsets, "", 1000, nil, map[int]string{0: "tench", 2: "great white shark", 999: "toilet tissue"}},
		"with a background":     {synsets, "", 1001, nil, map[int]string{0: "", 1: "tench"}},
		"two synsets":           {synsets, "", 2, nil, map[int]string{0: "tench", 1: "great white shark"}},
		"words.txt":             {own, "", 1000, nil, map[int]string{0: "my tench", 2: "my shark", 3: "tiger shark"}},
		"LOC_synset_mapping":    {synsets, "n01484850 white shark, man-eater\nn01440764 a tench\n", 2, nil, map[int]string{0: "white shark", 1: "a tench"}},
		"the model's":           {plain, "", 2, model, map[int]string{0: "tench", 1: "shark"}},
		"nothing":               {plain, "", 2, nil, nil},
		"names that are none":   {plain, "", 2, []string{"LABEL_0", "LABEL_1"}, nil},
		"a column of the table": {flat, "image,label,class_name\na,0,cat\nb,1,dog\n", 2, nil, map[int]string{0: "cat", 1: "dog"}},
		"names are the model's": {flat, "image,label,class_name\na,0,Shark\nb,1,tench\n", 2, model, map[int]string{0: "tench", 1: "Shark"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{}
			if c.labels != "" {
				o.Labels = write(t, "labels.txt", c.labels)
			}
			d, err := Open(c.data.folder(t), o)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			a, err := d.Align(c.outputs, c.names)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil && a.Called != nil {
				t.Errorf("%q", a.Called)
			}
			for output, name := range c.want {
				if output >= len(a.Called) || a.Called[output] != name {
					t.Errorf("output %d: %q, want %q", output, a.Called, name)
				}
			}
		})
	}
}

// TestNamesAgainstNumbers: a table whose labels have names that the model gives to other outputs is
// refused where not all names say which outputs are meant.
func TestNamesAgainstNumbers(t *testing.T) {
	data := files{"a.png": pngOf(1), "b.png": pngOf(2)}
	d, err := Open(data.folder(t), Options{Labels: write(t, "labels.csv", "image,label,class_name\na,0,dog\nb,1,emu\n")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Align(2, []string{"cat", "dog"}); err == nil || !strings.Contains(err.Error(), `label 0 is called "dog", which the model calls output 1`) {
		t.Errorf("%v", err)
	}
}
