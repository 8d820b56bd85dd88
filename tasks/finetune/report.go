package finetune

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"cutmix-eval/evaluation"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
)

// differenceName is the metric of a paired difference of top-1.
const differenceName = "top1_difference"

// begin describes model, data and training.
func (t *tuning) begin() {
	s := t.setup
	r := s.Report(t.options.Tool)
	r.Task, r.Tables = Name, nil
	r.Model.Classes = len(t.truth.classes)
	r.Dataset.Classes = len(t.truth.classes)
	r.Dataset.Labels = "by the new head, whose classes they are"
	if t.config.Keep {
		r.Dataset.Labels = "to the model's classes: its head goes on"
	}
	for _, one := range t.evaluated {
		from := one.setup.Data.Name
		r.Dataset.Notes = append(r.Dataset.Notes, fmt.Sprintf("%s: %d images of %s", one.name, one.n(), from))
	}
	r.Dataset.Notes = append(r.Dataset.Notes, t.alike...)
	r.Config = s.Config.Told(t.config)
	r.Option("%s", t.config.Training.describe())
	r.Runtime = evaluation.RanBy(t.sets[0].rec.Manifest)
	chosen := t.state.chosen(t.config.Last)
	r.Option("epoch %d of %d kept, in %s", chosen.Epoch, len(t.state.history), filepath.Base(t.options.Out))
	t.report = r
}

// describe is the training in a line.
func (t Training) describe() string {
	head := "new linear head"
	if t.Keep {
		head = "the model's own head"
	}
	if t.Hidden > 0 {
		head = fmt.Sprintf("new head with %d hidden units", t.Hidden)
	}
	s := head
	if t.Dropout > 0 {
		s += fmt.Sprintf(", dropout %s", number(t.Dropout))
	}
	s += ", " + t.Mix.describe()
	if t.Augment.Crop {
		s += fmt.Sprintf(", random crops of %s to %s of the area", number(t.Augment.Scale[0]), number(t.Augment.Scale[1]))
	}
	if t.Augment.Flip > 0 {
		s += fmt.Sprintf(", flips %s", number(t.Augment.Flip))
	}
	if t.Optimizer == LBFGSName {
		s += fmt.Sprintf(", optimum by L-BFGS, weight decay %s", number(t.Decay))
	} else {
		s += t.describeSteps()
	}
	if t.Smoothing > 0 {
		s += fmt.Sprintf(", label smoothing %s", number(t.Smoothing))
	}
	if t.Balanced {
		s += ", balanced classes"
	}
	return s
}

func (t Training) describeSteps() string {
	rate := "by the features"
	if t.Rate > 0 {
		rate = number(t.Rate)
	}
	s := fmt.Sprintf(", %s, rate %s, %s", t.Optimizer, rate, t.Schedule.Kind)
	if t.Schedule.Warmup > 0 {
		s += fmt.Sprintf(" after a warm-up of %s", number(t.Schedule.Warmup))
	}
	if t.Optimizer == SGDName && t.Momentum != 0.9 {
		s += fmt.Sprintf(", momentum %s", number(t.Momentum))
	}
	s += fmt.Sprintf(", weight decay %s, batches of %d", number(t.Decay), t.Batch)
	if !t.Standardize {
		s += ", plain features"
	}
	return s
}

func (m Mix) describe() string {
	switch m.Method {
	case None:
		return "no mixing"
	case Cutout:
		return fmt.Sprintf("cutout of %s of the side, probability %s", number(m.Length), number(m.Prob))
	}
	s := fmt.Sprintf("%s, alpha %s, probability %s", m.Method, number(m.Alpha), number(m.Prob))
	if m.Scheduled {
		s += " rising from 0"
	}
	if m.Box != "uniform" && m.Method != Mixup {
		s += ", " + m.Box + " boxes"
	}
	if m.Labels != "shares" {
		s += ", " + m.Labels + " labels"
	}
	if m.PerImage {
		s += ", a box for each image"
	}
	if m.Uncorrected {
		s += ", labels by the drawn lambda"
	}
	return s
}

