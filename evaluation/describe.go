package evaluation

import (
	"slices"

	"cutmix-eval/model"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// Head begins a report: what was run on what. options are the task's own.
func (p *Pass) Head(options any) report.Head {
	return p.Classifier.head(p.Spec.Task, p.Samples, p.Outputs, options)
}

// Head begins a report on samples that no pass is made over. An engine must have been open.
func (c *Classifier) Head(task string, s Samples, options any) report.Head {
	return c.head(task, s, c.outputs, options)
}

func (c *Classifier) head(task string, s Samples, outputs int, options any) report.Head {
	h := report.Head{Task: task, Tool: c.Running.Tool, Model: c.describe(outputs), Published: published(c.Entry)}
	s.Describe(&h)
	h.Config.Task = options
	h.Doubts = append(h.Doubts, c.doubts()...)
	return h
}

// ModelKey is what of a model enters the key of a run.
func ModelKey(m *model.Model) results.Model {
	return results.Model{SHA256: m.SHA256, Edits: m.Edits(), Output: m.Logits}
}

// describe is a report's part about the model.
func (c *Classifier) describe(outputs int) report.Model {
	m := c.Model
	return report.Model{
		Name: m.Name, Path: m.Path, SHA256: m.SHA256, Bytes: m.Size, Edits: m.Edits(),
		Classes: outputs, Output: m.Logits, Choice: m.Choice(), Activation: m.Activation, Training: c.Entry.TrainingText(m),
	}
}

// Reported is a report that begins with a run's head, as it is read from the run's
// records with these options: the one place that says how numbers were made.
func Reported(h report.Head, run *results.Run, options any) *report.Report {
	m := run.Manifest
	h.Task, h.Config.Limit, h.Config.Task = m.Key.Task, m.Limit, options
	d := m.Key.Device
	h.Runtime = report.Runtime{ORT: d.ORT, Device: d.Name, Kernels: d.Kernels, Alone: d.Alone, Reused: m.Reused}
	doubts := h.Doubts
	h.Doubts = nil
	return &report.Report{Head: h, Warnings: slices.Concat(m.Notes, doubts)}
}
