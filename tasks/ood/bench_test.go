package ood

import "testing"

// BenchmarkScores: all scores of 1,000 CIFAR-10 images by a ResNet-20, fitted before.
func BenchmarkScores(b *testing.B) {
	g := given(b)
	s := outputs(b, "ood_near_tiny", false)
	prepare := func() []*Block { return sized(s, func(int) int { return blockRows }) }
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*s.N), "us/image")
		})
	}
	run("preparation", func() { prepare() })
	for _, score := range Scores(10, 64) {
		f, _, err := score.Fit(g)
		if err != nil {
			b.Fatal(err)
		}
		run(score.Name, func() { scoresOf(f, prepare()) })
	}
}

// BenchmarkFit: what is fitted with 5,000 training and 500 validation images.
func BenchmarkFit(b *testing.B) {
	train, val := outputs(b, "id_train", true), outputs(b, "id_val", true)
	h := given(b).Head
	for b.Loop() {
		val.ascending = nil
		if _, warnings := fit(Scores(10, 64), Given{h, val, trained(train, train.N)}); len(warnings) > 0 {
			b.Fatal(warnings)
		}
	}
}
