package main

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
)

// asTheyAre are the flags for pictures that are tensors already.
func asTheyAre(model, data string, more ...string) []string {
	return append([]string{
		"classify", "--model", model, "--data", data, "--mean", "0,0,0", "--std", "1,1,1", "--resize", "none", "--crop", "none", "--bootstrap", "0",
	}, more...)
}

// Models whose file was made for a batch, of which there is a right answer for one image: shared
// cases, each with the number that it has image by image (100 %, and NLL as ONNX Runtime gives it
// for the same integer weights with exact arithmetic).
func TestWhateverTheBatch(t *testing.T) {
	for _, c := range []struct {
		folder, model string
		nll           float64
		warning       string
	}{
		{"dynamic-quant-batch", "model", 0.2321, "runs image by image, because what it gives for an image depends on the others of its batch (DynamicQuantizeLinear"},
		{"batchnorm-training", "model", math.NaN(), "was exported in training mode"},
		{"int8-saturation", "u8s8", 0.0858, ""},
		{"int8-saturation", "u8u8", 0.0858, ""},
	} {
		t.Run(c.folder+" "+c.model, func(t *testing.T) {
			model, data := golden.Path(t, "cases", c.folder, c.model+".onnx"), golden.Path(t, "cases", c.folder, "images.tar")
			for _, batch := range []string{"0", "1", "7"} {
				r := reportOf(t, asTheyAre(model, data, "--batch", batch, "--quiet")...)
				if top1 := r.Find("top1").Value; top1 != 1 {
					t.Errorf("batch %s: top-1 %v, want 1", batch, top1)
				}
				// Four digits are given.
				if nll := r.Find("nll").Value; !math.IsNaN(c.nll) && math.Abs(nll-c.nll) > 5e-5 {
					t.Errorf("batch %s: NLL %v, want %v", batch, nll, c.nll)
				}
				warned := slices.ContainsFunc(r.Warnings, func(w string) bool { return c.warning != "" && strings.Contains(w, c.warning) })
				if warned != (c.warning != "") {
					t.Errorf("batch %s: warnings %q, want %q", batch, r.Warnings, c.warning)
				}
			}
			tmp := t.TempDir()
			whole, shards := filepath.Join(tmp, "whole"), []string{filepath.Join(tmp, "0"), filepath.Join(tmp, "1")}
			if code, _, errs := command(t, asTheyAre(model, data, "--out", whole, "--batch", "5")...); code != exitDone {
				t.Fatal(errs)
			}
			for i, dir := range shards {
				code, _, errs := command(t, asTheyAre(model, data, "--out", dir, "--shard", string(rune('0'+i))+"/2")...)
				if code != exitDone || !strings.Contains(errs, c.warning) {
					t.Fatalf("shard %d: exit %d: %s", i, code, errs)
				}
			}
			slices.Reverse(shards)
			if a, b := reported(t, whole), reported(t, shards...); a != b {
				t.Errorf("the report of two shards differs:\n%s\n%s", a, b)
			}
		})
	}
}

// Softmax with QuantizeLinear behind it: NLL is told to be too high, or the logits before it are
// read (4.8772, as of the same model without the quantisation).
func TestQuantisedSoftmax(t *testing.T) {
	dir := func(name string) string { return golden.Path(t, "cases", "quantised-softmax", name) }
	r := reportOf(t, asTheyAre(dir("qsm1000.onnx"), dir("images"), "--labels", dir("labels.csv"), "--quiet")...)
	nll := r.Find("nll").Value
	warned := slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "so NLL is too high") })
	if right := math.Abs(nll-4.8772) < 5e-5; right == warned {
		t.Errorf("NLL %v, warnings %q", nll, r.Warnings)
	}
}

// Hostile batches are refused in a sentence, or run with a warning.
func TestBatchAttacks(t *testing.T) {
	data := golden.Path(t, "data", "cifar10-jpeg-test.tar")
	for file, want := range map[string]string{
		"softbatch": "normalises over the images of a batch (axis 0), so its outputs are no probabilities",
		"bntrain":   "(means of 0 and variances of 1, as if they had never been set)",
		"bigbatch":  "insists on batches of 1000000",
		"hugebatch": "insists on batches of 1099511627776",
		"zerobatch": "has a batch axis of size 0",
	} {
		code, out, errs := command(t, asTheyAre(golden.Path(t, "cases", "attacks", file+".onnx"), data, "--limit", "20")...)
		if said := out + errs; !strings.Contains(said, want) || strings.Contains(said, "panic") || (code == exitDone) != strings.HasSuffix(want, ")") && file != "softbatch" {
			t.Errorf("%s: exit %d: %s", file, code, said)
		}
	}
}

// Real int8 models: what the same weights give in float, and image by image where their scale is
// one of the batch.
func TestRealIntegers(t *testing.T) {
	cifar, imagenet := golden.Path(t, "data", "cifar10-jpeg-test.tar"), golden.Path(t, "data", "imagenet-samples-100.tar")
	file := func(name string) string { return golden.Path(t, "models", "real", name+".onnx") }
	some := fmt.Sprint(long.Or(100, 20))
	norm := []string{"--mean", ".4914,.4822,.4465", "--std", ".2470,.2435,.2616", "--resize", "none", "--crop", "none"}
	for _, c := range []struct {
		name     string
		args     []string
		top1     float64
		warnings []string
	}{
		// 72.90 % in float; 63.80 % where products saturate.
		{"q_tinycnn_int8", append([]string{"--data", cifar, "--limit", "1000"}, norm...), 0.735, nil},
		{"q_goku_mobilenetv2_int8", []string{"--data", imagenet, "--recipe", "imagenet", "--limit", some}, long.Or(0.83, -1), []string{"runs image by image"}},
		{"q_matias_mobilenetv2_int8", []string{"--data", imagenet, "--recipe", "imagenet"}, -1, []string{"different values, as those of a quantised or binarised network", "of 100 images several classes share the largest score"}},
		{"q_iict_mobilenetv2_int8", []string{"--data", imagenet, "--recipe", "imagenet", "--limit", some}, long.Or(0.01, -1), []string{"hardly tells the classes apart", "top-1 is near chance"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.name, "mobilenet") {
				long.Skip(t, "a MobileNet on a hundred pictures takes seconds")
			}
			r := reportOf(t, append([]string{"classify", "--model", file(c.name), "--bootstrap", "0", "--quiet"}, c.args...)...)
			// Kernels for other processors round otherwise here and there: one image of a hundred.
			if top1 := r.Find("top1").Value; c.top1 >= 0 && math.Abs(top1-c.top1) > 0.011 {
				t.Errorf("top-1 %v, want %v", top1, c.top1)
			}
			if r.Runtime.Kernels == "" {
				t.Error("the integer kernels are not said")
			}
			for _, want := range c.warnings {
				if !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
					t.Errorf("warnings %q, want %q", r.Warnings, want)
				}
			}
		})
	}
}
