package finetune

import (
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
	data, err := os.ReadFile(path)
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
			if !suiteName.MatchString(n) || twice || strings.EqualFold(n, "study.json") {
				return nil, fmt.Errorf("the name %q is there twice, or is not of letters, digits, spaces, dots, - and _", n)
			}
		}
	}
	return &s, nil
}

// Inputs are what all fine-tunings of a suite have in common.
type Inputs struct {
	Model   evaluation.ModelConfig // preprocessing; the suite names the models
	Running evaluation.Running
	Data    evaluation.DataConfig // how images are read; the suite names them
}

// pair is the fine-tuning of a backbone on a data set: DATA/MODEL.onnx in the suite's folder.
type pair struct {
	name    string // for people
	member  string // of the study
	model   evaluation.ModelConfig
	data    evaluation.DataConfig
	options Options
}

// pairs are the fine-tunings of a suite, by data set, then by backbone.
func (s *Suite) pairs(in Inputs, o Options) []pair {
	var out []pair
	for _, d := range s.Data {
		for _, m := range s.Models {
			p := pair{name: d.Name + ", " + m.Name, member: path.Join(d.Name, m.Name+".run"), model: in.Model, data: in.Data, options: o}
			p.model.Model, p.model.Output = m.Model, m.Output
			if m.Recipe != "" {
				p.model.Recipe = m.Recipe
			}
			p.data.Path, p.data.Labels, p.data.Limit, p.data.Prefer = d.Train, d.Labels, d.Limit, "train"
			p.options.Out, p.options.Dir = filepath.Join(o.Out, d.Name, m.Name+".onnx"), ""
			p.options.Val, p.options.Test = d.Val, d.Test
			if o.Stage != nil {
				p.options.Stage = func(what string, n int) (func(int), func()) { return o.Stage(p.name+": "+what, n) }
			}
			out = append(out, p)
		}
	}
	return out
}

