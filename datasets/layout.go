package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/text"
)

// recognise finds out what a tree is.
func recognise(t *tree, o Options) (*Dataset, error) {
	base := commonDir(t, o)
	d := &Dataset{src: t, Notes: t.skip}
	for _, dir := range wayDown(t, base) {
		if done, err := d.tiny(t, dir, o); done || err != nil {
			return d, err
		}
		if done, err := d.cifarTree(t, dir, o); done || err != nil {
			return d, err
		}
	}
	switch o.Format {
	case TinyImageNet:
		return nil, errors.New("no val_annotations.txt beside a folder images was found, so it is not Tiny-ImageNet's validation part")
	case CIFAR:
		return nil, errors.New("there are no CIFAR binary files (test_batch.bin, data_batch_1.bin, test.bin, train.bin)")
	}
	if o.Unlabelled && o.Split == "" {
		return d, d.folders(t, "", "", o)
	}
	splitWhy, named := "", false
	for range 3 { // wrappers and splits may alternate
		next, why, note, err := pickSplit(t, base, o)
		if err != nil {
			return nil, err
		}
		if note != "" {
			d.Notes = append(d.Notes, note)
		}
		if why == "" {
			break
		}
		splitWhy = why
		base = next
		named = named || isSplit(path.Base(base), o.Split)
	}
	named = named || isSplit(path.Base(base), o.Split) // the only one, passed as a wrapper
	if o.Split != "" && !named {
		return nil, fmt.Errorf("there is no split %q: it has no folder of that name", o.Split)
	}
	return d, d.folders(t, base, splitWhy, o)
}

// commonDir is the folder that the data begins in. Downloads have wrappers, and
// folders without images beside the one that counts: as long as a single folder
// holds all images, and it holds them in folders of its own, go down.
func commonDir(t *tree, o Options) string {
	base := ""
	for {
		dirs, loose := children(t, base)
		var full []string
		for _, d := range dirs {
			if t.hasImages(path.Join(base, d)) {
				full = append(full, d)
			}
		}
		if len(full) != 1 || loose > 0 {
			return base
		}
		_, inside := children(t, path.Join(base, full[0]))
		// Images right inside: one class folder, or a wrapper of a flat folder.
		if inside > 0 && (len(dirs) > 1 || looksLikeClass(full[0]) || o.Format == ClassFolders) {
			return base
		}
		base = path.Join(base, full[0])
	}
}

var wnid = regexp.MustCompile(`^n\d{8}$`)

func looksLikeClass(name string) bool { return wnid.MatchString(name) || digits(name) }

