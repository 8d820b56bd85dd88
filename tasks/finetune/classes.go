package finetune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/text"
)

// most is how many names a sentence lists.
const most = 5

// truth says which classes the images of a data set are of.
type truth struct {
	classes []string
	index   map[string]int // of classes, where images have one label
	several *datasets.MultiLabels
}

// row writes the targets of sample i: 0 or 1, NaN where it is not known. It returns its class,
// of several the first, len(classes) where it is of none; -1 without a label.
func (t *truth) row(dst []float64, im *evaluation.Images, i int) int {
	clear(dst)
	if t.several == nil {
		l := im.Label(i)
		if l == datasets.Unlabelled {
			return -1
		}
		c := t.index[im.Classes()[l]]
		dst[c] = 1
		return c
	}
	if t.several.Of[i] == nil {
		return -1
	}
	class := len(dst)
	for c, v := range t.several.Of[i] {
		switch v {
		case 1:
			dst[c] = 1
			class = min(class, c)
		case -1:
			dst[c] = math.NaN()
		}
	}
	return class
}

// labelled are the samples with a label, ascending; nil is all.
func (t *truth) labelled(im *evaluation.Images) []int {
	at := []int{}
	row := make([]float64, len(t.classes))
	for i := range im.Len() {
		if t.row(row, im, i) >= 0 {
			at = append(at, i)
		}
	}
	if len(at) == im.Len() {
		return nil
	}
	return at
}

// classesOf finds the classes of the head. The training images that it returns are those to
// take of images with several labels.
func (j *Job) classesOf(ctx context.Context, im *evaluation.Images) (*truth, *evaluation.Images, error) {
	t := &truth{classes: im.Classes(), index: map[string]int{}}
	switch {
	case j.config.several():
		m, err := im.MultiLabels(j.config.Multi, j.config.MultiSplit)
		if err != nil {
			return nil, nil, err
		}
		j.notes = append(append(j.notes, m.Why), m.Notes...)
		return &truth{classes: m.Classes, several: m}, limited(im, m), nil
	case j.config.Keep:
		labels, err := j.base.Labels(ctx, im)
		if err != nil {
			return nil, nil, fmt.Errorf("to keep the head, the data must have the model's classes: %w", err)
		}
		names := slices.Clone(j.base.Model.ClassNames)
		if guessed(labels, names) {
			return nil, nil, fmt.Errorf("to keep the head, the data must have the model's classes, and %s are not %s: give --head new",
				text.Some(im.Classes(), most), text.Some(names, most))
		}
		for i := len(names); i < j.head.Classes; i++ { // the model names none
			names = append(names, strconv.Itoa(i))
		}
		for c, o := range labels.Output {
			if t.index[labels.Names[c]] = o; len(j.base.Model.ClassNames) == 0 {
				names[o] = labels.Names[c]
			}
		}
		t.classes = names
		return t, im, nil
	case !im.Labelled():
		return nil, nil, fmt.Errorf("the training images of %s have no labels (%s); give them with --labels", im.Name, im.Why)
	case len(t.classes) < 2:
		return nil, nil, fmt.Errorf("the training images of %s have %d class; a classifier needs two or more", im.Name, len(t.classes))
	}
	for i, c := range t.classes {
		t.index[c] = i
	}
	return t, im, nil
}

// guessed says whether classes were matched by their order alone though the model names its
// own, which are others.
func guessed(labels *evaluation.Labels, names []string) bool {
	return len(names) > 0 && strings.HasPrefix(labels.How, datasets.InOrder)
}

// limited takes as many of the annotated images as the limit says. A larger limit takes those
// of a smaller one, too.
func limited(im *evaluation.Images, m *datasets.MultiLabels) *evaluation.Images {
	n := im.Config.Limit
	if n == 0 {
		return im
	}
	var known []int
	for i, of := range m.Of {
		if of != nil {
			known = append(known, i)
		}
	}
	heads.Splitting.Rand(im.Config.Seed, -1, 0).Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	known = known[:min(n, len(known))]
	slices.Sort(known)
	return im.Select(known)
}

// other opens the images of another role, with the training images' classes.
func (j *Job) other(name, path, lists string) error {
	train := j.roles[0]
	of := train.images.Config
	im, err := j.base.Images(evaluation.DataConfig{
		Path: path, Prefer: name, Format: of.Format, Labels: of.Labels, Root: of.Root, Split: of.Split, Unlabelled: of.Unlabelled, Seed: of.Seed,
	})
	if err != nil {
		return fmt.Errorf("%s images: %w", name, err)
	}
	r := &role{name: name, images: im, truth: train.truth}
	j.roles = append(j.roles, r) // which closes them
	if j.config.several() {
		m, err := im.MultiLabels(j.config.Multi, lists)
		if err != nil {
			return fmt.Errorf("%s images: %w", name, err)
		}
		if !slices.Equal(m.Classes, j.classes) {
			return fmt.Errorf("%s images are annotated with other classes (%v) than the training images (%v)", name, m.Classes, j.classes)
		}
		r.truth = &truth{classes: m.Classes, several: m}
		return nil
	}
	if !im.Labelled() {
		return fmt.Errorf("%s images: those of %s have no labels (%s); give them with --labels", name, im.Name, im.Why)
	}
	var unknown []string
	for _, class := range im.Classes() {
		if _, ok := r.truth.index[class]; !ok {
			unknown = append(unknown, class)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%s images are of classes that no training image has: %s", name, text.Some(unknown, most))
	}
	return nil
}
