package finetune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cutmix-eval/model"

	"gonum.org/v1/gonum/mat"
)

// network is the head in training: one linear layer, or two with ReLUs between them. It
// learns from scaled features; layers and set are of features as the backbone gives them.
type network struct {
	features, hidden, classes int
	dropout                   float64
	criterion                 criterion
	scale                     scaling
	at                        []float64 // weights of all layers, row by row, then their biases

	x, z, h, dh  mat.Dense // of a batch
	keepX, keepH []float64 // what dropout multiplies by
}

// newNetwork makes a head. One linear layer begins with zeros, for its loss is convex; two
// begin as torch.nn.Linear's do, uniform within 1/sqrt(inputs).
func newNetwork(features, hidden, classes int, dropout float64, k criterion, seed uint64) *network {
	n := &network{features: features, hidden: hidden, classes: classes, dropout: dropout, criterion: k, scale: plain(features)}
	biases := classes
	if hidden > 0 {
		biases += hidden
	}
	n.at = make([]float64, n.weights()+biases)
	if hidden > 0 {
		rng := random(seed, starting, 0, 0)
		first := hidden * features
		for i := range n.at {
			inputs := hidden
			if i < first || i >= n.weights() && i < n.weights()+hidden {
				inputs = features
			}
			n.at[i] = (2*rng.Float64() - 1) / math.Sqrt(float64(inputs))
		}
	}
	return n
}

// weights is how many of the parameters are weights, which decay.
func (n *network) weights() int {
	if n.hidden == 0 {
		return n.classes * n.features
	}
	return n.hidden*n.features + n.classes*n.hidden
}

// layer is layer k of parameters: a view, outputs x inputs, and its biases.
func (n *network) layer(of []float64, k int) (w *mat.Dense, b []float64) {
	out, in, at, bias := n.classes, n.features, 0, n.weights()
	if n.hidden > 0 && k == 0 {
		out = n.hidden
	} else if n.hidden > 0 {
		in, at, bias = n.hidden, n.hidden*n.features, bias+n.hidden
	}
	return mat.NewDense(out, in, of[at:at+out*in]), of[bias : bias+out]
}

// load puts a batch of rows into the network.
func (n *network) load(x []float32) int {
	rows := len(x) / n.features
	n.x.Reset()
	n.x.ReuseAs(rows, n.features)
	for i := range rows {
		n.scale.apply(n.x.RawRowView(i), x[i*n.features:(i+1)*n.features])
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
func (n *network) forward(rng *rand.Rand) *mat.Dense {
	training := rng != nil && n.dropout > 0
	if training {
		drop(n.x.RawMatrix().Data, &n.keepX, n.dropout, rng)
	}
	in, last := &n.x, 0
	if n.hidden > 0 {
		w, b := n.layer(n.at, 0)
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
	w, b := n.layer(n.at, last)
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

// gradient writes the gradient of the mean loss of a batch and returns the loss. rng draws
// what is dropped.
func (n *network) gradient(grad []float64, x []float32, y []float64, rng *rand.Rand) float64 {
	rows := n.load(x)
	z := n.forward(rng)
	loss := 0.0
	for i := range rows {
		row := z.RawRowView(i)
		loss += n.criterion.of(row, y[i*n.classes:(i+1)*n.classes]) / float64(rows)
		for c := range row {
			row[c] /= float64(rows)
		}
	}
	if n.hidden == 0 {
		backward(n, grad, 0, z, &n.x)
		return loss
	}
	backward(n, grad, 1, z, &n.h)
	w, _ := n.layer(n.at, 1)
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
func backward(n *network, grad []float64, k int, d, in *mat.Dense) {
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

// scores are the logits of rows of features, as the ONNX file will compute them but for
// rounding.
func (n *network) scores(x []float32) []float32 {
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

// rate is the learning rate that suits the rows of x, with which the head is to learn. Of
// SGD it is half of 1/L, where L is the largest eigenvalue of the second moments of inputs
// and 1: the curvature of softmax's loss is L/2 at most (Böhning, 1992). AdamW changes all
// weights alike in a step: the rate is that which changes a logit by 0.5 where all agree.
func (n *network) rate(x []float32, optimiser string) float64 {
	const most, iterations = 4096, 50
	all := len(x) / n.features
	rows := min(all, most)
	in := mat.NewDense(rows, n.features+1, nil)
	size := 0.0 // mean sum of absolute inputs
	for i := range rows {
		row, from := in.RawRowView(i), i*all/rows
		n.scale.apply(row, x[from*n.features:(from+1)*n.features])
		row[n.features] = 1
		for _, v := range row {
			size += math.Abs(v) / float64(rows)
		}
	}
	if optimiser == AdamWName {
		return 0.5 / size
	}
	v := mat.NewVecDense(n.features+1, nil)
	for i := range n.features + 1 {
		v.SetVec(i, 1+float64(i%7)/7) // no eigenvector, nor at a right angle to the largest
	}
	var y mat.VecDense
	largest := 0.0
	for range iterations {
		v.ScaleVec(1/mat.Norm(v, 2), v)
		y.MulVec(in, v)
		v.MulVec(in.T(), &y)
		largest = mat.Norm(v, 2) / float64(rows)
	}
	return 0.5 / largest
}

// folded are the parameters for features as the backbone gives them: what is scaled in
// training, its first layer scales.
func (n *network) folded() []float64 {
	at := slices.Clone(n.at)
	w, b := n.layer(at, 0)
	for o := range b {
		n.scale.fold(w.RawRowView(o), &b[o])
	}
	return at
}

// layers are what goes into the file.
func (n *network) layers() []model.Layer {
	var out []model.Layer
	at := n.folded()
	for k := range 2 {
		if k == 1 && n.hidden == 0 {
			break
		}
		w, b := n.layer(at, k)
		out = append(out, model.Layer{Weight: single(w.RawMatrix().Data), Bias: single(b)})
	}
	return out
}

// written is the network as the file has it: in float32.
func (n *network) written() *network {
	out := newNetwork(n.features, n.hidden, n.classes, 0, n.criterion, 0)
	for i, v := range n.folded() {
		out.at[i] = float64(float32(v))
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

// set takes the parameters of a linear layer for features as the backbone gives them.
func (n *network) set(weight, bias []float64) {
	if n.hidden > 0 || len(weight) != n.weights() || len(bias) != n.classes {
		panic(fmt.Sprintf("finetune: a head of %d and %d values", len(weight), len(bias)))
	}
	copy(n.at[copy(n.at, weight):], bias)
	w, b := n.layer(n.at, 0)
	for o := range b {
		n.scale.unfold(w.RawRowView(o), &b[o])
	}
}
