package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/model"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// Options say where results go and who is told.
type Options struct {
	Val, Test string // data; empty: a part of the training images, none
	Out       string // the ONNX file to write
	Dir       string // folder of records and checkpoint; empty: OUT without .onnx, with .run
	Restart   bool   // begin anew whatever is there; features that fit are used
	Tool      report.Tool
	Install   runtime.Progress
	// Stage, if not nil, is told of work on n images: done with how many are done, end when
	// it ends.
	Stage func(what string, n int) (done func(int), end func())
	// Told, if not nil, is called after every epoch.
	Told func(e Epoch, of int, score string)
}

func (o *Options) stage(what string, n int) (func(int), func()) {
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

// tuning is a fine-tuning at work.
type tuning struct {
	config    Config
	options   Options
	setup     *evaluation.Setup // of the training images
	head      *model.Head
	truth     *truth
	sets      []*set // as they were opened: train, then val and test where there are any
	train     *set   // the images that train
	evaluated []*set // val, then test
	key       results.Key
	state     state
	network   *heads.Network
	searched  []trial
	held      int // images that the search was judged by
	report    *report.Report
	warnings  []string
	alike     []string // notes on how things were done
	release   func()   // gives the folder's lock back
	file      []byte   // that was written
}

func (t *tuning) warn(format string, a ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, a...))
}

// criterion is that of the head's loss.
func (t *tuning) criterion() heads.Criterion {
	if t.truth.multi != nil {
		return heads.Sigmoid
	}
	return heads.Softmax
}

// Run trains a new head for a model, writes the file and returns the report. The data of on
// are the training images; of several splits, each role has its own.
func Run(ctx context.Context, on evaluation.Config, c Config, o Options) (*report.Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.settle()
	on.Prefer = "train"
	s, err := evaluation.Prepare(on)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	t := &tuning{config: c, options: o, setup: s}
	defer t.close()
	for _, step := range []func(context.Context) error{t.open, t.claim, t.collect, t.divide, t.check, t.tune, t.write, t.evaluate, t.keep} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return t.report, nil
}

// fits says whether Run would find model and data fit, before anything is computed.
func fits(ctx context.Context, on evaluation.Config, c Config, o Options) error {
	on.Prefer = "train"
	s, err := evaluation.Prepare(on)
	if err != nil {
		return err
	}
	defer s.Close()
	t := &tuning{config: c, options: o, setup: s}
	defer t.close()
	if err := t.open(ctx); err != nil {
		return err
	}
	if err := s.Start(ctx, o.Install); err != nil {
		return err
	}
	return t.mixable()
}

// mixable says whether the open session takes batches within which images can be mixed.
func (t *tuning) mixable() error {
	c, fixed := t.config, t.setup.Session.Fixed
	if c.Fixed() || fixed == 0 || c.Mix.Method == None || fixed == c.Batch {
		return nil
	}
	hint := fmt.Sprintf("give --batch-size %d", fixed)
	if fixed == 1 {
		hint = "export it with an open batch axis, or give --mix none"
	}
	return fmt.Errorf("model %q insists on batches of %d images, and images are mixed within batches of %d: %s", t.setup.Model.Name, fixed, c.Batch, hint)
}

func (t *tuning) close() {
	if t.release != nil {
		t.release()
	}
	for _, s := range t.sets {
		if s.rec != nil {
			_ = s.rec.Close() // only read
		}
		if s.setup != t.setup {
			s.setup.Close()
		}
	}
}

