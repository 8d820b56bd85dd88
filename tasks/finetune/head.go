// Package finetune trains a new head for a classifier whose other layers stay as they are.
package finetune

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Head is softmax regression: logits = W x + b, W row by row C x D.
type Head struct {
	C, D int
	W, B []float64
}

// Problem is what a head is fitted to: features, and for each row shares of classes, which
// sum to 1.
type Problem struct {
	N, C, D int
	X       []float32 // N x D
	Y       []float64 // N x C
	Rows    []float64 // weight of every row, their mean 1; nil: all 1
	L2      float64   // lambda of lambda/2 sum(W^2); biases are free
}

// check says what of the problem makes no sense.
func (p *Problem) check() error {
	switch {
	case p.N < 1 || p.C < 2 || p.D < 1 || len(p.X) != p.N*p.D || len(p.Y) != p.N*p.C || p.Rows != nil && len(p.Rows) != p.N:
		return fmt.Errorf("%d rows of %d features and %d classes are not what there is", p.N, p.D, p.C)
	case !(p.L2 >= 0) || math.IsInf(p.L2, 0):
		return fmt.Errorf("a weight decay of %v", p.L2)
	}
	for i, v := range p.X {
		if d := v - v; d != 0 {
			return fmt.Errorf("feature %d of row %d is %v", i%p.D, i/p.D, v)
		}
	}
	return nil
}

// blockRows is how many rows a product of matrices has.
const blockRows = 512

// scaling standardises features: x' = (x - mean) by. In these coordinates the surface of
// the loss is rounder, and L-BFGS needs a tenth of the steps; the optimum is the same.
type scaling struct{ mean, by []float64 }

func (p *Problem) scaling() scaling {
	s := scaling{make([]float64, p.D), make([]float64, p.D)}
	for i := range p.N {
		for d, v := range p.X[i*p.D : (i+1)*p.D] {
			s.mean[d] += float64(v) / float64(p.N)
		}
	}
	for i := range p.N {
		for d, v := range p.X[i*p.D : (i+1)*p.D] {
			s.by[d] += (float64(v) - s.mean[d]) * (float64(v) - s.mean[d]) / float64(p.N)
		}
	}
	for d, v := range s.by {
		if s.by[d] = 1; v > 0 { // a feature that never changes stays
			s.by[d] = 1 / math.Sqrt(v)
		}
	}
	return s
}

// loss is the mean cross entropy with the regulariser, at parameters in standardised
// coordinates: V row by row, then biases. grad, if not nil, receives its gradient.
func (p *Problem) loss(s scaling, at, grad []float64) float64 {
	v, bias := mat.NewDense(p.C, p.D, at[:p.C*p.D]), at[p.C*p.D:]
	clear(grad)
	var gv *mat.Dense
	if grad != nil {
		gv = mat.NewDense(p.C, p.D, grad[:p.C*p.D])
	}
	total := 0.0
	x := mat.NewDense(blockRows, p.D, nil)
	var z, part mat.Dense
	for from := 0; from < p.N; from += blockRows {
		n := min(blockRows, p.N-from)
		rows := x.Slice(0, n, 0, p.D).(*mat.Dense)
		for i := range n {
			row := rows.RawRowView(i)
			for d, f := range p.X[(from+i)*p.D : (from+i+1)*p.D] {
				row[d] = (float64(f) - s.mean[d]) * s.by[d]
			}
		}
		z.Reset()
		z.Mul(rows, v.T())
		for i := range n {
			row, y := z.RawRowView(i), p.Y[(from+i)*p.C:(from+i+1)*p.C]
			weight := 1 / float64(p.N)
			if p.Rows != nil {
				weight *= p.Rows[from+i]
			}
			total += weight * crossEntropy(row, bias, y)
			for c := range row { // softmax less target
				row[c] = weight * (row[c] - y[c])
			}
			if grad != nil {
				for c, g := range row {
					grad[p.C*p.D+c] += g
				}
			}
		}
		if grad != nil {
			part.Reset()
			part.Mul(z.T(), rows)
			gv.Add(gv, &part)
		}
	}
	for c := range p.C {
		for d := range p.D { // of W = V by
			w := at[c*p.D+d] * s.by[d]
			total += p.L2 / 2 * w * w
			if grad != nil {
				grad[c*p.D+d] += p.L2 * w * s.by[d]
			}
		}
	}
	return total
}

// crossEntropy adds the bias to a row of logits, returns the cross entropy with y and leaves
// the softmax in the row.
func crossEntropy(row, bias, y []float64) float64 {
	top := math.Inf(-1)
	for c := range row {
		row[c] += bias[c]
		top = max(top, row[c])
	}
	sum, dot, share := 0.0, 0.0, 0.0
	for c, v := range row {
		dot += y[c] * (v - top)
		share += y[c]
		row[c] = math.Exp(v - top)
		sum += row[c]
	}
	for c := range row {
		row[c] /= sum
	}
	return share*math.Log(sum) - dot
}

// Loss is the problem's loss of a head.
func (p *Problem) Loss(h *Head) (float64, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	if h.C != p.C || h.D != p.D {
		return 0, fmt.Errorf("a head of %d classes and %d features", h.C, h.D)
	}
	plain := scaling{make([]float64, p.D), make([]float64, p.D)}
	for d := range plain.by {
		plain.by[d] = 1
	}
	return p.loss(plain, append(append([]float64(nil), h.W...), h.B...), nil), nil
}

// Optimum finds the head of the least loss by L-BFGS (Liu and Nocedal, 1989), in float64.
// The biases, which are free up to a constant, have the mean 0. iterations is how many
// steps it took.
func (p *Problem) Optimum() (_ *Head, iterations int, err error) {
	if err := p.check(); err != nil {
		return nil, 0, err
	}
	s := p.scaling()
	problem := optimize.Problem{
		Func: func(x []float64) float64 { return p.loss(s, x, nil) },
		Grad: func(grad, x []float64) { p.loss(s, x, grad) },
	}
	settings := &optimize.Settings{GradientThreshold: 1e-9, MajorIterations: 5000, Converger: optimize.NeverTerminate{}}
	res, err := optimize.Minimize(problem, make([]float64, p.C*(p.D+1)), settings, &optimize.LBFGS{Store: 30})
	// At the last digits a line search finds no better point: that is the optimum, too.
	if res == nil || err != nil && !(maximum(res.Gradient) < 1e-6) {
		return nil, 0, errors.Join(err, errors.New("no optimum was found"))
	}
	h := &Head{C: p.C, D: p.D, W: make([]float64, p.C*p.D), B: append([]float64(nil), res.X[p.C*p.D:]...)}
	middle := 0.0
	for c := range p.C {
		for d := range p.D {
			h.W[c*p.D+d] = res.X[c*p.D+d] * s.by[d]
			h.B[c] -= h.W[c*p.D+d] * s.mean[d]
		}
		middle += h.B[c] / float64(p.C)
	}
	for c := range h.B {
		h.B[c] -= middle
	}
	return h, res.MajorIterations, nil
}

func maximum(v []float64) float64 {
	top := 0.0
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	return top
}
