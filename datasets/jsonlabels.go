package datasets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cutmix-eval/internal/strict"
	wording "cutmix-eval/internal/text"
)

// member is a key of a JSON object and its value.
type member struct {
	key   string
	value json.RawMessage
}

// text is the value as the text of a table's cell; null is empty, and a list of one is that one.
// ok is false for objects and other lists.
func (m member) text() (text string, ok bool) { return jsonText(m.value) }

func jsonText(value json.RawMessage) (text string, ok bool) {
	value = bytes.TrimSpace(value)
	var list []json.RawMessage
	switch {
	case len(value) == 0 || string(value) == "null":
		return "", true
	case value[0] == '"':
		err := json.Unmarshal(value, &text)
		return text, err == nil
	case value[0] == '[':
		if json.Unmarshal(value, &list) != nil || len(list) != 1 || list[0][0] == '[' {
			return "", false
		}
		return jsonText(list[0])
	case value[0] == '{':
		return "", false
	}
	return string(value), true
}

// jsonObject is the members of an object in their order; a key must not occur twice.
func jsonObject(data json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	var out []member
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		m := member{key: fmt.Sprint(key)}
		if err == nil {
			err = d.Decode(&m.value)
		}
		switch {
		case err != nil:
			return nil, strict.Explain(err)
		case seen[m.key]:
			return nil, fmt.Errorf("key %q occurs twice in its JSON", wording.Bounded(m.key))
		}
		seen[m.key] = true
		out = append(out, m)
	}
	return out, nil
}

// jsonValues are the values that follow each other in a text, and the lines they begin on.
func jsonValues(data []byte) (values []json.RawMessage, lines []int, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	line, at := 1, 0
	for {
		var v json.RawMessage
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return values, lines, nil
		case err != nil:
			return nil, nil, fmt.Errorf("its JSON is broken after line %d: %w", line, strict.Explain(err))
		}
		begin := int(d.InputOffset()) - len(v)
		line += bytes.Count(data[at:begin], []byte("\n"))
		at = begin
		values, lines = append(values, v), append(lines, line)
	}
}

// parseJSON reads a list, an object or lines of them: of images and labels, or a class map.
func (l *labelFile) parseJSON(data []byte, t *tree, names *Names, images []int, dirs []string) error {
	values, lines, err := jsonValues(data)
	if err != nil {
		return err
	}
	unit := "line"
	var object []member
	if len(values) == 1 {
		if values[0][0] == '{' {
			if object, err = jsonObject(values[0]); err != nil {
				return err
			}
			rows, of, err := jsonTable(object)
			if err != nil {
				return err
			}
			if rows != nil {
				return l.table(*rows, t, names, images, dirs)
			}
			if object = of; !imageKeys(of, names, dirs) {
				return l.classObject(of)
			}
			values = nil
			for _, m := range of {
				key, err := json.Marshal(m.key)
				if err != nil {
					return err
				}
				values = append(values, json.RawMessage("["+string(key)+","+string(m.value)+"]"))
			}
		} else if several := [][]int(nil); json.Unmarshal(values[0], &several) == nil {
			return l.severalClasses(several, t, images)
		} else if values, err = jsonList(values[0]); err != nil {
			return err
		}
		unit, lines = "entry", nil
	}
	if len(values) == 0 {
		return errors.New("it is empty")
	}
	rows, err := jsonRows(values, unit, lines)
	if err != nil {
		return err
	}
	if object != nil || rows.header != nil || len(rows.rows[0]) > 1 {
		return l.table(*rows, t, names, images, dirs)
	}
	return l.column(*rows, t, images, dirs)
}

func jsonList(data json.RawMessage) (list []json.RawMessage, err error) {
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("its JSON is not a list of classes or an object: %w", err)
	}
	return list, nil
}

// imageKeys says whether the keys of an object are images rather than classes, or the numbers of
// outputs.
func imageKeys(of []member, names *Names, dirs []string) bool {
	images, folders := 0, 0
	isDir := map[string]bool{}
	for _, d := range dirs {
		isDir[d] = true
	}
	for _, m := range of {
		text, one := m.text()
		_, _, number := wholeNumber(m.key)
		if names.has(m.key) && (one || !number) {
			images++
		}
		if isDir[m.key] || number && isDir[text] {
			folders++
		}
	}
	return images > folders
}

// jsonTable finds the rows in an object that holds them, as records, pairs, columns, or images
// and annotations in the way of COCO; nil where it is a map, which is of then.
func jsonTable(object []member) (rows *table, of []member, err error) {
	index := map[string]int{}
	header := newTable()
	scalars, lists, tables := 0, 0, 0
	for i, m := range object {
		index[m.key] = i
		header.header = append(header.header, m.key)
		if _, ok := m.text(); ok && m.value[0] != '[' {
			scalars++
		}
		switch m.value[0] {
		case '[':
			lists++
		case '{':
			tables++
		}
	}
	at := func(key string) json.RawMessage {
		if i, ok := index[key]; ok {
			return object[i].value
		}
		return nil
	}
	for _, key := range []string{"id2label", "label2id", "class_to_idx", "idx_to_class"} { // of Hugging Face's config.json, and PyTorch's
		if v := at(key); v != nil {
			of, err := jsonObject(v)
			return nil, of, err
		}
	}
	if at("images") != nil && at("annotations") != nil {
		rows, err := cocoRows(at("images"), at("annotations"), at("categories"))
		return rows, nil, err
	}
	known := header.find(pathColumns) >= 0 && header.find(labelColumns) >= 0
	switch {
	case known && scalars == len(object): // one record
		raw, err := rawObject(object)
		if err != nil {
			return nil, nil, err
		}
		rows, err := jsonRows([]json.RawMessage{raw}, "entry", nil)
		return rows, nil, err
	case known && lists+tables == len(object):
		rows, err := jsonColumns(object)
		return rows, nil, err
	}
	for _, key := range []string{"labels", "annotations", "data", "samples", "rows", "images"} {
		if v := at(key); v != nil && v[0] == '[' {
			list, err := jsonList(v)
			if err != nil || len(list) == 0 || list[0][0] != '{' && list[0][0] != '[' {
				continue
			}
			rows, err := jsonRows(list, "entry", nil)
			return rows, nil, err
		}
	}
	return nil, object, nil
}

