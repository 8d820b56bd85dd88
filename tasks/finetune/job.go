package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/augment"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/linear"
	"cutmix-eval/model"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// Options say where results go, and what is called as the work goes on.
type Options struct {
	Val, Test string // images; empty: a part of the training images, none
	Out       string // the ONNX file to write
	Dir       string // folder of records and checkpoint; empty: OUT without .onnx, with .run
	Restart   bool   // begin anew whatever is there; features that fit are used
	// Stage, if not nil, is called before work on n images; done is called with how many are
	// done, end when it ends.
	Stage func(what string, n int) (done func(int), end func())
	// Told, if not nil, is called after every epoch.
	Told func(e heads.Epoch, of int, score string)
}

func (o *Options) stage(what string, n int) (done func(int), end func()) {
	if o.Stage == nil {
		return func(int) {}, func() {}
	}
	return o.Stage(what, n)
}

// Folder is where records and checkpoint are.
func (o *Options) Folder() string {
	if o.Dir != "" {
		return o.Dir
	}
	return strings.TrimSuffix(o.Out, ".onnx") + ".run"
}

// Job is a fine-tuning: the features of its images are the passes, and the head is trained,
// written and evaluated when they are there. Close it.
type Job struct {
	config  Config
	options Options
	base    *evaluation.Classifier // whose head is tuned
	head    *model.Head            // of base
	classes []string
	index   map[string]int // of classes, where images have one label
	roles   []*role        // train, then val and test where there are any
	seed    uint64
	notes   []string // how images were labelled
	release func()   // gives the folder's lock back
}

