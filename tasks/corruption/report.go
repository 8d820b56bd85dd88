package corruption

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/corrupt"
	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/ood"
)

// grid is the outcomes of a run: of the images that have a result in every variant.
type grid struct {
	about  About
	images []int    // their numbers, ascending
	wrong  [][]bool // by variant, then image
	top5   [][]bool // outside of the five first classes
	other  [][]bool // the prediction is the class of the image that was mixed in
	conf   [][]float64
	loss   [][]float64
	left   int               // images that lack a variant
	bad    []report.BadImage // of which some variant could not be made or read
}

// read reads the outcomes of a run.
func read(ctx context.Context, run *results.Run) (*grid, error) {
	a, err := results.About[About](run, Name)
	if err != nil {
		return nil, err
	}
	if err := a.Config.Validate(); err != nil {
		return nil, err
	}
	v := len(a.Variants)
	g := &grid{about: a}
	type cell struct {
		wrong, top5, other, ok bool
		conf, loss             float64
	}
	cells := make([][]cell, v) // by variant, then rank of the image
	var images []int
	rank := map[int]int{}
	bad := map[int]bool{}
	err = results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
		if int(r.Variant) >= v || r.Variant < 0 || int(r.Image) >= a.Images || r.Image < 0 {
			return fmt.Errorf("the record of %s does not belong to this run", r.ID)
		}
		i := int(r.Image)
		if r.Status != results.OK {
			if !bad[i] { // once, not for every variant
				bad[i] = true
				g.bad = append(g.bad, report.BadImage{ID: strings.TrimPrefix(r.ID, a.Variants[r.Variant].String()+"/"), Reason: r.Error})
			}
			return nil
		}
		at, ok := rank[i]
		if !ok {
			at = len(images)
			rank[i], images = at, append(images, i)
		}
		c := &cells[r.Variant]
		for len(*c) <= at {
			*c = append(*c, cell{})
		}
		(*c)[at] = cell{r.Prediction != r.Label, r.Rank >= 5, r.Prediction == r.Second, true, r.Confidence, r.Loss}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var whole []int // ranks of images with all variants, by image
	for at := range images {
		n := 0
		for k := range cells {
			if at < len(cells[k]) && cells[k][at].ok {
				n++
			}
		}
		if n == v {
			whole = append(whole, at)
		} else {
			g.left++
		}
	}
	if len(whole) == 0 {
		if len(g.bad) > 0 {
			return nil, fmt.Errorf("no image has a result in every variant; of %s: %s", g.bad[0].ID, g.bad[0].Reason)
		}
		return nil, errors.New("no image has a result in every variant")
	}
	slices.SortFunc(whole, func(a, b int) int { return cmp.Compare(images[a], images[b]) })
	for _, at := range whole {
		g.images = append(g.images, images[at])
	}
	for i := range bad {
		if _, ok := rank[i]; !ok {
			g.left++ // bad in all variants
		}
	}
	n := len(whole)
	for k := range cells {
		wrong, top5, other, conf, loss := make([]bool, n), make([]bool, n), make([]bool, n), make([]float64, n), make([]float64, n)
		for i, at := range whole {
			c := cells[k][at]
			wrong[i], top5[i], other[i], conf[i], loss[i] = c.wrong, c.top5, c.other, c.conf, c.loss
		}
		g.wrong, g.top5, g.other, g.conf, g.loss = append(g.wrong, wrong), append(g.top5, top5), append(g.other, other), append(g.conf, conf), append(g.loss, loss)
		cells[k] = nil
	}
	return g, nil
}

// of finds a variant, -1 where it was not evaluated.
func (g *grid) of(v Variant) int { return slices.Index(g.about.Variants, v) }

// linear is a number that is a mean over images: of what every image adds to it.
type linear []float64

func (g *grid) linear() linear { return make(linear, len(g.images)) }

// add adds weight where an image is marked.
func (l linear) add(marked []bool, weight float64) {
	for i, m := range marked {
		if m {
			l[i] += weight
		}
	}
}

