package corruption

import (
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"
)

// experiment is what is done to images, and what is reported of it.
type experiment interface {
	// variants lists what is made of an image: itself first.
	variants() []Variant
	// partners pairs every image with the one that is mixed into it; nil where none is.
	partners(d *datasets.Dataset, seed uint64) []int
	// apply makes variant v of image i, which is given as the model sees it and stays as it
	// is. The result is valid until the maker's next one.
	apply(m *maker, i int, v Variant, clean imageproc.Image) (imageproc.Image, error)
	// report writes the numbers of a run, and views of them.
	report(g *grid, r *report.Report)
	// compared are the numbers that runs are compared by.
	compared(g *grid) []compared
}

func (c Config) experiment() experiment {
	switch c.Experiment {
	case Centre:
		return occlusion{curve{c, "hole in the middle"}}
	case Boundary:
		return occlusion{curve{c, "border hidden"}}
	case Mixup:
		return between{curve{c, "second image's share"}}
	case CutMix:
		return between{curve{c, "second image in the middle"}}
	}
	return benchmark{c}
}
