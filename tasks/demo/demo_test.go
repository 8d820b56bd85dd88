package demo

import (
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/report"
	"cutmix-eval/runtime/ortest"
)

// TestRun: a whole demo on a handful of scenes, with one epoch of training, has each shown number
// of both models and their difference, each once.
func TestRun(t *testing.T) {
	running := evaluation.DefaultRunning()
	running.Library = ortest.Load(t).Path
	config := DefaultConfig()
	config.Classify.Replicates, config.Localize.Replicates, config.Finetune.Replicates = 100, 100, 100
	config.Corrupted, config.Occluded, config.Finetune.Epochs = 1, 10, 1
	last := 0.0
	r, err := Run(t.Context(), running, config, 10, 0, func(done float64) {
		if done < last || done > 1 {
			t.Errorf("progress went from %v to %v", last, done)
		}
		last = done
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != 1 {
		t.Errorf("progress ended at %v", last)
	}
	shown := 0
	for _, p := range config.parts("") {
		for _, s := range p.shown {
			shown += 3
			at := s.at.And(s.of...)
			base, cutmix := r.Find(s.name, at.And(report.KeyModel.Is(Baseline))...), r.Find(s.name, at.And(report.KeyModel.Is(CutMix))...)
			diff := r.Find(s.name+"_difference", at.And(report.KeyPair.Is(CutMix+" - "+Baseline))...)
			if base == nil || cutmix == nil || diff == nil {
				t.Errorf("%s %v: baseline %v, CutMix %v, difference %v", s.name, at, base, cutmix, diff)
				continue
			}
			// Both sides are made of the same records, the difference by its own sums.
			if got := cutmix.Value - base.Value; got-diff.Value > 1e-12 || diff.Value-got > 1e-12 {
				t.Errorf("%s: %v - %v is said to be %v", diff.Label(), cutmix.Value, base.Value, diff.Value)
			}
			if diff.Interval == nil || diff.Note == "" {
				t.Errorf("%s: interval %v, verdict %q", diff.Label(), diff.Interval, diff.Note)
			}
		}
	}
	for i, n := range r.Numbers {
		if r.Find(n.Name, n.At...) != n {
			t.Errorf("number %d, %s, is there twice", i, n.Label())
		}
		if n.At.Get(report.KeyFloor) != "" {
			shown++ // what needs no model
		}
	}
	if shown != len(r.Numbers) {
		t.Errorf("%d numbers, want %d", len(r.Numbers), shown)
	}
}
