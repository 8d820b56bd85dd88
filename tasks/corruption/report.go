package corruption

import (
	"context"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
)

// Report computes the numbers from the records alone.
func (l *loaded) Report(ctx context.Context) (*report.Report, error) {
	g, err := read(ctx, l.about, l.run)
	if err != nil {
		return nil, err
	}
	r := evaluation.Reported(l.about.Report.Head, l.run, l.about.Config)
	r.Dataset.N, r.Dataset.Bad, r.BadImages, r.Tried = len(g.images), g.without, g.bad, len(g.images)+g.without
	r.Warnings = append(r.Warnings, l.about.Report.Warnings...)
	if n := g.without - len(g.bad); n > 0 {
		r.Warn("%d images are not there in some variant and are left out of all", n)
	}
	if g.others, err = l.others(ctx); err != nil {
		return nil, err
	}
	l.about.Config.experiment().report(g, r)
	return r, nil
}