// open opens model and data, before anything is computed.
func (t *tuning) open(ctx context.Context) (err error) {
	if filepath.Ext(t.options.Out) != ".onnx" {
		return fmt.Errorf("the file to write, %q, must end in .onnx", t.options.Out)
	}
	if err := t.checkOut(); err != nil {
		return err
	}
	s := t.setup
	if t.head, err = s.Model.Head(); err != nil {
		return err
	}
	if t.head.PerPlace {
		return fmt.Errorf("model %q: %w: there is no head to tune", s.Model.Name, model.ErrPerPlace)
	}
	if t.config.Mix.Method == FeatureCutMix && (!t.head.Direct || t.head.MapKind == model.MapTokens || t.head.FeatureMap == "") {
		why := t.head.NoMap
		if why == "" {
			why = strings.Join(append([]string{t.head.Pool}, t.head.Between...), ", ") + " lie between it and the head"
		}
		return fmt.Errorf("feature-cutmix needs a feature map whose mean enters the head, and in model %q %s: give --mix cutmix", s.Model.Name, why)
	}
	if t.config.Multi != "" && s.Model.Activation != "" && s.Model.Activation != "Sigmoid" {
		return fmt.Errorf("model %q ends in %s, and several labels need scores of each class for itself: export it without", s.Model.Name, s.Model.Activation)
	}
	if err := t.openTruth(ctx); err != nil {
		return err
	}
	plain := t.config.Training
	plain.Standardize = false
	if _, err := t.rewritten(t.newNetwork(plain)); err != nil { // it would fail in the end
		return err
	}
	t.sets = []*set{{name: "train", setup: s, truth: t.truth}}
	for _, v := range []struct{ name, path, lists string }{{"val", t.options.Val, t.config.MultiVal}, {"test", t.options.Test, t.config.MultiTest}} {
		if v.path == "" && v.lists != "" {
			v.path = s.Config.Data // VOC's images lie in one folder
		}
		if v.path == "" {
			continue
		}
		one, err := t.other(v.name, v.path, v.lists)
		if one != nil {
			t.sets = append(t.sets, one)
		}
		if err != nil {
			return err
		}
	}
	if len(t.sets) == 1 || t.sets[1].name != "val" {
		return t.divisible()
	}
	return nil
}

// checkOut says whether the file can be written, and its folder, without harm to anything.
func (t *tuning) checkOut() error {
	out := t.options.Out
	if a, err := os.Stat(out); err == nil {
		if a.IsDir() {
			return fmt.Errorf("the file to write, %q, is a folder: give another --out", out)
		}
		if b, err := os.Stat(t.setup.Model.Path); err == nil && os.SameFile(a, b) {
			return fmt.Errorf("the file to write, %q, is the model itself: give another --out", out)
		}
	}
	if resolved(out) == resolved(t.options.Folder()) {
		return fmt.Errorf("%q cannot be the file to write and its folder: give another --run", out)
	}
	for _, data := range []string{t.setup.Config.Data, t.options.Val, t.options.Test} {
		if info, err := os.Stat(data); err != nil || !info.IsDir() {
			continue
		}
		for _, path := range []string{out, t.options.Folder()} {
			if inside(path, data) {
				return fmt.Errorf("%q lies among the images of %q, which it would be taken for: give another --out or --run", path, data)
			}
		}
	}
	return nil
}

// inside says whether a path lies in a folder.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && filepath.IsLocal(rel)
}

// resolved is where a path leads that need not exist: absolute, links followed.
func resolved(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	for dir, rest := path, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
	}
}

// claim makes the folder and keeps other processes from training there.
func (t *tuning) claim(ctx context.Context) (err error) {
	dir := t.options.Folder()
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil { // every training leaves it
			return fmt.Errorf("the folder %q holds something else than a training: give another --run", dir)
		}
	}
	if err := os.MkdirAll(filepath.Dir(t.options.Out), 0o755); err != nil {
		return err
	}
	if t.release, err = filelock.Acquire(ctx, filepath.Join(dir, lockName), 0); err != nil {
		return fmt.Errorf("training in %q: %w", dir, err)
	}
	return nil
}

