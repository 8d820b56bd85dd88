package predictions

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Names of arrays and columns, best first.
var (
	scoreNames = []string{"logits", "scores", "probs", "probabilities", "softmax", "outputs", "output", "predictions", "preds", "y_pred", "pred", "prediction", "arr_0"}
	labelNames = []string{
		"labels", "label", "targets", "target", "y_true", "true_label", "true", "truth", "y", "gt", "gt_label", "ground_truth", "actual", "true_class",
		"class", "class_name", "category", "label_name", "wnid", "synset", "arr_1",
	}
	idNames = []string{
		"path", "file", "filename", "file_name", "file_path", "filepath", "image_path", "img_path", "image_name", "img_name", "image_file", "image", "image_id", "imageid",
		"img", "id", "sample", "sample_id", "key", "uri", "url", "name", "names", "paths", "files", "filenames", "images", "image_paths", "ids",
	}
	// predictedNames are of a single predicted class.
	predictedNames = []string{
		"prediction", "predictions", "pred", "preds", "predicted", "predicted_class", "predicted_label", "pred_class", "pred_label", "predicted_index", "pred_idx",
		"y_pred", "y_hat", "yhat", "argmax", "class_id", "class_index",
	}
	indexNames = []string{"", "index", "row", "level_0", "__index_level_0__"}
	// aside are names of columns that tables of predictions have beside scores.
	aside = []string{
		"correct", "confidence", "conf", "loss", "nll", "entropy", "fold", "split", "rank", "margin", "top1", "top5", "score_max", "max_prob", "max_score", "brier", "error", "epoch",
		"probability", "prob", "score", "width", "height", "time", "latency", "latency_ms",
	}
)

// partial are parts of names of lists that are not the scores of all classes.
var partial = []string{"top", "feature", "embed", "box", "hidden", "indices", "index", "rank", "label", "class"}

// scoreList is the one of some lists that holds the scores: called as such, or the only one, unless
// its name says that it is another thing. Empty for none.
func scoreList(lists []string) string {
	for _, name := range scoreNames {
		for _, list := range lists {
			if strings.EqualFold(list, name) {
				return list
			}
		}
	}
	if len(lists) != 1 || slices.ContainsFunc(partial, func(p string) bool { return strings.Contains(strings.ToLower(lists[0]), p) }) {
		return ""
	}
	return lists[0]
}

// prefixes are what class names or numbers in headers are often begun with.
var prefixes = []string{"prob", "probs", "proba", "probability", "score", "scores", "logit", "logits", "p", "pred", "class", "cls", "output", "out", "softmax", "conf", "confidence", "label"}

// columns says what the columns of a table are; -1 for one that is not there.
type columns struct {
	id, label, index int
	predicted        int  // of one predicted class per row
	numbers          bool // predicted classes are numbers
	scores           []int
	names, headers   []string // of the scores, as Table has them
	over             []string // columns that are passed over
}

// kinds says what the cells of a column are that are not empty: most of them are numbers, all are
// whole numbers or names of images.
type kinds struct{ number, whole, picture, empty bool }

func kindsOf(rows [][]cell, c int) kinds {
	k := kinds{whole: true, picture: true, empty: true}
	numbers, words := 0, 0
	for _, row := range rows {
		v := row[c]
		switch {
		case v.number:
			numbers++
		case v.text == "":
			continue
		default:
			words++
		}
		k.empty = false
		k.whole, k.picture = k.whole && v.whole(), k.picture && picture(v.text)
	}
	k.number = numbers >= words
	return k
}