func digits(s string) bool {
	if s == "" || len(s) > 9 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// wayDown lists the folders in which a known layout may begin: those from the
// top to base, or through wrappers where there are no images.
func wayDown(t *tree, base string) []string {
	out := []string{""}
	for _, name := range strings.Split(base, "/") {
		if name != "" {
			out = append(out, path.Join(out[len(out)-1], name))
		}
	}
	if base == "" {
		for dir := ""; ; out = append(out, dir) {
			dirs, _ := children(t, dir)
			if len(dirs) != 1 || len(out) > maxDepth {
				break
			}
			dir = path.Join(dir, dirs[0])
		}
	}
	return out
}

// children lists the folders right below dir and counts the images there.
func children(t *tree, dir string) (dirs []string, images int) {
	seen := map[string]bool{}
	see := func(p string, image bool) {
		rest := strings.TrimPrefix(p[len(dir):], "/")
		first, _, deeper := strings.Cut(rest, "/")
		switch {
		case !deeper:
			if image {
				images++
			}
		case !seen[first]:
			seen[first] = true
			dirs = append(dirs, first)
		}
	}
	for _, i := range t.under(dir) {
		see(t.files[i].path, t.files[i].image)
	}
	for _, d := range t.dirs { // empty ones too
		if dir == "" || strings.HasPrefix(d, dir+"/") {
			see(d+"/", false)
		}
	}
	return dirs, images
}

// folders reads class folders, or a flat folder with a label file.
func (d *Dataset) folders(t *tree, base, splitWhy string, o Options) error {
	d.base = base
	objectNet := t.objectNet()
	if d.border = objectNet != nil; d.border {
		d.Notes = append(d.Notes, "ObjectNet: the red border of one pixel is cut off where a picture has it")
	}
	dirs, _ := children(t, base)
	var inside, loose []int // images in folders, and right in base
	other := 0
	for _, i := range t.under(base) {
		rest := strings.TrimPrefix(t.files[i].path[len(base):], "/")
		switch {
		case !t.files[i].image:
			other++
		case strings.Contains(rest, "/"):
			inside = append(inside, i)
		default:
			loose = append(loose, i)
		}
	}
	if other > 0 {
		d.Notes = append(d.Notes, amount(other, "file that is not an image was passed over", "files that are not images were passed over"))
	}
	prefix := t.kind
	if t.kind == "tar" {
		prefix = "tar file, read in place"
	}
	if splitWhy != "" {
		prefix += ", " + splitWhy
	}
	flat := o.Format == Flat || o.Unlabelled || o.Format != ClassFolders && len(inside) == 0
	var labels *labelFile
	if o.Labels != "" {
		all := append(slices.Clone(inside), loose...)
		slices.Sort(all)
		var err error
		if labels, err = readLabels(o, t, all, dirs); err != nil {
			return err
		}
		if labels.images() {
			return d.byLabelFile(t, all, labels, prefix)
		}
		if flat {
			return fmt.Errorf("label file %q names none of the %d images, nor has it one label for each", o.Labels, len(all))
		}
	}
	if flat && o.Labels == "" && !o.Unlabelled {
		if done, err := d.metadata(t, base, append(slices.Clone(inside), loose...), prefix); done || err != nil {
			return err
		}
	}
	if flat {
		where := "in one folder"
		if len(inside) > 0 {
			where = "in all folders"
		}
		d.Format, d.Why = Flat, fmt.Sprintf("%s: %d images %s, without labels", prefix, len(loose)+len(inside), where)
		for _, i := range append(loose, inside...) {
			d.Samples = append(d.Samples, sample(t, i, Unlabelled))
		}
		return nil
	}
	if len(loose) > 0 {
		d.Notes = append(d.Notes, amount(len(loose), "image that lies outside the class folders was passed over", "images that lie outside the class folders were passed over"))
	}
	if len(dirs) == 0 {
		return errors.New("there are no class folders")
	}
	var sets map[string][]int
	from := o.Labels
	switch {
	case labels != nil:
		sets = labels.sets
	case objectNet != nil:
		var err error
		if sets, err = objectNetSets(objectNet); err != nil {
			return err
		}
		from = objectNetNames
	}
	if sets != nil {
		if err := d.bySets(t, base, inside, sets, from); err != nil {
			return err
		}
		d.Format, d.Why = ClassFolders, fmt.Sprintf("%s: %d class folders, to outputs by %s", prefix, len(dirs), path.Base(filepath.ToSlash(from)))
		return nil
	}
	order := d.classOrder(dirs)
	d.Format, d.Why = ClassFolders, fmt.Sprintf("%s: %d class folders (%s)", prefix, len(dirs), order)
	label := make(map[string]int, len(d.Classes))
	for i, c := range d.Classes {
		label[c] = i
	}
	counts := make([]int, len(d.Classes))
	for _, i := range inside {
		rest := strings.TrimPrefix(t.files[i].path[len(base):], "/")
		class, _, _ := strings.Cut(rest, "/")
		l := label[class]
		counts[l]++
		d.Samples = append(d.Samples, sample(t, i, l))
	}
	// Samples in class order, then path order.
	slices.SortStableFunc(d.Samples, func(a, b Sample) int { return cmp.Compare(a.Label, b.Label) })
	empty := 0
	for _, n := range counts {
		if n == 0 {
			empty++
		}
	}
	if empty > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d of %d class folders hold no images", empty, len(d.Classes)))
	}
	if labels != nil {
		d.Notes = append(d.Notes, labels.notes...)
		d.mapClasses(labels, o.Labels)
	}
	return nil
}

