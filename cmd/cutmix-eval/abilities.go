package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/ood"
)

// showTasks says which tasks will work on a model, and why others will not: what the tasks
// themselves say. The model is tried, for what its graph promises ONNX Runtime may refuse. name and
// output are as the model was asked for.
func showTasks(ctx context.Context, line func(string, string, ...any), m *model.Model, e *lock.Entry, name, output string) {
	c, err := tried(ctx, m, e, name, output)
	if c != nil {
		defer c.Close()
	}
	var untried *evaluation.UntriedError
	switch {
	case errors.As(err, &untried):
		line("localize", "not known: %s", err)
	case err != nil:
		line("tasks", "none of them works: %s", err)
		return
	default:
		for _, w := range c.Warnings() {
			line("warning", "%s", w)
		}
		showMethods(ctx, line, c)
	}
	classes := m.Classes
	if h, err := m.Head(); err == nil {
		classes = h.Classes
	}
	if classes != 1 {
		possible, why := ood.Possible(m, max(classes, 2))
		if why == "" {
			line("ood", "all %d scores", len(possible))
		} else {
			line("ood", "%s; no others: %s", strings.Join(possible, ", "), why)
		}
	} else {
		line("ood", "no: it has one output, and its scores are of several")
	}
	switch tune, mix := finetune.Possible(m); {
	case tune != nil:
		line("finetune", "no: %s", tune)
	case mix != nil:
		line("finetune", "yes; %s", mix)
	default:
		line("finetune", "yes, with feature-cutmix too")
	}
}

// tried runs the model once, with the tensors that the tasks read.
func tried(ctx context.Context, m *model.Model, e *lock.Entry, name, output string) (*evaluation.Classifier, error) {
	config, running := evaluation.DefaultModelConfig(), evaluation.DefaultRunning()
	config.Model, config.Output = name, output
	c, err := evaluation.ClassifierOf(m, e, config, running)
	if err != nil {
		return nil, err
	}
	var taps []string
	if h, err := c.Model.Head(); err == nil {
		for _, t := range []string{h.Penultimate, h.FeatureMap} {
			if t != "" && t != c.Model.Logits && !slices.Contains(taps, t) {
				taps = append(taps, t)
			}
		}
	}
	return c, c.Try(ctx, taps...)
}

// showMethods says what localize can make maps by. The answer is that of the task, which has a
// look at the map's shape.
func showMethods(ctx context.Context, line func(string, string, ...any), c *evaluation.Classifier) {
	answers, err := localize.Possible(ctx, c)
	if err != nil {
		line("localize", "no: %s", err)
		return
	}
	var can []string
	why := map[string][]string{} // methods by reason
	var reasons []string
	for _, m := range cam.Methods() {
		switch err := answers[m]; {
		case err == nil:
			can = append(can, string(m))
		default:
			reason := strings.TrimPrefix(strings.TrimPrefix(err.Error(), string(m)+": "), string(m)+" ")
			if !slices.Contains(reasons, reason) {
				reasons = append(reasons, reason)
			}
			why[reason] = append(why[reason], string(m))
		}
	}
	switch {
	case len(reasons) == 0:
		line("localize", "all methods: %s", strings.Join(can, ", "))
		return
	case len(can) > 0:
		line("localize", "%s", strings.Join(can, ", "))
	default:
		line("localize", "no: %s", reasons[0])
		return
	}
	for _, r := range reasons {
		line("", "not %s: %s", strings.Join(why[r], ", "), r)
	}
}