// columnsOf finds out what the columns are, by the header and the first rows.
func columnsOf(header []string, rows [][]cell) (columns, error) {
	n := len(rows[0])
	kind := make([]kinds, n)
	for c := range kind {
		kind[c] = kindsOf(rows, c)
	}
	if header == nil {
		return unnamed(kind)
	}
	c := columns{id: -1, label: -1, index: -1, predicted: -1}
	lower := make([]string, n)
	for i, name := range header {
		lower[i] = strings.ToLower(strings.TrimSpace(name))
		if strings.HasPrefix(lower[i], "unnamed:") {
			lower[i] = ""
		}
	}
	free := make([]bool, n)
	for i := range free {
		free[i] = true
	}
	take := func(i int) int { free[i] = false; return i }
	named := func(names []string, fits func(int) bool) int {
		for _, name := range names {
			for i := range n {
				if free[i] && lower[i] == name && fits(i) {
					return i
				}
			}
		}
		return -1
	}
	// Names of images are paths, else texts, else numbers in the first column.
	for _, fits := range []func(int) bool{
		func(i int) bool { return kind[i].picture && !kind[i].empty },
		func(i int) bool { return !kind[i].number },
		func(i int) bool { return i == 0 || slices.Contains(indexNames, lower[0]) && i == 1 },
	} {
		if i := named(idNames, fits); c.id < 0 && i >= 0 {
			c.id = take(i)
		}
	}
	if i := named(indexNames, func(i int) bool { return i == 0 && kind[i].whole }); i >= 0 && n > 1 {
		c.index = take(i)
	}
	// Predicted names of classes want names as labels.
	word := func(i int) bool { return !kind[i].number && !kind[i].empty }
	if i := named(labelNames, word); i >= 0 && named(predictedNames, word) >= 0 {
		c.label = take(i)
	} else if i := named(labelNames, func(int) bool { return true }); i >= 0 {
		c.label = take(i)
	}
	group := classColumns(lower, kind, free)
	over := func(i int) { c.over = append(c.over, strings.TrimSpace(header[take(i)])) }
	for i := range n { // other names of the image, and of its label
		other := c.id >= 0 && slices.Contains(idNames, lower[i]) || c.label >= 0 && slices.Contains(labelNames, lower[i])
		if free[i] && other && !slices.Contains(group, i) {
			over(i)
		}
	}
	if group != nil {
		for i := range n {
			if free[i] && !slices.Contains(group, i) {
				if c.id < 0 && kind[i].picture && !kind[i].empty {
					c.id = take(i)
					continue
				}
				over(i)
			}
		}
		c.scores = group
		return c, c.name(header)
	}
	predicted := named(predictedNames, func(i int) bool { return !kind[i].empty && !kind[i].number })
	if predicted < 0 {
		predicted = named(predictedNames, func(i int) bool { return !kind[i].empty })
	}
	var odd []int // texts that are nothing known
	for i := range n {
		switch {
		case !free[i] || i == predicted || slices.Contains(aside, lower[i]) || slices.Contains(predictedNames, lower[i]):
		case kind[i].number:
			c.scores = append(c.scores, i)
		case c.id < 0 && (kind[i].picture || i == 0):
			c.id = take(i)
		default:
			odd = append(odd, i)
		}
	}
	var beside []int // what is no class
	for i := range n {
		if free[i] && (slices.Contains(aside, lower[i]) || slices.Contains(predictedNames, lower[i])) {
			beside = append(beside, i)
		}
	}
	switch {
	case len(c.scores) < 2 && predicted >= 0: // one column of numbers holds no scores of classes
		c.scores = nil
		c.predicted, c.numbers = take(predicted), kind[predicted].number
		if c.numbers && !kind[predicted].whole { // the score of a single output
			c.scores, c.predicted = []int{predicted}, -1
			for _, i := range beside {
				if i != predicted {
					return c, asideError(i, header[i])
				}
			}
			return c, c.name(header)
		}
		for i := range n {
			if free[i] {
				over(i)
			}
		}
		return c, nil
	case len(c.scores) == 0 && len(beside) == 1 && slices.Contains([]string{"probability", "prob", "score", "confidence", "conf"}, lower[beside[0]]) && len(odd) == 0:
		c.scores = beside // the score of a single output
	case len(beside) > 0:
		return c, asideError(beside[0], header[beside[0]])
	case len(odd) > 0:
		return c, fmt.Errorf("%q in column %d (%s) is no score; columns are images, labels (called label), predicted classes (called prediction) and scores, called as the classes", rows[0][odd[0]].text, odd[0]+1, strings.TrimSpace(header[odd[0]]))
	case len(c.scores) == 0 && c.label >= 0:
		return c, fmt.Errorf("it has labels (column %q) and no scores; call a column of predicted classes prediction", strings.TrimSpace(header[c.label]))
	case len(c.scores) == 0:
		return c, errors.New("none of its columns holds scores")
	}
	return c, c.name(header)
}

func asideError(column int, name string) error {
	return fmt.Errorf("column %d is called %q, which is no class; leave in the file a column of images, one of labels and those of the classes' scores", column+1, strings.TrimSpace(name))
}