// amount is a number of things, one or many.
func amount(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// metadata reads labels from the file that Hugging Face's imagefolder has among the images, if it has any.
func (d *Dataset) metadata(t *tree, base string, images []int, prefix string) (done bool, err error) {
	slices.Sort(images)
	for _, name := range []string{"metadata.csv", "metadata.jsonl"} {
		data, ok, err := t.text(path.Join(base, name))
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		if data, err = text.UTF8(data); err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		head, _, _ := strings.Cut(string(data), "\n")
		if head = strings.ToLower(head); !strings.Contains(head, "file_name") || !strings.Contains(head, "label") {
			continue // of something else: captions, boxes
		}
		l := &labelFile{path: name}
		if err := l.parse(data, t, images, nil); err != nil {
			return false, fmt.Errorf("reading labels from %s: %w; to do without it, give the labels with --labels", name, err)
		}
		if l.images() {
			return true, d.byLabelFile(t, images, l, prefix)
		}
	}
	return false, nil
}

func sample(t *tree, i, label int) Sample {
	return Sample{ID: t.files[i].path, Label: label, Size: t.files[i].size, at: i}
}

// classOrder sorts folder names into Classes: by number when all are numbers,
// otherwise by their bytes, as torchvision's ImageFolder does.
func (d *Dataset) classOrder(dirs []string) string {
	d.Classes = slices.Clone(dirs)
	if !slices.ContainsFunc(dirs, func(s string) bool { return !digits(s) }) {
		number := func(s string) int { n, _ := strconv.Atoi(s); return n }
		slices.SortFunc(d.Classes, func(a, b string) int {
			return cmp.Or(cmp.Compare(number(a), number(b)), strings.Compare(a, b))
		})
		first, last := number(d.Classes[0]), number(d.Classes[len(dirs)-1])
		if first == 1 && last == len(dirs) {
			return fmt.Sprintf("numbers 1 to %d, in numeric order; label = number - 1", last)
		}
		for _, c := range d.Classes {
			d.Indices = append(d.Indices, number(c))
		}
		if first > 0 {
			d.Notes = append(d.Notes, fmt.Sprintf("there is no folder 0: if the numbering starts at 1, every label is one too high; give --class-order from-1 then (first folder %d, last %d, %d in all)", first, last, len(dirs)))
		}
		return fmt.Sprintf("numbers %d to %d, in numeric order; label = number", first, last)
	}
	slices.Sort(d.Classes)
	if !slices.ContainsFunc(dirs, func(s string) bool { return !wnid.MatchString(s) }) {
		return "WordNet synset names, sorted"
	}
	return "names, sorted"
}

// byLabelFile gives every image the label that a file has for it.
func (d *Dataset) byLabelFile(t *tree, images []int, l *labelFile, prefix string) error {
	d.Format = Flat
	d.Classes, d.Indices = l.names, l.indices
	d.call(l)
	d.Notes = append(d.Notes, l.notes...)
	missing := 0
	for _, i := range images {
		label, ok := l.of(i)
		if !ok {
			missing++
			continue
		}
		d.takeAlso(len(d.Samples), l.also[i])
		d.Samples = append(d.Samples, sample(t, i, label))
	}
	d.Why = fmt.Sprintf("%s: %d images with labels from %s (%s)", prefix, len(d.Samples), path.Base(l.path), l.kind)
	if missing > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d images have no entry in %s and were passed over", missing, path.Base(l.path)))
	}
	for _, a := range l.absent {
		d.Samples = append(d.Samples, Sample{ID: a.name, Label: a.label, Size: -1})
	}
	if len(l.absent) > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d images of %s are missing", len(l.absent), path.Base(l.path)))
	}
	if len(d.Samples) == 0 {
		return errors.New("no image has a label")
	}
	return nil
}

// tiny reads Tiny-ImageNet's validation part: val_annotations.txt beside images/.
func (d *Dataset) tiny(t *tree, base string, o Options) (bool, error) {
	if o.Format != Auto && o.Format != TinyImageNet || o.Labels != "" || o.Split != "" && o.Split != "val" {
		return false, nil
	}
	if o.Split == "" && o.Prefer == "train" && t.hasImages(path.Join(base, "train")) {
		return false, nil
	}
	dir, isTiny := "", false
	for _, try := range []string{path.Join(base, "val"), base} {
		_, ok, _ := t.text(path.Join(try, "val_annotations.txt"))
		// Many sort the images into class folders and leave the list behind.
		if ok && len(t.under(path.Join(try, "images"))) > 0 {
			dir, isTiny = try, true
			break
		}
	}
	if !isTiny {
		return false, nil
	}
	data, _, err := t.text(path.Join(dir, "val_annotations.txt"))
	if err != nil {
		return true, err
	}
	labelOf := map[string]string{}
	var classes []string
	for n, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 2 {
			return true, fmt.Errorf("val_annotations.txt line %d: %q is not a file and a class", n+1, line)
		}
		labelOf[f[0]] = f[1]
		classes = append(classes, f[1])
	}
	// wnids.txt may name classes without images; it is not sorted.
	root := base
	if dir == base {
		root = path.Dir(base)
	}
	if ids, ok, err := t.text(path.Join(root, "wnids.txt")); ok && err == nil {
		classes = append(classes, strings.Fields(string(ids))...)
	}
	slices.Sort(classes)
	d.Classes = slices.Compact(classes)
	index := map[string]int{}
	for i, c := range d.Classes {
		index[c] = i
	}
	found := map[string]bool{}
	for _, i := range t.under(path.Join(dir, "images")) {
		name := path.Base(t.files[i].path)
		class, ok := labelOf[name]
		if !ok {
			d.Notes = append(d.Notes, fmt.Sprintf("%s is not in val_annotations.txt", name))
			continue
		}
		found[name] = true
		d.Samples = append(d.Samples, sample(t, i, index[class]))
	}
	for name, class := range labelOf {
		if !found[name] {
			d.Samples = append(d.Samples, Sample{ID: path.Join(dir, "images", name), Label: index[class], Size: -1})
		}
	}
	slices.SortFunc(d.Samples, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), strings.Compare(a.ID, b.ID))
	})
	d.Format, d.base = TinyImageNet, dir
	d.Why = fmt.Sprintf("%s: Tiny-ImageNet's validation part (val_annotations.txt), %d classes sorted by synset", t.kind, len(d.Classes))
	return true, nil
}
