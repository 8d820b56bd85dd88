package finetune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/compare"
)

// Suite is a transfer table: every backbone is tuned on every data set. The first backbone is
// what the others are compared with.
type Suite struct {
	Models []backbone `json:"models"`
	Data   []transfer `json:"data"`
}

// backbone is a model of a suite.
type backbone struct {
	Name   string `json:"name"`
	Model  string `json:"model"`            // file, or name in models.lock
	Output string `json:"output,omitempty"` // with the class scores
	Recipe string `json:"recipe,omitempty"` // named preprocessing
}

// transfer is a data set of a suite.
type transfer struct {
	Name   string `json:"name"`
	Train  string `json:"train"`
	Val    string `json:"val,omitempty"`  // empty: a part of Train
	Test   string `json:"test,omitempty"` // empty: Val is reported
	Labels string `json:"labels,omitempty"`
	Limit  int    `json:"limit,omitempty"` // training images
}

// SuiteName is the task's name of a suite's study and report.
const SuiteName = Name + "-suite"

var suiteName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$`)

// ReadSuite reads a suite from a JSON file.
func ReadSuite(path string) (*Suite, error) {
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return nil, err
	}
	s, err := parseSuite(data)
	if err != nil {
		return nil, fmt.Errorf("suite %q: %w", path, err)
	}
	return s, nil
}

func parseSuite(data []byte) (*Suite, error) {
	var s Suite
	if err := strict.Decode(data, &s); err != nil {
		return nil, fmt.Errorf("it is not JSON of models and data: %w", err)
	}
	if len(s.Models) == 0 || len(s.Data) == 0 {
		return nil, errors.New("it names no models or no data")
	}
	var models, sets []string
	for _, m := range s.Models {
		if models = append(models, m.Name); m.Model == "" {
			return nil, fmt.Errorf("model %q has no file", m.Name)
		}
	}
	for _, d := range s.Data {
		if sets = append(sets, d.Name); d.Train == "" || d.Limit < 0 {
			return nil, fmt.Errorf("data %q have no training images, or a limit below 0", d.Name)
		}
	}
	for _, names := range [][]string{models, sets} {
		for i, n := range names {
			twice := slices.ContainsFunc(names[:i], func(m string) bool { return strings.EqualFold(m, n) }) // they name files
			if !suiteName.MatchString(n) || twice || strings.EqualFold(n, results.StudyName) {
				return nil, fmt.Errorf("the name %q is there twice, or is not of letters, digits, spaces, dots, - and _", n)
			}
		}
	}
	return &s, nil
}

// Inputs are what all fine-tunings of a suite have in common. The suite names models and images.
type Inputs struct {
	Model   evaluation.ModelConfig
	Running evaluation.Running
	Data    evaluation.DataConfig
}

// member is the folder of the fine-tuning of a backbone on a data set, in the suite's.
func (s *Suite) member(d transfer, m backbone) string { return path.Join(d.Name, m.Name+".run") }

// members are all of those folders.
func (s *Suite) members() []string {
	out := []string{}
	for _, d := range s.Data {
		for _, m := range s.Models {
			out = append(out, s.member(d, m))
		}
	}
	return out
}

// each opens model and training images of every fine-tuning for f, data set by data set. It writes
// DATA/MODEL.onnx in the folder o.Out.
func (s *Suite) each(in Inputs, o Options, f func(*evaluation.Classifier, *evaluation.Images, Options) error) error {
	one := func(d transfer, m backbone, name string) error {
		model, data, o := in.Model, in.Data, o
		model.Model, model.Output, model.Recipe = m.Model, m.Output, cmp.Or(m.Recipe, model.Recipe)
		data.Path, data.Labels, data.Limit, data.Prefer = d.Train, d.Labels, d.Limit, "train"
		o.Out, o.Dir, o.Val, o.Test = filepath.Join(o.Out, d.Name, m.Name+".onnx"), "", d.Val, d.Test
		if stage := o.Stage; stage != nil {
			o.Stage = func(what string, n int) (func(int), func()) { return stage(name+": "+what, n) }
		}
		c, err := evaluation.OpenClassifier(model, in.Running)
		if err != nil {
			return err
		}
		defer c.Close()
		im, err := c.Images(data)
		if err != nil {
			return err
		}
		defer im.Close()
		return f(c, im, o)
	}
	for _, d := range s.Data {
		for _, m := range s.Models {
			name := d.Name + ", " + m.Name
			if err := one(d, m, name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// Run tunes every backbone of the suite on every data set, in the folder o.Out. What can be known
// before hours of work is found out first.
func (s *Suite) Run(ctx context.Context, in Inputs, config Config, o Options) (tasks.Result, error) {
	err := s.each(in, o, func(c *evaluation.Classifier, im *evaluation.Images, o Options) error {
		j, err := prepare(ctx, c, im, config, o)
		if err != nil {
			return err
		}
		defer j.Close()
		e, err := c.Engine(ctx)
		if err != nil {
			return err
		}
		return j.mixable(e)
	})
	if err != nil {
		return nil, err
	}
	config.settle()
	a := suiteAbout{Config: config, Suite: *s}
	a.Head = report.Head{Task: SuiteName, Tool: in.Running.Tool, Config: report.Config{Seed: in.Data.Seed, Split: in.Data.Split}}
	a.Head.Option("%s", config.Training)
	switch task, err := results.TaskOf(o.Out); {
	case err == nil && task != "" && task != SuiteName:
		return nil, fmt.Errorf("the folder %q holds something else than a suite: give another --out", o.Out)
	case err != nil || task == "" || o.Restart:
		if err := a.save(o.Out); err != nil { // it has not ended
			return nil, err
		}
	}
	err = s.each(in, o, func(c *evaluation.Classifier, im *evaluation.Images, o Options) error {
		j, err := Open(ctx, c, im, config, o)
		if err != nil {
			return err
		}
		defer j.Close()
		for _, r := range j.roles {
			done, end := o.stage("features of "+r.name+" images", len(r.pass.Todo))
			err := j.Collect(ctx, r.pass, done)
			end()
			if err != nil {
				return err
			}
		}
		return j.Finish(ctx)
	})
	if err != nil {
		return nil, err
	}
	a.Ended = true
	if err := a.save(o.Out); err != nil {
		return nil, err
	}
	study, err := results.OpenStudy(false, o.Out)
	if err != nil {
		return nil, err
	}
	return SuiteTask{}.Load(ctx, study, tasks.Options{})
}

// suiteAbout is what a report of a suite needs beside its fine-tunings.
type suiteAbout struct {
	Ended  bool        `json:"ended"`
	Head   report.Head `json:"report"`
	Config Config      `json:"config"`
	Suite  Suite       `json:"suite"`
}

func (a suiteAbout) save(dir string) error {
	study, err := results.NewStudy(SuiteName, a)
	if err != nil {
		return err
	}
	study.Members = a.Suite.members()
	return errors.Join(os.MkdirAll(dir, 0o755), study.Save(dir))
}

// SuiteTask is a suite of fine-tunings.
type SuiteTask struct{}

// Name is the task's name.
func (SuiteTask) Name() string { return SuiteName }

// loadedSuite is a suite whose table can be computed.
type loadedSuite struct {
	suiteAbout
	dir   string
	parts map[string]*loaded // by name of the member
}

// Load reads a suite that has ended. It knows the options bins, bootstrap and seed.
func (SuiteTask) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(SuiteName, "bins", "bootstrap", "seed"); err != nil {
		return nil, err
	}
	a, err := results.AboutStudy[suiteAbout](s, SuiteName)
	if err != nil {
		return nil, err
	}
	if !a.Ended || len(a.Suite.members()) == 0 {
		return nil, fmt.Errorf("the suite in %q has not ended; run the same command again", s.Dir())
	}
	tasks.Set(&a.Config.Bins, o.Bins)
	tasks.Set(&a.Config.Replicates, o.Bootstrap)
	l := &loadedSuite{a, s.Dir(), map[string]*loaded{}}
	for _, name := range a.Suite.members() {
		part, err := s.Study(name)
		if err != nil {
			return nil, err
		}
		if l.parts[name], err = load(part, o); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Report computes the table from the fine-tunings.
func (l *loadedSuite) Report(ctx context.Context) (*report.Report, error) {
	base := l.Suite.Models[0]
	first := l.parts[l.Suite.member(l.Suite.Data[0], base)]
	r := &report.Report{Head: l.Head}
	r.Config.Task, r.Runtime = l.Config, first.about.Head.Runtime
	bootstrapped(&r.Head, first.seed)
	v := report.View{
		Title:   "top-1 of the tuned heads and paired differences, with 95 % intervals; p by McNemar's test, corrected by Holm's method",
		Columns: []string{"data", "n"},
	}
	backbones := report.Table{Name: "models", Title: "backbones", Columns: report.Columns("name", "model", "sha256", "training", "pixels")}
	for k, m := range l.Suite.Models {
		if v.Columns = append(v.Columns, m.Name+" %", ""); k > 0 {
			v.Columns = append(v.Columns, "less "+base.Name, "", "p")
		}
		h := l.parts[l.Suite.member(l.Suite.Data[0], m)].about.Head
		var row []report.Cell
		for _, word := range []string{m.Name, h.Model.Name, fmt.Sprintf("%.12s", h.Model.SHA256), h.Model.Training, h.Preprocessing.Summary} {
			row = append(row, report.Word(word))
		}
		backbones.Rows = append(backbones.Rows, row)
	}
	var differences []*report.Number
	for _, d := range l.Suite.Data {
		row := report.Row(report.Word(d.Name))
		for k, m := range l.Suite.Models {
			at := report.Keys{report.KeyDataset.Is(d.Name), report.KeyModel.Is(m.Name)}
			part := l.parts[l.Suite.member(d, m)]
			if err := part.addTo(ctx, r, d.Name+", "+m.Name, at); err != nil {
				return nil, err
			}
			top1 := r.Find("top1", at...)
			if k == 0 {
				row = append(row, top1.Count(), top1.Bare(), top1.Range())
				continue
			}
			n, err := part.above(ctx, l.parts[l.Suite.member(d, base)], at)
			if err != nil {
				return nil, err
			}
			less := r.Add(n.Noted("less " + base.Name + "'s"))
			differences = append(differences, less)
			row = append(row, top1.Bare(), top1.Range(), less.Signed(), less.Range(), less.PValue())
		}
		v.Rows = append(v.Rows, row)
	}
	report.Holm(differences...)
	r.Show(v, backbones)
	return r, nil
}

// addTo adds the main numbers of a fine-tuning, its bad images and warnings to a suite's report.
func (l *loaded) addTo(ctx context.Context, r *report.Report, name string, at report.Keys) error {
	own, err := l.Report(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, n := range own.Main {
		one := *n
		one.At = at
		r.Add(one)
	}
	for _, b := range own.BadImages {
		r.BadImages = append(r.BadImages, report.BadImage{ID: name + "/" + b.ID, Reason: b.Reason})
	}
	for _, w := range own.Warnings {
		r.Warn("%s: %s", name, w)
	}
	r.Tried += own.Tried
	return nil
}

// above is what top-1 is more than that of another fine-tuning.
func (l *loaded) above(ctx context.Context, other *loaded, at report.Keys) (report.Number, error) {
	var runs []compare.Run
	for _, part := range []*loaded{other, l} {
		source, err := part.Source(ctx)
		if err != nil {
			return report.Number{}, err
		}
		runs = append(runs, compare.Run{Source: source})
	}
	res, err := compare.Compare(ctx, compare.Config{Replicates: l.about.Config.Replicates, Seed: l.seed}, runs)
	if err != nil {
		return report.Number{}, err
	}
	return difference("top1", at, res.N, res.Pairs[0].Find("top1").Difference), nil
}

// Source offers nothing: a suite is many fine-tunings.
func (l *loadedSuite) Source(context.Context) (compare.Source, error) { return nil, l.folders() }

// Export has nothing to write: the records are of the heads' runs.
func (l *loadedSuite) Export(context.Context, io.Writer, string) error { return l.folders() }

func (l *loadedSuite) folders() error {
	one := results.MemberDir(l.dir, l.Suite.member(l.Suite.Data[0], l.Suite.Models[0]))
	return fmt.Errorf("%q is a suite; its fine-tunings are folders in it, such as %q", l.dir, one)
}