// unnamed says what the columns of a table without a header are: at most one names the images, the
// others are scores; or the other one is the predicted class.
func unnamed(kind []kinds) (columns, error) {
	c := columns{id: -1, label: -1, index: -1, predicted: -1}
	var words []int
	for i, k := range kind {
		if k.number && !k.empty {
			c.scores = append(c.scores, i)
		} else {
			words = append(words, i)
		}
	}
	pictures := slices.DeleteFunc(slices.Clone(words), func(i int) bool { return !kind[i].picture })
	switch {
	case len(words) == 0:
	case len(words) == 1 && len(c.scores) > 0:
		c.id = words[0]
	case len(words) == 1 && len(pictures) == 0:
		c.predicted = words[0]
	case len(words) == 2 && len(c.scores) == 0 && len(pictures) == 1:
		c.id, c.predicted = pictures[0], words[0]+words[1]-pictures[0]
	case len(words) > 1:
		return c, fmt.Errorf("columns %d and %d are words; begin with a line that names the columns: images (called image), labels (called label), predicted classes (called prediction) and scores, called as the classes", words[0]+1, words[1]+1)
	default:
		return c, errors.New("none of its columns holds scores")
	}
	return c, nil
}

// classColumns are columns of numbers that are surely classes, whatever else there is: those with one
// of the prefixes, or called by numbers, at least two. nil where there are none.
func classColumns(lower []string, kind []kinds, free []bool) []int {
	groups := map[string][]int{}
	most := ""
	for i, name := range lower {
		if !free[i] || !kind[i].number {
			continue
		}
		key, ok := prefix(name)
		if _, err := strconv.Atoi(name); err == nil {
			key, ok = "#", true
		}
		if ok {
			groups[key] = append(groups[key], i)
			if len(groups[key]) > len(groups[most]) {
				most = key
			}
		}
	}
	if len(groups[most]) < 2 {
		return nil
	}
	return groups[most]
}

// prefix is what a header begins with that is no part of the class, with what parts it from the rest.
func prefix(name string) (string, bool) {
	for _, p := range prefixes {
		if rest, ok := cutFold(name, p); ok && len(rest) > 1 && strings.ContainsAny(rest[:1], "_-.: ") {
			return name[:len(p)+1], true
		}
	}
	return "", false
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

// name sets names and headers of the scores. Where they are called by the numbers 0 to n-1 they are
// brought into that order and have no names; numbers from 1 are brought into order as well.
func (c *columns) name(header []string) error {
	for _, at := range c.scores {
		c.headers = append(c.headers, strings.TrimSpace(header[at]))
	}
	c.names = slices.Clone(c.headers)
	for len(c.names) > 1 { // prob_class_0
		p, ok := prefix(c.names[0])
		if !ok || slices.ContainsFunc(c.names, func(s string) bool { rest, ok := cutFold(s, p); return !ok || rest == "" }) {
			break
		}
		for i, s := range c.names {
			c.names[i] = s[len(p):]
		}
	}
	if i, j := twice(c.names); i >= 0 {
		return fmt.Errorf("columns %d and %d are both called %q", c.scores[i]+1, c.scores[j]+1, c.names[j])
	}
	numbers := wholeNumbers(c.names)
	for _, from := range []int{0, 1} {
		if len(numbers) < 2 || !counts(numbers, from) {
			continue
		}
		scores, headers := slices.Clone(c.scores), slices.Clone(c.headers)
		for i, n := range numbers {
			c.scores[n-from], c.headers[n-from] = scores[i], headers[i]
		}
		c.names = nil
		for i := range numbers {
			c.names = append(c.names, strconv.Itoa(i+from))
		}
		if from == 0 {
			c.names = nil
		}
		break
	}
	return nil
}

// wholeNumbers are names as numbers; nil where some are none.
func wholeNumbers(names []string) []int {
	out := make([]int, len(names))
	for i, s := range names {
		v, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			return nil
		}
		out[i] = v
	}
	return out
}

// counts says whether numbers are from, from+1 and so on, in any order.
func counts(numbers []int, from int) bool {
	sorted := slices.Sorted(slices.Values(numbers))
	for i, n := range sorted {
		if n != i+from {
			return false
		}
	}
	return true
}
