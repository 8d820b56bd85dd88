package datasets

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// ClassOrder is an order of class names, by which the class of rank i is a model's output i.
type ClassOrder string

// The orders that programs sort class folders by.
const (
	TextOrder    ClassOrder = "text"    // by bytes: torchvision's ImageFolder, Keras; 10 before 2, B before a
	NaturalOrder ClassOrder = "natural" // runs of digits by their number, without regard to case: timm
	CaselessText ClassOrder = "caseless"
	NumericOrder ClassOrder = "numeric" // names that are numbers, by their number
	FromOne      ClassOrder = "from-1"  // numbers of outputs that count from 1
)

// ClassOrders lists the orders.
func ClassOrders() []ClassOrder {
	return []ClassOrder{TextOrder, NaturalOrder, CaselessText, NumericOrder, FromOne}
}

// about says in words what the classes are sorted by, with some of them.
func (o ClassOrder) about(classes []string) string {
	by := "class names sorted as text"
	switch o {
	case NaturalOrder:
		by = "class names in timm's natural order, without regard to case"
	case CaselessText:
		by = "class names sorted without regard to case"
	case NumericOrder:
		by = "class names sorted by their number"
	case FromOne:
		return "class names are numbers of outputs that count from 1"
	}
	return fmt.Sprintf("%s (%s)", by, o.example(classes))
}

// compare orders two names.
func (o ClassOrder) compare(a, b string) int {
	switch o {
	case NaturalOrder:
		return natural(strings.ToLower(a), strings.ToLower(b))
	case CaselessText:
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	case NumericOrder:
		return cmp.Compare(number(a), number(b))
	}
	return strings.Compare(a, b)
}

// natural compares as timm's natural_key does: both names are cut into text and runs of
// digits, which alternate, and are compared part by part, digits by their number.
func natural(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = cutRun(a, false)
		y, b = cutRun(b, false)
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
		if (a == "") != (b == "") {
			return cmp.Compare(len(a), len(b))
		}
		x, a = cutRun(a, true)
		y, b = cutRun(b, true)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

// cutRun cuts the longest beginning off that has only digits, or none.
func cutRun(s string, digit bool) (run, rest string) {
	for i, r := range s {
		if ('0' <= r && r <= '9') != digit {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// number is a name of digits as a number.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// outputs is each class's rank in the order.
func (o ClassOrder) outputs(classes []string) []int {
	at := make([]int, len(classes))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return o.compare(classes[a], classes[b]) })
	out := make([]int, len(classes))
	for rank, class := range at {
		out[class] = rank
	}
	return out
}

// inOrder matches as many classes as outputs by an order that was asked for.
func (d *Dataset) inOrder(outputs int) (Alignment, error) {
	n := len(d.Classes)
	numbers := d.numbers()
	switch {
	case (d.Order == NumericOrder || d.Order == FromOne) && numbers == nil:
		return Alignment{}, fmt.Errorf("--class-order %s: the class names are not all numbers", d.Order)
	case d.Order == FromOne:
		a := Alignment{Output: make([]int, n), How: "in the order asked for: " + d.Order.about(nil)}
		for i, v := range numbers {
			if a.Output[i] = v - 1; v < 1 {
				return a, fmt.Errorf("--class-order %s: one of the labels is 0", d.Order)
			}
		}
		return a, nil
	case n != outputs:
		return Alignment{}, fmt.Errorf("an order of classes needs as many classes as outputs; give a class map with --labels (lines of \"class output\")")
	}
	return Alignment{Output: d.Order.outputs(d.Classes), How: "in the order asked for: " + d.Order.about(d.Classes)}, nil
}

// fold is a name without what does not tell names apart: case, Unicode form, spaces,
// underscores and hyphens.
func fold(name string) string {
	drop := func(r rune) rune {
		if unicode.IsSpace(r) || r == '_' || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}
	return strings.Map(drop, cases.Fold().String(norm.NFKC.String(name)))
}

// SameName says whether two names are the same but for case, Unicode form, spaces, underscores and hyphens.
func SameName(a, b string) bool { return a == b || fold(a) == fold(b) }

// folds is the index of each name by its folded form. Where several names have one form none
// of them has it, and all is false.
func folds(names []string) (index map[string]int, all bool) {
	index, all = map[string]int{}, true
	for i, name := range names {
		key := fold(name)
		if _, twice := index[key]; twice {
			index[key], all = -1, false
			continue
		}
		index[key] = i
	}
	for key, i := range index {
		if i < 0 {
			delete(index, key)
		}
	}
	return index, all
}
