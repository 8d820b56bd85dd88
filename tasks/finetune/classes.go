package finetune

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/text"
	"cutmix-eval/tasks/multilabel"
)

// most is how many names a sentence lists.
const most = 5

// classesOf finds the classes of the head and what the training images are. Of images with several
// labels it returns those to take.
func (j *Job) classesOf(ctx context.Context, im *evaluation.Images) (*datasets.Truth, *evaluation.Images, error) {
	j.index = map[string]int{}
	switch classes := im.Classes(); {
	case j.config.several():
		m, err := im.MultiLabels(j.config.Multi, j.config.MultiSplit)
		if err != nil {
			return nil, nil, err
		}
		j.classes, j.notes = m.Classes, append(append(j.notes, m.Why), m.Notes...)
		return m.Truth(im.Dataset), multilabel.Limited(im, m), nil
	case j.config.Keep:
		if err := j.oldClasses(ctx, im); err != nil {
			return nil, nil, fmt.Errorf("to keep the head, the data must have the model's classes%w", err)
		}
	case !im.Labelled():
		return nil, nil, fmt.Errorf("the training images of %s have no labels (%s); give them with --labels", im.Name, im.Why)
	case len(classes) < 2:
		return nil, nil, fmt.Errorf("the training images of %s have %d class; a classifier needs two or more", im.Name, len(classes))
	default:
		j.classes = classes
		for i, c := range classes {
			j.index[c] = i
		}
	}
	truth, _ := im.Truth(j.classes, j.index)
	return truth, im, nil
}

// oldClasses takes the classes of the model's own head, which must be those of the images.
func (j *Job) oldClasses(ctx context.Context, im *evaluation.Images) error {
	labels, err := j.base.Labels(ctx, im)
	if err != nil {
		return fmt.Errorf(": %w", err)
	}
	own := j.base.Model.ClassNames
	j.classes = slices.Clone(own)
	for i := len(own); i < j.head.Classes; i++ { // the model names none
		j.classes = append(j.classes, strconv.Itoa(i))
	}
	for c, o := range labels.Output {
		if j.index[labels.Names[c]] = o; len(own) == 0 {
			j.classes[o] = labels.Names[c]
		}
	}
	return nil
}

// other opens the images of another role, with the training images' classes.
func (j *Job) other(name, path, lists string) error {
	of := j.roles[0].images.Config
	im, err := j.base.Images(evaluation.DataConfig{
		Path: path, Prefer: name, Format: of.Format, Labels: of.Labels, Root: of.Root, Split: of.Split, Unlabelled: of.Unlabelled, Seed: of.Seed,
	})
	if err != nil {
		return fmt.Errorf("%s images: %w", name, err)
	}
	r := &role{name: name, images: im}
	j.roles = append(j.roles, r) // which closes them
	if j.config.several() {
		m, err := im.MultiLabels(j.config.Multi, lists)
		if err != nil {
			return fmt.Errorf("%s images: %w", name, err)
		}
		if !slices.Equal(m.Classes, j.classes) {
			return fmt.Errorf("%s images are annotated with other classes (%v) than the training images (%v)", name, m.Classes, j.classes)
		}
		r.truth = m.Truth(im.Dataset)
		return nil
	}
	if !im.Labelled() {
		return fmt.Errorf("%s images: those of %s have no labels (%s); give them with --labels", name, im.Name, im.Why)
	}
	var unknown []string
	if r.truth, unknown = im.Truth(j.classes, j.index); len(unknown) > 0 {
		return fmt.Errorf("%s images are of classes that no training image has: %s", name, text.Some(unknown, most))
	}
	return nil
}
