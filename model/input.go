package model

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
)

// maxSide bounds the sides of an image, as imageproc.Recipe does.
const maxSide = 16384

// findInput settles how the graph's one input takes the image. Inputs that have a default are
// weights (onnx.Graph.WeightInputs) and do not count.
func (m *Model) findInput(f *finder) error {
	inputs := f.g.Inputs
	if len(inputs) != 1 {
		if len(inputs) == 0 {
			return fmt.Errorf("it has no input that an image could be given to")
		}
		var all []string
		for _, in := range inputs {
			all = append(all, inputText(in))
		}
		return fmt.Errorf("it has %d inputs: %s; a classifier takes an image and nothing else: export the part from image to class scores alone, with what else it needs as constants",
			len(inputs), strings.Join(all, " and "))
	}
	in := inputs[0]
	refuse := func(format string, a ...any) error {
		return fmt.Errorf("its input %s cannot be given an image: %s", inputText(in), fmt.Sprintf(format, a...))
	}
	if in.Kind != "" {
		return refuse("it is no tensor")
	}
	switch in.Type {
	case onnx.Float32, onnx.Float16, onnx.Float64, onnx.Uint8, onnx.Int8, onnx.Int32:
	case onnx.Int64:
		return refuse("int64 is for numbers such as token ids; images are float32, float16, float64, uint8, int8 or int32")
	default:
		return refuse("images are float32, float16, float64, uint8, int8 or int32")
	}
	if slices.ContainsFunc(in.Dims[min(1, len(in.Dims)):], func(d onnx.Dim) bool { return d.Size == 0 }) {
		return refuse("an axis of size 0 holds nothing")
	}
	m.Input, m.InputType, m.Layout, m.Channels = in.Name, in.Type, imageproc.NCHW, 3
	first := f.entry(in.Name)
	if first.ids {
		return refuse("the graph looks its values up in a table, as those of token ids")
	}
	if !in.Ranked {
		return m.convolved(first, refuse)
	}
	if why := m.arrange(in.Dims, first); why != "" {
		return refuse("%s", why)
	}
	if max(m.H, m.W) > maxSide {
		return refuse("images have at most %d pixels a side", maxSide)
	}
	return nil
}

// convolved settles what the first convolution says about an input of unknown channels.
func (m *Model) convolved(first entry, refuse func(string, ...any) error) error {
	if first.last {
		m.Layout = imageproc.NHWC
	}
	switch first.channels {
	case 0: // nothing is known; three are usual
	case 1, 3:
		m.Channels = first.channels
	default:
		return refuse("%s", channelsText(int64(first.channels)))
	}
	return nil
}

func inputText(v onnx.Value) string {
	what := v.Type.String()
	switch {
	case v.Kind != "":
		what = "a " + v.Kind
	case v.Ranked && len(v.Dims) == 0:
		what += ", a scalar"
	case v.Ranked:
		what += ", " + shapeText(v.Dims)
	}
	return fmt.Sprintf("%q (%s)", v.Name, what)
}

func shapeText(dims []onnx.Dim) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = d.String()
	}
	return strings.Join(s, " x ")
}

func channelsText(n int64) string {
	return fmt.Sprintf("it has %d channels; images have 1 (grey) or 3 (colours)", n)
}

// arrange reads the axes of the input. It returns why they are not those of an image, empty
// where they are.
func (m *Model) arrange(dims []onnx.Dim, first entry) string {
	size := func(i int) int { return int(min(max(dims[i].Size, 0), math.MaxInt32)) }
	batch := func() { m.Batch = int(max(dims[0].Size, 0)) }
	switch len(dims) {
	case 1:
		m.NoBatch = true
		return m.flat(dims)
	case 2:
		a, b := dims[0].Size, dims[1].Size
		switch {
		case b == 1 && a > 1: // a column
			m.NoBatch = true
			return m.flat(dims)
		case a == b && a > 1: // a square image: batches are not as large as that by chance
			m.NoBatch = true
			m.plane(int(a), int(b))
			return ""
		}
		batch()
		return m.flat(dims[1:])
	case 3:
		a, b, c := dims[0].Size, dims[1].Size, dims[2].Size
		switch {
		case b == 1 || c == 1 && (a <= 1 || 16*a < b): // n x 784 x 1, n x 1 x 784
			batch()
			return m.flat(dims[1:])
		case (c == 1 || c == 3) && (a > 3 && b > 3 || a < 0 && b < 0): // h x w x channels
			m.NoBatch, m.Layout, m.Channels = true, imageproc.NHWC, int(c)
			m.H, m.W = size(0), size(1)
			return ""
		case a == 3: // channels x h x w
			m.NoBatch = true
			m.H, m.W = size(1), size(2)
			return ""
		case 0 < b && b < 5 || 0 < c && c < 5:
			return "its three axes are neither image x height x width nor those of one image with its channels"
		}
		batch()
		m.plane(size(1), size(2))
		return ""
	case 4:
		batch()
		c, last := dims[1].Size, dims[3].Size
		one := 0 // sides of one pixel
		for _, d := range dims[1:] {
			if d.Size == 1 {
				one++
			}
		}
		switch {
		case c == 3, c == 1 && last != 3 && one == 1:
			m.Channels, m.H, m.W = int(c), size(2), size(3)
		case last == 3, last == 1 && one == 1:
			m.Layout, m.Channels = imageproc.NHWC, int(last)
			m.H, m.W = size(1), size(2)
		case one >= 2:
			return m.flat(dims[1:])
		case c < 0:
			if err := m.convolved(first, func(format string, a ...any) error { return fmt.Errorf(format, a...) }); err != nil {
				return err.Error()
			}
			m.H, m.W = size(2), size(3)
			if m.Layout == imageproc.NHWC {
				m.H, m.W = size(1), size(2)
			}
		case first.last, c == dims[2].Size, last > 0 && last < c && dims[2].Size != last:
			return channelsText(last)
		default:
			return channelsText(c)
		}
		return ""
	}
	return fmt.Sprintf("it has %d axes; an image with its batch has 2 (flat), 3 or 4", len(dims))
}

