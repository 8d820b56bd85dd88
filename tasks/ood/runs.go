package ood

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/npy"
	"cutmix-eval/linear"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/scores"
)

// set is a set of images and its records.
type set struct {
	Source
	*results.Run
}

// Runs are the runs of an evaluation: everything its report is computed from.
type Runs struct {
	About About
	head  *scores.Head
	sets  []set // the ID images first
}

// IsRun says whether a folder holds the runs of an evaluation.
func IsRun(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, aboutName))
	return err == nil
}

// Load opens the runs of an evaluation: one folder, or several with shares of it, in any
// order. Where some will do, records may be missing.
func Load(partial bool, dirs ...string) (*Runs, error) {
	r := &Runs{}
	open := func(src Source) error {
		var at []string
		for _, dir := range dirs {
			at = append(at, filepath.Join(dir, src.Name))
		}
		run, err := results.Open(at...)
		if err != nil {
			return err
		}
		if err := run.Complete(); err != nil && !(partial && errors.Is(err, results.ErrIncomplete)) {
			return err
		}
		r.sets = append(r.sets, set{src, run})
		return nil
	}
	var about []byte // shares differ in paths; one is taken, whatever the order
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, aboutName))
		if err != nil {
			return nil, fmt.Errorf("folder %q holds no evaluation of out-of-distribution detection: %w", dir, err)
		}
		if about == nil || string(text) < string(about) {
			about = text
		}
	}
	err := json.Unmarshal(about, &r.About)
	if err == nil {
		err = r.About.Config.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %q: %w; run the same command again", aboutName, dirs[0], err)
	}
	if err := open(Of(Test, "", 0)); err != nil {
		return nil, err
	}
	for _, src := range r.About.Config.Sources {
		if err := open(src); err != nil {
			return nil, err
		}
	}
	classes, _ := r.sets[0].HasArray(evaluation.Logits)
	r.head = unknownHead(classes)
	if r.About.Head {
		d, _ := r.sets[0].HasArray(evaluation.Features)
		r.head, err = loadHead(filepath.Join(dirs[0], headName), classes, d)
	}
	return r, err
}

// keep writes what describes the evaluation beside its runs, where they are kept, and takes
// it as it is read again: the report of the records is the same.
func (r *Runs) keep(a About, dir string) error {
	text, err := json.MarshalIndent(a, "", "  ")
	if err == nil && dir != "" {
		err = atomicfile.Save(filepath.Join(dir, aboutName), func(w io.Writer) error {
			_, err := w.Write(append(text, '\n'))
			return err
		})
	}
	if err == nil {
		err = json.Unmarshal(text, &r.About)
	}
	return err
}

func saveHead(dir string, h *scores.Head) error {
	rows := make([]float32, 0, h.Out*(h.In+1))
	for c := range h.Out {
		rows = append(append(rows, h.Row(c)...), h.Bias[c])
	}
	return results.SaveArray(filepath.Join(dir, headName), h.In+1, rows)
}

func loadHead(path string, c, d int) (*scores.Head, error) {
	info, v, err := npy.Read(path)
	if err == nil && (len(info.Shape) != 2 || info.Shape[0] != c || info.Shape[1] != d+1) {
		err = fmt.Errorf("it holds %v values, not those of %d classes and %d features", info.Shape, c, d)
	}
	if err != nil {
		return nil, fmt.Errorf("head of the model, %q: %w; run the same command again", path, err)
	}
	h := &scores.Head{Layer: linear.Layer{In: d, Out: c}}
	for i, x := range v {
		if i%(d+1) == d {
			h.Bias = append(h.Bias, float32(x))
		} else {
			h.Weight = append(h.Weight, float32(x))
		}
	}
	return h, nil
}

// Missing counts the records that are not there.
func (r *Runs) Missing() int {
	n := 0
	for _, s := range r.sets {
		n += len(s.Run.Missing(results.Shard{}))
	}
	return n
}

// All are the runs by themselves.
func (r *Runs) All() []*results.Run {
	var out []*results.Run
	for _, s := range r.sets {
		out = append(out, s.Run)
	}
	return out
}

// errNone is wrapped where a set has no image with a result.
var errNone = errors.New("not one image could be read")

// Confidences are an OOD set's largest softmax probabilities, which msp scores by.
type Confidences struct {
	Set    string
	Values []float64
}

