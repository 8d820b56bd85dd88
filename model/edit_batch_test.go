package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"cutmix-eval/runtime/ortest"
)

func TestFreeBatch(t *testing.T) {
	ortest.Load(t)
	for name, sound := range map[string]bool{"resnet-fixed": true, "fixed-reshape": true, "fixed-stuck": false} {
		m, err := Open("testdata/heads/"+name+".onnx", "")
		if err != nil {
			t.Fatal(err)
		}
		free, ok, err := m.FreeBatch()
		if err != nil || !ok {
			t.Fatalf("%s: %v %v", name, ok, err)
		}
		s, fixed := run(t, m, 4, 6, m.Logits)
		if s.Fixed == 0 {
			t.Fatalf("%s: the batch is not fixed to begin with", name)
		}
		if !sound {
			// Such a graph still runs at its own size; at another it must fail,
			// which is what sends the program back to the fixed one.
			if err := runAt(free, 3); err == nil {
				t.Errorf("%s: ran with 3 images", name)
			}
			continue
		}
		s, freed := run(t, free, 4, 6, m.Logits)
		if s.Fixed != 0 {
			t.Errorf("%s: still fixed at %d", name, s.Fixed)
		}
		for i := range fixed[0] {
			for k, v := range fixed[0][i] {
				if math.Abs(float64(v-freed[0][i][k])) > 1e-5 { // the order of sums may change with the batch
					t.Errorf("%s image %d: %v fixed, %v freed", name, i, fixed[0][i], freed[0][i])
				}
			}
		}
	}
	m, err := Open("testdata/heads/resnet.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := m.FreeBatch(); ok || err != nil {
		t.Errorf("an open batch: %v %v", ok, err)
	}
}

// A model that calls its batch open but has it written into a Reshape is run
// one image at a time.
func TestBatchWrittenInside(t *testing.T) {
	ortest.Load(t)
	m, err := Open("testdata/heads/open-stuck.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	s, out := run(t, m, 3, 1, m.Logits)
	if s.Fixed != 1 || len(out[0]) != 3 || slices.Equal(out[0][0], out[0][1]) {
		t.Errorf("fixed at %d, %d results", s.Fixed, len(out[0]))
	}
}

// runAt runs a model on n blank images.
func runAt(m *Model, n int) error {
	s, err := openSession(m, m.Logits)
	if err != nil {
		return err
	}
	defer s.Close()
	b, err := s.NewBatch(n)
	if err != nil {
		return err
	}
	defer b.Close()
	if b.Size() != n {
		return fmt.Errorf("it insists on batches of %d", b.Size())
	}
	return b.Run(context.Background(), n)
}
