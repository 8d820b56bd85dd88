package model

import (
	"fmt"
	"strings"

	"cutmix-eval/internal/onnx"
)

// chosen says what a tensor is that keeps only some of the class scores, or only says which class
// has the highest, and scores is the tensor that it is made from; both are empty for others.
func (f *finder) chosen(t string) (not, scores string) {
	_, n := f.through(t, nil)
	if n == nil || len(n.In) == 0 {
		return "", ""
	}
	switch {
	case n.Op == "ZipMap" && n.Domain == "ai.onnx.ml":
		return "a map of classes to scores, no tensor", n.In[0]
	case !standard(n):
	case n.Op == "ArgMax" || n.Op == "ArgMin":
		return "the number of one class, no scores", n.In[0]
	case n.Op == "TopK":
		return "the largest scores, or which they are, in their order and not in that of the classes", n.In[0]
	case n.Op == "SplitToSequence":
		return "a sequence, no tensor", n.In[0]
	case n.Op == "ReduceMax" && f.overClasses(n):
		return "the largest score, not one for each class", n.In[0]
	}
	return "", ""
}

// overClasses says whether a node reduces the axis of the classes: the second one of what a Gemm
// or a Softmax over it makes.
func (f *finder) overClasses(n *onnx.Node) bool {
	axes := f.axes(n)
	if len(axes) != 1 || axes[0] != 1 && axes[0] != -1 {
		return false
	}
	_, scores := f.through(n.In[0], nil)
	if scores == nil {
		return false
	}
	if _, logits := activation(scores); logits != "" {
		if scores.Op == "Sigmoid" {
			return false // what it is of has any number of axes
		}
		_, scores = f.through(logits, nil)
	}
	return scores != nil && standard(scores) && scores.Op == "Gemm"
}

// places says what scores of so many axes may be, and what to do, as the end of a sentence.
func places(axes int) string {
	switch {
	case axes == 3:
		return ": it may be a row of scores for each token, box or moment; take one of them, or their mean, before the export"
	case axes > 3:
		return ": it may be scores for each place, as segmentation makes them; take their mean over the places before the export"
	}
	return ""
}

// CheckScores says what is wrong with the shape of class scores as a run makes them, first axis
// the image: at most one other axis may be longer than 1.
func CheckScores(tensor string, shape []int64) error {
	long := 0
	for _, n := range shape[min(1, len(shape)):] {
		if n != 1 {
			long++
		}
	}
	if long < 2 {
		return nil
	}
	axes := []string{"n"}
	for _, n := range shape[1:] {
		axes = append(axes, fmt.Sprint(n))
	}
	return fmt.Errorf("tensor %q (%s) is of a shape that is not images x classes%s; --output names another tensor", tensor, strings.Join(axes, " x "), places(len(shape)))
}
