package datasets

import (
	"slices"
	"strings"
)

// Order is another way in which a dataset's classes may have been numbered
// when a model was trained.
type Order struct {
	Name   string
	Flag   ClassOrder // that asks for it; empty where none does
	Way    string     `json:",omitempty"` // what to do for it, where no flag asks for it; may be empty
	Output []int      // by class
}

// Orders lists the numberings that are known to be mixed up, for telling why an
// accuracy is low: those that more may have come first. names are those of the model's outputs, or nil.
func (d *Dataset) Orders(outputs int, names []string) []Order {
	n := len(d.Classes)
	names = telling(names, outputs)
	orders := d.namedOrders(names)
	shift := func(name string, by int, flag ClassOrder) {
		o := Order{Name: name, Output: make([]int, n)}
		if numbers := d.numbers(); numbers != nil {
			o.Flag = flag
			for i, v := range numbers {
				o.Output[i] = v + by
			}
		} else {
			for i := range n {
				o.Output[i] = i + by
			}
		}
		orders = append(orders, o)
	}
	shift("labels one lower (labels start at 1)", -1, FromOne)
	shift("labels one higher (output 0 is a background class)", 1, "")
	for _, o := range ClassOrders() {
		if o == FromOne || o == NumericOrder && d.numbers() == nil {
			continue
		}
		order := Order{Name: o.about(d.Classes), Output: o.outputs(d.Classes)}
		if n == outputs {
			order.Flag = o
		}
		orders = append(orders, order)
	}
	if outputs >= 1000 {
		orders = append(orders, d.imageNetOrders()...)
	}
	return orders
}

// numbers are the classes as numbers; nil where they are not.
func (d *Dataset) numbers() []int {
	if d.Indices != nil {
		return d.Indices
	}
	out := make([]int, len(d.Classes))
	for i, c := range d.Classes {
		if !digits(c) {
			return nil
		}
		out[i] = number(c)
	}
	return out
}

// namedOrders are those that the names of the model's outputs give: the classes by name, and
// classes that count the names in alphabetical order.
func (d *Dataset) namedOrders(names []string) []Order {
	if names == nil {
		return nil
	}
	var orders []Order
	add := func(name, way string, output []int) {
		orders = append(orders, Order{Name: name, Way: way, Output: output})
	}
	const names1 = "the class names in the model"
	if a, missing := d.byNames(names); len(missing) == 0 {
		add("the classes matched by "+names1, d.withoutOrder(), a.Output)
	} else if a, ok := d.byImageNet(len(names), names); ok {
		add("the classes matched by "+names1, d.withoutOrder(), a.Output)
	}
	rank := d.Indices
	if rank == nil {
		rank = make([]int, len(d.Classes))
		for i := range rank {
			rank[i] = i
		}
	}
	for _, o := range []ClassOrder{TextOrder, CaselessText} {
		at := make([]int, len(names)) // output by rank of its name
		for output, r := range o.outputs(names) {
			at[r] = output
		}
		out := make([]int, len(rank))
		for c, r := range rank {
			out[c] = -1
			if r >= 0 && r < len(at) {
				out[c] = at[r]
			}
		}
		word := "alphabetical order"
		if o == CaselessText {
			word += " without regard to case"
		}
		add("class i being the i-th of "+names1+" in "+word, "", out)
	}
	return orders
}

// withoutOrder says what to do so that the classes are matched by name.
func (d *Dataset) withoutOrder() string {
	switch {
	case d.ClassMap != nil:
		return "leave the class map " + d.MapName + " out"
	case d.Order != "":
		return "leave --class-order out"
	}
	return ""
}

// imageNetOrders are the devkit's numbering in data or model.
func (d *Dataset) imageNetOrders() []Order {
	classes, n := ImageNet(), len(d.Classes)
	index := imageNetIndex()
	toSorted := make([]int, 1000) // devkit number - 1 -> sorted index
	for i, c := range classes {
		toSorted[c.Devkit-1] = i
	}
	from := Order{Name: "ILSVRC devkit order in the data, sorted synsets in the model", Output: make([]int, n)}
	to := Order{Name: "sorted synsets in the data, ILSVRC devkit order in the model", Output: make([]int, n)}
	for i, c := range d.Classes {
		at, ok := index[c]
		if !ok {
			at = i
			if d.Indices != nil {
				at = d.Indices[i]
			}
		}
		from.Output[i], to.Output[i] = -1, -1
		if at >= 0 && at < 1000 {
			from.Output[i], to.Output[i] = toSorted[at], classes[at].Devkit-1
		}
	}
	return []Order{from, to}
}

// example shows the order's own names: the first three, or those around the first place where it
// is not the order that the classes are listed in.
func (o ClassOrder) example(classes []string) string {
	at := make([]string, len(classes))
	for i, rank := range o.outputs(classes) {
		at[rank] = classes[i]
	}
	begin := 0
	for i, name := range at {
		if name != classes[i] {
			begin = max(0, min(i-1, len(at)-3))
			break
		}
	}
	end := min(begin+3, len(at))
	text := strings.Join(slices.Clone(at[begin:end]), ", ")
	if begin > 0 {
		text = "… " + text
	}
	if end < len(at) {
		text += ", …"
	}
	return text
}