// openTruth finds the classes.
func (t *tuning) openTruth(ctx context.Context) error {
	d := t.setup.Data
	t.truth = &truth{classes: d.Classes}
	switch {
	case t.config.Multi != "":
		m, err := d.MultiLabels(t.config.Multi, t.config.MultiSplit)
		if err != nil {
			return err
		}
		t.truth.multi, t.truth.classes = m, m.Classes
		t.limit()
		t.alike = append(t.alike, m.Why)
		t.alike = append(t.alike, m.Notes...)
	case t.config.Keep:
		labels, err := t.setup.Labels(ctx, t.options.Install)
		t.setup.Stop() // other sets have sessions of their own
		if err != nil {
			return fmt.Errorf("to keep the head, the data must have the model's classes: %w", err)
		}
		names := slices.Clone(t.setup.Model.ClassNames)
		if guessed(labels, names) {
			return fmt.Errorf("to keep the head, the data must have the model's classes, and %s are not %s: give --head new", some(d.Classes), some(names))
		}
		if len(names) == 0 {
			for i := range t.head.Classes {
				names = append(names, strconv.Itoa(i))
			}
			for c, o := range labels.Output {
				names[o] = labels.Names[c]
			}
		}
		t.truth.classes, t.truth.index = names, map[string]int{}
		for c, o := range labels.Output {
			t.truth.index[labels.Names[c]] = o
		}
		return nil
	case !d.Labelled():
		return fmt.Errorf("the training images of %s have no labels (%s); give them with --labels", d.Name, d.Why)
	case len(d.Classes) < 2:
		return fmt.Errorf("the training images of %s have %d class; a classifier needs two or more", d.Name, len(d.Classes))
	}
	t.truth.index = map[string]int{}
	for i, c := range t.truth.classes {
		t.truth.index[c] = i
	}
	return nil
}

// limit takes so many of the images with several labels as are asked for: a larger number
// holds a smaller one's.
func (t *tuning) limit() {
	n := t.setup.Config.Limit
	if n == 0 {
		return
	}
	var known []int
	for i, of := range t.truth.multi.Of {
		if of != nil {
			known = append(known, i)
		}
	}
	random(t.setup.Config.Seed, splitting, -1, 0).Shuffle(len(known), func(i, j int) { known[i], known[j] = known[j], known[i] })
	known = known[:min(n, len(known))]
	slices.Sort(known)
	t.setup.Selected = known
}

// divisible says whether some images are left to validate on.
func (t *tuning) divisible() error {
	var class []int
	row := make([]float64, len(t.truth.classes))
	for _, i := range t.sets[0].wanted() {
		if c := t.truth.row(row, t.setup.Data, i); c >= 0 {
			class = append(class, c)
		}
	}
	own := make([]int64, len(class)) // contents are not known yet
	for i := range own {
		own[i] = int64(i)
	}
	if _, held := split(class, own, t.config.Split, t.setup.Config.Seed); len(held) == 0 {
		return t.indivisible(len(class))
	}
	return nil
}

func (t *tuning) indivisible(n int) error {
	return fmt.Errorf("no image is left to validate on: %d images of %d classes with --split %v; give more, or --val", n, len(t.truth.classes), t.config.Split)
}

// other opens images of another role, with the training images' classes.
func (t *tuning) other(name, path, lists string) (*set, error) {
	c := t.setup.Config
	c.Data, c.Prefer, c.Limit, c.Subset = path, name, 0, ""
	setup, err := t.setup.With(c)
	if err != nil {
		return nil, fmt.Errorf("%s images: %w", name, err)
	}
	s := &set{name: name, setup: setup, truth: t.truth}
	if t.truth.multi != nil {
		m, err := setup.Data.MultiLabels(t.config.Multi, lists)
		if err != nil {
			return s, fmt.Errorf("%s images: %w", name, err)
		}
		if !slices.Equal(m.Classes, t.truth.classes) {
			return s, fmt.Errorf("%s images are annotated with other classes (%v) than the training images (%v)", name, m.Classes, t.truth.classes)
		}
		s.truth = &truth{classes: m.Classes, multi: m}
		return s, nil
	}
	if !setup.Data.Labelled() {
		return s, fmt.Errorf("%s images: those of %s have no labels (%s); give them with --labels", name, setup.Data.Name, setup.Data.Why)
	}
	var unknown []string
	for _, class := range setup.Data.Classes {
		if _, ok := t.truth.index[class]; !ok {
			unknown = append(unknown, class)
		}
	}
	if len(unknown) > 0 {
		return s, fmt.Errorf("%s images are of classes that no training image has: %s", name, some(unknown))
	}
	return s, nil
}

