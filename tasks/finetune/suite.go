package finetune

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/strict"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// Suite is a transfer table: every backbone is tuned on every data set. The first backbone is
// what the others are compared with.
type Suite struct {
	Models []SuiteModel `json:"models"`
	Data   []SuiteData  `json:"data"`
}

// SuiteModel is a backbone.
type SuiteModel struct {
	Name   string `json:"name"`
	Model  string `json:"model"`            // file, or name in models.lock
	Output string `json:"output,omitempty"` // with the class scores
	Recipe string `json:"recipe,omitempty"` // named preprocessing
}

// SuiteData is a data set.
type SuiteData struct {
	Name   string `json:"name"`
	Train  string `json:"train"`
	Val    string `json:"val,omitempty"`  // empty: a part of Train
	Test   string `json:"test,omitempty"` // empty: Val is reported
	Labels string `json:"labels,omitempty"`
	Limit  int    `json:"limit,omitempty"` // training images
}

// suiteTask is the task of a suite's report.
const suiteTask = Name + "-suite"

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
			if !suiteName.MatchString(n) || twice || strings.EqualFold(n, reportName) {
				return nil, fmt.Errorf("the name %q is there twice, or is not of letters, digits, spaces, dots, - and _", n)
			}
		}
	}
	return &s, nil
}

// RunSuite tunes every backbone on every data set, in dir, and reports one table. c holds what
// is common; o.Told and o.Stage are told of every run.
func RunSuite(ctx context.Context, s *Suite, c evaluation.Config, task Config, o Options, dir string) (*report.Report, error) {
	task.settle()
	out := &report.Report{Task: suiteTask, Tool: o.Tool, Config: c.Told(task), HideGroups: true}
	out.Option("%s", task.describe())
	models := report.Table{Name: "models", Title: "backbones", Columns: []string{"name", "model", "sha256", "training", "pixels"}}
	for _, d := range s.Data { // what can be known before hours of work
		for _, m := range s.Models {
			name, on, options := s.pair(d, m, c, o, dir)
			if err := fits(ctx, on, task, options); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, d := range s.Data {
		var runs []compare.Run
		for k, m := range s.Models {
			name, on, options := s.pair(d, m, c, o, dir)
			r, err := Run(ctx, on, task, options)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			set := "val"
			if d.Test != "" {
				set = "test"
			}
			source, err := Tuned(ctx, options.Folder(), set)
			if err != nil {
				return nil, err
			}
			runs = append(runs, compare.Run{Name: m.Name, Source: source})
			if k == 0 {
				out.Runtime = r.Runtime
			}
			if len(runs) > len(models.Rows) {
				models.Rows = append(models.Rows, []string{m.Name, r.Model.Name, fmt.Sprintf("%.12s", r.Model.SHA256), r.Model.Training, r.Preprocessing.Summary})
			}
			for _, b := range r.BadImages {
				out.BadImages = append(out.BadImages, report.BadImage{ID: name + "/" + b.ID, Reason: b.Reason})
			}
			out.Tried += r.Tried
			for _, w := range r.Warnings {
				out.Warnings = append(out.Warnings, name+": "+w)
			}
			g := report.Group{Kind: d.Name, Name: m.Name, Metrics: slices.Clone(r.Metrics)}
			if k > 0 {
				cmp, err := compare.Compare(ctx, compare.Config{Replicates: task.Replicates, Seed: c.Seed}, []compare.Run{runs[0], runs[k]})
				if err != nil {
					return nil, err
				}
				diff := cmp.Pairs[0].Differences[0]
				iv := diff.Interval
				g.Metrics = append(g.Metrics, report.Metric{Name: differenceName, Value: diff.Value, Unit: report.Fraction, N: cmp.N, Interval: &iv, HigherIsBetter: true, P: &diff.P, Test: diff.Test, Note: "less " + s.Models[0].Name + "'s"})
			}
			out.Groups = append(out.Groups, g)
		}
	}
	holm(out.Groups)
	out.Tables = append(out.Tables, s.table(out.Groups), models)
	var text bytes.Buffer
	if err := out.Write(&text, report.JSON); err != nil {
		return nil, err
	}
	return out, put(dir, reportName, text.Bytes())
}

// pair is the fine-tuning of a backbone on a data set: DIR/DATA/MODEL.onnx.
func (s *Suite) pair(d SuiteData, m SuiteModel, c evaluation.Config, o Options, dir string) (string, evaluation.Config, Options) {
	c.Model, c.Output, c.Data, c.Labels, c.Limit = m.Model, m.Output, d.Train, d.Labels, d.Limit
	if m.Recipe != "" {
		c.Recipe = m.Recipe
	}
	name, stage := d.Name+", "+m.Name, o.Stage
	o.Out = filepath.Join(dir, d.Name, m.Name+".onnx")
	o.Val, o.Test, o.Dir = d.Val, d.Test, ""
	if stage != nil {
		o.Stage = func(what string, n int) (func(int), func()) { return stage(name+": "+what, n) }
	}
	return name, c, o
}

// table shows the groups: a row for each data set, with the models in order.
func (s *Suite) table(groups []report.Group) report.Table {
	t := report.Table{Name: "transfer", Title: "top-1 of the tuned heads and paired differences, with 95 % intervals; p by McNemar's test, corrected by Holm's method", Columns: []string{"data", "n"}}
	for k, m := range s.Models {
		if t.Columns = append(t.Columns, m.Name+" %", ""); k > 0 {
			t.Columns = append(t.Columns, "less "+s.Models[0].Name, "", "p")
		}
	}
	for _, d := range s.Data {
		row := []string{d.Name, ""}
		for range s.Models {
			for _, m := range groups[0].Metrics {
				switch m.Name {
				case "top1":
					row[1] = strconv.Itoa(m.N)
					row = append(row, report.Percent(m.Value), report.PercentRange(*m.Interval))
				case differenceName:
					p := strconv.FormatFloat(*m.PAdjusted, 'g', 2, 64)
					row = append(row, signed(m.Value), report.PercentRange(*m.Interval), p)
				}
			}
			groups = groups[1:]
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// holm corrects the p-values of all differences for their number.
func holm(groups []report.Group) {
	var at []*report.Metric
	var p []float64
	for g := range groups {
		for k := range groups[g].Metrics {
			if m := &groups[g].Metrics[k]; m.P != nil {
				at, p = append(at, m), append(p, *m.P)
			}
		}
	}
	for i, v := range metrics.Holm(p) {
		at[i].PAdjusted = &v
	}
}