// Confidences are those of the OOD sets, and what the ID run's records depend on.
func (r *Runs) Confidences(ctx context.Context) (out []Confidences, key results.Key, err error) {
	for i := range r.sets {
		s := &r.sets[i]
		if s.Role != Out {
			continue
		}
		c := Confidences{Set: s.Name}
		if err := results.Each[Record](ctx, s.Run, nil, func(rec *Record, _ [][]float32) error {
			if rec.Status == results.OK {
				c.Values = append(c.Values, rec.Confidence)
			}
			return nil
		}); err != nil {
			return nil, key, err
		}
		if len(c.Values) == 0 {
			return nil, key, fmt.Errorf("set %s: %w", s.Name, errNone)
		}
		out = append(out, c)
	}
	return out, r.sets[0].Manifest.Key, nil
}

func (r *Runs) of(role Role) *set {
	for i := range r.sets {
		if r.sets[i].Role == role {
			return &r.sets[i]
		}
	}
	return nil
}

// arrays names what the runs keep.
func (r *Runs) arrays() []string {
	if r.head.In > 0 {
		return []string{evaluation.Logits, evaluation.Features}
	}
	return []string{evaluation.Logits}
}

// each calls f for every image of a set that has a result, without features where they
// are not known, and bad for the others.
func (r *Runs) each(ctx context.Context, s *set, f func(rec *Record, z, features []float32) error, bad func(*set, *Record)) error {
	n := 0
	err := results.Each[Record](ctx, s.Run, r.arrays(), func(rec *Record, v [][]float32) error {
		if rec.Status != results.OK {
			bad(s, rec)
			return nil
		}
		if int(rec.Label) >= r.head.Out || int(rec.Prediction) >= r.head.Out {
			return fmt.Errorf("the record of %s has a label or prediction that the model has not", rec.ID)
		}
		n++
		if len(v) > 1 {
			return f(rec, v[0], v[1])
		}
		return f(rec, v[0], nil)
	})
	if err == nil && n == 0 {
		err = errNone
	}
	if err != nil {
		err = fmt.Errorf("set %s: %w", s.Name, err)
	}
	return err
}

// given reads what scores are fitted with. notes says of which images it is, where
// not of all.
func (r *Runs) given(ctx context.Context, bad func(*set, *Record)) (g scores.Data, notes []string, err error) {
	g.Head = r.head
	if s := r.of(Val); s != nil {
		v := scores.NewSample(s.Share(results.Shard{}), r.head.Out, r.head.In)
		if err := r.each(ctx, s, func(rec *Record, z, f []float32) error {
			v.Add(int(rec.Label), z, f)
			return nil
		}, bad); err != nil {
			return g, nil, err
		}
		if g.Validation = v; v.Rule() != "" {
			notes = append(notes, "of "+s.Name+", scores are fitted with "+v.Rule())
		}
	}
	if s := r.of(Train); s != nil {
		t := scores.NewTrainingSet(s.Share(results.Shard{}), r.head.Out, r.head.In)
		if err := r.each(ctx, s, func(rec *Record, z, f []float32) error {
			if rec.Label < 0 {
				return fmt.Errorf("training image %s has no label", rec.ID)
			}
			t.Add(int(rec.Label), z, f)
			return nil
		}, bad); err != nil {
			return g, nil, err
		}
		t.Done()
		if g.Training = t; t.Rule() != "" {
			notes = append(notes, "of "+s.Name+", scores that compare with images (knn, nnguide, relation, openmax, vim's scale) use "+t.Rule()+"; sums are of all")
		}
		if n := t.Zeros(); n > 0 {
			notes = append(notes, fmt.Sprintf("%d training images whose features are all 0 have no direction: knn, nnguide and relation leave them out", n))
		}
	}
	return g, notes, nil
}

// scored is a set's scores, and what else is told of it.
type scored struct {
	Source
	values     [][]float64 // by score, then image
	ids        []string
	prediction []int32
	confidence []float64
	right      []bool
	labelled   bool // all images are
}

func (s *scored) hits() int {
	n := 0
	for _, r := range s.right {
		if r {
			n++
		}
	}
	return n
}

// blockRows is how many images are scored together.
const blockRows = 128

