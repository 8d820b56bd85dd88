package predictions

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/npy"
)

func (t *Table) npy(data []byte) error {
	a, err := npy.Parsed(data)
	if err != nil {
		return err
	}
	return t.array(a)
}

// array takes an array of scores, samples x classes, or of one class per sample.
func (t *Table) array(a npy.Array) error {
	shape := a.Shape
	if len(shape) > 2 { // axes of one, as a model's output has for places of a map
		shape = slices.DeleteFunc(slices.Clone(shape), func(n int) bool { return n == 1 })
	}
	one := len(shape) == 1 && len(a.Shape) < 3 || len(shape) == 2 && shape[1] == 1
	switch {
	case one && a.Text != nil:
		return t.classes(a.Text)
	case a.Text != nil:
		return fmt.Errorf("its array holds texts of the shape %v, not scores", a.Shape)
	case one:
		return t.numbers(a.Data)
	case len(shape) != 2:
		return fmt.Errorf("its array has the shape %v; it must be samples x classes", a.Shape)
	}
	t.N, t.Classes = shape[0], shape[1]
	t.Scores = make([]float32, len(a.Data))
	for i, x := range a.Data {
		t.Scores[i] = float32(x)
	}
	return nil
}

func (t *Table) npz(data []byte) error {
	a, err := npy.ReadArchive(bytes.NewReader(data), int64(len(data)), maxSize)
	if err != nil {
		return err
	}
	for name := range a.Texts {
		switch {
		case strings.HasSuffix(name, "data.pkl"):
			return fmt.Errorf("it is a file of PyTorch; %s", readForms)
		case strings.HasPrefix(name, "xl/"):
			return fmt.Errorf("it is a spreadsheet; save it as CSV")
		}
	}
	if len(a.Arrays) == 0 {
		return fmt.Errorf("it is a zip archive without numpy arrays; %s", readForms)
	}
	return t.arrays(a.Arrays)
}

// classNames are names of arrays with the names of the classes.
var classNames = []string{"classes", "class_names", "classnames", "categories", "label_names", "names"}

// arrays takes named arrays: scores or predicted classes, and labels, images and classes beside.
func (t *Table) arrays(a map[string]npy.Array) error {
	names := slices.Sorted(maps.Keys(a))
	rest := slices.Clone(names)
	pick := func(known []string, fits func(npy.Array) bool) string {
		for _, want := range known {
			for _, name := range rest {
				if strings.EqualFold(name, want) && fits(a[name]) {
					return name
				}
			}
		}
		return ""
	}
	take := func(name string) { rest = slices.DeleteFunc(rest, func(n string) bool { return n == name }) }
	table := func(x npy.Array) bool { return x.Text == nil && len(x.Shape) == 2 && x.Shape[1] > 1 }
	scores := pick(scoreNames, table)
	if scores == "" {
		var tables []string
		for _, name := range names {
			if table(a[name]) {
				tables = append(tables, name)
			}
		}
		switch len(tables) {
		case 0:
			scores = pick(append(slices.Clone(predictedNames), scoreNames...), func(npy.Array) bool { return true })
		case 1:
			scores = tables[0]
		}
	}
	if scores == "" {
		return fmt.Errorf("none of its arrays (%s) is called logits or scores", strings.Join(names, ", "))
	}
	take(scores)
	t.Kind = fmt.Sprintf("array %s of a .npz file", scores)
	if err := t.array(a[scores]); err != nil {
		return err
	}
	row := func(x npy.Array) bool { return len(x.Shape) == 1 && len(x.Data)+len(x.Text) == t.N }
	images := pick(idNames, func(x npy.Array) bool { return row(x) && x.Text != nil })
	if images == "" {
		for _, name := range rest {
			if x := a[name]; row(x) && x.Text != nil && !slices.ContainsFunc(x.Text, func(s string) bool { return !picture(s) }) {
				images = name
			}
		}
	}
	if images == "" {
		images = pick(idNames, row)
	}
	if images != "" {
		take(images)
		t.IDs = texts(a[images])
	}
	if labels := pick(labelNames, row); labels != "" {
		take(labels)
		if i := slices.IndexFunc(a[labels].Data, func(v float64) bool { return v != math.Trunc(v) }); i >= 0 {
			return fmt.Errorf("label %d of its array %s is %v, no whole number", i+1, labels, a[labels].Data[i])
		}
		t.Labels = texts(a[labels])
	}
	if classes := pick(classNames, func(x npy.Array) bool { return len(x.Shape) == 1 && len(x.Text) == t.Classes }); classes != "" && t.Names == nil {
		take(classes)
		t.Names, t.Headers = a[classes].Text, a[classes].Text
	}
	t.passedOver("array", rest)
	return nil
}

// texts is an array as texts.
func texts(a npy.Array) []string {
	if a.Text != nil {
		return slices.Clone(a.Text)
	}
	out := make([]string, len(a.Data))
	for i, v := range a.Data {
		out[i] = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return out
}
