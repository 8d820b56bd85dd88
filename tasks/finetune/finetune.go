package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/metrics"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"
)

// Options say where results go and who is told.
type Options struct {
	Val, Test string // data; empty: a part of the training images, none
	Out       string // the ONNX file to write
	Dir       string // folder of records and checkpoint; empty: OUT without .onnx, with .run
	Restart   bool   // train from the beginning though there is a checkpoint
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
	network   *network
	searched  []trial
	held      int // images that the search was judged by
	report    *report.Report
	warnings  []string
	alike     []string // notes on how things were done
}

func (t *tuning) warn(format string, a ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, a...))
}

// criterion is that of the head's loss.
func (t *tuning) criterion() criterion {
	if t.truth.multi != nil {
		return sigmoid
	}
	return softmax
}

// Run trains a new head for the model of a setup, whose data are the training images, writes
// the file and returns the report. The setup stays with the caller.
func Run(ctx context.Context, s *evaluation.Setup, c Config, o Options) (_ *report.Report, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.settle()
	t := &tuning{config: c, options: o, setup: s}
	defer t.close()
	for _, step := range []func(context.Context) error{t.open, t.collect, t.divide, t.check, t.tune, t.write, t.evaluate} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return t.report, t.keep()
}

func (t *tuning) close() {
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
	if err := os.MkdirAll(t.options.Folder(), 0o755); err != nil {
		return err
	}
	if err := t.openTruth(ctx); err != nil {
		return err
	}
	t.sets = []*set{{name: "train", setup: s, truth: t.truth}}
	for _, v := range []struct{ name, path string }{{"val", t.options.Val}, {"test", t.options.Test}} {
		if v.path == "" {
			continue
		}
		one, err := t.other(v.name, v.path)
		if one != nil {
			t.sets = append(t.sets, one)
		}
		if err != nil {
			return err
		}
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
		t.alike = append(t.alike, m.Why)
		t.alike = append(t.alike, m.Notes...)
	case t.config.Keep:
		labels, err := t.setup.Labels(ctx, t.options.Install)
		if err != nil {
			return fmt.Errorf("to keep the head, the data must have the model's classes: %w", err)
		}
		names := slices.Clone(t.setup.Model.ClassNames)
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

// other opens images of another role, with the training images' classes.
func (t *tuning) other(name, path string) (*set, error) {
	c := t.setup.Config
	c.Data, c.Limit, c.Subset = path, 0, ""
	setup, err := t.setup.With(c)
	if err != nil {
		return nil, fmt.Errorf("%s images: %w", name, err)
	}
	s := &set{name: name, setup: setup, truth: t.truth}
	if t.truth.multi != nil {
		m, err := setup.Data.MultiLabels(t.config.Multi, t.config.MultiVal)
		if err != nil {
			return s, fmt.Errorf("%s images: %w", name, err)
		}
		if !slices.Equal(m.Classes, t.truth.classes) {
			return s, fmt.Errorf("%s images are annotated with other classes (%v) than the training images (%v)", name, m.Classes, t.truth.classes)
		}
		s.truth = &truth{classes: m.Classes, multi: m}
		return s, nil
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
		dir, maps := filepath.Join(t.options.Folder(), s.name), (*model.Head)(nil)
		if s.name == "train" && t.config.Mix.Method == FeatureCutMix {
			dir, maps = dir+"-maps", t.head
		}
		s.dir = dir
		if err := s.open(ctx, maps, t.options.Install); err != nil {
			return err
		}
		done, end := t.options.stage("features of "+s.name+" images", len(s.rec.Todo))
		err := s.collect(ctx, maps, done)
		end()
		if err == nil {
			err = s.read(ctx)
		}
		if err != nil {
			return err
		}
		t.alike = append(t.alike, s.notes...)
	}
	return nil
}

// divide says which images train and which validate.
func (t *tuning) divide(context.Context) error {
	t.train = t.sets[0]
	t.evaluated = t.sets[1:]
	d := t.head.Features
	if t.options.Val == "" {
		train, held := split(t.train.class, t.train.content, t.config.Split, t.setup.Config.Seed)
		if len(held) == 0 {
			return fmt.Errorf("no image is left to validate on: %d images of %d classes with --split %v; give more, or --val", t.train.n(), len(t.truth.classes), t.config.Split)
		}
		val := t.train.only(held, d)
		val.name, val.bad = "val", nil
		t.evaluated = append([]*set{val}, t.evaluated...)
		t.train = t.train.only(train, d)
		t.alike = append(t.alike, fmt.Sprintf("%d of the images train and %d validate, by class (--split %v); images of equal content are on one side", t.train.n(), val.n(), t.config.Split))
	}
	return nil
}

// check says what about the images is suspicious.
func (t *tuning) check(context.Context) error {
	seen := map[int64]bool{}
	for _, c := range t.train.content {
		seen[c] = true
	}
	for _, s := range t.evaluated {
		twice := 0
		for _, c := range s.content {
			if seen[c] {
				twice++
			}
		}
		if twice > 0 {
			t.warn("%d of the %d %s images are training images too (the same tensor): their numbers are too good", twice, s.n(), s.name)
		}
	}
	if t.truth.multi != nil {
		return t.checkMulti()
	}
	count := make([]int, len(t.truth.classes))
	for _, c := range t.train.class {
		count[c]++
	}
	var single, none []string
	most, least := 0, math.MaxInt
	for c, n := range count {
		switch n {
		case 0:
			none = append(none, t.truth.classes[c])
			continue
		case 1:
			single = append(single, t.truth.classes[c])
		}
		most, least = max(most, n), min(least, n)
	}
	if len(none) > 0 {
		t.warn("%d of %d classes have no training image (%s): they are not predicted but by chance", len(none), len(count), some(none))
	}
	if len(single) > 0 {
		t.warn("%d classes have a single training image (%s)", len(single), some(single))
	}
	if most >= 10*least && !t.config.Balanced {
		t.warn("classes have between %d and %d training images: rare ones will be predicted less (--class-weights balanced evens it out; see balanced_accuracy)", least, most)
	}
	for _, s := range t.evaluated {
		has := make([]bool, len(count))
		for _, c := range s.class {
			has[c] = true
		}
		var missing []string
		for c, ok := range has {
			if !ok && count[c] > 0 {
				missing = append(missing, t.truth.classes[c])
			}
		}
		if len(missing) > 0 {
			t.warn("%d of %d classes have no %s image (%s): nothing is known about them", len(missing), len(count), s.name, some(missing))
		}
	}
	return nil
}

func (t *tuning) checkMulti() error {
	c := len(t.truth.classes)
	for _, s := range append([]*set{t.train}, t.evaluated...) {
		var none []string
		for k := range c {
			if !hasPositive(s.y, k, c) {
				none = append(none, t.truth.classes[k])
			}
		}
		if len(none) == c {
			return fmt.Errorf("no %s image is of any class", s.name)
		}
		if len(none) > 0 {
			t.warn("%d of %d classes have no %s image (%s)", len(none), c, s.name, some(none))
		}
	}
	return nil
}

func hasPositive(y []float64, k, c int) bool {
	for i := k; i < len(y); i += c {
		if y[i] == 1 {
			return true
		}
	}
	return false
}

// targets are what images are trained on: smoothed, and weighted by class.
func (t *tuning) targets(s *set) []float64 {
	c := len(t.truth.classes)
	y := slices.Clone(s.y)
	weight := slices.Repeat([]float64{1}, c)
	if t.config.Balanced {
		count := make([]float64, c)
		for _, k := range s.class {
			count[k]++
		}
		present := 0.0
		for _, n := range count {
			if n > 0 {
				present++
			}
		}
		for k, n := range count {
			if n > 0 { // every class weighs the same, and images 1 on average
				weight[k] = float64(s.n()) / (present * n)
			}
		}
	}
	for i, v := range y {
		if t.truth.multi != nil {
			y[i] = v*(1-t.config.Smoothing) + t.config.Smoothing/2
		} else {
			y[i] = weight[i%c] * (v*(1-t.config.Smoothing) + t.config.Smoothing/float64(c))
		}
	}
	return y
}

// validator measures a network on images: mean loss without smoothing and weights, and top-1
// or mAP.
func (t *tuning) validator(s *set) func(*network) (float64, float64) {
	c := len(t.truth.classes)
	return func(n *network) (float64, float64) {
		scores := n.scores(s.x)
		loss, hits := 0.0, 0
		z := make([]float64, c)
		for i := range s.n() {
			row := scores[i*c : (i+1)*c]
			for k, v := range row {
				z[k] = float64(v)
			}
			loss += n.criterion.of(z, s.y[i*c:(i+1)*c])
			if metrics.Argmax(row) == s.class[i] {
				hits++
			}
		}
		loss /= float64(s.n())
		if n.criterion == sigmoid {
			return loss, meanAP(scores, s.y, c)
		}
		return loss, float64(hits) / float64(s.n())
	}
}

func meanAP(scores []float32, y []float64, c int) float64 {
	return metrics.NewMultiLabel(scores, y, c).Evaluate(slices.Repeat([]uint16{1}, len(y)/c))[0]
}

// score is what epochs are chosen by.
func (t *tuning) score() string {
	if t.truth.multi != nil {
		return "map"
	}
	return "top1"
}

// newNetwork is the head before training.
func (t *tuning) newNetwork(c Training) *network {
	n := newNetwork(t.head.Features, c.Hidden, len(t.truth.classes), c.Dropout, t.criterion(), t.setup.Config.Seed)
	if c.Standardise {
		n.scale = scalingOf(t.train.x, t.head.Features)
	}
	if c.Keep {
		wide := func(v []float32) []float64 {
			out := make([]float64, len(v))
			for i, x := range v {
				out[i] = float64(x)
			}
			return out
		}
		n.set(wide(t.head.Weight), wide(t.head.Bias))
	}
	return n
}

// tune trains the head.
func (t *tuning) tune(ctx context.Context) (err error) {
	s := t.setup
	if t.config.Search {
		if err := t.search(ctx); err != nil {
			return err
		}
	}
	var data []string
	for _, one := range t.sets {
		data = append(data, one.setup.Data.Fingerprint())
	}
	t.key = results.Key{
		Task: Name, Model: results.Model{SHA256: s.Model.SHA256, Output: s.Model.Logits}, Preprocessing: s.Recipe.Fingerprint(),
		Data: results.Data{Fingerprint: strings.Join(data, " "), N: t.train.n(), Labels: strings.Join(t.truth.classes, ",")},
		Config: struct {
			Training
			Split float64 `json:"split"`
			Seed  uint64  `json:"seed"`
			Limit int     `json:"limit"`
		}{t.config.Training, t.config.Split, s.Config.Seed, s.Config.Limit},
		Device: t.sets[0].rec.Manifest.Key.Device,
	}
	t.network = t.newNetwork(t.config.Training)
	dir := t.options.Folder()
	if t.options.Restart {
		if err := os.Remove(filepath.Join(dir, checkpointName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if t.state, err = load(dir, t.key, len(t.network.at)); err != nil {
		return err
	}
	if len(t.state.history) == 0 { // what an older head gave is not this one's
		for _, s := range t.evaluated {
			if err := os.RemoveAll(filepath.Join(dir, tunedName+s.name)); err != nil {
				return err
			}
		}
	}
	if t.config.Optimiser == LBFGSName {
		return t.optimum()
	}
	src, closer, err := t.source(ctx)
	if err != nil {
		return err
	}
	defer closer()
	tr := trainer{config: t.config.Training, seed: s.Config.Seed, network: t.network, validate: t.validator(t.evaluated[0])}
	tr.saved = func(st state) error { return errors.Join(save(dir, t.key, st), t.writeLog(st.history)) }
	tr.told = func(e Epoch) {
		if t.options.Told != nil {
			t.options.Told(e, t.config.Epochs, t.score())
		}
	}
	t.state, err = tr.run(ctx, src, t.state)
	if n := len(t.state.history); err != nil && n > 0 {
		err = fmt.Errorf("%w (%d of %d epochs are kept in %s; run the same command again to go on)", err, n, t.config.Epochs, t.options.Folder())
	}
	return err
}

// source is where the training's features come from.
func (t *tuning) source(ctx context.Context) (Source, func(), error) {
	y := t.targets(t.train)
	c := t.config.Training
	if c.Fixed() {
		src := &stored{config: c, seed: t.setup.Config.Seed, features: t.head.Features, classes: len(t.truth.classes), x: t.train.x, y: y}
		if c.Mix.Method != FeatureCutMix {
			return src, func() {}, nil
		}
		rows, err := t.train.rec.Rows(mapsArray)
		if err != nil {
			return nil, nil, err
		}
		width, _ := t.train.rec.HasArray(mapsArray)
		channels := t.head.Features
		h, w, err := t.mapSides(ctx, width/channels)
		if err != nil {
			return nil, nil, err
		}
		src.maps = &featureMaps{channels: channels, h: h, w: w, read: func(dst []float32, i int) error { return rows.Read(dst, t.train.at[i]) }}
		return src, func() { _ = rows.Close() }, nil
	}
	done := func(int) {}
	end := func() {}
	left := c.Epochs - len(t.state.history)
	if left > 0 {
		s := t.setup
		s.Stop()
		s.Taps, s.Penultimate = []string{t.head.Penultimate}, true
		if err := s.Start(ctx, t.options.Install); err != nil {
			return nil, nil, err
		}
		if fixed := s.Session.Fixed; fixed > 0 && c.Mix.Method != None && c.Mix.Method != Cutout && fixed != c.Batch {
			return nil, nil, fmt.Errorf("model %q insists on batches of %d images, and images are mixed within batches of %d: export it with an open batch axis, or give --mix feature-cutmix", s.Model.Name, fixed, c.Batch)
		}
	}
	at := -1
	src := &pixels{config: c, seed: t.setup.Config.Seed, setup: t.setup, samples: t.train.at, features: t.head.Features, classes: len(t.truth.classes), y: y}
	src.progress = func(epoch, n int) {
		if epoch != at {
			end()
			what := fmt.Sprintf("epoch %d/%d", epoch+1, c.Epochs)
			if k := len(t.state.history); k > 0 {
				e := t.state.history[k-1]
				what += fmt.Sprintf(" (loss %.4f, val %s %s %%)", e.Loss, t.score(), report.Percent(e.ValScore))
			}
			done, end = t.options.stage(what, len(t.train.at))
			at = epoch
		}
		done(n)
	}
	return src, func() { end(); t.setup.Stop() }, nil
}

// mapSides are the sides of the feature map, which is not always square.
func (t *tuning) mapSides(ctx context.Context, places int) (h, w int, err error) {
	side := int(math.Round(math.Sqrt(float64(places))))
	size := t.setup.Size()
	if size.H == size.W && side*side == places {
		return side, side, nil
	}
	s := t.setup
	s.Stop()
	s.Taps, s.Penultimate = []string{t.head.FeatureMap}, false
	if err := s.Start(ctx, t.options.Install); err != nil {
		return 0, 0, err
	}
	_, h, w, err = mapShape(s, t.head)
	s.Stop()
	return h, w, err
}

// optimum finds the head of least loss.
func (t *tuning) optimum() error {
	if len(t.state.history) > 0 {
		copy(t.network.at, t.state.at)
		return nil
	}
	p := t.problem(t.train, t.targets(t.train), t.config.Decay)
	h, _, err := p.Optimum()
	if err != nil {
		return err
	}
	t.network.set(h.W, h.B)
	loss, err := p.Loss(h)
	if err != nil {
		return err
	}
	e := Epoch{Epoch: 1, Loss: loss, Best: true}
	e.ValLoss, e.ValScore = t.validator(t.evaluated[0])(t.network)
	t.state = state{history: []Epoch{e}, at: t.network.at, best: t.network.at}
	return save(t.options.Folder(), t.key, t.state)
}

func (t *tuning) problem(s *set, y []float64, decay float64) *Problem {
	return &Problem{N: s.n(), C: len(t.truth.classes), D: t.head.Features, X: s.x, Y: y, L2: decay, Sigmoid: t.truth.multi != nil}
}

// write writes the model with its new head.
func (t *tuning) write(context.Context) error {
	c := t.config
	recipe, err := model.EncodeRecipe(t.setup.Recipe)
	if err != nil {
		return err
	}
	chosen := t.state.chosen(c.Last)
	training := lock.Training{Method: string(c.Mix.Method), Epochs: chosen.Epoch, Head: true}
	if c.Mix.Method == CutMix || c.Mix.Method == FeatureCutMix || c.Mix.Method == Mixup {
		training.Beta, training.Prob = &c.Mix.Alpha, &c.Mix.Prob
	}
	if c.Mix.Method == None {
		training.Method = "standard"
	}
	meta := map[string]string{"recipe": string(recipe)}
	for key, v := range map[string]any{lock.TrainingKey: training, "cutmix_eval.finetune": c.Training} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		meta[key] = string(text)
	}
	names := t.truth.classes
	if c.Keep {
		names = t.setup.Model.ClassNames // as it was
	}
	data, err := t.setup.Model.ReplaceHead(t.head, t.network.layers(), names, meta)
	if err != nil {
		return err
	}
	return results.Save(t.options.Out, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// tuned opens the file that was written, for the images of a set.
func (t *tuning) tuned(s *set) (*evaluation.Setup, error) {
	c := s.setup.Config
	c.Model, c.Output, c.Recipe, c.Changes = t.options.Out, t.setup.Config.Output, "", evaluation.Changes{}
	if s.setup.Data.ClassMap != nil {
		c.Labels = "" // it is of the old head's outputs
	}
	setup, err := evaluation.Prepare(c)
	if err != nil {
		return nil, fmt.Errorf("the file that was written: %w", err)
	}
	if setup.Recipe.Fingerprint() != t.setup.Recipe.Fingerprint() {
		setup.Close()
		return nil, fmt.Errorf("the file that was written, %q, has other preprocessing (%s) than the images were prepared with (%s)", t.options.Out, setup.Recipe, t.setup.Recipe)
	}
	s.choose(setup)
	return setup, nil
}

// choose makes a setup of the set's data one of its images.
func (s *set) choose(setup *evaluation.Setup) {
	if setup.Selected = nil; len(s.at) < len(setup.Data.Samples) {
		setup.Selected = s.at
	}
}

// classified are the outcomes of a model's run of classify.
type classified struct {
	outcomes []metrics.Outcome
	logits   [][]float32
}

// run runs classify with a setup, which it closes, in a folder of its own.
func (t *tuning) run(ctx context.Context, s *evaluation.Setup, name, reuse string) (*classified, error) {
	defer s.Close()
	config := classify.DefaultConfig()
	config.Bins, config.Replicates = t.config.Bins, t.config.Replicates
	j, err := classify.Open(ctx, s, config, evaluation.Store{Dir: filepath.Join(t.options.Folder(), name), Reuse: reuse}, t.options.Tool, t.options.Install)
	if err != nil {
		return nil, err
	}
	defer j.Close()
	done, end := t.options.stage(name, len(j.Todo))
	_, err = j.Collect(ctx, done)
	end()
	if err != nil {
		return nil, err
	}
	var out classified
	err = results.Each[classify.Record](ctx, j.Run, []string{evaluation.Logits}, func(r *classify.Record, arrays [][]float32) error {
		if r.Status != results.OK {
			return fmt.Errorf("image %s could be read before, and cannot any more: %s", r.ID, r.Error)
		}
		out.outcomes, out.logits = append(out.outcomes, r.Outcome()), append(out.logits, slices.Clone(arrays[0]))
		return nil
	})
	return &out, err
}

// reproduced says whether the file gives the scores of the head that was trained. Sums in
// another order may differ in the last digits; float16 has 11 bits.
func (t *tuning) reproduced(s *set, scores []float32, got [][]float32) error {
	c := len(t.truth.classes)
	if len(got)*c != len(scores) {
		return fmt.Errorf("the file that was written gives scores of %d %s images, not of %d", len(got), s.name, s.n())
	}
	tolerance := 1e-3
	if t.setup.Model.InputType == onnx.Float16 {
		tolerance = 3e-2
	}
	for i, row := range got {
		top := 1.0
		for _, v := range row {
			top = max(top, math.Abs(float64(v)))
		}
		for k, v := range row {
			if want := scores[i*c+k]; !(math.Abs(float64(v-want)) <= tolerance*top) {
				return fmt.Errorf("the file that was written, %q, gives %v for class %s of %s, and the head that was trained %v", t.options.Out, v, t.truth.classes[k], s.setup.Data.Samples[s.at[i]].ID, want)
			}
		}
	}
	return nil
}

// comparable says whether the model's old head has the data's classes, and how that is known.
func (t *tuning) comparable(ctx context.Context, s *set) (string, bool) {
	if t.truth.multi != nil {
		return "", false
	}
	labels, err := s.setup.Labels(ctx, t.options.Install)
	if err != nil || strings.HasPrefix(labels.How, datasets.InOrder) && len(t.setup.Model.ClassNames) > 0 {
		return "", false
	}
	return labels.How, true
}