// score streams a set through fitted scores.
func (r *Runs) score(ctx context.Context, s *set, funcs []scores.Func, bad func(*set, *Record)) (*scored, error) {
	out := &scored{Source: s.Source, values: make([][]float64, len(funcs)), labelled: true}
	for k := range out.values {
		out.values[k] = make([]float64, 0, s.Share(results.Shard{}))
	}
	type rows struct {
		logits   [][]float32
		features []float64
	}
	blocks := pipeline.NewOrdered(ctx, goruntime.GOMAXPROCS(0), func() func(rows) ([][]float64, error) {
		var b scores.Block
		return func(in rows) ([][]float64, error) {
			b.Reset(in.logits, in.features, r.head.In)
			values := make([][]float64, len(funcs))
			for k, f := range funcs {
				values[k] = make([]float64, len(in.logits))
				f(&b, values[k])
			}
			return values, nil
		}
	}, func(values [][]float64) error {
		for k, v := range values {
			out.values[k] = append(out.values[k], v...)
		}
		return nil
	})
	var block rows
	err := r.each(ctx, s, func(rec *Record, logits, f []float32) error {
		out.ids = append(out.ids, rec.ID)
		out.prediction, out.confidence = append(out.prediction, rec.Prediction), append(out.confidence, rec.Confidence)
		out.right = append(out.right, rec.Label >= 0 && rec.Label == rec.Prediction)
		out.labelled = out.labelled && rec.Label >= 0
		block.logits = append(block.logits, append([]float32(nil), logits...))
		for _, v := range f {
			block.features = append(block.features, float64(v))
		}
		if len(block.logits) < blockRows {
			return nil
		}
		full := block
		block = rows{}
		return blocks.Put(full)
	}, bad)
	if err == nil && len(block.logits) > 0 {
		err = blocks.Put(block)
	}
	return out, cmp.Or(blocks.Close(), err)
}

// fitted is a score that is ready.
type fitted struct {
	scores.Score
	scores.Func
	scores.State
}

// flags are what gives a score what it needs.
var flags = map[string]string{scores.NeedValidation.String(): " (--val)", scores.NeedTraining.String(): " (--train)"}

// fit fits the scores that can be; warnings names the others, once each.
func fit(all []scores.Score, g scores.Data) (out []fitted, warnings []string) {
	missing := map[string][]string{}
	var order []string
	for _, s := range all {
		if need := s.Missing(g); need != 0 {
			why := need.String() + flags[need.String()]
			if missing[why] == nil {
				order = append(order, why)
			}
			missing[why] = append(missing[why], s.Name)
			continue
		}
		f, st, err := s.Fit(g)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("score %s is left out: %v", s.Name, err))
			continue
		}
		out = append(out, fitted{s, f, st})
	}
	for _, why := range order {
		warnings = append(warnings, fmt.Sprintf("%s not given, so left out: %s", why, strings.Join(missing[why], ", ")))
	}
	return out, warnings
}

func funcs(f []fitted) []scores.Func {
	var out []scores.Func
	for _, s := range f {
		out = append(out, s.Func)
	}
	return out
}

// Found is how well one score tells one OOD set from the ID images.
type Found struct {
	View  string // empty: the ID images alone; fullSpectrum: with those under covariate shift
	Set   string
	Group string
	Score string
	metrics.Separation
	Histogram  report.Histogram
	CCR        []report.Metric
	placements metrics.Placements
}

// fullSpectrum is the view in which images under covariate shift count as ID (Yang et al.,
// IJCV 2023).
const fullSpectrum = "full-spectrum"

// overlaps finds images that the model cannot tell apart: of an OOD set and of an ID set,
// or of the ID test images and of those that scores are fitted with.
func (r *Runs) overlaps(ctx context.Context) ([]string, error) {
	first := map[int64]int{} // set by content
	var out []string
	for i := range r.sets {
		s := &r.sets[i]
		shared := map[int][]string{}
		err := results.Each[Record](ctx, s.Run, nil, func(rec *Record, _ [][]float32) error {
			if rec.Status != results.OK {
				return nil
			}
			other, seen := first[rec.Content]
			if !seen {
				first[rec.Content] = i
			} else if other != i {
				shared[other] = append(shared[other], rec.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for k := range r.sets[:i] {
			if ids := shared[k]; len(ids) > 0 {
				text := strings.Join(ids[:min(len(ids), 5)], ", ")
				if len(ids) > 5 {
					text += ", ..."
				}
				out = append(out, fmt.Sprintf("%d images of %s give the model the same pixels as images of %s: %s", len(ids), s.Name, r.sets[k].Name, text))
			}
		}
	}
	return out, nil
}