// mean is the number with its 95 % interval, by the normal distribution of a mean; where
// all images give the same, by Wilson's for that many.
func (l linear) mean() (float64, metrics.Interval) {
	sum, square, n := 0.0, 0.0, float64(len(l))
	for _, v := range l {
		sum += v
	}
	m := sum / n
	for _, v := range l {
		square += (v - m) * (v - m)
	}
	half, method := 1.959963984540054*math.Sqrt(square/max(n-1, 1)/n), "normal, over images"
	if square == 0 {
		half, method = metrics.Wilson(0, len(l)).High*max(1, m), "Wilson: all images give the same"
	}
	return m, metrics.Interval{Low: m - half, High: m + half, Level: 0.95, Method: method}
}

// metric makes it a report's metric.
func (l linear) metric(name, unit, note string) report.Metric {
	v, iv := l.mean()
	if !strings.HasPrefix(name, "relative") { // what cannot be below 0
		iv.Low = max(iv.Low, 0)
	}
	if strings.HasPrefix(name, "error") || strings.HasPrefix(name, "mean_") {
		iv.High = min(iv.High, 1)
	}
	return report.Metric{Name: name, Value: v, Unit: unit, N: len(l), Interval: &iv, Note: note}
}

// share is a proportion with Wilson's interval.
func share(name string, marked []bool, note string) report.Metric {
	hits := 0
	for _, m := range marked {
		if m {
			hits++
		}
	}
	iv := metrics.Wilson(hits, len(marked))
	return report.Metric{Name: name, Value: float64(hits) / float64(len(marked)), Unit: report.Fraction, N: len(marked), Interval: &iv, Note: note}
}

// complete says whether a corruption has all severities.
func (g *grid) complete(n corrupt.Name) bool {
	for s := 1; s <= corrupt.Severities; s++ {
		if g.of(Variant{string(n), float64(s)}) < 0 {
			return false
		}
	}
	return true
}

// severities lists those of a corruption.
func (g *grid) severities(n corrupt.Name) (out []int) {
	for k, v := range g.about.Variants {
		if v.Name == string(n) {
			out = append(out, k)
		}
	}
	return out
}

// errorOf is the mean error over the severities that there are.
func (g *grid) errorOf(n corrupt.Name) linear {
	l := g.linear()
	at := g.severities(n)
	for _, k := range at {
		l.add(g.wrong[k], 1/float64(len(at)))
	}
	return l
}

// ce is the corruption error: the sum of errors by that of the baseline. relative: of what
// they are above the clean error.
func (g *grid) ce(n corrupt.Name, b Baseline, relative bool) (linear, bool) {
	base, ok := b.Errors[n]
	clean, known := g.of(Variant{}), g.about.Config.CleanError
	if !ok || !g.complete(n) || relative && (clean < 0 && known == 0 || b.Clean < 0) {
		return nil, false
	}
	sum := mean(base) * corrupt.Severities
	if relative {
		if sum -= corrupt.Severities * b.Clean; sum <= 0 {
			return nil, false
		}
	}
	l := g.linear()
	for _, k := range g.severities(n) {
		l.add(g.wrong[k], 1/sum)
		switch {
		case !relative:
		case clean >= 0:
			l.add(g.wrong[clean], -1/sum)
		default: // a number that was given
			for i := range l {
				l[i] -= known / sum
			}
		}
	}
	return l, true
}

// averaged is the mean of numbers.
func averaged(ls []linear) linear {
	out := make(linear, len(ls[0]))
	for _, l := range ls {
		for i, v := range l {
			out[i] += v / float64(len(ls))
		}
	}
	return out
}