// some names a few.
func some(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// collect runs the backbone once over all images, where that was not done before.
func (t *tuning) collect(ctx context.Context) error {
	for _, s := range t.sets {
		s.dir = filepath.Join(t.options.Folder(), s.name)
		var maps *model.Head
		if s.name == "train" && t.config.Mix.Method == FeatureCutMix {
			s.dir, maps = s.dir+"-maps", t.head
		}
		pass := func() error { return t.pass(ctx, s, maps) }
		var err error
		if t.options.Restart {
			err = anew(ctx, s.dir, pass)
		} else if err = pass(); err != nil && ctx.Err() == nil && s.rec == nil && results.IsRun(s.dir) {
			err = fmt.Errorf("%w; or begin anew with --restart", err)
		}
		if err != nil {
			return err
		}
		t.alike = append(t.alike, s.notes...)
	}
	return nil
}

// pass opens a set's records, makes what is missing and reads them.
func (t *tuning) pass(ctx context.Context, s *set, maps *model.Head) error {
	if s.rec != nil {
		_ = s.rec.Close() // of the pass before
		s.rec = nil
	}
	s.notes = nil
	if err := s.open(ctx, maps, t.options.Install); err != nil {
		s.rec = nil
		return err
	}
	done, end := t.options.stage("features of "+s.name+" images", len(s.rec.Todo))
	err := s.collect(ctx, maps, done)
	end()
	if err != nil {
		return err
	}
	if err := s.read(ctx); err != nil {
		return fmt.Errorf("%s images: %w: %w", s.name, errUnreadable, err)
	}
	if s.n() == 0 {
		return fmt.Errorf("%s images: not one could be read; the first: %s: %s", s.name, s.bad[0].ID, s.bad[0].Reason)
	}
	return nil
}

// errUnreadable is wrapped where records are there and cannot be read.
var errUnreadable = errors.New("its records cannot be used")

// anew opens a run that can be made again: where it is another one, or damaged, it is removed
// first. Other failures, of a device say, leave what is there.
func anew(ctx context.Context, dir string, open func() error) error {
	err := open()
	if err == nil || ctx.Err() != nil || !results.IsRun(dir) {
		return err
	}
	var different *results.DifferentRunError
	if !errors.As(err, &different) && !errors.Is(err, results.ErrOtherSamples) && !errors.Is(err, errUnreadable) {
		if _, bad := results.Open(dir); bad == nil {
			return err
		}
	}
	if err := results.Discard(dir); err != nil {
		return err
	}
	return open()
}

// divide says which images train and which validate.
func (t *tuning) divide(context.Context) error {
	t.train = t.sets[0]
	t.evaluated = t.sets[1:]
	d := t.head.Features
	if len(t.evaluated) == 0 || t.evaluated[0].name != "val" {
		train, held := split(t.train.class, t.train.content, t.config.Split, t.setup.Config.Seed)
		if len(held) == 0 {
			return t.indivisible(t.train.n())
		}
		val := t.train.only(held, d)
		val.name, val.bad = "val", nil
		t.evaluated = append([]*set{val}, t.evaluated...)
		all := t.train
		t.train = all.only(train, d)
		all.x, all.labels = nil, labels{}
		t.alike = append(t.alike, fmt.Sprintf("%d of the images train and %d validate, by class (--split %v); images of equal content are on one side", t.train.n(), val.n(), t.config.Split))
	}
	return nil
}