// reportSet reports the candidates on a set of images with one label.
func (t *tuning) reportSet(ctx context.Context, s *set, list []candidate) error {
	table := report.Table{Name: s.name, Title: fmt.Sprintf("%s, n = %d%s; differences to tuned with 95 %% intervals", s.name, s.n(), t.chose(s)),
		Columns: []string{"head", "top1 %", "", "nll", "ece %", "top1 less tuned's", "", "p (McNemar, Holm)"}}
	for k, one := range list {
		v := one.outcomes
		all := metrics.Evaluate(v, t.config.Bins)
		iv, err := metrics.EvaluateIntervals(ctx, all, v, t.config.Bins, t.config.Replicates, t.setup.Config.Seed)
		if err != nil {
			return err
		}
		g := report.Group{Kind: s.name, Name: one.name}
		add := func(name string, value float64, unit string, i metrics.Interval, higher bool) {
			g.Metrics = append(g.Metrics, report.Metric{Name: name, Value: value, Unit: unit, N: s.n(), Interval: &i, HigherIsBetter: higher, Note: s.name + " images"})
		}
		add("top1", all.Top1, report.Fraction, iv.Top1, true)
		row := []string{one.name, report.Percent(all.Top1), report.PercentRange(iv.Top1), "-", "-", "", "", ""}
		if len(t.truth.classes) > 5 && !one.sharesOnly {
			add("top5", all.Top5, report.Fraction, iv.Top5, true)
		}
		add("balanced_accuracy", all.BalancedAccuracy, report.Fraction, iv.Balanced, true)
		if !one.sharesOnly {
			add("nll", all.NLL, report.Nats, iv.NLL, false)
			add("ece", all.Width.ECE, report.Fraction, iv.ECE, false)
			row[3], row[4] = strconv.FormatFloat(all.NLL, 'f', 4, 64), report.Percent(all.Width.ECE)
		}
		if k > 0 {
			d, err := paired(ctx, list[0].outcomes, v, t.config.Replicates, t.setup.Config.Seed)
			if err != nil {
				return err
			}
			g.Metrics = append(g.Metrics, report.Metric{Name: differenceName, Value: d.Value, Unit: report.Fraction, N: s.n(), Interval: &d.Interval, HigherIsBetter: true, P: &d.P, Test: d.Test, Note: "less the tuned head's"})
			row[5], row[6] = signed(d.Value), report.PercentRange(d.Interval)
		}
		t.report.Groups = append(t.report.Groups, g)
		table.Rows = append(table.Rows, row)
	}
	t.tested(s.name, &table)
	t.report.Tables = append(t.report.Tables, table)
	return nil
}

// chose says that a set chose the epoch.
func (t *tuning) chose(s *set) string {
	if s.name != "val" || len(t.state.history) < 2 || t.config.Last {
		return ""
	}
	return ", which chose the epoch"
}

// tested corrects the p-values of a set's differences for their number, and writes them into
// the last column of its table.
func (t *tuning) tested(set string, table *report.Table) {
	var groups []report.Group
	for _, g := range t.report.Groups {
		if g.Kind == set {
			groups = append(groups, g)
		}
	}
	holm(groups)
	for k, g := range groups {
		for _, m := range g.Metrics {
			if m.PAdjusted != nil {
				row := table.Rows[k]
				row[len(row)-1] = strconv.FormatFloat(*m.PAdjusted, 'g', 2, 64)
			}
		}
	}
}

func signed(share float64) string {
	s := report.Percent(share)
	if share > 0 {
		s = "+" + s
	}
	return s
}

// reportMulti reports the candidates on a set of images with several labels.
func (t *tuning) reportMulti(ctx context.Context, s *set, list []candidate) error {
	c := len(t.truth.classes)
	table := report.Table{Name: s.name, Title: fmt.Sprintf("%s, n = %d%s; mean average precision with 95 %% intervals", s.name, s.n(), t.chose(s)),
		Columns: []string{"head", "map %", "", "map less tuned's", "", "p (bootstrap, Holm)"}}
	ones := slices.Repeat([]uint16{1}, s.n())
	var tuned *metrics.MultiLabel
	for k, one := range list {
		m := metrics.NewMultiLabel(one.scores, s.several, c)
		values := m.Evaluate(ones)
		boot, err := metrics.Bootstrap(ctx, s.n(), t.config.Replicates, t.setup.Config.Seed, m.Evaluate)
		if err != nil {
			return err
		}
		iv := metrics.Percentile(boot[0])
		g := report.Group{Kind: s.name, Name: one.name, Metrics: []report.Metric{{Name: "map", Value: values[0], Unit: report.Fraction, N: s.n(), Interval: &iv, HigherIsBetter: true, Note: s.name + " images"}}}
		row := []string{one.name, report.Percent(values[0]), report.PercentRange(iv), "", "", ""}
		if k == 0 {
			tuned = m
			t.classes(s, values[1:], boot[1:])
		} else {
			first := func(m *metrics.MultiLabel) metrics.Statistic {
				return func(count []uint16) []float64 { return m.Evaluate(count)[:1] }
			}
			d, err := metrics.Paired(ctx, s.n(), t.config.Replicates, t.setup.Config.Seed, first(tuned), first(m))
			if err != nil {
				return err
			}
			g.Metrics = append(g.Metrics, report.Metric{Name: "map_difference", Value: d[0].Value, Unit: report.Fraction, N: s.n(), Interval: &d[0].Interval, HigherIsBetter: true, P: &d[0].P, Test: d[0].Test, Note: "less the tuned head's"})
			row[3], row[4] = signed(d[0].Value), report.PercentRange(d[0].Interval)
		}
		t.report.Groups = append(t.report.Groups, g)
		table.Rows = append(table.Rows, row)
	}
	t.tested(s.name, &table)
	t.report.Tables = append(t.report.Tables, table)
	return nil
}

