package scores

import "testing"

// BenchmarkScores: all scores of 1,000 CIFAR-10 images by a ResNet-20, fitted before.
func BenchmarkScores(b *testing.B) {
	data := golden10(b)
	s := outputs(b, "ood_near_tiny", false)
	prepare := func() []*Block { return sized(s, func(int) int { return 128 }) }
	run := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*s.n), "us/image")
		})
	}
	run("preparation", func() { prepare() })
	for _, score := range All(10, 64) {
		f, _, err := score.Fit(data)
		if err != nil {
			b.Fatal(err)
		}
		run(score.Name, func() { scoresOf(f, prepare()) })
	}
}

// BenchmarkFit: what is fitted with 5,000 training and 500 validation images.
func BenchmarkFit(b *testing.B) {
	train, val := outputs(b, "id_train", true), outputs(b, "id_val", true)
	h := golden10(b).Head
	for b.Loop() {
		val.ascending = nil
		data := Data{h, val, trained(train, train.n)}
		for _, score := range All(10, 64) {
			if _, _, err := score.Fit(data); err != nil {
				b.Fatal(err)
			}
		}
	}
}
