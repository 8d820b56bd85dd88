package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/model"
	"cutmix-eval/model/lock"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/finetune"
	"cutmix-eval/tasks/localize"
	"cutmix-eval/tasks/ood"
)

// showTasks says which tasks will work on a model, and why others will not: what the tasks
// themselves say. name and output are as the model was asked for.
func showTasks(ctx context.Context, line func(string, string, ...any), m *model.Model, e *lock.Entry, name, output string) {
	showMethods(ctx, line, m, e, name, output)
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

// showMethods says what localize can make maps by. The answer is that of the task, which has a
// look at the map's shape; without ONNX Runtime, or a size of the images, there is none.
func showMethods(ctx context.Context, line func(string, string, ...any), m *model.Model, e *lock.Entry, name, output string) {
	answers, err := possibleMethods(ctx, m, e, name, output)
	if err != nil {
		line("localize", "not known: %s", err)
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

// possibleMethods asks localize. It installs nothing.
func possibleMethods(ctx context.Context, m *model.Model, e *lock.Entry, name, output string) (map[cam.Method]error, error) {
	config, running := evaluation.DefaultModelConfig(), evaluation.DefaultRunning()
	config.Model, config.Output = name, output
	c, err := evaluation.ClassifierOf(m, e, config, running)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := runtime.Find(running.Library); err != nil {
		return nil, fmt.Errorf("%w, and the shape of the feature map is known by running the model (cutmix-eval runtime install)", err)
	}
	return localize.Possible(ctx, c)
}
