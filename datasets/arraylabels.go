package datasets

import (
	"fmt"
	"path"
	"strconv"

	"cutmix-eval/internal/npy"
)

// labelArrays gives d the labels and the names of classes that arrays of its part, or of none, hold.
func (t *tree) labelArrays(d *Dataset, find func(arrayRole, string) *namedArray) error {
	of := func(role arrayRole) *namedArray {
		for part := d.part; part != "." && part != ""; part = path.Dir(part) {
			if a := find(role, part); a != nil {
				return a
			}
		}
		return find(role, "")
	}
	var classes []string
	if names := of(classNameRole); names != nil {
		data, err := t.arrayBytes(names)
		if err == nil {
			_, classes, err = npy.Texts(data)
		}
		if err != nil {
			d.Notes = append(d.Notes, fmt.Sprintf("%s was passed over: %v", names.file.path, err))
		}
	}
	labels := of(labelRole)
	if labels == nil {
		d.Why += ", without labels"
		return nil
	}
	values, several, err := t.arrayLabels(labels)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", labels.file.path, err)
	case values == nil && several != nil:
		d.Why += fmt.Sprintf(", several classes per image in %s (give the file by --multi-label, too)", labels.file.path)
		return nil
	}
	return d.fromValues(values, classes, labels.file.path)
}

// fromValues gives d's samples labels, one for each, in order.
func (d *Dataset) fromValues(values, classes []string, from string) error {
	if len(values) != len(d.Samples) {
		return fmt.Errorf("%s has %d labels for %d pictures", from, len(values), len(d.Samples))
	}
	if highest(values) >= len(classes) {
		classes = nil
	}
	d.Why += ", labels from " + from
	return d.label(values, classes)
}

// arrayBytes reads a small array.
func (t *tree) arrayBytes(a *namedArray) ([]byte, error) {
	switch {
	case a.bad != nil:
		return nil, a.bad
	case a.file.size > maxUnpacked:
		return nil, fmt.Errorf("it has %d bytes, more than labels need", a.file.size)
	}
	return t.readFile(a.file, nil)
}

func (t *tree) arrayLabels(a *namedArray) (values []string, several [][]float64, err error) {
	data, err := t.arrayBytes(a)
	if err != nil {
		return nil, nil, err
	}
	return labelsOfArray(data)
}

// labelFileOf reads the labels of a .npy file.
func labelFileOf(name string) (values []string, several [][]float64, err error) {
	data, err := readText(name)
	if err != nil {
		return nil, nil, err
	}
	return labelsOfArray(data)
}

// labelsOfArray are the labels in a .npy file, by its shape: n or n x 1 are numbers or texts, n x k
// several of k classes per image. Where every row is of one class, values are their numbers as well;
// otherwise they are nil.
func labelsOfArray(data []byte) (values []string, several [][]float64, err error) {
	if _, texts, err := npy.Texts(data); err == nil {
		return texts, nil, nil
	}
	info, v, err := npy.Values(data)
	if err != nil {
		return nil, nil, err
	}
	s := info.Shape
	switch {
	case len(s) == 1 || len(s) == 2 && s[1] == 1:
		for i, x := range v {
			if x != x {
				return nil, nil, fmt.Errorf("label %d is not a number", i)
			}
			values = append(values, strconv.FormatFloat(x, 'f', -1, 64))
		}
		return values, nil, nil
	case len(s) != 2 || s[1] == 0:
		return nil, nil, fmt.Errorf("its array has the shape %v; labels are one number per image, or one column per class", s)
	}
	single := true
	for i := range s[0] {
		row := v[i*s[1] : (i+1)*s[1]]
		ones := 0
		for c, x := range row {
			switch x {
			case 0:
			case 1:
				ones++
				if values = append(values, strconv.Itoa(c)); ones > 1 {
					single = false
				}
			case -1: // not known
				single = false
			default:
				return nil, nil, fmt.Errorf("row %d has %v for class %d; labels of several classes are 0 and 1", i, x, c)
			}
		}
		single = single && ones == 1
		several = append(several, row)
	}
	if !single {
		values = nil
	}
	return values, several, nil
}
