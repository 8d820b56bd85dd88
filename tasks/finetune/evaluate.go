package finetune

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Beginnings of the names of the runs of classify that are kept, before the set's name.
const (
	tunedName  = "tuned-"
	beforeName = "before-"
)

// near is how near to the optimum a linear probe comes, as in scikit-learn.
var near = heads.Stop{Gradient: 1e-4, Steps: 1000}

// Effort that baselines may take, tens of seconds, in multiplications: of k-NN on a set, and
// of the linear probe. The probe stops early then, but not before so many steps.
const (
	mostSimilar = 2e11
	mostUnits   = 1 << 28 // features of training images that k-NN holds in float64
	mostProbe   = 3e10
	leastSteps  = 30
)

// candidate is a classifier whose numbers on a set are reported.
type candidate struct {
	name, about string
	outcomes    []metrics.Outcome // of images with one label
	scores      []float32         // of images with several
	sharesOnly  bool              // its scores are no logits
}

// evaluate measures the written file and what it is compared with, and begins the report.
func (t *tuning) evaluate(ctx context.Context) error {
	probe, probeAbout, err := t.probe(ctx)
	if err != nil {
		return err
	}
	t.begin()
	for _, s := range t.evaluated {
		list, err := t.candidates(ctx, s, probe, probeAbout)
		if err != nil {
			return err
		}
		for _, one := range list {
			if note := one.name + ": " + one.about; !slices.Contains(t.report.Dataset.Notes, note) {
				t.report.Dataset.Notes = append(t.report.Dataset.Notes, note)
			}
		}
		if t.truth.multi != nil {
			err = t.reportMulti(ctx, s, list)
		} else {
			err = t.reportSet(ctx, s, list)
		}
		if err != nil {
			return err
		}
	}
	// The metrics at the top are the tuned head's on the images that chose nothing.
	r := t.report
	last := t.evaluated[len(t.evaluated)-1]
	r.Metrics = r.Groups[slices.IndexFunc(r.Groups, func(g report.Group) bool { return g.Kind == last.name })].Metrics
	r.Dataset.N, r.Dataset.Bad = t.train.n(), len(t.sets[0].bad)
	for _, one := range t.sets {
		r.BadImages = append(r.BadImages, one.bad...)
		r.Tried += one.n() + len(one.bad)
	}
	r.Tables = append(r.Tables, t.epochsTable())
	if t.searched != nil {
		r.Tables = append(r.Tables, t.searchTable())
	}
	guessing := math.Log(float64(len(t.truth.classes)))
	if t.truth.multi != nil {
		guessing = math.Ln2
	}
	if chosen := t.state.chosen(t.config.Last); chosen.ValLoss > guessing {
		t.warn("the validation loss of %.4g is above %.4g, that of guessing: the head is overconfident; a lower --lr or a larger --weight-decay helps", chosen.ValLoss, guessing)
	}
	if fit := t.state.history[0].Fit; fit != nil && fit.Gradient > 1e-6 {
		t.warn("the optimum was not reached: %s; a larger --weight-decay makes it steeper", fit)
	}
	if last.name == "val" && len(t.state.history) > 1 && !t.config.Last {
		t.warn("the epoch was chosen by these validation images: give --test for numbers of images that chose nothing")
	}
	r.Warnings = append(r.Warnings, t.warnings...)
	r.HideGroups = true
	return nil
}

// probe trains the linear probe: the optimal head on features of images as they are.
// Where that takes too long there is none.
func (t *tuning) probe(ctx context.Context) (*heads.Network, string, error) {
	n, c, d := t.train.n(), len(t.truth.classes), t.head.Features
	stop := near
	if stop.Steps = int(min(float64(stop.Steps), mostProbe/(float64(n)*float64(c)*float64(d)))); stop.Steps < leastSteps {
		t.warn("the linear probe was left out: %d images, %d classes and %d features are too many; --mix none --augment none --optimizer lbfgs --weight-decay %v trains it", n, c, d, t.config.Probe)
		return nil, "", nil
	}
	p := t.problem(t.train, &t.train.labels, t.config.Probe)
	done, end := t.options.stage("linear probe", stop.Steps)
	h, fit, err := p.Optimum(ctx, stop, done)
	end()
	if err != nil {
		return nil, "", fmt.Errorf("linear probe: %w", err)
	}
	net := heads.NewNetwork(d, 0, c, 0, t.criterion(), nil)
	net.Set(h.W, h.B)
	return net, fmt.Sprintf("linear head of least loss on the images as they are, weight decay %s%s, %s", number(t.config.Probe), map[bool]string{true: ", stopped early"}[fit.Gradient > stop.Gradient], fit), nil
}

