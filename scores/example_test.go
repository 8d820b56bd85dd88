package scores_test

import (
	"fmt"

	"cutmix-eval/linear"
	"cutmix-eval/scores"
)

// Two scores of three images, which need nothing but their logits. The last image's logits are
// small and alike: both scores are the lowest.
func ExampleScore_Fit() {
	head := &scores.Head{Layer: linear.Layer{Out: 3}} // three classes; its weights are not known
	var b scores.Block
	b.Reset([][]float32{{9, 1, 0}, {4, 3, 0}, {1, 1, 0.9}}, nil, 0)
	for _, name := range []string{"msp", "energy"} {
		score, err := scores.Parse(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		f, _, err := score.Fit(scores.Data{Head: head})
		if err != nil {
			fmt.Println(err)
			return
		}
		out := make([]float64, 3)
		f(&b, out)
		fmt.Printf("%-6s %.3f\n", score.Name, out)
	}
	// Output:
	// msp    [1.000 0.721 0.344]
	// energy [9.000 4.327 2.066]
}

// ReAct cuts features off at a percentile of what they are on validation images, so that one that
// is far too large does not make an image look familiar.
func ExampleScore_Fit_features() {
	head := &scores.Head{Layer: linear.Layer{In: 2, Out: 2, Weight: []float32{1, 0, 0, 1}, Bias: []float32{0, 0}}}
	validation := scores.NewSample(4, 2, 2)
	for _, features := range [][]float32{{1, 0}, {0, 2}, {2, 1}, {1, 3}} {
		logits := make([]float32, 2)
		head.Apply(logits, features)
		validation.Add(-1, logits, features) // without labels
	}
	score, err := scores.Parse("react_p100")
	if err != nil {
		fmt.Println(err)
		return
	}
	f, state, err := score.Fit(scores.Data{Head: head, Validation: validation})
	if err != nil {
		fmt.Println(err)
		return
	}
	var b scores.Block
	b.Reset([][]float32{{3, 0}, {50, 0}}, []float64{3, 0, 50, 0}, 2)
	out := make([]float64, 2)
	f(&b, out)
	fmt.Printf("cut off at %v: %.3f\n", state["high"].At(0, 0), out)
	// Output:
	// cut off at 3: [3.049 3.049]
}