// numbers are the run's, by name.
func (g *grid) numbers() []report.Metric {
	var out []report.Metric
	if clean := g.of(Variant{}); clean >= 0 {
		out = append(out, share("clean_error", g.wrong[clean], "of the images as they are"))
	}
	of := func(names []corrupt.Name) (have []corrupt.Name, whole bool) {
		whole = true
		for _, n := range names {
			if len(g.severities(n)) > 0 {
				have = append(have, n)
			}
			whole = whole && g.complete(n)
		}
		return have, whole
	}
	have, whole := of(corrupt.Benchmark())
	note := "mean over the 15 corruptions and 5 severities"
	suffix := ""
	if !whole {
		suffix = "_subset"
		note = fmt.Sprintf("mean over %d of the 15 corruptions and their severities that there are", len(have))
	}
	if len(have) > 0 {
		var errs, ces, rels []linear
		for _, n := range have {
			errs = append(errs, g.errorOf(n))
			if b := g.about.Config.Baseline; b != nil {
				if l, ok := g.ce(n, *b, false); ok {
					ces = append(ces, l)
				}
				if l, ok := g.ce(n, *b, true); ok {
					rels = append(rels, l)
				}
			}
		}
		out = append(out, averaged(errs).metric("error"+suffix, report.Fraction, note+", unnormalised"))
		b := g.about.Config.Baseline
		for _, m := range []struct {
			name, note string
			of         []linear
		}{{"mce", "each corruption's errors divided by %s's", ces}, {"relative_mce", "the same of what errors are above the clean error, by %s's", rels}} {
			switch {
			case whole && len(m.of) == len(have):
				out = append(out, averaged(m.of).metric(m.name, report.Fraction, fmt.Sprintf("mean over the 15, "+m.note, b.Name)))
			case !whole && len(m.of) > 0:
				out = append(out, averaged(m.of).metric(m.name+"_subset", report.Fraction, fmt.Sprintf("mean over %d of the 15, "+m.note, len(m.of), b.Name)))
			}
		}
	}
	if have, whole := of(corrupt.Extra()); whole {
		var errs []linear
		for _, n := range have {
			errs = append(errs, g.errorOf(n))
		}
		out = append(out, averaged(errs).metric("error_extra", report.Fraction, "mean over the four extra corruptions, which are no part of mCE"))
	}
	return out
}

// calibration is the mean ECE of variants.
func (g *grid) calibration(at []int) (ece float64) {
	for _, k := range at {
		v := make([]metrics.Confident, len(g.images))
		for i := range v {
			v[i] = metrics.Confident{Confidence: g.conf[k][i], Correct: !g.wrong[k][i]}
		}
		// Sums are in the order of metrics.Evaluate, so that a variant's number is that of classify.
		slices.SortStableFunc(v, func(a, b metrics.Confident) int { return cmp.Compare(a.Confidence, b.Confidence) })
		ece += metrics.Errors(metrics.EqualWidth(v, g.about.Config.Bins)).ECE / float64(len(at))
	}
	return ece
}

// Report computes the numbers of a run from its records. edit, if not nil, changes what it
// was told.
func Report(ctx context.Context, run *results.Run, edit func(*About)) (*report.Report, error) {
	g, err := read(ctx, run)
	if err != nil {
		return nil, err
	}
	if edit != nil {
		edit(&g.about)
		if err := g.about.Config.Validate(); err != nil {
			return nil, err
		}
	}
	r := g.about.Report
	r.Task, r.HideGroups = Name, true
	r.Runtime = evaluation.RanBy(run.Manifest)
	r.Dataset.N, r.Dataset.Bad, r.BadImages, r.Tried = len(g.images), g.left, g.bad, len(g.images)+g.left
	if g.left > len(g.bad) {
		r.Warnings = append(slices.Clone(r.Warnings), fmt.Sprintf("%d images are not there in some variant and are left out of all", g.left-len(g.bad)))
	}
	r.Metrics, r.Groups = nil, nil
	c := g.about.Config
	if c.Experiment != Corruptions {
		g.curve(&r)
		return &r, nil
	}
	if c.Corrupted == "" {
		r.Option("made here with the parameters for size %d, seed %v", c.Set, seedOf(r))
	} else {
		r.Option("images of %s", c.Corrupted)
	}
	if c.JPEG > 0 {
		r.Option("JPEG round trip of quality %d", c.JPEG)
	}
	r.Metrics = g.numbers()
	out, err := outside(ctx, c.OOD, run, r.Preprocessing.Fingerprint)
	if err != nil {
		return nil, err
	}
	if clean := g.of(Variant{}); clean >= 0 {
		r.Metrics = append(r.Metrics, g.detection([]int{clean}, out, "of clean images")...)
	}
	g.tables(&r, out)
	return &r, nil
}

func seedOf(r report.Report) any {
	if m, ok := r.Config.(map[string]any); ok {
		return m["seed"]
	}
	if t, ok := r.Config.(evaluation.Told); ok {
		return t.Seed
	}
	return 0
}

