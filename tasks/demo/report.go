package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cutmix-eval/report"
	"cutmix-eval/tasks/compare"
)

// comparison is what both models gave, put together part by part.
type comparison struct {
	config compare.Config
	n      int // scenes that both were evaluated on
	r      report.Report
	rows   [][]report.Cell
	floors []string // what localization reaches without a model
}

// add compares the models on a part. runs and reports are the baseline's and CutMix's.
func (d *comparison) add(ctx context.Context, p part, runs []compare.Run, reports []*report.Report) error {
	res, err := compare.Compare(ctx, d.config, runs)
	if err != nil {
		return err
	}
	if d.n == 0 { // of the first part; all have the same head
		d.n, d.r.Head = res.N, reports[1].Head
	}
	if p.apart {
		d.rows = append(d.rows, report.Row())
	}
	for _, s := range p.shown {
		diff := res.Pairs[0].Find(s.name, s.at...)
		if diff == nil {
			return fmt.Errorf("the models were not compared by %s", s.name)
		}
		verdict := res.Verdict(*diff, "the baseline", "CutMix")
		if diff.McNemar && res.N >= compare.Fewest {
			verdict += fmt.Sprintf(" (p = %.2g, McNemar)", diff.P)
		}
		var cells []report.Cell
		label := s.label
		for k, name := range []string{Baseline, CutMix} {
			n := *reports[k].Find(s.name, s.at.And(s.of...)...)
			if label == "" {
				label = n.Label()
			} else if strings.Contains(label, "%d") {
				label = fmt.Sprintf(label, n.N)
			}
			n.At = n.At.And(report.KeyModel.Is(name))
			added := d.r.Add(n)
			cells = append(cells, added.Full(), added.Range())
		}
		iv := diff.Interval
		added := d.r.Add(report.Number{
			Name: s.name + "_difference", At: s.at.And(s.of...).And(report.KeyPair.Is(CutMix + " - " + Baseline)), Value: diff.Value, Unit: diff.Unit,
			N: res.N, Interval: &iv, Better: diff.Better, Note: verdict,
		})
		d.rows = append(d.rows, append(append(report.Row(report.Word(label)), cells...), added.Points(), added.Range(), report.Word(verdict)))
	}
	for _, n := range reports[1].Numbers {
		if floor := n.At.Get(report.KeyFloor); floor != "" {
			d.r.Add(*n)
			if n.Name == "max_box_acc_v2" {
				d.floors = append(d.floors, floor+" "+n.Full().String())
			}
		}
	}
	return nil
}

// report is the comparison as a report.
func (d *comparison) report(config Config, elapsed time.Duration) *report.Report {
	r := &d.r
	r.Task, r.Config.Task, r.Headless, r.Dataset.N = Name, config, true, d.n
	r.Show(
		report.Prose{Lines: []string{"Two small ResNets, trained on the embedded scenes: one plainly, one with CutMix (models/README.md)"}},
		report.View{
			Title:   fmt.Sprintf("%d test scenes, 95 %% intervals; differences are paired: both models see the same scenes", d.n),
			Columns: []string{"", "baseline", "", "CutMix", "", "CutMix - baseline", "", ""}, Rows: d.rows,
		},
		report.Prose{Lines: []string{
			"max_box_acc_v2 without a model: " + strings.Join(d.floors, ", "),
			fmt.Sprintf("%.1f s on %s; smaller is better for nll, brier, ece and aurc", elapsed.Seconds(), r.Runtime.Device),
		}},
	)
	return r
}
