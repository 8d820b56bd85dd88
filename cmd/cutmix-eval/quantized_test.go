package main

import (
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/long"
	"cutmix-eval/report"
)

// onSmallScenes are the scenes as the small quantised classifiers take them.
var onSmallScenes = []string{"--resize", "16x16", "--crop", "none", "--limit", "40", "--batch", "1", "--bootstrap", "100", "--format", "json"}

// TestQuantizedCommands: what looks into a model works on quantised ones, of QuantizeLinear and
// DequantizeLinear, of operators on integers, and of scales that are found while they run.
func TestQuantizedCommands(t *testing.T) {
	for _, name := range []string{"qdq-channel", "qdq-output", "qop-gemm", "qop-conv-softmax", "dynamic-matmul"} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "qop") || name == "qdq-output" {
				long.Skip(t, "three tasks on every form take seconds")
			}
			file := "../../model/testdata/quantized/" + name + ".onnx"
			common := append([]string{"--model", file}, onSmallScenes...)
			for _, method := range []string{"gradcam", "ablationcam", "eigencam"} {
				r := reportOf(t, append([]string{"localize", "--method", method}, common...)...)
				checkNumber(t, numberOf(t, r, "max_box_acc"), 40, 0, 1)
			}
			r := reportOf(t, append([]string{"ood", "--ood", "noise:gaussian", "--ood-limit", "40", "--train-limit", "100"}, common[:len(common)-4]...)...)
			scored := map[string]bool{}
			for _, n := range r.Numbers {
				if n.Name == "auroc" {
					scored[n.At.Get(report.KeyScore)] = true
				}
			}
			if len(scored) < 28 {
				t.Errorf("%d scores: %v", len(scored), scored)
			}
			out := filepath.Join(t.TempDir(), "tuned.onnx")
			tuned, _ := tune(t, "--model", file, "--train", "scenes:new-train", "--limit", "60", "--resize", "16x16", "--crop", "none",
				"--epochs", "2", "--mix", "none", "--augment", "none", "--out", out)
			if n := of(t, tuned, "val", "tuned", "top1"); n == nil {
				t.Error("no accuracy of the new head")
			}
			_, shown, _ := command(t, "models", "show", out)
			if !strings.Contains(shown, "6 features -> 10 classes") || !strings.Contains(shown, "all methods") || strings.Contains(shown, "rounded") {
				t.Errorf("the tuned file:\n%s", shown)
			}
		})
	}
}

// TestFeatureCutmixOfQuantized: a mean that is quantised before it enters the head is no mean
// of mixed maps, as models show says.
func TestFeatureCutmixOfQuantized(t *testing.T) {
	file := "../../model/testdata/quantized/qop-gemm.onnx"
	code, _, errs := command(t, "finetune", "--model", file, "--train", "scenes:new-train", "--limit", "60", "--resize", "16x16", "--crop", "none",
		"--mix", "feature-cutmix", "--out", filepath.Join(t.TempDir(), "x.onnx"))
	if code != exitFailed || !strings.Contains(errs, "quantised before") {
		t.Errorf("%d %s", code, errs)
	}
	if _, out, _ := command(t, "models", "show", file); !strings.Contains(out, "yes; feature-cutmix needs a feature map") {
		t.Errorf("models show:\n%s", out)
	}
}
