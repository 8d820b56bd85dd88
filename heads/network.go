package heads

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cutmix-eval/linear"

	"gonum.org/v1/gonum/mat"
)

// Network is the head in training: one linear layer, or two with ReLUs between them. It
// learns from scaled features; Layers and Set are of features as they are. Not safe for
// concurrent use.
type Network struct {
	features, hidden, classes int
	dropout                   float64

	Criterion
	Scale  Scaling
	Params []float64 // weights of all layers, row by row, then their biases

	x, z, h, dh  mat.Dense // of a batch
	keepX, keepH []float64 // what dropout multiplies by
}

// NewNetwork makes a head. One linear layer begins with zeros, for its loss is convex; two
// begin as torch.nn.Linear's do, uniform within 1/sqrt(inputs), drawn from rng. hidden is the
// number of units of a hidden layer, 0 for none; dropout the share of features and hidden
// units that are dropped in training.
func NewNetwork(features, hidden, classes int, dropout float64, k Criterion, rng *rand.Rand) *Network {
	n := &Network{features: features, hidden: hidden, classes: classes, dropout: dropout, Criterion: k, Scale: plain(features)}
	biases := classes
	if hidden > 0 {
		biases += hidden
	}
	n.Params = make([]float64, n.Weights()+biases)
	if hidden > 0 {
		first := hidden * features
		for i := range n.Params {
			inputs := hidden
			if i < first || i >= n.Weights() && i < n.Weights()+hidden {
				inputs = features
			}
			n.Params[i] = (2*rng.Float64() - 1) / math.Sqrt(float64(inputs))
		}
	}
	return n
}

// Features is the number of values in a row.
func (n *Network) Features() int { return n.features }

// Weights is how many of the parameters are weights, which decay.
func (n *Network) Weights() int {
	if n.hidden == 0 {
		return n.classes * n.features
	}
	return n.hidden*n.features + n.classes*n.hidden
}

// layer is layer k of parameters: a view, outputs x inputs, and its biases.
func (n *Network) layer(of []float64, k int) (w *mat.Dense, b []float64) {
	out, in, at, bias := n.classes, n.features, 0, n.Weights()
	if n.hidden > 0 && k == 0 {
		out = n.hidden
	} else if n.hidden > 0 {
		in, at, bias = n.hidden, n.hidden*n.features, bias+n.hidden
	}
	return mat.NewDense(out, in, of[at:at+out*in]), of[bias : bias+out]
}

// load puts a batch of rows into the network.
func (n *Network) load(x []float32) int {
	rows := len(x) / n.features
	n.x.Reset()
	n.x.ReuseAs(rows, n.features)
	for i := range rows {
		n.Scale.apply(n.x.RawRowView(i), x[i*n.features:(i+1)*n.features])
	}
	return rows
}

// drop multiplies values by 0, or by what makes up for it.
func drop(v []float64, keep *[]float64, share float64, rng *rand.Rand) {
	*keep = (*keep)[:0]
	for i := range v {
		k := 0.0
		if rng.Float64() >= share {
			k = 1 / (1 - share)
		}
		*keep = append(*keep, k)
		v[i] *= k
	}
}

// forward computes the logits of what was loaded. rng, if not nil, draws what is dropped.
func (n *Network) forward(rng *rand.Rand) *mat.Dense {
	training := rng != nil && n.dropout > 0
	if training {
		drop(n.x.RawMatrix().Data, &n.keepX, n.dropout, rng)
	}
	in, last := &n.x, 0
	if n.hidden > 0 {
		w, b := n.layer(n.Params, 0)
		n.h.Reset()
		n.h.Mul(&n.x, w.T())
		addRows(&n.h, b)
		for i, v := range n.h.RawMatrix().Data {
			n.h.RawMatrix().Data[i] = max(v, 0)
		}
		if training {
			drop(n.h.RawMatrix().Data, &n.keepH, n.dropout, rng)
		}
		in, last = &n.h, 1
	}
	w, b := n.layer(n.Params, last)
	n.z.Reset()
	n.z.Mul(in, w.T())
	addRows(&n.z, b)
	return &n.z
}

func addRows(m *mat.Dense, b []float64) {
	rows, _ := m.Dims()
	for i := range rows {
		row := m.RawRowView(i)
		for j, v := range b {
			row[j] += v
		}
	}
}

// Gradient writes the gradient of the mean loss of a batch and returns the loss. rng draws
// what is dropped.
func (n *Network) Gradient(grad []float64, x []float32, y []float64, rng *rand.Rand) float64 {
	rows := n.load(x)
	z := n.forward(rng)
	loss := 0.0
	for i := range rows {
		row := z.RawRowView(i)
		loss += n.Of(row, y[i*n.classes:(i+1)*n.classes]) / float64(rows)
		for c := range row {
			row[c] /= float64(rows)
		}
	}
	if n.hidden == 0 {
		backward(n, grad, 0, z, &n.x)
		return loss
	}
	backward(n, grad, 1, z, &n.h)
	w, _ := n.layer(n.Params, 1)
	n.dh.Reset()
	n.dh.Mul(z, w)
	d := n.dh.RawMatrix().Data
	for i, v := range n.h.RawMatrix().Data {
		switch {
		case v <= 0: // not active, or dropped
			d[i] = 0
		case n.dropout > 0 && rng != nil:
			d[i] *= n.keepH[i]
		}
	}
	backward(n, grad, 0, &n.dh, &n.x)
	return loss
}

