package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/multilabel"
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

// Heads whose numbers are reported, beside k-NN.
const (
	tunedHead  = "tuned"
	beforeHead = "before"
	probeHead  = "linear_probe"
)

// set is images that judge, and the heads whose numbers on them are reported.
type set struct {
	Name  string      `json:"name"` // val or test
	Heads []candidate `json:"heads"`
}

// candidate is a head, or another classifier of features, that was run on a set.
type candidate struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Votes bool   `json:"votes,omitempty"` // its scores are shares of votes, not logits
}

// run is the name of a head's run on a set, in the folder.
func (c candidate) run(set string) string { return c.Name + "-" + set }

// evaluate runs the written file, and what it is compared with, on the sets that judge. It says
// what was left out.
func (j *Job) evaluate(ctx context.Context, t *tuned, train *examples, sets []*examples) (out []set, left []string, err error) {
	file, err := j.opened()
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	probe, about, err := j.probe(ctx, train)
	if err != nil {
		return nil, nil, err
	}
	if probe == nil {
		left = append(left, about)
	}
	for _, e := range sets {
		s := set{Name: e.name, Heads: []candidate{{Name: tunedHead, About: "the head that was trained, from " + filepath.Base(j.options.Out)}}}
		run, err := j.runTuned(ctx, file, e, t.network.Written().Scores(e.X))
		if err != nil {
			return nil, nil, err
		}
		if how, ok := j.comparable(ctx, e); ok {
			c := candidate{Name: beforeHead, About: "the model's own head; classes matched " + how}
			if _, err := j.classify(ctx, j.base, e.selected(), c.run(e.name), e.pass.Dir(), nil); err != nil {
				return nil, nil, err
			}
			s.Heads = append(s.Heads, c)
		}
		given := func(c candidate, scores []float32) error {
			s.Heads = append(s.Heads, c)
			return j.given(ctx, c, e, run, scores)
		}
		if probe != nil {
			if err := given(candidate{Name: probeHead, About: about}, probe.Scores(e.X)); err != nil {
				return nil, nil, err
			}
		}
		switch similarities := float64(len(train.X)); {
		case j.config.several():
		case similarities*float64(e.N()) > mostSimilar || similarities > mostUnits:
			left = append(left, fmt.Sprintf("k-NN was left out: %d x %d similarities are too many", train.N(), e.N()))
		default:
			c := candidate{fmt.Sprintf("knn_k%d", j.config.Neighbours), "nearest training images by cosine similarity, weighted", true}
			votes := heads.Neighbours(train.X, train.Class, e.X, e.Features, e.Classes, j.config.Neighbours)
			if err := given(c, votes); err != nil {
				return nil, nil, err
			}
		}
		out = append(out, s)
	}
	return out, left, nil
}

// probe trains the linear probe: the optimal head on features of images as they are, and what
// it is in words. Where that takes too long there is none, and why.
func (j *Job) probe(ctx context.Context, train *examples) (*heads.Network, string, error) {
	n, c, d := train.N(), train.Classes, j.head.Features
	stop := near
	if stop.Steps = int(min(float64(stop.Steps), mostProbe/(float64(n)*float64(c)*float64(d)))); stop.Steps < leastSteps {
		return nil, fmt.Sprintf("the linear probe was left out: %d images, %d classes and %d features are too many; "+
			"--mix none --augment none --optimizer lbfgs --weight-decay %v trains it", n, c, d, j.config.Probe), nil
	}
	done, end := j.options.stage("linear probe", stop.Steps)
	h, fit, err := train.Problem(&train.Targets, j.config.Probe, j.config.criterion()).Optimum(ctx, stop, done)
	end()
	if err != nil {
		return nil, "", fmt.Errorf("linear probe: %w", err)
	}
	net := heads.NewNetwork(d, 0, c, 0, j.config.criterion(), nil)
	net.Set(h.W, h.B)
	early := ""
	if fit.Gradient > stop.Gradient {
		early = ", stopped early"
	}
	return net, fmt.Sprintf("linear head of least loss on the images as they are, weight decay %.4g%s, %s", j.config.Probe, early, fit), nil
}

// comparable says whether the model's old head has the data's classes, and how that is known.
func (j *Job) comparable(ctx context.Context, e *examples) (string, bool) {
	if j.config.several() {
		return "", false
	}
	labels, err := j.base.Labels(ctx, e.images)
	if err != nil {
		return "", false
	}
	return labels.How, true
}

// runTuned runs the written file on a set. It must give the scores of the head that was trained.
// It returns what describes the run.
func (j *Job) runTuned(ctx context.Context, file *evaluation.Classifier, e *examples, want []float32) (results.Manifest, error) {
	name := candidate{Name: tunedHead}.run(e.name)
	if j.config.several() {
		return j.scored(ctx, file, e, name, want)
	}
	c, k := e.Classes, 0
	return j.classify(ctx, file, j.samples(e), name, "", func(r *classify.Record, logits []float32) error {
		if int(r.Label) != e.Class[k] {
			return fmt.Errorf("the classes of %s were matched to other outputs of the file than they were trained for", e.images.Name)
		}
		k++
		return j.reproduced(e, k-1, want[(k-1)*c:k*c], logits)
	})
}

// classify runs classify in a folder of the job's, and calls check, if not nil, with every record.
// It returns what describes the run.
func (j *Job) classify(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, name, reuse string,
	check func(r *classify.Record, logits []float32) error) (results.Manifest, error) {
	config := classify.DefaultConfig()
	config.Bins, config.Replicates = j.config.Bins, j.config.Replicates
	return j.run(ctx, name, func(dir string) (tasks.Job, error) {
		return classify.Open(ctx, c, im, config, evaluation.Store{Dir: dir, Reuse: reuse})
	}, func(run *results.Run) error {
		return results.Each[classify.Record](ctx, run, []string{evaluation.Logits}, func(r *classify.Record, arrays [][]float32) error {
			switch {
			case r.Status != results.OK:
				return gone(r.Row)
			case check == nil:
				return nil
			}
			return check(r, arrays[0])
		})
	})
}