// plane is a grey image without an axis for its channel.
func (m *Model) plane(h, w int) { m.Plane, m.Channels, m.H, m.W = true, 1, h, w }

// flat is an image as a vector: all axes but one are 1. Its size is that of a square image.
func (m *Model) flat(dims []onnx.Dim) string {
	n := int64(1)
	for _, d := range dims {
		if d.Size < 0 {
			return "its size is open, so nothing says how large the image is"
		}
		if d.Size > 1 && n > 1 {
			return "its axes are not those of an image"
		}
		n *= max(d.Size, 1)
		m.Flat = append(m.Flat, d.Size)
	}
	for _, c := range []int64{1, 3} {
		if side := int64(math.Sqrt(float64(n / c))); side > 1 && side*side*c == n {
			m.Channels, m.H, m.W = int(c), int(side), int(side)
			if c == 3 && (strings.HasPrefix(m.Producer, "tf2onnx") || strings.HasPrefix(m.Producer, "keras")) {
				m.Layout = imageproc.NHWC
			}
			return ""
		}
	}
	return fmt.Sprintf("its %d values are those of no square image, grey (side x side) or in colours (3 x side x side)", n)
}

// Takes says for people what the input takes: how the image lies, its colours and its size. layout is
// how the values of a flat colour image are ordered.
func (m *Model) Takes(layout imageproc.Layout) string {
	lies, size := string(m.Layout), "of any size"
	switch {
	case m.Flat != nil:
		lies = fmt.Sprintf("flat (%d values)", m.Channels*m.H*m.W)
		if m.Channels == 3 {
			lies += " in the order of " + string(layout)
		}
	case m.Plane:
		lies = "N x height x width"
	}
	if m.H > 0 && m.W > 0 {
		size = fmt.Sprintf("of %d x %d pixels", m.H, m.W)
	}
	kind := "colour"
	if m.Channels == 1 {
		kind = "grey"
	}
	batch := "batch any size"
	switch {
	case m.NoBatch:
		batch = "one image per run, for there is no batch axis"
	case m.Batch > 0:
		batch = fmt.Sprintf("batch fixed at %d (opened where that is sound)", m.Batch)
	}
	return fmt.Sprintf("%v, %s, %s images %s, %s", m.InputType, lies, kind, size, batch)
}

// SampleShape is the shape of one image's tensor, without the batch axis, for images of this
// size.
func (m *Model) SampleShape(s imageproc.Size) ([]int64, error) {
	h, w, c := int64(s.H), int64(s.W), int64(m.Channels)
	switch {
	case m.Flat != nil:
		if s.H != m.H || s.W != m.W {
			return nil, fmt.Errorf("the preprocessing makes images of %d x %d pixels, and input %q of model %q takes %d values, which are %d x %d pixels of %s; give --crop %d",
				s.H, s.W, m.Input, m.Name, int(c)*m.H*m.W, m.H, m.W, colours(m.Channels), m.H)
		}
		return slices.Clone(m.Flat), nil
	case m.Plane:
		return []int64{h, w}, nil
	case m.Layout == imageproc.NHWC:
		return []int64{h, w, c}, nil
	}
	return []int64{c, h, w}, nil
}

func colours(channels int) string {
	if channels == 1 {
		return "one channel"
	}
	return "three channels"
}

// FlatColour says whether the input is a colour image as a vector, of which the shape does not say how
// the values are ordered.
func (m *Model) FlatColour() bool { return m.Flat != nil && m.Channels == 3 }