// open opens a pair's model and images for f, and closes them.
func (p pair) open(r evaluation.Running, f func(*evaluation.Classifier, *evaluation.Images) error) error {
	c, err := evaluation.OpenClassifier(p.model, r)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer c.Close()
	im, err := c.Images(p.data)
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	defer im.Close()
	if err := f(c, im); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// Run tunes every backbone of the suite on every data set, in the folder o.Out. o.Told and o.Stage
// are called as in every fine-tuning. What can be known before hours of work is found out first.
func (s *Suite) Run(ctx context.Context, in Inputs, config Config, o Options) (tasks.Result, error) {
	all := s.pairs(in, o)
	for _, p := range all {
		err := p.open(in.Running, func(c *evaluation.Classifier, im *evaluation.Images) error {
			return fits(ctx, c, im, config, p.options)
		})
		if err != nil {
			return nil, err
		}
	}
	config.settle()
	h := report.Head{Task: SuiteName, Tool: in.Running.Tool, Config: report.Config{Seed: in.Data.Seed, Split: in.Data.Split}}
	h.Option("%s", config.Training)
	a := suiteAbout{Head: h, Config: config, Suite: *s}
	if err := a.save(o.Out, all); err != nil { // it has not ended
		return nil, err
	}
	for _, p := range all {
		err := p.open(in.Running, func(c *evaluation.Classifier, im *evaluation.Images) error {
			return whole(ctx, c, im, config, p.options)
		})
		if err != nil {
			return nil, err
		}
	}
	a.Ended = true
	if err := a.save(o.Out, all); err != nil {
		return nil, err
	}
	study, err := results.OpenStudy(false, o.Out)
	if err != nil {
		return nil, err
	}
	return SuiteTask{}.Load(ctx, study, tasks.Options{})
}

// fits says whether a fine-tuning could begin.
func fits(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, config Config, o Options) error {
	j, err := prepare(ctx, c, im, config, o)
	defer j.Close()
	if err != nil {
		return err
	}
	e, err := c.Engine(ctx)
	if err != nil {
		return err
	}
	return j.mixable(e)
}

// whole does all of a fine-tuning.
func whole(ctx context.Context, c *evaluation.Classifier, im *evaluation.Images, config Config, o Options) error {
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
}

// suiteAbout is what a report of a suite needs beside its fine-tunings.
type suiteAbout struct {
	Ended  bool        `json:"ended"`
	Head   report.Head `json:"report"`
	Config Config      `json:"config"`
	Suite  Suite       `json:"suite"`
}

func (a suiteAbout) save(dir string, all []pair) error {
	s, err := results.NewStudy(SuiteName, a)
	if err != nil {
		return err
	}
	for _, p := range all {
		s.Members = append(s.Members, p.member)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return s.Save(dir)
}

// SuiteTask is a suite of fine-tunings.
type SuiteTask struct{}

// Name is the task's name.
func (SuiteTask) Name() string { return SuiteName }

// loadedSuite is a suite whose table can be computed.
type loadedSuite struct {
	about suiteAbout
	study *results.Study
	parts []*loaded // by data set, then by backbone
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
	if !a.Ended || len(s.Members) != len(a.Suite.Data)*len(a.Suite.Models) || len(s.Members) == 0 {
		return nil, fmt.Errorf("the suite in %q has not ended; run the same command again", s.Dir())
	}
	l := &loadedSuite{about: a, study: s}
	for _, name := range s.Members {
		part, err := s.Study(name)
		if err != nil {
			return nil, err
		}
		one, err := load(part, o)
		if err != nil {
			return nil, err
		}
		l.parts = append(l.parts, one)
	}
	return l, nil
}

// Report computes the table from the fine-tunings.
func (l *loadedSuite) Report(ctx context.Context) (*report.Report, error) {
	suite, first := l.about.Suite, l.parts[0]
	r := &report.Report{Head: l.about.Head}
	config := l.about.Config
	config.Bins, config.Replicates = first.about.Config.Bins, first.about.Config.Replicates
	r.Config.Task, r.Config.Seed, r.Runtime = config, first.seed, first.about.Head.Runtime
	v := report.View{
		Title:   "top-1 of the tuned heads and paired differences, with 95 % intervals; p by McNemar's test, corrected by Holm's method",
		Columns: []string{"data", "n"},
	}
	backbones := report.Table{Name: "models", Title: "backbones", Columns: report.Columns("name", "model", "sha256", "training", "pixels")}
	for k, m := range suite.Models {
		if v.Columns = append(v.Columns, m.Name+" %", ""); k > 0 {
			v.Columns = append(v.Columns, "less "+suite.Models[0].Name, "", "p")
		}
		h := l.parts[k].about.Head
		backbones.Rows = append(backbones.Rows, report.Row(report.Word(m.Name), report.Word(h.Model.Name), report.Word(fmt.Sprintf("%.12s", h.Model.SHA256)),
			report.Word(h.Model.Training), report.Word(h.Preprocessing.Summary)))
	}
	var differences []*report.Number
	for i, d := range suite.Data {
		row := report.Row(report.Word(d.Name))
		of := l.parts[i*len(suite.Models):][:len(suite.Models)]
		for k, m := range suite.Models {
			at := report.Keys{report.KeyDataset.Is(d.Name), report.KeyModel.Is(m.Name)}
			top1, err := l.add(ctx, r, of[k], d.Name+", "+m.Name, at)
			if err != nil {
				return nil, err
			}
			if k == 0 {
				row = append(row, top1.Count())
			}
			if row = append(row, top1.Bare(), top1.Range()); k == 0 {
				continue
			}
			n, err := l.difference(ctx, of[0], of[k], suite.Models[0].Name, at)
			if err != nil {
				return nil, err
			}
			less := r.Add(n)
			differences = append(differences, less)
			row = append(row, less.Signed(), less.Range(), less.PValue())
		}
		v.Rows = append(v.Rows, row)
	}
	report.Holm(differences...)
	r.Show(v, backbones)
	return r, nil
}

// add adds the main numbers of a fine-tuning, its bad images and warnings, and returns top-1.
func (l *loadedSuite) add(ctx context.Context, r *report.Report, part *loaded, name string, at report.Keys) (top1 *report.Number, err error) {
	own, err := part.Report(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, n := range own.Main {
		n := *n
		n.At = at
		if added := r.Add(n); n.Name == "top1" {
			top1 = added
		}
	}
	for _, b := range own.BadImages {
		r.BadImages = append(r.BadImages, report.BadImage{ID: name + "/" + b.ID, Reason: b.Reason})
	}
	for _, w := range own.Warnings {
		r.Warn("%s: %s", name, w)
	}
	r.Tried += own.Tried
	return top1, nil
}

// difference is what top-1 of b is above that of a, which is the first backbone's.
func (l *loadedSuite) difference(ctx context.Context, a, b *loaded, first string, at report.Keys) (report.Number, error) {
	var runs []compare.Run
	for _, part := range []*loaded{a, b} {
		source, err := part.Source(ctx)
		if err != nil {
			return report.Number{}, err
		}
		runs = append(runs, compare.Run{Source: source})
	}
	c := compare.Config{Replicates: b.about.Config.Replicates, Seed: b.seed}
	res, err := compare.Compare(ctx, c, runs)
	if err != nil {
		return report.Number{}, err
	}
	d := res.Pairs[0].Find("top1")
	return difference("top1_difference", at, res.N, d.Difference).Noted("less " + first + "'s"), nil
}

// Source offers nothing: a suite is many fine-tunings.
func (l *loadedSuite) Source(context.Context) (compare.Source, error) { return nil, l.folders() }

// Export has nothing to write: the records are of the heads' runs.
func (l *loadedSuite) Export(context.Context, io.Writer, string) error { return l.folders() }

func (l *loadedSuite) folders() error {
	return fmt.Errorf("%q is a suite; its fine-tunings are folders in it, such as %q", l.study.Dir(), results.MemberDir(l.study.Dir(), l.study.Members[0]))
}
