package main

import (
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
)

// asTheyAre are the flags for pictures that are tensors already.
func asTheyAre(model, data string, more ...string) []string {
	return append([]string{
		"classify", "--model", model, "--data", data, "--mean", "0,0,0", "--std", "1,1,1", "--resize", "none", "--crop", "none", "--bootstrap", "0",
	}, more...)
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
