package corruption

import (
	"cutmix-eval/report"
	"cutmix-eval/variants"
)

// experiment is what is reported of one.
type experiment interface {
	// report writes the numbers of a run, and views of them.
	report(g *grid, r *report.Report)
	// compared are the numbers that runs are compared by.
	compared(g *grid) []compared
}

func (c Config) experiment() experiment {
	switch c.Experiment {
	case variants.Centre:
		return occlusion{curve{c, "hole in the middle"}}
	case variants.Boundary:
		return occlusion{curve{c, "border hidden"}}
	case variants.Mixup:
		return between{curve{c, "second image's share"}}
	case variants.CutMix:
		return between{curve{c, "second image in the middle"}}
	}
	return benchmark{c}
}
