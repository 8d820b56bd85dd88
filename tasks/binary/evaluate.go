package binary

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/metrics"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// result is everything the task found.
type result struct {
	samples
	bad       []report.BadImage
	numbers   metrics.BinaryNumbers
	intervals metrics.BinaryIntervals
	warnings  []string
}

// evaluate computes all numbers from the records of a run.
func evaluate(ctx context.Context, a About, run *results.Run) (*result, error) {
	res := &result{}
	var good []Record
	err := results.Each[Record](ctx, run, nil, func(r *Record, _ [][]float32) error {
		if r.Status != results.OK {
			res.bad = append(res.bad, report.BadImage{ID: r.ID, Reason: r.Error})
			return nil
		}
		if r.Class != a.class(r.Positive) {
			return fmt.Errorf("the record of %s does not belong to this run's classes", r.ID)
		}
		good = append(good, *r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(good) == 0 {
		return nil, tasks.NothingLeft(res.bad)
	}
	res.samples = a.prepare(good)
	res.numbers = res.of.Evaluate(slices.Repeat([]uint16{1}, len(good)))
	if res.intervals, err = res.of.Intervals(ctx, res.numbers, a.Config.Replicates, a.Seed); err != nil {
		return nil, err
	}
	res.warn(a)
	return res, nil
}

// warn says what about the numbers is suspicious.
func (res *result) warn(a About) {
	add := func(format string, a ...any) { res.warnings = append(res.warnings, fmt.Sprintf(format, a...)) }
	n, all := res.numbers, len(res.records)
	if strings.Contains(a.Head.Dataset.Labels, evaluation.OtherNames) {
		add("labels are matched %s: make sure that this is the positive class", a.Head.Dataset.Labels)
	}
	if a.Last == "Tanh" && a.Scale == evaluation.Automatic {
		add("the model ends in Tanh, whose values from -1 to 1 are neither logits nor probabilities: nll, brier, ece and thresholds other than 0.5 say little; export it without Tanh")
	}
	if res.scale == evaluation.Probability {
		if a.Scale == evaluation.Automatic && a.Predicted {
			add("all %d scores lie between 0 and 1, so they were taken for probabilities (--scores logit if they are none)", all)
		} else if a.Scale == evaluation.Automatic {
			add("nothing in the graph says whether the output is a logit or a probability; all %d values lie between 0 and 1, so they were taken for probabilities (--scores logit if they are none)", all)
		}
		rounded := 0
		for _, r := range res.records {
			if r.Score <= 0 || r.Score >= 1 {
				rounded++
			}
		}
		if rounded > 0 {
			tells := "a model without its Sigmoid tells"
			if a.Predicted {
				tells = "logits tell"
			}
			add("%d of %d probabilities were rounded to 0 or 1: NLL cannot tell how wrong or right those are; %s", rounded, all, tells)
		}
	}
	if n.Positives() == 0 || n.Negatives() == 0 {
		add("all %d evaluated images are of class %q: there is no AUROC, nor any other number of both classes", all, a.class(n.Positives() > 0))
		return
	}
	constant := !slices.ContainsFunc(res.records, func(r Record) bool { return r.Score != res.records[0].Score })
	taken := n.TruePositive + n.FalsePositive
	switch auroc := res.intervals.AUROC; {
	case constant:
		if a.Predicted {
			add("the score is the same (%v) for every image: the program that computed it is likely wrong", res.records[0].Score)
		} else {
			add("the model gives the same score (%v) for every image: preprocessing or model is likely wrong", res.records[0].Score)
		}
	case auroc.High < 0.5:
		add("AUROC is %.2f %%, far below the 50 %% of chance: the positive class is probably %q, not %q; give --positive %q",
			100*n.AUROC, a.class(false), a.class(true), a.class(false))
	case auroc.Low > 0.5 && (taken == 0 || taken == all):
		best := n.Points[len(n.Points)-1]
		add("every image is taken for %q at the threshold %v, though AUROC is %.2f %%: the scores order the images, but the threshold does not part them; TPR - FPR is largest at %.4g",
			a.class(taken > 0), a.Config.Threshold, 100*n.AUROC, best.Threshold)
	}
}