// Open opens the fine-tuning of a classifier's head on training images, whose classes the new
// head gets. Of data with several splits the split train should be preferred, as the others
// are by their names.
func Open(ctx context.Context, c *evaluation.Classifier, train *evaluation.Images, config Config, o Options) (*Job, error) {
	j, err := prepare(ctx, c, train, config, o)
	if err != nil {
		return nil, err
	}
	if err := j.open(ctx); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// prepare finds out whether model, images and options fit each other, before anything is
// written.
func prepare(ctx context.Context, c *evaluation.Classifier, train *evaluation.Images, config Config, o Options) (_ *Job, err error) {
	j := &Job{config: config, options: o, base: c, seed: train.Config.Seed}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	j.config.settle()
	if err := j.checkOut(train.Config.Path); err != nil {
		return nil, err
	}
	if err := j.checkHead(); err != nil {
		return nil, err
	}
	truth, train, err := j.classesOf(ctx, train)
	if err != nil {
		return nil, err
	}
	plain := j.config.Training
	plain.Standardize = false
	if _, err := j.rewritten(&tuned{network: j.network(plain, nil), config: plain}); err != nil { // it would fail in the end
		return nil, err
	}
	j.roles = []*role{{name: "train", images: train, truth: truth, maps: config.Mix.Method == augment.FeatureCutMix}}
	for _, r := range []struct{ name, path, lists string }{{"val", o.Val, config.MultiVal}, {"test", o.Test, config.MultiTest}} {
		if r.path == "" && r.lists != "" {
			r.path = train.Config.Path // VOC's images lie in one folder
		}
		if r.path == "" {
			continue
		}
		if err := j.other(r.name, r.path, r.lists); err != nil {
			return nil, err
		}
	}
	if len(j.roles) == 1 || j.roles[1].name != "val" {
		return j, j.divisible()
	}
	return j, nil
}

// checkHead says whether the model has a head that can be tuned as is asked for.
func (j *Job) checkHead() (err error) {
	m, method := j.base.Model, j.config.Mix.Method
	if j.head, err = m.Head(); err != nil {
		return err
	}
	if err := tunable(m, j.head); err != nil {
		return err
	}
	if method == augment.FeatureCutMix {
		if err := mixesMaps(m, j.head); err != nil {
			return err
		}
	}
	if j.config.several() && m.Activation != "" && m.Activation != "Sigmoid" {
		return fmt.Errorf("model %q ends in %s, and several labels need scores of each class for itself: export it without", m.Name, m.Activation)
	}
	return nil
}

// tunable says why a model's head cannot be tuned.
func tunable(m *model.Model, h *model.Head) error {
	if h.PerPlace {
		return fmt.Errorf("model %q: %w: there is no head to tune", m.Name, model.ErrPerPlace)
	}
	return nil
}

// mixesMaps says why the feature maps of a model cannot be mixed in place of its images.
func mixesMaps(m *model.Model, h *model.Head) error {
	pooled := h.Direct && len(h.Between) == 0 && h.MapKind != model.MapTokens && h.FeatureMap != ""
	if pooled && !h.Rounded {
		return nil
	}
	why := h.NoMap
	switch {
	case pooled:
		why = "the mean is quantised before it does"
	case why == "":
		why = strings.Join(append([]string{h.Pool}, h.Between...), ", ") + " lie between it and the head"
		if len(h.Between) == 0 {
			why = h.Pool + " lies between it and the head"
		}
	}
	return fmt.Errorf("feature-cutmix needs a feature map whose mean enters the head, and in model %q %s: give --mix cutmix", m.Name, why)
}

// Possible says why a model's head cannot be tuned, and why not with feature-cutmix; nil
// where it can.
func Possible(m *model.Model) (tune, featureCutMix error) {
	h, err := m.Head()
	if err == nil {
		err = tunable(m, h)
	}
	if err == nil {
		zero := linear.Layer{In: h.Features, Out: 2, Weight: make([]float32, 2*h.Features), Bias: make([]float32, 2)}
		_, err = m.ReplaceHead(h, []linear.Layer{zero}, nil, nil)
	}
	if err != nil {
		return err, err
	}
	return nil, mixesMaps(m, h)
}

// mixable says whether an engine takes batches within which images can be mixed.
func (j *Job) mixable(e evaluation.Engine) error {
	c, fixed := j.config, e.Fixed()
	if c.Fixed() || fixed == 0 || c.Mix.Method == augment.None || fixed == c.Batch {
		return nil
	}
	hint := fmt.Sprintf("give --batch-size %d", fixed)
	if fixed == 1 {
		hint = "export it with an open batch axis, or give --mix none"
	}
	return fmt.Errorf("model %q insists on batches of %d images, and images are mixed within batches of %d: %s",
		j.base.Model.Name, fixed, c.Batch, hint)
}

// open makes the folder, keeps other processes from training there, and opens the passes.
func (j *Job) open(ctx context.Context) error {
	if err := j.claim(ctx); err != nil {
		return err
	}
	for _, r := range j.roles {
		r.labelled = r.truth.Labelled()
		if r.labelled != nil && len(r.labelled) == 0 {
			return fmt.Errorf("%s images: not one of %s has a label", r.name, r.images.Name)
		}
		if n := r.images.Len() - len(r.labelled); r.labelled != nil {
			j.notes = append(j.notes, fmt.Sprintf("%s: %d images without a label are left out", r.name, n))
		}
		dir := filepath.Join(j.options.Folder(), r.folder())
		again := func() error { return j.openPass(ctx, r, dir) }
		var err error
		if j.options.Restart {
			err = results.Anew(ctx, dir, again)
		} else if err = again(); err != nil && ctx.Err() == nil && results.IsRun(dir) {
			err = fmt.Errorf("%w; or begin anew with --restart", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// claim keeps other processes from training in the folder. Every training leaves its lock and
// its study there.
func (j *Job) claim(ctx context.Context) (err error) {
	dir := j.options.Folder()
	old, err := inFolder(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(j.options.Out), 0o755); err != nil {
		return err
	}
	if j.release, err = filelock.Acquire(ctx, filepath.Join(dir, lockName), 0); err != nil {
		return fmt.Errorf("training in %q: %w", dir, err)
	}
	if err := atomicfile.Clean(dir, checkpointName, searchName, logName+".csv", logName+".json", results.StudyName); err != nil {
		return fmt.Errorf("training in %q: %w", dir, err)
	}
	if old && !j.options.Restart {
		return fmt.Errorf("folder %q: %w, or begin anew with --restart", dir, results.ErrOldStudy)
	}
	if task, err := results.TaskOf(dir); err != nil || task == "" {
		return saveStudy(dir, about{}, nil) // it has not ended
	}
	return nil
}

// Passes are the features of the images, role by role.
func (j *Job) Passes() []*evaluation.Pass {
	var out []*evaluation.Pass
	for _, r := range j.roles {
		out = append(out, r.pass)
	}
	return out
}

// Collect makes the records that are missing of a pass: what the backbone gives for its images.
func (j *Job) Collect(ctx context.Context, p *evaluation.Pass, progress func(done int)) error {
	r := j.roles[slices.IndexFunc(j.roles, func(r *role) bool { return r.pass == p })]
	var taken *model.Head
	if r.maps {
		taken = j.head
	}
	var planar []float32
	return evaluation.Collect(ctx, p, progress, func(sc evaluation.Scored) (Record, evaluation.Own, error) {
		return record(p.Row(sc), sc, taken, &planar)
	})
}

// Finish trains the head, writes it in its file and evaluates that beside what it is compared
// with.
func (j *Job) Finish(ctx context.Context) error {
	if j.config.Fixed() {
		j.base.Stop() // its memory is better used by what trains
	}
	all, err := j.read(ctx)
	if err != nil {
		return err
	}
	train, judged, divided, err := j.divide(all)
	if err != nil {
		return err
	}
	warnings, err := j.suspicious(train, judged)
	if err != nil {
		return err
	}
	t, err := j.tune(ctx, train, judged[0])
	if err != nil {
		return err
	}
	file, err := j.rewritten(t)
	if err != nil {
		return err
	}
	if err := j.try(file); err != nil {
		return err
	}
	sets, left, err := j.evaluate(ctx, t, train, judged)
	if err != nil {
		return err
	}
	a := j.about(t, all, train, judged, sets)
	a.note(slices.Concat(j.notes, divided, t.notes)...)
	for _, s := range sets {
		for _, c := range s.Heads {
			a.note(c.Name + ": " + c.About)
		}
	}
	a.Warnings = append(warnings, left...)
	return j.keep(file, t, a)
}

// Result is read from the folder.
func (j *Job) Result(ctx context.Context) (tasks.Result, error) {
	s, err := results.OpenStudy(false, j.options.Folder())
	if err != nil {
		return nil, err
	}
	return Task{}.Load(ctx, s, tasks.Options{})
}

// Close gives the folder back and closes what the job opened.
func (j *Job) Close() error {
	var errs []error
	for i, r := range j.roles {
		if r.pass != nil {
			errs = append(errs, r.pass.Close())
		}
		if i > 0 { // those that train are the caller's
			errs = append(errs, r.images.Close())
		}
	}
	if j.release != nil {
		j.release()
	}
	return errors.Join(errs...)
}
