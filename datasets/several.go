package datasets

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/text"
)

// Also are the further classes of sample i, where it is of several and a prediction of any of them
// is right; mostly none.
func (d *Dataset) Also(i int) []int {
	if d.derived != nil {
		return d.derived.from.Also(i / len(d.derived.variants))
	}
	return d.also[i]
}

// takeAlso keeps the further classes of a sample.
func (d *Dataset) takeAlso(sample int, classes []int) {
	if len(classes) == 0 {
		return
	}
	if d.also == nil {
		d.also = map[int][]int{}
	}
	d.also[sample] = classes
}

// validationImage is a name of ILSVRC 2012's validation images.
var validationImage = regexp.MustCompile(`^ILSVRC2012_val_(\d{8})(?:\D|$)`)

// severalClasses reads ReaL's labels: for every validation image of ILSVRC 2012, by its number, the
// outputs that are right. An image with an empty list has no label.
func (l *labelFile) severalClasses(lists [][]int, t *tree, images []int) error {
	l.kind = "all right outputs of each ILSVRC 2012 validation image"
	index := map[int]int{}
	for k, list := range lists {
		for _, n := range list {
			if n < 0 {
				return fmt.Errorf("list %d has the class number %d", k+1, n)
			}
			index[n] = 0
		}
	}
	l.indices = slices.Sorted(maps.Keys(index))
	for i, n := range l.indices {
		index[n] = i
		l.names = append(l.names, strconv.Itoa(n))
	}
	l.label, l.also = map[int]int{}, map[int][]int{}
	for _, i := range images {
		m := validationImage.FindStringSubmatch(path.Base(t.files[i].path))
		if m == nil {
			return fmt.Errorf("its lists of classes are of ILSVRC 2012's validation images by their numbers, and %s is none (ILSVRC2012_val_00000001.JPEG …); give one label per image as \"path,output\" lines",
				t.files[i].path)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n < 1 || n > len(lists) {
			return fmt.Errorf("it has %d lists of classes, and none for %s", len(lists), t.files[i].path)
		}
		for k, c := range lists[n-1] {
			if k == 0 {
				l.label[i] = index[c]
			} else {
				l.also[i] = append(l.also[i], index[c])
			}
		}
	}
	return nil
}

// checkSets checks the outputs of classes that have several.
func checkSets(sets map[string][]int) error {
	of := map[int]string{}
	for _, class := range slices.Sorted(maps.Keys(sets)) {
		for _, o := range sets[class] {
			if o < 0 {
				return fmt.Errorf("class %q has output %d", class, o)
			}
			if other, ok := of[o]; ok {
				return fmt.Errorf("classes %q and %q are both output %d", other, class, o)
			}
			of[o] = class
		}
	}
	return nil
}

// bySets makes samples of class folders whose classes are those of a map to several outputs. Images of
// a class without an output are left out.
func (d *Dataset) bySets(t *tree, base string, images []int, sets map[string][]int, from string) error {
	d.ClassSets, d.MapName = map[string][]int{}, from
	for class, outputs := range sets {
		if len(outputs) > 0 {
			d.ClassSets[class] = outputs
		}
	}
	d.Classes = slices.Sorted(maps.Keys(d.ClassSets))
	folded, _ := folds(d.Classes)
	label := func(folder string) int {
		if i, ok := slices.BinarySearch(d.Classes, folder); ok {
			return i
		}
		if i, ok := folded[fold(folder)]; ok {
			return i
		}
		return Unlabelled
	}
	without := map[string]bool{}
	n := 0
	for _, i := range images {
		folder, _, _ := strings.Cut(strings.TrimPrefix(t.files[i].path[len(base):], "/"), "/")
		if l := label(folder); l != Unlabelled {
			d.Samples = append(d.Samples, sample(t, i, l))
			continue
		}
		without[folder] = true
		n++
	}
	if n > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d images of %d classes that are no output by %s were left out (%s)", n, len(without), filepath.Base(from), text.Some(slices.Sorted(maps.Keys(without)), 3)))
	}
	if len(d.Samples) == 0 {
		return fmt.Errorf("none of its class folders is a class of %s", from)
	}
	slices.SortStableFunc(d.Samples, func(a, b Sample) int { return cmp.Compare(a.Label, b.Label) })
	return nil
}