// backward writes layer k's part of the gradient: of its outputs d, with its inputs.
func backward(n *Network, grad []float64, k int, d, in *mat.Dense) {
	w, b := n.layer(grad, k)
	w.Mul(d.T(), in)
	clear(b)
	rows, _ := d.Dims()
	for i := range rows {
		for j, v := range d.RawRowView(i) {
			b[j] += v
		}
	}
}

// Scores are the logits of rows of features, as the ONNX file will compute them but for
// rounding.
func (n *Network) Scores(x []float32) []float32 {
	out := make([]float32, 0, len(x)/n.features*n.classes)
	const block = 1024
	for at := 0; at < len(x); at += block * n.features {
		n.load(x[at:min(at+block*n.features, len(x))])
		for _, v := range n.forward(nil).RawMatrix().Data {
			out = append(out, float32(v))
		}
	}
	return out
}

// some are at most 4096 rows of x, evenly spread.
func (n *Network) some(x []float32) []float32 {
	const most = 4096
	all := len(x) / n.features
	if all <= most {
		return x
	}
	out := make([]float32, 0, most*n.features)
	for i := range most {
		from := i * all / most
		out = append(out, x[from*n.features:(from+1)*n.features]...)
	}
	return out
}

// ones are rows of inputs, each with a 1 for the biases.
func ones(in *mat.Dense) *mat.Dense {
	rows, columns := in.Dims()
	out := mat.NewDense(rows, columns+1, nil)
	for i := range rows {
		row := out.RawRowView(i)
		row[copy(row, in.RawRowView(i))] = 1
	}
	return out
}

// SGDRate is the learning rate of SGD that suits the rows of x: a quarter of 1/M, where M
// bounds the curvature of the loss. With the largest eigenvalue L of the second moments of the
// last layer's inputs and 1, M is L/2 for softmax (Böhning, 1992), and L/4 over the number of
// classes for sigmoids. The last layer's inputs are the features, or the hidden layer's outputs
// before training.
func (n *Network) SGDRate(x []float32) float64 {
	rows := n.load(n.some(x))
	n.forward(nil)
	in := ones(&n.x)
	if n.hidden > 0 {
		in = ones(&n.h)
	}
	_, columns := in.Dims()
	v := mat.NewVecDense(columns, nil)
	for i := range columns {
		v.SetVec(i, 1+float64(i%7)/7) // no eigenvector, nor at a right angle to the largest
	}
	var y mat.VecDense
	largest := 0.0
	for range 50 {
		v.ScaleVec(1/mat.Norm(v, 2), v)
		y.MulVec(in, v)
		v.MulVec(in.T(), &y)
		largest = mat.Norm(v, 2) / float64(rows)
	}
	if n.Criterion == Sigmoid {
		return float64(n.classes) / largest
	}
	return 0.5 / largest
}

// AdamWRate is the learning rate of AdamW that suits the rows of x: 0.5 / mean(1 + sum |x|), with
// the sum over a row's scaled features and the mean over rows. AdamW's first step moves every
// weight and bias by the rate, whatever its gradient. Where all of them move a logit the same way,
// it changes by the rate times 1 + sum |x|: by 0.5 on average.
func (n *Network) AdamWRate(x []float32) float64 {
	rows := n.load(n.some(x))
	in := ones(&n.x)
	size := 0.0
	for _, v := range in.RawMatrix().Data {
		size += math.Abs(v)
	}
	return 0.5 * float64(rows) / size
}

// folded are the parameters for features as they are: what is scaled in
// training, its first layer scales.
func (n *Network) folded() []float64 {
	at := slices.Clone(n.Params)
	w, b := n.layer(at, 0)
	for o := range b {
		n.Scale.fold(w.RawRowView(o), &b[o])
	}
	return at
}

// Layers are the head in float32 for features as they are, the first layer first.
func (n *Network) Layers() []linear.Layer {
	var out []linear.Layer
	at := n.folded()
	for k := range 2 {
		if k == 1 && n.hidden == 0 {
			break
		}
		w, b := n.layer(at, k)
		outputs, inputs := w.Dims()
		out = append(out, linear.Layer{In: inputs, Out: outputs, Weight: single(w.RawMatrix().Data), Bias: single(b)})
	}
	return out
}

// Written is the network as the file has it: in float32.
func (n *Network) Written() *Network {
	out := &Network{features: n.features, hidden: n.hidden, classes: n.classes, Criterion: n.Criterion, Scale: plain(n.features), Params: make([]float64, len(n.Params))}
	for i, v := range n.folded() {
		out.Params[i] = float64(float32(v))
	}
	return out
}

func single(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// Set takes the parameters of a linear layer for features as they are.
func (n *Network) Set(weight, bias []float64) {
	if n.hidden > 0 || len(weight) != n.Weights() || len(bias) != n.classes {
		panic(fmt.Sprintf("heads: a head of %d and %d values", len(weight), len(bias)))
	}
	copy(n.Params[copy(n.Params, weight):], bias)
	w, b := n.layer(n.Params, 0)
	for o := range b {
		n.Scale.unfold(w.RawRowView(o), &b[o])
	}
}
