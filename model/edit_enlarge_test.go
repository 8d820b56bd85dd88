package model

import (
	"errors"
	"math"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/models"
	"cutmix-eval/runtime/ortest"
)

// TestEnlarge: the larger map has, at every second (fourth) place, the values of the
// small one, and the rest of the model still runs.
func TestEnlarge(t *testing.T) {
	ortest.Load(t)
	open := func(name string) *Model {
		if data, ok := models.Bytes(name); ok {
			m, err := FromBytes(name, data, "")
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		m, err := Open("testdata/heads/"+name+".onnx", "")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, name := range []string{"scenes-base", "scenes-cutmix", "resnet", "resnet-opset9", "resnet-softmax"} {
		m := open(name)
		h, err := m.Head()
		if err != nil {
			t.Fatal(err)
		}
		s, small := run(t, m, 3, 1, h.FeatureMap, m.Logits)
		shape := s.Outputs[0].Shape
		for times := 1; times <= 2; times++ {
			e, err := m.Enlarge(times)
			if err != nil {
				if times == 2 && errors.Is(err, ErrNotEnlarged) {
					t.Logf("%s: %v", name, err)
					continue
				}
				t.Errorf("%s: %v", name, err)
				continue
			}
			step := int64(1) << times
			ls, large := run(t, e, 3, 1, h.FeatureMap, m.Logits)
			got := ls.Outputs[0].Shape
			if got[2] != step*shape[2] || got[3] != step*shape[3] {
				t.Errorf("%s: map %v became %v", name, shape, got)
				continue
			}
			worst := 0.0
			for i := range small[0] {
				for c := range shape[1] {
					for y := range shape[2] {
						for x := range shape[3] {
							a := small[0][i][(c*shape[2]+y)*shape[3]+x]
							b := large[0][i][(c*got[2]+step*y)*got[3]+step*x]
							worst = max(worst, math.Abs(float64(a-b)))
						}
					}
				}
			}
			// Sums in another order.
			if worst > 1e-4 {
				t.Errorf("%s: the values at every second place differ by %v", name, worst)
			}
			if len(large[1][0]) != len(small[1][0]) {
				t.Errorf("%s: %d logits, then %d", name, len(small[1][0]), len(large[1][0]))
			}
		}
	}
	for name, why := range map[string]string{"vit": "no map of channels", "swin": "lies between", "densenet": "lies between"} {
		if _, err := open(name).Enlarge(1); !errors.Is(err, ErrNotEnlarged) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := Open(golden.Path(t, "models", "resnet20-cifar10.onnx"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Enlarge(1); !errors.Is(err, ErrNotEnlarged) || !strings.Contains(err.Error(), "skips places") {
		t.Errorf("a shortcut of every second place: %v", err)
	}
}