// classes reports the tuned head's average precision of every class that has an image.
func (t *tuning) classes(s *set, values []float64, boot [][]float64) {
	table := report.Table{Name: s.name + " classes", Title: s.name + ", average precision of the tuned head by class, percent", Columns: []string{"class", "", ""}}
	for k, name := range t.truth.classes {
		if len(boot[k]) == 0 || values[k] != values[k] {
			continue
		}
		iv := metrics.Percentile(boot[k])
		table.Rows = append(table.Rows, []string{name, report.Percent(values[k]), report.PercentRange(iv)})
		t.report.Groups = append(t.report.Groups, report.Group{Kind: s.name + " class", Name: name, Metrics: []report.Metric{
			{Name: "average_precision", Value: values[k], Unit: report.Fraction, N: s.known(k), Interval: &iv, HigherIsBetter: true}}})
	}
	t.report.Tables = append(t.report.Tables, table)
}

// epochsTable lists the training's epochs.
func (t *tuning) epochsTable() report.Table {
	out := report.Table{Name: "epochs", Title: "training (* the best so far)", Columns: []string{"epoch", "lr", "train loss", "val loss", "val " + t.score() + " %"}}
	for _, e := range t.state.history {
		mark := ""
		if e.Best {
			mark = " *"
		}
		out.Rows = append(out.Rows, []string{strconv.Itoa(e.Epoch), number(e.Rate), strconv.FormatFloat(e.Loss, 'f', 4, 64), strconv.FormatFloat(e.ValLoss, 'f', 4, 64), report.Percent(e.ValScore) + mark})
	}
	return out
}

// writeLog writes what the epochs gave, as CSV and JSON.
func (t *tuning) writeLog(history []Epoch) error {
	var table bytes.Buffer
	w := csv.NewWriter(&table)
	rows := [][]string{{"epoch", "lr", "train_loss", "val_loss", "val_" + t.score(), "seconds", "head_seconds", "best"}}
	exact := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, e := range history {
		rows = append(rows, []string{strconv.Itoa(e.Epoch), exact(e.Rate), exact(e.Loss), exact(e.ValLoss), exact(e.ValScore), strconv.FormatFloat(e.Seconds, 'f', 3, 64), strconv.FormatFloat(e.Head, 'f', 3, 64), strconv.FormatBool(e.Best)})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	text, err := json.MarshalIndent(history, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(t.put(logName+".csv", table.Bytes()), t.put(logName+".json", append(text, '\n')))
}

// put writes a file of the folder.
func (t *tuning) put(name string, data []byte) error { return put(t.options.Folder(), name, data) }

func put(dir, name string, data []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.Save(filepath.Join(dir, name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Tuned are the records of a tuned head on a set, val or test, in the folder of a
// fine-tuning, to compare with others.
func Tuned(ctx context.Context, dir, set string) (compare.Source, error) {
	run, err := results.Open(filepath.Join(dir, tunedName+set))
	if err != nil {
		return nil, err
	}
	return classify.Load(ctx, run)
}

// IsRun says whether a folder holds a fine-tuning.
func IsRun(dir string) bool {
	for _, name := range []string{reportName, checkpointName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// Load reads the report of a fine-tuning that has ended.
func Load(dir string) (*report.Report, error) {
	data, err := os.ReadFile(filepath.Join(dir, reportName))
	if err != nil {
		return nil, fmt.Errorf("the fine-tuning in %q has not ended; run the same command again: %w", dir, err)
	}
	var r report.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("reading %s of %q: %w; run the same command again", reportName, dir, err)
	}
	if r.Task != Name && r.Task != suiteTask {
		return nil, fmt.Errorf("%s of %q is of task %q", reportName, dir, r.Task)
	}
	r.HideGroups, r.Tried = true, max(r.Dataset.N, 1)+len(r.BadImages) // only the bad ones count
	return &r, nil
}
