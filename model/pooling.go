package model

import (
	"cutmix-eval/internal/onnx"
	"fmt"
	"slices"
	"strings"
)

// pooling is a step from places to one vector.
type pooling struct {
	in   string
	kind MapKind
	how  string
}

// pool says whether n pools all places of its input. Means taken over one
// spatial axis after the other count as one.
func (f *finder) pool(n *onnx.Node) pooling {
	if n == nil || !standard(n) || len(n.In) == 0 {
		return pooling{}
	}
	switch n.Op {
	case "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool":
		return pooling{n.In[0], MapNCHW, n.Op}
	case "AveragePool":
		if a, ok := n.Attr("kernel_shape"); ok && len(a.Ints) == 2 && a.Ints[0] > 1 {
			return pooling{n.In[0], MapNCHW, fmt.Sprintf("AveragePool %dx%d", a.Ints[0], a.Ints[1])}
		}
	case "ReduceMean", "ReduceMax", "ReduceSum":
		axes := f.axes(n)
		in := n.In[0]
		// x.mean(3).mean(2) and the like.
		if len(axes) == 1 && (axes[0] == 2 || axes[0] == -1 || axes[0] == 1) {
			if t, inner := f.through(in, nil); inner != nil && inner.Op == n.Op && t == in {
				if more := f.axes(inner); len(more) == 1 {
					if pair := [2]int64{axes[0], more[0]}; pair == [2]int64{2, 3} || pair == [2]int64{-1, -1} || pair == [2]int64{2, 2} {
						return pooling{inner.In[0], MapNCHW, "mean"}
					} else if pair == [2]int64{1, 2} || pair == [2]int64{1, 1} {
						return pooling{inner.In[0], MapNHWC, "mean"}
					}
				}
			}
		}
		how := strings.ToLower(strings.TrimPrefix(n.Op, "Reduce"))
		switch fmt.Sprint(axes) {
		case "[2 3]", "[3 2]", "[-2 -1]", "[-1 -2]", "[2 -1]":
			return pooling{in, MapNCHW, how}
		case "[1 2]", "[2 1]", "[-3 -2]":
			return pooling{in, MapNHWC, how}
		case "[1]", "[-2]":
			return pooling{in, MapTokens, how + " of tokens"}
		}
	case "Gather":
		if attrInt(n, "axis", 0) == 1 && len(n.In) == 2 {
			if at, ok := f.integers(n.In[1]); ok && len(at) == 1 {
				return pooling{n.In[0], MapTokens, tokenName(at[0])}
			}
		}
	case "Slice":
		if len(n.In) >= 4 {
			starts, ok1 := f.integers(n.In[1])
			ends, ok2 := f.integers(n.In[2])
			axes, ok3 := f.integers(n.In[3])
			if ok1 && ok2 && ok3 && len(starts) == 1 && len(ends) == 1 && slices.Equal(axes, []int64{1}) && ends[0] == starts[0]+1 {
				return pooling{n.In[0], MapTokens, tokenName(starts[0])}
			}
		}
	}
	return pooling{}
}

func tokenName(at int64) string {
	if at == 0 {
		return "class token"
	}
	return fmt.Sprintf("token %d", at)
}

// axes of a reduction: an attribute, or an input since opset 18.
func (f *finder) axes(n *onnx.Node) []int64 {
	if a, ok := n.Attr("axes"); ok {
		return a.Ints
	}
	if len(n.In) > 1 {
		if v, ok := f.integers(n.In[1]); ok {
			return v
		}
	}
	return nil
}

// integers returns a constant int64 or int32 tensor.
func (f *finder) integers(name string) ([]int64, bool) {
	t := f.constant(name)
	if t == nil {
		return nil, false
	}
	return t.Int64s()
}

// maxBetween bounds the search from the penultimate vector back to the pooling.
const maxBetween = 64

// findMap goes back from the penultimate vector to the pooling. Straight, where
// only shapes change; otherwise breadth first over whatever lies between, such
// as another linear layer, an activation or a norm.
func (f *finder) findMap(h *Head) {
	if t, n := f.through(h.Penultimate, nil); n != nil {
		if p := f.pool(n); p.in != "" {
			h.Penultimate = t
			if h.Kind == "Conv" || h.Kind == "Gemm" || h.Kind == "MatMul" {
				h.Penultimate = h.Input
			}
			h.setMap(p, f)
			h.Direct = true
			return
		}
	}
	type step struct {
		tensor string
		ops    []string
	}
	queue, seen := []step{{h.Penultimate, nil}}, map[string]bool{}
	for len(queue) > 0 && len(seen) < maxBetween {
		s := queue[0]
		queue = queue[1:]
		if seen[s.tensor] {
			continue
		}
		seen[s.tensor] = true
		n := f.maker[s.tensor]
		if n == nil {
			continue
		}
		if p := f.pool(n); p.in != "" && !f.normMean(n) {
			h.setMap(p, f)
			h.Between = s.ops
			return
		}
		ops := s.ops
		if !same(n) {
			ops = append(slices.Clone(ops), n.Op)
		}
		for _, in := range n.In {
			queue = append(queue, step{in, ops})
		}
	}
	_, n := f.through(h.Penultimate, nil)
	h.NoMap = fmt.Sprintf("no pooling was found behind %s", label(n))
}

// normMean says whether a mean belongs to a layer norm: it is over the last axis.
func (f *finder) normMean(n *onnx.Node) bool {
	return strings.HasPrefix(n.Op, "Reduce") && slices.Equal(f.axes(n), []int64{-1})
}

func (h *Head) setMap(p pooling, f *finder) {
	h.FeatureMap, h.MapKind, h.Pool = p.in, p.kind, p.how
	// Tokens may have been cut out of the map (all but the class token).
	if p.kind == MapTokens {
		if n := f.maker[p.in]; n != nil && n.Op == "Slice" && standard(n) && p.how == "mean of tokens" {
			h.Pool = "mean of tokens after the class token"
		}
	}
}