// FlatOrder says how the pixels of a flat colour image were ordered, which its shape does not
// say; empty for other inputs.
func (m *Model) FlatOrder(l imageproc.Layout) string {
	if !m.FlatColour() {
		return ""
	}
	order, other, by := "three planes, red first, as PyTorch flattens images", imageproc.NHWC, "pixel by pixel, as Keras does"
	if l == imageproc.NHWC {
		order, other, by = "pixel by pixel, as Keras flattens images", imageproc.NCHW, "as three planes, as PyTorch does"
	}
	return fmt.Sprintf("input %q is flat, and nothing says how its %d values are ordered: they were taken as %s; --layout %s takes them %s",
		m.Input, 3*m.H*m.W, order, other, by)
}

// CheckPixels says what is wrong with a recipe for the type and the channels of the input.
// note is what is to be known though the recipe can be used, or empty.
func (m *Model) CheckPixels(r imageproc.Recipe) (note string, err error) {
	if got := r.Channels(); got != m.Channels {
		return "", fmt.Errorf("the preprocessing makes %s, and input %q of model %q takes %s", colours(got), m.Input, m.Name, colours(m.Channels))
	}
	var low, high float64
	advice := "--range 0..255 --mean 0,0,0 --std 1,1,1"
	switch m.InputType {
	case onnx.Uint8:
		low, high = 0, math.MaxUint8
	case onnx.Int8:
		low, high = math.MinInt8, math.MaxInt8
		advice = "--range 0..255 --mean 128,128,128 --std 1,1,1"
	case onnx.Int32:
		low, high = math.MinInt32, math.MaxInt32
	default:
		return "", nil
	}
	whole, fit := true, true
	least := 256 // different values of a channel
	for c := range m.Channels {
		distinct := map[float64]bool{}
		for i := range 256 {
			v := float64(i)
			if r.Range == 1 {
				v /= 255
			}
			v = (v - float64(r.Mean[c])) / float64(r.Std[c])
			near := math.RoundToEven(v)
			whole = whole && math.Abs(v-near) < 1e-3
			fit = fit && near >= low-1 && near <= high+1 // quantised networks lose a step at an end
			distinct[min(max(near, low), high)] = true
		}
		least = min(least, len(distinct))
	}
	const enough = 64 // a quarter of what the pixels tell
	switch {
	case !fit || least < enough:
		what := fmt.Sprintf("makes only %d different values of 256", least)
		if !fit {
			what = "makes values beyond it"
		}
		return "", fmt.Errorf("input %q of model %q takes whole numbers (%v, %.0f to %.0f), and the preprocessing (%s) %s; give %s, or what its maker says",
			m.Input, m.Name, m.InputType, low, high, r, what, advice)
	case !whole:
		return fmt.Sprintf("input %q takes whole numbers (%v), so what the preprocessing makes was rounded to them", m.Input, m.InputType), nil
	}
	return "", nil
}

// entry is what the graph does with its input first.
type entry struct {
	channels int  // that the first convolution takes; 0 where there is none
	last     bool // the channels are the last axis: they are moved to the second
	ids      bool // its values choose rows of a table
}

// entry follows the input through operators that change values one by one.
func (f *finder) entry(t string) (e entry) {
	const far = 16
	for range far {
		var n *onnx.Node
		for i := range f.g.Nodes {
			if slices.Contains(f.g.Nodes[i].In, t) {
				if n != nil && n.Op != "Shape" {
					return e // it is used twice
				}
				n = &f.g.Nodes[i]
			}
		}
		if n == nil || len(n.Out) == 0 {
			return e
		}
		weight := ""
		switch n.Op {
		case "Cast", "Identity", "Sub", "Div", "Mul", "Add", "Clip", "Pad", "QuantizeLinear", "DequantizeLinear":
			t = n.Out[0]
			continue
		case "Transpose":
			if a, _ := n.Attr("perm"); slices.Equal(a.Ints, []int64{0, 3, 1, 2}) && !e.last {
				e.last = true
				t = n.Out[0]
				continue
			}
		case "Gather":
			e.ids = len(n.In) > 1 && n.In[1] == t
		case "Conv", "ConvInteger":
			if len(n.In) > 1 {
				weight = n.In[1]
			}
		case "QLinearConv":
			if len(n.In) > 3 {
				weight = n.In[3]
			}
		}
		if q := f.maker[weight]; q != nil && q.Op == "DequantizeLinear" && len(q.In) > 0 {
			weight = q.In[0]
		}
		if w := f.constant(weight); w != nil && len(w.Dims) == 4 {
			e.channels = int(min(w.Dims[1]*max(attrInt(n, "group", 1), 1), math.MaxInt32))
		}
		return e
	}
	return e
}
