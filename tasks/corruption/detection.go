package corruption

import (
	"context"
	"fmt"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/ood"
)

// others are the confidences of the OOD sets of the run of ood that the configuration names;
// none where it names none.
func (l *loaded) others(ctx context.Context) ([]ood.Confidences, error) {
	dir := l.about.Config.OOD
	if dir == "" {
		return nil, nil
	}
	study, err := results.OpenStudy(false, dir)
	if err != nil {
		return nil, err
	}
	out, key, err := ood.ReadConfidences(ctx, study)
	switch model, pixels := l.run.Manifest.Key.Model, l.about.Report.Preprocessing.Fingerprint; {
	case err != nil:
		return nil, err
	case key.Model != model:
		return nil, fmt.Errorf("run %q is of another model (sha256 %.12s, not %.12s)", dir, key.Model.SHA256, model.SHA256)
	case key.Preprocessing != pixels:
		return nil, fmt.Errorf("run %q prepared its pixels otherwise (fingerprint %s, not %s)", dir, key.Preprocessing, pixels)
	}
	return out, nil
}

// auroc is how well the largest probability tells the images of variants from those of an
// OOD set: the mean of the AUROCs of the variants, which are of the same images.
func (g *grid) auroc(variants []int, o ood.Confidences, at ...report.Key) report.Number {
	var terms []metrics.Term
	for _, k := range variants {
		terms = append(terms, metrics.Term{Weight: 1 / float64(len(variants)), Placements: metrics.Place(g.confidences(k), o.Values)})
	}
	v, iv, _ := metrics.Combine(terms)
	return report.Number{
		Name: "auroc", At: append(at, report.KeySet.Is(o.Set)), Value: v, Unit: report.Fraction,
		N: len(g.images) + len(o.Values), Interval: &iv, Better: report.Higher,
	}
}
