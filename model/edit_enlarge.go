package model

import (
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/internal/onnx"
)

// ErrNotEnlarged is wrapped by what Enlarge says about models that it cannot change.
var ErrNotEnlarged = errors.New("its feature map cannot be made larger")

// Enlarge returns the model with a last feature map of twice (times 1) or four times
// (times 2) the size, as published localization numbers of ResNets have it: the
// convolutions that halve the map before its last stage (its last two) move by one
// place instead of two, and those behind them reach over the places between
// (dilation). At every second place the map has the values it had before, so weights
// stay as they are; the logits change, since the mean is over other places.
func (m *Model) Enlarge(times int) (*Model, error) {
	h, err := m.Head()
	if err != nil {
		return nil, err
	}
	if h.FeatureMap == "" || h.MapKind != MapNCHW {
		return nil, fmt.Errorf("model %q: %w: it has no map of channels by rows by columns (%s)", m.Name, ErrNotEnlarged, h.NoMap)
	}
	if h.Pool == PoolFlatten {
		return nil, fmt.Errorf("model %q: %w: the dense layers behind it take one size only (Flatten)", m.Name, ErrNotEnlarged)
	}
	f := m.file
	for range times {
		if f, err = enlarge(f, m.Dir(), h.FeatureMap); err != nil {
			return nil, fmt.Errorf("model %q: %w", m.Name, err)
		}
	}
	return m.edited(f, fmt.Sprintf("enlarge %d", times))
}

// stage is what lies between the last halving and the feature map.
type stage struct {
	f      *finder
	halve  map[string]bool // outputs of the convolutions that halve
	behind map[string]bool // outputs of the convolutions behind them
	seen   map[string]bool
}

func enlarge(m *onnx.Model, dir, feature string) (*onnx.Model, error) {
	s := &stage{newFinder(&m.Graph, dir), map[string]bool{}, map[string]bool{}, map[string]bool{}}
	if err := s.walk(feature); err != nil {
		return nil, err
	}
	if len(s.halve) == 0 {
		return nil, fmt.Errorf("%w: no convolution before it halves it", ErrNotEnlarged)
	}
	e := m.Edit()
	e.Graph.Values = nil // sizes in between are inferred anew
	for i, n := range e.Graph.Nodes {
		if len(n.Out) != 1 {
			continue
		}
		set := map[string][]int64{}
		switch {
		case s.halve[n.Out[0]]:
			set["strides"] = []int64{1, 1}
		case s.behind[n.Out[0]]:
			set["dilations"] = doubled(n, "dilations", 2, 1)
			if _, ok := n.Attr("pads"); ok {
				set["pads"] = doubled(n, "pads", 4, 0)
			}
		default:
			continue
		}
		var err error
		if e.Graph.Nodes[i], err = n.WithInts(set); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// doubled is an attribute times 2; missing ones are count times the default.
func doubled(n onnx.Node, name string, count int, missing int64) []int64 {
	v := slices.Repeat([]int64{missing}, count)
	if a, ok := n.Attr(name); ok && len(a.Ints) == count {
		v = slices.Clone(a.Ints)
	}
	for i := range v {
		v[i] *= 2
	}
	return v
}

// walk goes from a tensor backwards to the convolutions that halve it.
func (s *stage) walk(tensor string) error {
	n := s.f.maker[tensor]
	if n == nil || s.seen[tensor] {
		return nil // an input or a weight
	}
	s.seen[tensor] = true
	no := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrNotEnlarged, fmt.Sprintf(format, a...))
	}
	steps := func(name string) []int64 {
		a, _ := n.Attr(name)
		return a.Ints
	}
	moves := slices.ContainsFunc(steps("strides"), func(v int64) bool { return v > 1 })
	switch n.Op {
	case "Conv":
		side, err := s.kernel(n)
		if err != nil {
			return no("%s: %v", n.Label(), err)
		}
		pad, _ := n.Attr("auto_pad")
		same := string(pad.S) == "SAME_UPPER" || string(pad.S) == "SAME_LOWER"
		if moves {
			if !slices.Equal(steps("strides"), []int64{2, 2}) {
				return no("%s moves by %v, not by 2", n.Label(), steps("strides"))
			}
			if same {
				return no("%s is padded by the rule %s, which depends on its stride", n.Label(), pad.S)
			}
			s.halve[tensor] = true
			return nil
		}
		if side > 1 {
			s.behind[tensor] = true
		}
		return s.walk(n.In[0])
	case "MaxPool", "AveragePool", "LpPool":
		if moves || slices.ContainsFunc(steps("kernel_shape"), func(v int64) bool { return v > 1 }) {
			return no("%s lies between the last halving and the map", n.Label())
		}
	case "Slice":
		if moves, err := s.skips(n); moves || err != nil {
			return no("%s skips places (or may), which only a convolution can be kept from", n.Label())
		}
	case "ConvTranspose", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "Transpose", "Reshape", "MatMul", "Gemm":
		return no("%s lies between the last halving and the map", n.Label())
	case "GlobalAveragePool", "GlobalMaxPool", "ReduceMean":
		return nil // a gate of the whole map: it has no places
	}
	for _, in := range n.In {
		if err := s.walk(in); err != nil {
			return err
		}
	}
	return nil
}

// kernel is the longer side of a convolution's kernel.
func (s *stage) kernel(n *onnx.Node) (int64, error) {
	if a, ok := n.Attr("kernel_shape"); ok && len(a.Ints) == 2 {
		return max(a.Ints[0], a.Ints[1]), nil
	}
	if w := s.f.init[n.In[1]]; w != nil && len(w.Dims) == 4 {
		return max(w.Dims[2], w.Dims[3]), nil
	}
	return 0, errors.New("its kernel is not two-dimensional, or not known")
}

// skips says whether a Slice takes every second place (its steps are not all 1).
func (s *stage) skips(n *onnx.Node) (bool, error) {
	if len(n.In) < 5 {
		return false, nil
	}
	steps, ok := s.f.integers(n.In[4])
	if !ok {
		return false, errors.New("its steps are not constants")
	}
	return slices.ContainsFunc(steps, func(v int64) bool { return v != 1 }), nil
}
