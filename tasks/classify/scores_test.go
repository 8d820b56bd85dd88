package classify

import (
	"math"
	"strings"
	"testing"

	"cutmix-eval/metrics"
)

// soft is a row of probabilities: 0.9 and a rest, times scale, in steps of step (0: none).
func soft(classes, top int, scale, step float64) []float32 {
	v := make([]float32, classes)
	for i := range v {
		p := 0.1 / float64(classes-1)
		if i == top {
			p = 0.9
		}
		if step > 0 {
			p = math.Round(p/step) * step
		}
		v[i] = float32(p * scale)
	}
	return v
}

// What scores look like is said, and only then.
func TestScores(t *testing.T) {
	const images, classes = 60, 100
	make := func(row func(i int) []float32) [][]float32 {
		var out [][]float32
		for i := range images {
			out = append(out, row(i))
		}
		return out
	}
	label := func(i int) int { return i % classes }
	noise := func(i, k int) float32 { return float32(math.Sin(float64(37*i + 11*k*k))) }
	for name, c := range map[string]struct {
		table         [][]float32
		probabilities bool
		predicted     bool
		want          []string // beginnings of the warnings' parts
	}{
		"logits": {table: make(func(i int) []float32 {
			v := soft(classes, label(i), 10, 0)
			for k := range v {
				v[k] += noise(i, k)
			}
			return v
		})},
		"eight bits": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 10, 0)
				for k := range v {
					v[k] = float32(math.Round(float64(10*(v[k]+noise(i, k))))) / 10
				}
				return v
			}),
			want: []string{"different values, as those of a quantised or binarised network"},
		},
		"probabilities": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 1, 0)
				for k := range v {
					v[k] += noise(i, k) * 1e-4
				}
				return v
			}), probabilities: true,
			want: []string{"are probabilities (each image's sum to 1), so their logarithms were taken as logits"},
		},
		"predicted probabilities, which the report tells": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 1, 0)
				for k := range v {
					v[k] += noise(i, k) * 1e-4
				}
				return v
			}), probabilities: true, predicted: true,
		},
		"predicted probabilities, rounded to 0": {
			table: make(func(i int) []float32 { return soft(classes, label(i+i%2), 1, 1./256) }), probabilities: true, predicted: true,
			want: []string{"are not to be trusted: save logits, or probabilities with all their digits"},
		},
		"predicted bytes": {
			table: make(func(i int) []float32 { return soft(classes, label(i), 255, 1./255) }), predicted: true,
			want: []string{"if they are such, give --scores probability"},
		},
		"rounded to 0": {
			table: make(func(i int) []float32 { return soft(classes, label(i+i%2), 1, 1./256) }), probabilities: true,
			want: []string{"for 30 of 60 images the probability of their own class was rounded to 0, which counts as 1e-45, so NLL is too high"},
		},
		"underflow": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 1, 0)
				v[label(i+1)], v[label(i+2)] = float32(1e-30*(2+float64(noise(i, 2)))), 1e-3*noise(i, 3)+2e-3
				if i == 5 {
					v[label(i)] = 0
				}
				for k := range v {
					if v[k] > 0 {
						v[k] += 1e-4 * (noise(i, k) + 1)
					}
				}
				return v
			}), probabilities: true,
			want: []string{"for 1 of 60 images the probability of their own class was so small that it became 0, which counts as 1e-45, so NLL is too low"},
		},
		"per cent": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 100, 0)
				v[label(i+1)] += 0.01 * noise(i, 1)
				return v
			}),
			want: []string{"each image's sum to about 100 and none is negative, as of probabilities that were scaled or quantised"},
		},
		"a tie with the label, of the lower and of the higher index": {
			table: make(func(i int) []float32 {
				v := soft(classes, label(i), 10, 0)
				for k := range v {
					v[k] += noise(i, k) / 10
				}
				switch i {
				case 7:
					v[8] = v[7] // right by the rule
				case 9:
					v[2] = v[9] // wrong by the rule
				case 11:
					v[11], v[20], v[30] = 0, 50, 50 // wrong either way
				}
				return v
			}),
			want: []string{"for 3 of 60 images several classes share the largest score; the lowest of these outputs counts as the prediction (top-1 96.67 %); with another choice top-1 is between 95.00 % and 98.33 %"},
		},
		"untrained": {
			table: make(func(i int) []float32 {
				v := soft(classes, 3, 1e-3, 0)
				for k := range v {
					v[k] += noise(i, k) / 100
				}
				return v
			}),
			want: []string{"the model hardly tells the classes apart"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scores{distinct: map[float32]bool{}, low: math.Inf(1), high: math.Inf(-1)}
			var outcomes []metrics.Outcome
			hits := 0
			for i, v := range c.table {
				o, err := metrics.Score(v, label(i), 1)
				if err != nil {
					t.Fatal(err)
				}
				outcomes = append(outcomes, o)
				if o.Correct() {
					hits++
				}
				s.add(v, all(classes), label(i))
			}
			s.Distinct, s.confidence = len(s.distinct), metrics.Evaluate(outcomes, 15).MeanConfidence
			got := s.warnings(hits, classes, c.probabilities, c.predicted)
			if w := strings.Join(got, "\n"); c.predicted && (strings.Contains(w, "--output") || strings.Contains(w, "model's scores")) {
				t.Errorf("predictions have no outputs to choose: %s", w)
			}
			if len(got) != len(c.want) {
				t.Fatalf("%d warnings: %s", len(got), strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("%q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func all(n int) []int {
	var out []int
	for i := range n {
		out = append(out, i)
	}
	return out
}

// Ties are counted among the outputs that compete.
func TestTiesOfTheRestricted(t *testing.T) {
	in := newInput([][]float32{{1, 1, 0}, {0, 2, 2}}, []int{0, 0}, []int{0})
	in.about.Config.Restrict, in.about.Config.Replicates = true, 0
	res, err := in.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if res.scores.images != 2 || res.scores.Tied != 0 {
		t.Errorf("%d of %d images are tied; one output competes", res.scores.Tied, res.scores.images)
	}
}