// candidates are the tuned head, from its file, and what it is compared with.
func (t *tuning) candidates(ctx context.Context, s *set, probe *heads.Network, probeAbout string) ([]candidate, error) {
	c := len(t.truth.classes)
	setup, err := t.tuned(s)
	if err != nil {
		return nil, err
	}
	tuned := candidate{name: "tuned", about: "the head that was trained, from " + filepath.Base(t.options.Out)}
	var got [][]float32
	if t.truth.multi != nil {
		if got, err = t.scored(ctx, setup, s); err == nil {
			tuned.scores = slices.Concat(got...)
		}
	} else {
		var one *classified
		if one, err = t.run(ctx, setup, tunedName+s.name, ""); err == nil {
			if !slices.Equal(one.labels, s.class) {
				return nil, fmt.Errorf("the classes of %s were matched to other outputs of the file than they were trained for", s.setup.Data.Name)
			}
			tuned.outcomes, got = one.outcomes, one.logits
		}
	}
	if err == nil {
		err = t.reproduced(s, t.network.Written().Scores(s.x), got)
	}
	if err != nil {
		return nil, err
	}
	list := []candidate{tuned}
	add := func(name, about string, scores []float32, sharesOnly bool) error {
		one := candidate{name: name, about: about, scores: scores, sharesOnly: sharesOnly}
		if t.truth.multi == nil {
			for i, class := range s.class {
				o, err := metrics.Score(scores[i*c:(i+1)*c], class, 1)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				one.outcomes = append(one.outcomes, o)
			}
		}
		list = append(list, one)
		return nil
	}
	if how, ok := t.comparable(ctx, s); ok {
		old, err := evaluation.Prepare(s.setup.Config)
		if err != nil {
			return nil, err
		}
		s.choose(old)
		one, err := t.run(ctx, old, beforeName+s.name, s.dir)
		if err != nil {
			return nil, err
		}
		list = append(list, candidate{name: "before", about: "the model's own head; classes matched " + how, outcomes: one.outcomes})
	}
	if probe != nil {
		if err := add("linear_probe", probeAbout, probe.Scores(s.x), false); err != nil {
			return nil, err
		}
	}
	if t.truth.multi != nil {
		return list, nil
	}
	if values := float64(t.train.n()) * float64(t.head.Features); values*float64(s.n()) > mostSimilar || values > mostUnits {
		t.warn("k-NN was left out: %d x %d similarities are too many", t.train.n(), s.n())
		return list, nil
	}
	votes := heads.Neighbours(t.train.x, t.train.class, s.x, t.head.Features, c, t.config.Neighbours)
	return list, add(fmt.Sprintf("knn_k%d", t.config.Neighbours), "nearest training images by cosine similarity, weighted", votes, true)
}

// scored runs the tuned file on images with several labels.
func (t *tuning) scored(ctx context.Context, setup *evaluation.Setup, s *set) ([][]float32, error) {
	defer setup.Close()
	one := &set{name: s.name, dir: filepath.Join(t.options.Folder(), tunedName+s.name), setup: setup, truth: s.truth}
	err := anew(ctx, one.dir, func() error { return one.open(ctx, nil, t.options.Install) })
	if err != nil {
		return nil, err
	}
	defer one.rec.Close()
	done, end := t.options.stage(tunedName+s.name, len(one.rec.Todo))
	err = one.collect(ctx, nil, done)
	end()
	if err != nil {
		return nil, err
	}
	var out [][]float32
	return out, results.Each[Record](ctx, one.rec.Run, []string{evaluation.Logits}, func(r *Record, arrays [][]float32) error {
		if r.Status != results.OK {
			return fmt.Errorf("image %s could be read before, and cannot any more: %s", r.ID, r.Error)
		}
		out = append(out, slices.Clone(arrays[0]))
		return nil
	})
}

// paired is the difference of top-1, b less a, with McNemar's test.
func paired(ctx context.Context, a, b []metrics.Outcome, replicates int, seed uint64) (metrics.Difference, error) {
	share := func(v []metrics.Outcome) metrics.Statistic {
		return func(count []uint16) []float64 {
			hits := 0
			for i, o := range v {
				if o.Correct() {
					hits += int(count[i])
				}
			}
			return []float64{float64(hits) / float64(len(v))}
		}
	}
	d, err := metrics.Paired(ctx, len(a), replicates, seed, share(a), share(b))
	if err != nil {
		return metrics.Difference{}, err
	}
	onlyA, onlyB := metrics.Discordant(len(a), func(i int) bool { return a[i].Correct() }, func(i int) bool { return b[i].Correct() })
	d[0].P, d[0].Test = metrics.McNemar(onlyA, onlyB), "McNemar, exact"
	return d[0], nil
}
