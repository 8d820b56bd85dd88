package boxes_test

import (
	"math"
	"testing"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
)

// BenchmarkSweep is what a map costs from 7 x 7 to all overlaps at all levels.
func BenchmarkSweep(b *testing.B) {
	m := make([]float64, 49)
	for i := range m {
		m[i] = math.Sin(float64(i)) + 2*math.Exp(-math.Pow(float64(i%7-3), 2)-math.Pow(float64(i/7-3), 2))
	}
	truth := []boxes.Box{{X0: 50, Y0: 60, X1: 150, Y1: 170}}
	var t boxes.Tracer
	l, a := make([]float32, boxes.Levels), make([]float32, boxes.Levels)
	for b.Loop() {
		t.Sweep(cam.Bytes(cam.WSOL.Apply(m, 7, 7, side, side)), side, side, truth, l, a)
	}
}
