package ood

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// source is an evaluation's scores, for comparison with those of another model. Its images
// are numbered through: the ID test images first, then the OOD sets in the order of their
// names.
type source struct {
	about  compare.Description
	scores []string
	id     *numbered
	out    []*numbered
	good   []int
}

// numbered is a set whose images have numbers.
type numbered struct {
	name   string
	place  map[int]int // of an image among those with a result, by its number
	values [][]float64 // by score, then place
}

// newSource reads the scores of an evaluation.
func newSource(ctx context.Context, l *loaded) (*source, error) {
	res, err := l.evaluate(ctx)
	if err != nil {
		return nil, err
	}
	s := &source{about: compare.Description{Head: l.about.Head, Key: l.sets[0].Manifest.Key}}
	all := append([]*scored{res.id[0]}, res.out...)
	slices.SortFunc(all[1:], func(a, b *scored) int { return strings.Compare(a.Name, b.Name) })
	var kept []int // scores
	for k, u := range res.used {
		if err := finite(all, k, u.Name); err != nil {
			s.about.Notes = append(s.about.Notes, fmt.Sprintf("%v, so that it is not compared", err))
			continue
		}
		kept, s.scores = append(kept, k), append(s.scores, u.Name)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("no score can be compared: %s", strings.Join(s.about.Notes, "; "))
	}
	var names, fingerprints []string
	first := 0 // number of the set's first image
	for _, sc := range all {
		data := l.sets.named(sc.Name).Manifest.Key.Data
		n := &numbered{name: sc.Name, place: map[int]int{}}
		for place, index := range sc.index {
			n.place[first+index] = place
			s.good = append(s.good, first+index)
		}
		for _, k := range kept {
			n.values = append(n.values, sc.values[k])
		}
		if sc.Role == Out {
			s.out, names = append(s.out, n), append(names, sc.Name)
		} else {
			s.id = n
		}
		fingerprints = append(fingerprints, sc.Name+" "+data.Fingerprint)
		first += data.N
	}
	s.about.Head.Dataset.Name += " against " + strings.Join(names, ", ")
	s.about.Key.Data.Fingerprint = strings.Join(fingerprints, ", ")
	s.about.Key.Config = l.sets.fittedWith()
	return s, nil
}

// finite says which image's score number k, called name, is not finite.
func finite(all []*scored, k int, name string) error {
	for _, s := range all {
		if err := s.finite(k, name); err != nil {
			return err
		}
	}
	return nil
}

// fittedWith identifies the images that scores are fitted with: with others a score is
// another one.
func (s sets) fittedWith() map[string]string {
	out := map[string]string{}
	for _, o := range s {
		if o.Role == Val || o.Role == Train || o.Role == OutVal {
			out[o.Name] = fmt.Sprintf("%d images of %s", o.Share(results.Shard{}), o.Manifest.Key.Data.Fingerprint)
		}
	}
	return out
}

// Describe says what the evaluation is.
func (s *source) Describe() compare.Description { return s.about }

// Metrics are AUROC and FPR95 of every set and score, and the mean AUROC over all sets.
func (s *source) Metrics() []compare.Metric {
	var out []compare.Metric
	for _, set := range s.out {
		n := len(s.id.place) + len(set.place)
		for _, score := range s.scores {
			at := report.Keys{report.KeySet.Is(set.name), report.KeyScore.Is(score)}
			out = append(out, compare.Metric{Name: "auroc", At: at, Unit: report.Fraction, Better: report.Higher, N: n},
				compare.Metric{Name: "fpr95_id_positive", At: at, Unit: report.Fraction, Better: report.Lower, N: n})
		}
	}
	if len(s.out) > 1 {
		for _, score := range s.scores {
			at := report.Keys{report.KeyGroup.Is(allSets), report.KeyScore.Is(score)}
			out = append(out, compare.Metric{Name: "auroc", At: at, Unit: report.Fraction, Better: report.Higher})
		}
	}
	return out
}

// Good are the images with a result.
func (s *source) Good() []int { return s.good }

// At prepares images. None is right or wrong by itself.
func (s *source) At(at []int) compare.Sample {
	var all []*metrics.Ranking // by set, then score
	for _, set := range s.out {
		for k := range s.scores {
			all = append(all, s.rank(at, set, k))
		}
	}
	return compare.Sample{Evaluate: func(count []uint16) []float64 {
		var out []float64
		means := make([]float64, len(s.scores))
		for i, r := range all {
			auroc, fpr := r.Evaluate(count)
			out = append(out, auroc, fpr)
			means[i%len(means)] += auroc / float64(len(s.out))
		}
		if len(s.out) > 1 {
			out = append(out, means...)
		}
		return out
	}}
}

// rank ranks the ID images among the images at, and those of an OOD set, by score k.
func (s *source) rank(at []int, set *numbered, k int) *metrics.Ranking {
	var v []float64
	var id []bool
	var image []int
	for i, index := range at {
		for _, n := range []*numbered{s.id, set} {
			if place, ok := n.place[index]; ok {
				v, id, image = append(v, n.values[k][place]), append(id, n == s.id), append(image, i)
			}
		}
	}
	return metrics.NewRanking(v, id, image)
}