// outside reads the confidences of a run of ood; none where no run is named.
func outside(ctx context.Context, dir string, run *results.Run, pixels string) ([]ood.Confidences, error) {
	if dir == "" {
		return nil, nil
	}
	runs, err := ood.Load(false, dir)
	if err != nil {
		return nil, err
	}
	out, key, err := runs.Confidences(ctx)
	switch model := run.Manifest.Key.Model; {
	case err != nil:
	case key.Model != model:
		err = fmt.Errorf("run %q is of another model (sha256 %.12s, not %.12s)", dir, key.Model.SHA256, model.SHA256)
	case key.Preprocessing != pixels:
		err = fmt.Errorf("run %q prepared its pixels otherwise (fingerprint %s, not %s)", dir, key.Preprocessing, pixels)
	}
	return out, err
}

// detection is how well the largest probability tells the images of variants from those
// of OOD sets: mean AUROCs over the variants, which are of the same images.
func (g *grid) detection(at []int, out []ood.Confidences, note string) []report.Metric {
	var ms []report.Metric
	for _, o := range out {
		var terms []metrics.Term
		for _, k := range at {
			terms = append(terms, metrics.Term{Weight: 1 / float64(len(at)), Placements: metrics.Place(g.conf[k], o.Values)})
		}
		v, iv, _ := metrics.Combine(terms)
		ms = append(ms, report.Metric{Name: "auroc " + o.Set, Value: v, Unit: report.Fraction, N: len(g.images) + len(o.Values), Interval: &iv, HigherIsBetter: true, Note: "msp, " + note})
	}
	return ms
}

// tables shows every corruption, the fifteen apart from the four.
func (g *grid) tables(r *report.Report, out []ood.Confidences) {
	b := g.about.Config.Baseline
	var missing []string
	for _, part := range []struct {
		title string
		names []corrupt.Name
	}{{"the 15 corruptions, percent", corrupt.Benchmark()}, {"the 4 extra corruptions, percent", corrupt.Extra()}} {
		t := report.Table{Name: "corruptions", Title: part.title, Columns: []string{"corruption", "error", "", "1", "2", "3", "4", "5", "CE", "rel. CE", "ECE"}}
		for _, o := range out {
			t.Columns = append(t.Columns, "AUROC "+o.Set)
		}
		for _, n := range part.names {
			at := g.severities(n)
			if len(at) == 0 {
				if len(part.names) == len(corrupt.Benchmark()) {
					missing = append(missing, string(n))
				}
				continue
			}
			grp := report.Group{Kind: "corruption", Name: string(n)}
			m := g.errorOf(n).metric("error", report.Fraction, "mean over severities")
			grp.Metrics = append(grp.Metrics, m)
			row := []string{string(n), report.Percent(m.Value), ""}
			if m.Interval != nil {
				row[2] = report.PercentRange(*m.Interval)
			}
			for s := 1; s <= corrupt.Severities; s++ {
				k := g.of(Variant{string(n), float64(s)})
				if k < 0 {
					row = append(row, "")
					missing = append(missing, fmt.Sprintf("%s/%d", n, s))
					continue
				}
				e := share(fmt.Sprintf("error_%d", s), g.wrong[k], "")
				t5 := share(fmt.Sprintf("top5_error_%d", s), g.top5[k], "")
				grp.Metrics = append(grp.Metrics, e, t5)
				row = append(row, report.Percent(e.Value))
			}
			ce, rel := "", ""
			if b != nil {
				if l, ok := g.ce(n, *b, false); ok {
					m := l.metric("ce", report.Fraction, "errors by "+b.Name+"'s")
					grp.Metrics, ce = append(grp.Metrics, m), report.Percent(m.Value)
				}
				if l, ok := g.ce(n, *b, true); ok {
					m := l.metric("relative_ce", report.Fraction, "of what errors are above the clean error")
					grp.Metrics, rel = append(grp.Metrics, m), report.Percent(m.Value)
				}
				if g.complete(n) {
					for s := 1; s <= corrupt.Severities; s++ {
						if base, ok := b.Errors[n]; ok && !b.MeansOnly[n] {
							l := g.linear()
							l.add(g.wrong[g.of(Variant{string(n), float64(s)})], 1/base[s-1])
							grp.Metrics = append(grp.Metrics, l.metric(fmt.Sprintf("ce_%d", s), report.Fraction, "of the severity alone"))
						}
					}
				}
			}
			ece := g.calibration(at)
			loss := g.linear()
			for _, k := range at {
				for i, v := range g.loss[k] {
					loss[i] += v / float64(len(at))
				}
			}
			grp.Metrics = append(grp.Metrics, report.Metric{Name: "ece", Value: ece, Unit: report.Fraction, N: len(g.images), Note: "mean over severities; without an interval"},
				loss.metric("nll", report.Nats, "mean over severities"))
			row = append(row, ce, rel, report.Percent(ece))
			for _, m := range g.detection(at, out, "mean over severities") {
				grp.Metrics, row = append(grp.Metrics, m), append(row, report.Percent(m.Value))
			}
			t.Rows = append(t.Rows, row)
			r.Groups = append(r.Groups, grp)
		}
		if len(t.Rows) > 0 {
			r.Tables = append(r.Tables, t)
		}
	}
	if len(missing) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("there is no mCE: it is a mean over 15 corruptions at 5 severities, and these are missing: %s", strings.Join(missing, ", ")))
	}
	if b != nil {
		var lacks []string
		for _, n := range corrupt.Benchmark() {
			if _, ok := b.Errors[n]; !ok {
				lacks = append(lacks, string(n))
			}
		}
		if len(lacks) > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the baseline %s has no errors of %s, so there is no mCE", b.Name, strings.Join(lacks, ", ")))
		}
		if g.of(Variant{}) >= 0 && b.Clean < 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("the baseline %s has no clean_error, so there is no relative mCE", b.Name))
		}
	}
	if b != nil && b.Name == AlexNet().Name && r.Model.Classes != 1000 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("CE and mCE are relative to AlexNet on ImageNet-C; of a model with %d classes they say little (--baseline none, or a file)", r.Model.Classes))
	}
}

