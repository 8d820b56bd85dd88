package ood

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/compare"
)

// Paired is an evaluation's scores, for comparison with one of another model. Its images
// are numbered through: the ID test images first, then the OOD sets in the order of their
// names.
type Paired struct {
	about  About
	key    results.Key
	scores []string
	good   []int
	id     map[int]int   // place among the ID images by image
	out    []map[int]int // the same for every OOD set
	values [][][]float64 // by set (ID first), score, place
	sets   []string
	notes  []string
}

// Pair reads the scores of an evaluation.
func (r *Runs) Pair(ctx context.Context) (*Paired, error) {
	res, err := r.Evaluate(ctx)
	if err != nil {
		return nil, err
	}
	p := &Paired{about: r.About, key: r.sets[0].Manifest.Key}
	p.about.Report = *r.Present(res)
	var fingerprints []string
	var out []*set
	for i := range r.sets {
		if r.sets[i].Role == Out {
			out = append(out, &r.sets[i])
		}
	}
	slices.SortFunc(out, func(a, b *set) int { return strings.Compare(a.Name, b.Name) })
	// Scores that are not finite for every image are left out.
	keep := make([]bool, len(res.used))
	for k, u := range res.used {
		var err error
		for _, s := range append([]*scored{res.id[0]}, res.out...) {
			if err == nil {
				err = s.finite(k, u.Name)
			}
		}
		if keep[k] = err == nil; err != nil {
			p.notes = append(p.notes, fmt.Sprintf("%v, so that it is not compared", err))
		} else {
			p.scores = append(p.scores, u.Name)
		}
	}
	if len(p.scores) == 0 {
		return nil, fmt.Errorf("no score can be compared: %s", strings.Join(p.notes, "; "))
	}
	at := 0
	for k, s := range append([]*set{&r.sets[0]}, out...) {
		places := map[int]int{}
		err := results.Each[Record](ctx, s.Run, nil, func(rec *Record, _ [][]float32) error {
			if rec.Status != results.OK {
				return nil
			}
			i := at + int(rec.Index)
			places[i] = len(places)
			p.good = append(p.good, i)
			return nil
		})
		if err != nil {
			return nil, err
		}
		sc := res.id[0]
		if k == 0 {
			p.id = places
		} else {
			sc = res.out[slices.IndexFunc(res.out, func(o *scored) bool { return o.Name == s.Name })]
			p.out, p.sets = append(p.out, places), append(p.sets, s.Name)
		}
		var values [][]float64
		for j, v := range sc.values {
			if keep[j] {
				values = append(values, v)
			}
		}
		p.values = append(p.values, values)
		fingerprints = append(fingerprints, s.Name+" "+s.Manifest.Key.Data.Fingerprint)
		at += s.Manifest.Key.Data.N
	}
	p.key.Data.Fingerprint = strings.Join(fingerprints, ", ")
	fitted := map[string]string{} // other images to fit scores with are another claim
	for i := range r.sets {
		if s := &r.sets[i]; s.Role == Val || s.Role == Train || s.Role == OutVal {
			fitted[s.Name] = fmt.Sprintf("%d images of %s", s.Share(results.Shard{}), s.Manifest.Key.Data.Fingerprint)
		}
	}
	p.key.Config = fitted
	p.about.Report.Dataset.Name += " against " + strings.Join(p.sets, ", ")
	return p, nil
}

// Key identifies the images of all sets.
func (p *Paired) Key() results.Key { return p.key }

// Notes says which scores are left out.
func (p *Paired) Notes() []string { return p.notes }

// Metrics are AUROC and FPR95 of every set and score, and the mean AUROC over all sets.
func (p *Paired) Metrics() []compare.Metric {
	var out []compare.Metric
	for k, set := range p.sets {
		n := len(p.id) + len(p.out[k])
		for _, s := range p.scores {
			out = append(out, compare.Metric{Name: fmt.Sprintf("auroc %s %s", set, s), Unit: report.Fraction, HigherIsBetter: true, N: n},
				compare.Metric{Name: fmt.Sprintf("fpr95_id_positive %s %s", set, s), Unit: report.Fraction, N: n})
		}
	}
	if len(p.sets) > 1 {
		for _, s := range p.scores {
			out = append(out, compare.Metric{Name: fmt.Sprintf("auroc %s %s", allSets, s), Unit: report.Fraction, HigherIsBetter: true})
		}
	}
	return out
}

// Good are the images with a result.
func (p *Paired) Good() []int { return p.good }

// Describe is the evaluation's report.
func (p *Paired) Describe() *report.Report { return &p.about.Report }

// ranked are images of two kinds by falling score.
type ranked struct {
	image []int32
	id    []bool
	last  []bool // of those with the same score
}

// At prepares images.
func (p *Paired) At(at []int) compare.Sample {
	s := pairedSample{scores: len(p.scores)}
	for k := range p.sets {
		for j := range p.scores {
			var v []float64
			r := ranked{}
			var id []bool
			var image []int32
			for i, index := range at {
				if place, ok := p.id[index]; ok {
					v, id, image = append(v, p.values[0][j][place]), append(id, true), append(image, int32(i))
				} else if place, ok := p.out[k][index]; ok {
					v, id, image = append(v, p.values[k+1][j][place]), append(id, false), append(image, int32(i))
				}
			}
			order := make([]int, len(v))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(v[b], v[a]) })
			for n, o := range order {
				r.image, r.id = append(r.image, image[o]), append(r.id, id[o])
				r.last = append(r.last, n+1 == len(order) || v[order[n+1]] != v[o])
			}
			s.ranked = append(s.ranked, r)
		}
	}
	return s
}

type pairedSample struct {
	ranked []ranked // by set, then score
	scores int
}

// Evaluate gives the numbers in the order of Metrics.
func (s pairedSample) Evaluate(count []uint16) []float64 {
	var out []float64
	means, sets := make([]float64, s.scores), len(s.ranked)/s.scores
	for i, r := range s.ranked {
		auroc, fpr := r.evaluate(count)
		out = append(out, auroc, fpr)
		means[i%s.scores] += auroc / float64(sets)
	}
	if sets > 1 {
		out = append(out, means...)
	}
	return out
}

// evaluate walks from the highest score down; NaN where a kind of image has none.
func (r ranked) evaluate(count []uint16) (auroc, fpr float64) {
	var ids, outs int64
	for i, at := range r.image {
		if r.id[i] {
			ids += int64(count[at])
		} else {
			outs += int64(count[at])
		}
	}
	n, m := float64(ids), float64(outs)
	var above, passed, equalID, equalOut int64
	twice := int64(0) // pairs that are in order, in halves
	found := false
	for i, at := range r.image {
		c := int64(count[at])
		if r.id[i] {
			equalID += c
		} else {
			equalOut += c
		}
		if !r.last[i] {
			continue
		}
		twice += equalOut * (2*above + equalID)
		above, passed = above+equalID, passed+equalOut
		equalID, equalOut = 0, 0
		if !found && float64(above)/n >= 0.95 {
			fpr, found = float64(passed)/m, true
		}
	}
	return float64(twice) / 2 / n / m, fpr
}

// Right is not asked for: no metric is one of single images.
func (s pairedSample) Right(int, int) bool { panic("ood: no metric is right or wrong") }