// run makes the one run of another task's job in a folder of this job's, and checks it. It
// returns what describes the run.
func (j *Job) run(ctx context.Context, name string, open func(dir string) (tasks.Job, error), check func(*results.Run) error) (results.Manifest, error) {
	dir := filepath.Join(j.options.Folder(), name)
	var job tasks.Job
	err := results.Anew(ctx, dir, func() (err error) {
		job, err = open(dir)
		return err
	})
	if err != nil {
		return results.Manifest{}, err
	}
	defer job.Close()
	pass := job.Passes()[0]
	done, end := j.options.stage(name, len(pass.Todo))
	err = job.Collect(ctx, pass, done)
	end()
	if err != nil {
		return results.Manifest{}, err
	}
	return pass.Run.Manifest, check(pass.Run)
}

func gone(r results.Row) error {
	return fmt.Errorf("image %s could be read before, and cannot any more: %s", r.ID, r.Error)
}

// scored runs the written file on images with several labels.
func (j *Job) scored(ctx context.Context, file *evaluation.Classifier, e *examples, name string, want []float32) (results.Manifest, error) {
	config := multilabel.DefaultConfig()
	config.Path, config.Split, config.Scale, config.Replicates = j.config.Multi, j.config.MultiSplit, evaluation.Logit, j.config.Replicates
	truth := multilabel.Truth{Truth: e.truth, Alignment: datasets.Alignment{How: "by the head that was trained"}}
	for c := range j.classes {
		truth.Alignment.Output = append(truth.Alignment.Output, c)
	}
	k, c := 0, e.Classes
	return j.run(ctx, name, func(dir string) (tasks.Job, error) {
		return multilabel.OpenTruth(ctx, file, e.selected(), truth, config, evaluation.Store{Dir: dir})
	}, func(run *results.Run) error {
		return results.Each[multilabel.Record](ctx, run, []string{evaluation.Logits}, func(r *multilabel.Record, arrays [][]float32) error {
			if r.Status != results.OK {
				return gone(r.Row)
			}
			k++
			return j.reproduced(e, k-1, want[(k-1)*c:k*c], arrays[0])
		})
	})
}

// truthOf is what image k of several labels is: 0 or 1, NaN where it is not known, by class.
func (e *examples) truthOf(k int) []float32 {
	out := make([]float32, e.Classes)
	for c, v := range e.Several[k*e.Classes : (k+1)*e.Classes] {
		out[c] = float32(v)
	}
	return out
}

// given keeps scores that were computed here as a run, like that of the file, whose manifest m is.
func (j *Job) given(ctx context.Context, c candidate, e *examples, m results.Manifest, scores []float32) error {
	base := j.base.Model
	m.Key.Model = results.Model{SHA256: base.SHA256, Output: base.Logits, Edits: c.About}
	m.Key.Device, m.Reused = j.roles[0].pass.Manifest.Key.Device, ""
	dir := filepath.Join(j.options.Folder(), c.run(e.name))
	of := func(k int) []float32 { return scores[k*e.Classes : (k+1)*e.Classes] }
	about := report.Model{Name: base.Name + ", " + c.Name, SHA256: base.SHA256, Classes: e.Classes, Output: base.Logits, Edits: c.About}
	if j.config.several() {
		a, err := results.About[multilabel.About](&results.Run{Manifest: m}, multilabel.Name)
		if err != nil {
			return err
		}
		a.Head.Model, a.Scale = about, evaluation.Logit
		if m.About, err = json.Marshal(a); err != nil {
			return err
		}
		return write(ctx, dir, m, e, func(row results.Row, k int) (multilabel.Record, [][]float32, error) {
			rec, err := a.NewRecord(row, e.truthOf(k), of(k), nil)
			return rec, [][]float32{of(k), e.truthOf(k)}, err
		})
	}
	a, err := results.About[classify.About](&results.Run{Manifest: m}, classify.Name)
	if err != nil {
		return err
	}
	a.Head.Model = about
	if c.Votes {
		a.Head.Option("scores are shares of votes, of which only the order means something")
	}
	if m.About, err = json.Marshal(a); err != nil {
		return err
	}
	r := classify.NewRecorder(a)
	return write(ctx, dir, m, e, func(row results.Row, k int) (classify.Record, [][]float32, error) {
		rec, err := r.Record(row, e.images.Label(e.at[k]), of(k), nil)
		return rec, [][]float32{of(k)}, err
	})
}

// write writes a run in place of the one that is there. record makes the record and the arrays of
// image k of a set.
func write[T any, P results.Record[T]](ctx context.Context, dir string, m results.Manifest, e *examples,
	record func(row results.Row, k int) (T, [][]float32, error)) error {
	if err := results.Discard(dir); err != nil {
		return err
	}
	run, err := results.Claim(ctx, dir, m, e.selected().Selected(), results.Shard{})
	if err != nil {
		return err
	}
	w, k := results.NewWriter[T, P](run), 0
	err = results.Each[Record](ctx, e.pass.Run, nil, func(r *Record, _ [][]float32) error {
		if k == e.N() || int(r.Index) != e.at[k] {
			return nil // it is of the part that trains, or bad
		}
		rec, arrays, err := record(r.Row, k)
		if err != nil {
			return err
		}
		k++
		return w.Add(rec, arrays...)
	})
	return errors.Join(err, w.Close(), run.Close())
}