// curve shows an experiment's numbers by level.
func (g *grid) curve(r *report.Report) {
	c := g.about.Config
	what := map[Experiment]string{Centre: "hole in the middle", Boundary: "border hidden", Mixup: "second image's share", CutMix: "second image in the middle"}[c.Experiment]
	mixed := c.Experiment == Mixup || c.Experiment == CutMix
	t := report.Table{Name: "curve", Title: string(c.Experiment) + ", percent; level: " + what, Columns: []string{"level", "top-1 error", "", "top-5 error"}}
	if mixed {
		t.Columns = append(t.Columns, "neither class", "", "second class")
	}
	area := g.linear()
	for k, v := range g.about.Variants {
		name := strconv.FormatFloat(v.Level, 'g', 4, 64)
		e, e5 := share("error", g.wrong[k], ""), share("top5_error", g.top5[k], "")
		row := []string{name, report.Percent(e.Value), report.PercentRange(*e.Interval), report.Percent(e5.Value)}
		grp := report.Group{Kind: string(c.Experiment), Name: name, Metrics: []report.Metric{e, e5}}
		if mixed {
			neither := make([]bool, len(g.images))
			for i := range neither {
				neither[i] = g.wrong[k][i] && !g.other[k][i]
			}
			n, o := share("neither", neither, "predicted is neither image's class"), share("second", g.other[k], "predicted is the second image's class")
			row = append(row, report.Percent(n.Value), report.PercentRange(*n.Interval), report.Percent(o.Value))
			grp.Metrics = append(grp.Metrics, n, o)
		}
		t.Rows = append(t.Rows, row)
		r.Groups = append(r.Groups, grp)
		weight := 1 / float64(len(g.about.Variants)-1)
		if k == 0 || k == len(g.about.Variants)-1 {
			weight /= 2
		}
		marked := g.wrong[k]
		if mixed {
			marked = make([]bool, len(g.images))
			for i := range marked {
				marked[i] = g.wrong[k][i] && !g.other[k][i]
			}
		}
		area.add(marked, weight)
	}
	name := "mean_error"
	if mixed {
		name = "mean_neither"
	}
	r.Metrics = append(r.Metrics, area.metric(name, report.Fraction, "mean over the curve, trapezoid"))
	r.Tables = append(r.Tables, t)
}
