package metrics_test

import (
	"fmt"

	"cutmix-eval/metrics"
)

// Scores of in-distribution images should be larger than those of others. Here one of twelve pairs
// is in the wrong order.
func ExampleSeparate() {
	id := []float64{0.97, 0.91, 0.88, 0.62}
	ood := []float64{0.71, 0.40, 0.35}
	s, err := metrics.Separate(id, ood)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("AUROC %.4f, %s %.2f to %.2f\n", s.AUROC, s.AUROCInterval.Method, s.AUROCInterval.Low, s.AUROCInterval.High)
	fmt.Printf("to accept 95 %% of the ID images, accept scores >= %v, and %.2f of the OOD images\n",
		s.FPRIDPositive.Threshold, s.FPRIDPositive.FPR)
	// Output:
	// AUROC 0.9167, DeLong 0.69 to 1.00
	// to accept 95 % of the ID images, accept scores >= 0.62, and 0.33 of the OOD images
}

// A share of few images is known badly, even where all are right.
func ExampleWilson() {
	for _, c := range []struct{ hits, n int }{{8, 10}, {80, 100}, {10, 10}} {
		iv := metrics.Wilson(c.hits, c.n)
		fmt.Printf("%d of %d: %.3f to %.3f\n", c.hits, c.n, iv.Low, iv.High)
	}
	// Output:
	// 8 of 10: 0.490 to 0.943
	// 80 of 100: 0.711 to 0.867
	// 10 of 10: 0.722 to 1.000
}

// The expected calibration error is the mean gap between confidence and accuracy over bins: two
// predictions of about 0.9, of which one is right, and two of about 0.6, both right.
func ExampleErrors() {
	bins := metrics.EqualWidth([]metrics.Confident{
		{Confidence: 0.95, Correct: true}, {Confidence: 0.93, Correct: false},
		{Confidence: 0.62, Correct: true}, {Confidence: 0.64, Correct: true},
	}, 10)
	for k, b := range bins {
		if b.Count > 0 {
			fmt.Printf("bin %d: %d images, confidence %.2f, accuracy %.2f\n", k, b.Count, b.Confidence, b.Accuracy)
		}
	}
	fmt.Printf("ECE %.3f\n", metrics.Errors(bins).ECE)
	// Output:
	// bin 6: 2 images, confidence 0.63, accuracy 1.00
	// bin 9: 2 images, confidence 0.94, accuracy 0.50
	// ECE 0.405
}

// Two models classify the same images. Images that both get right, or both wrong, say nothing about
// which model is better.
func ExampleMcNemar() {
	a := []bool{true, true, true, false, true, true, false, true, true, true}
	b := []bool{true, false, false, false, true, false, false, true, false, false}
	onlyA, onlyB := metrics.Discordant(len(a), func(i int) bool { return a[i] }, func(i int) bool { return b[i] })
	fmt.Printf("only a is right %d times, only b %d times: p = %.4f\n", onlyA, onlyB, metrics.McNemar(onlyA, onlyB))
	// Output:
	// only a is right 5 times, only b 0 times: p = 0.0625
}
