package recipes

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// classKeys are keys about the classes of the outputs. Names are taken from the first of these
// that is there: nameKeys.
var classKeys = append([]string{"num_classes", "num_labels", "label2id", "label_descriptions", "_num_labels"}, nameKeys...)

var nameKeys = []string{"label_names", "id2label", "classes", "class_names", "names", "labels", "categories"}

// readClasses reads names and number of the classes.
func (o object) readClasses(f *Found) {
	if raw, ok := o.has["model_type"]; ok && json.Unmarshal(raw, &f.modelType) != nil {
		f.modelType = "" // of something else
	}
	for _, key := range nameKeys {
		raw, ok := o.has[key]
		if !ok {
			continue
		}
		names, is := Names(raw)
		if !is {
			continue // a number of classes, the name of a file
		}
		f.Count = len(names)
		if !placeholders(names) {
			f.Classes = names
		}
		break
	}
	if raw, ok := o.has["label2id"]; ok && f.Classes == nil {
		if names, is := inverted(raw); is && !placeholders(names) {
			f.Classes, f.Count = names, len(names)
		}
	}
	for _, key := range []string{"num_classes", "num_labels"} {
		n := 0
		if raw, ok := o.has[key]; ok && json.Unmarshal(raw, &n) == nil && n > 0 && f.Count == 0 {
			f.Count = n
		}
	}
}

// Names reads the names of classes as JSON holds them: a list, or an object from number to name
// with the numbers 0 to n - 1 (transformers, torchvision's and Keras' class indices, where a list
// [identifier, name] is the identifier). ok is false where it is something else.
func Names(raw []byte) (names []string, ok bool) {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list, len(list) > 0
	}
	var dict map[string]json.RawMessage
	if json.Unmarshal(raw, &dict) != nil || len(dict) == 0 {
		return nil, false
	}
	names = make([]string, len(dict))
	seen := make([]bool, len(dict))
	for key, v := range dict {
		i, err := strconv.Atoi(strings.TrimSpace(key))
		if err != nil || i < 0 || i >= len(dict) || seen[i] {
			return nil, false
		}
		seen[i] = true
		var pair []string
		if json.Unmarshal(v, &names[i]) != nil {
			if json.Unmarshal(v, &pair) != nil || len(pair) == 0 {
				return nil, false
			}
			names[i] = pair[0]
		}
	}
	return names, true
}

// inverted reads names from an object from name to number.
func inverted(raw []byte) ([]string, bool) {
	var dict map[string]int
	if json.Unmarshal(raw, &dict) != nil || len(dict) == 0 {
		return nil, false
	}
	names := make([]string, len(dict))
	seen := make([]bool, len(dict))
	for name, i := range dict {
		if i < 0 || i >= len(dict) || seen[i] {
			return nil, false
		}
		names[i], seen[i] = name, true
	}
	return names, true
}

var placeholder = regexp.MustCompile(`^LABEL_\d+$`)

// placeholders says whether names say no more than the numbers of the outputs: LABEL_0, LABEL_1 and
// so on, in this order.
func placeholders(names []string) bool {
	return !slices.ContainsFunc(names, func(s string) bool { return !placeholder.MatchString(s) })
}

// contradicts says in words that something is about another number of classes than the model has.
// Two classes and one output are a binary classifier.
func (f Found) contradicts(classes int) error {
	if f.Count == 0 || classes == 0 || f.Count == classes || classes == 1 && f.Count == 2 {
		return nil
	}
	return fmt.Errorf("it is about %d classes, and the model has %d", f.Count, classes)
}