func rawObject(of []member) (json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	for _, x := range of {
		m[x.key] = x.value
	}
	return json.Marshal(m)
}

// jsonColumns reads an object of columns, which are lists, or objects by row.
func jsonColumns(object []member) (*table, error) {
	t := newTable()
	t.unit = "entry"
	n := -1
	columns := make([][]json.RawMessage, len(object))
	for c, m := range object {
		t.header = append(t.header, m.key)
		if m.value[0] == '[' {
			list, err := jsonList(m.value)
			if err != nil {
				return nil, err
			}
			columns[c] = list
		} else {
			of, err := jsonObject(m.value)
			if err != nil {
				return nil, err
			}
			for _, x := range of {
				columns[c] = append(columns[c], x.value)
			}
		}
		if n >= 0 && len(columns[c]) != n {
			return nil, fmt.Errorf("its JSON column %q has %d values, the one before %d", m.key, len(columns[c]), n)
		}
		n = len(columns[c])
	}
	t.add(0, t.header)
	for i := range n {
		row := make([]string, len(columns))
		for c := range columns {
			row[c] = cellOf(columns[c][i])
		}
		t.add(i+1, row)
	}
	return &t, nil
}

// cellOf is a value as a cell: what is no single value stays JSON, which is no label.
func cellOf(v json.RawMessage) string {
	if text, ok := jsonText(v); ok {
		return strings.TrimSpace(text)
	}
	return string(v)
}

// jsonRows makes a table of records (objects), of lists of cells, or of single cells.
func jsonRows(values []json.RawMessage, unit string, lines []int) (*table, error) {
	t := newTable()
	t.unit, t.json = unit, true
	column := map[string]int{}
	line := func(i int) int {
		if lines != nil {
			return lines[i]
		}
		return i + 1
	}
	for i, v := range values {
		if v = bytes.TrimSpace(v); v[0] != values[0][0] && (v[0] == '{' || values[0][0] == '{' || v[0] == '[' || values[0][0] == '[') {
			return nil, fmt.Errorf("%s %d of its JSON is of another kind than the first", unit, line(i))
		}
		var row []string
		switch v[0] {
		case '{':
			of, err := jsonObject(v)
			if err != nil {
				return nil, fmt.Errorf("%s %d: %w", unit, line(i), err)
			}
			if len(of) == 0 {
				return nil, fmt.Errorf("%s %d of its JSON is empty", unit, line(i))
			}
			row = make([]string, len(t.header))
			for _, m := range of {
				c, ok := column[m.key]
				if !ok {
					c = len(t.header)
					column[m.key], t.header, row = c, append(t.header, m.key), append(row, "")
				}
				row[c] = cellOf(m.value)
			}
		case '[':
			list, err := jsonList(v)
			if err != nil {
				return nil, err
			}
			for _, x := range list {
				row = append(row, cellOf(x))
			}
			if len(row) == 0 {
				row = []string{""}
			}
		default:
			row = []string{cellOf(v)}
		}
		t.add(line(i), row)
	}
	if t.header != nil {
		t.rows, t.lines = slices.Insert(t.rows, 0, t.header), slices.Insert(t.lines, 0, 0)
	}
	return &t, nil
}

// cocoRows joins the images, annotations and categories of a file in COCO's way, as iNaturalist has them.
func cocoRows(images, annotations, categories json.RawMessage) (*table, error) {
	var of struct {
		images, annotations, categories []map[string]json.RawMessage
	}
	for _, x := range []struct {
		data json.RawMessage
		to   *[]map[string]json.RawMessage
	}{{images, &of.images}, {annotations, &of.annotations}, {categories, &of.categories}} {
		if x.data == nil {
			continue
		}
		if err := json.Unmarshal(x.data, x.to); err != nil {
			return nil, fmt.Errorf("its images, annotations or categories are no lists of objects: %w", err)
		}
	}
	file, name := map[string]string{}, map[string]string{}
	for _, m := range of.images {
		file[cellOf(m["id"])] = cellOf(m["file_name"])
	}
	for _, m := range of.categories {
		name[cellOf(m["id"])] = cellOf(m["name"])
	}
	t := newTable()
	t.unit, t.json = "annotation", true
	t.header = []string{"file_name", "category_id", "category_name"}
	t.add(0, t.header)
	for i, m := range of.annotations {
		id := cellOf(m["category_id"])
		path, ok := file[cellOf(m["image_id"])]
		if !ok {
			return nil, fmt.Errorf("annotation %d is of image %s, which is not in its list of images", i+1, cellOf(m["image_id"]))
		}
		t.add(i+1, []string{path, id, name[id]})
	}
	if len(name) == 0 {
		for i := range t.rows {
			t.rows[i] = t.rows[i][:2]
		}
	}
	return &t, nil
}