// The files of ObjectNet (https://objectnet.dev) that say which of ImageNet's classes its folders are.
const (
	objectNetFolders = "folder_to_objectnet_label.json"
	objectNetNames   = "objectnet_to_imagenet_1k.json"
	objectNetList    = "imagenet_to_label_2012_v2"
	objectNetOutputs = "pytorch_to_imagenet_2012_id.json"
)

// objectNet is the folder of ObjectNet's mappings, in the tree or beside a folder of images, as a way
// to read its files; nil where the data is not ObjectNet.
func (t *tree) objectNet() func(name string) ([]byte, error) {
	for _, f := range t.files {
		if path.Base(f.path) != objectNetFolders {
			continue
		}
		dir := path.Dir(f.path)
		return func(name string) ([]byte, error) {
			data, ok, err := t.text(path.Join(dir, name))
			if err == nil && !ok {
				err = errors.New("it is missing")
			}
			return data, err
		}
	}
	if t.kind == "folder" {
		dir := filepath.Join(filepath.Dir(filepath.Clean(t.root)), "mappings")
		if _, err := os.Stat(filepath.Join(dir, objectNetFolders)); err == nil {
			return func(name string) ([]byte, error) { return regular.Read(filepath.Join(dir, name), regular.Small) }
		}
	}
	return nil
}

// objectNetSets reads ObjectNet's mappings: the outputs of each folder. Names of ImageNet's classes are
// lines of a list, whose places are numbers that a table gives for every output.
func objectNetSets(read func(name string) ([]byte, error)) (map[string][]int, error) {
	var folders, names map[string]string
	var places map[string]int
	for _, f := range []struct {
		name string
		into any
	}{{objectNetFolders, &folders}, {objectNetNames, &names}, {objectNetOutputs, &places}} {
		data, err := read(f.name)
		if err == nil {
			err = json.Unmarshal(data, f.into)
		}
		if err != nil {
			return nil, fmt.Errorf("reading ObjectNet's mapping %s: %w", f.name, err)
		}
	}
	list, err := read(objectNetList)
	if err != nil {
		return nil, fmt.Errorf("reading ObjectNet's mapping %s: %w", objectNetList, err)
	}
	output := map[int]int{} // by place
	for key, place := range places {
		o, err := strconv.Atoi(key)
		if err != nil {
			return nil, fmt.Errorf("ObjectNet's mapping %s: %q is no output", objectNetOutputs, key)
		}
		output[place] = o
	}
	of := map[string][]int{} // two names of ImageNet's stand for two classes each
	for i, line := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		if o, ok := output[i]; ok {
			line = strings.TrimSpace(line)
			of[line] = append(of[line], o)
		}
	}
	sets := map[string][]int{}
	for folder, label := range folders {
		for name := range strings.SplitSeq(names[label], ";") {
			name = strings.TrimSpace(name)
			if name == "" {
				continue // of no class of ImageNet's
			}
			outputs, ok := of[name]
			if !ok {
				return nil, fmt.Errorf("ObjectNet's mapping %s has no %q, which %s names for %q", objectNetList, name, objectNetNames, label)
			}
			sets[folder] = append(sets[folder], outputs...)
		}
		slices.Sort(sets[folder])
	}
	return sets, checkSets(sets)
}

// withoutRedBorder cuts off the border of one red pixel that ObjectNet's pictures have; a picture
// without it stays as it is.
func withoutRedBorder(im imageproc.Image) imageproc.Image {
	red := func(x, y int) bool {
		p := im.Pix[3*(y*im.W+x):]
		return p[0] >= 250 && p[1] <= 5 && p[2] <= 5
	}
	if im.W < 3 || im.H < 3 {
		return im
	}
	for x := range im.W {
		if !red(x, 0) || !red(x, im.H-1) {
			return im
		}
	}
	for y := range im.H {
		if !red(0, y) || !red(im.W-1, y) {
			return im
		}
	}
	out := imageproc.New(im.W-2, im.H-2)
	for y := range out.H {
		copy(out.Pix[3*y*out.W:3*(y+1)*out.W], im.Pix[3*((y+1)*im.W+1):])
	}
	return out
}
