package heads

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Head is softmax regression: logits = W x + b, W row by row C x D.
type Head struct {
	C, D int
	W, B []float64
}

// Problem is what a head is fitted to: features, and for each row targets as its criterion
// has them.
type Problem struct {
	N, C, D int
	X       []float32 // N x D
	Y       []float64 // N x C
	L2      float64   // lambda of lambda/2 sum(W^2); biases are free
	Criterion
}

// check says what of the problem makes no sense.
func (p *Problem) check() error {
	switch {
	case p.N < 1 || p.C < 2 && p.Criterion == Softmax || p.C < 1 || p.D < 1 || len(p.X) != p.N*p.D || len(p.Y) != p.N*p.C:
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

// Scaling standardizes features: x' = (x - Mean) * InvStd, feature by feature. Features of mean 0
// and equal variance make the curvature of the loss more alike in all directions (LeCun et al.,
// Efficient BackProp, 1998, section 4.3), a diagonal preconditioner (Nocedal and Wright, Numerical
// Optimization, 2006, section 5.1): L-BFGS needs a tenth of the steps, and one learning rate suits
// all backbones.
type Scaling struct{ Mean, InvStd []float64 }

// plain leaves features as they are.
func plain(d int) Scaling {
	s := Scaling{make([]float64, d), make([]float64, d)}
	for i := range s.InvStd {
		s.InvStd[i] = 1
	}
	return s
}

// ScalingOf is that of rows of d features. One that never changes, but for rounding, is moved
// only.
func ScalingOf(x []float32, d int) Scaling { return scalingOf(x, d, 0) }

// scalingOf is that of rows of d features, whose variances are raised by floor.
func scalingOf(x []float32, d int, floor float64) Scaling {
	s, n := plain(d), float64(len(x)/d)
	clear(s.InvStd)
	for i, v := range x {
		s.Mean[i%d] += float64(v) / n
	}
	for i, v := range x {
		s.InvStd[i%d] += (float64(v) - s.Mean[i%d]) * (float64(v) - s.Mean[i%d]) / n
	}
	for k, v := range s.InvStd {
		const rounding = 1e-6 // of a float32, and some
		if s.InvStd[k] = 1; math.Sqrt(v) > rounding*math.Abs(s.Mean[k]) {
			s.InvStd[k] = 1 / math.Sqrt(v+floor)
		}
	}
	return s
}

// apply writes a row of scaled features.
func (s Scaling) apply(dst []float64, x []float32) {
	for k, v := range x {
		dst[k] = (float64(v) - s.Mean[k]) * s.InvStd[k]
	}
}

// fold turns a neuron's weights and bias for scaled features into those for plain ones.
func (s Scaling) fold(w []float64, b *float64) {
	for k := range w {
		w[k] *= s.InvStd[k]
		*b -= w[k] * s.Mean[k]
	}
}

// unfold is the other way round.
func (s Scaling) unfold(w []float64, b *float64) {
	for k := range w {
		*b += w[k] * s.Mean[k]
		w[k] /= s.InvStd[k]
	}
}

// loss is the mean loss of the rows with the regularizer, at parameters in standardized
// coordinates: V row by row, then biases. grad, if not nil, receives its gradient.
func (p *Problem) loss(s Scaling, at, grad []float64) float64 {
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
			s.apply(rows.RawRowView(i), p.X[(from+i)*p.D:(from+i+1)*p.D])
		}
		z.Reset()
		z.Mul(rows, v.T())
		for i := range n {
			row, y := z.RawRowView(i), p.Y[(from+i)*p.C:(from+i+1)*p.C]
			for c := range row {
				row[c] += bias[c]
			}
			total += p.Of(row, y) / float64(p.N)
			for c := range row {
				row[c] /= float64(p.N)
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
		for d := range p.D { // of W = V * InvStd
			w := at[c*p.D+d] * s.InvStd[d]
			total += p.L2 / 2 * w * w
			if grad != nil {
				grad[c*p.D+d] += p.L2 * w * s.InvStd[d]
			}
		}
	}
	return total
}

// Loss is the problem's loss of a head.
func (p *Problem) Loss(h *Head) (float64, error) {
	if err := p.check(); err != nil {
		return 0, err
	}
	if h.C != p.C || h.D != p.D {
		return 0, fmt.Errorf("a head of %d classes and %d features", h.C, h.D)
	}
	return p.loss(plain(p.D), append(append([]float64(nil), h.W...), h.B...), nil), nil
}

// Stop says when a minimisation ends: every part of the gradient, where features are
// standardized, is at most Gradient, or Steps were taken.
type Stop struct {
	Gradient float64
	Steps    int
}

// Exact is for weights that are known to 1e-4.
var Exact = Stop{1e-9, 5000}

// Fit is how a minimisation ended.
type Fit struct {
	Steps    int     `json:"steps"`
	Gradient float64 `json:"gradient"` // its largest part
}

func (f Fit) String() string {
	return fmt.Sprintf("%d steps of L-BFGS to a gradient of %.1g", f.Steps, f.Gradient)
}

// recorder is told of every step, and ends a minimisation with its error.
type recorder func(step int) error

func (r recorder) Init() error { return nil }

func (r recorder) Record(_ *optimize.Location, op optimize.Operation, stats *optimize.Stats) error {
	if op != optimize.MajorIteration {
		return nil
	}
	return r(stats.MajorIterations)
}

// Optimum finds the head of the least loss by L-BFGS (Liu and Nocedal, 1989), in float64,
// or comes as near as stop allows. The biases of softmax, which are free up to a constant,
// have the mean 0. told, if not nil, is told the number of steps.
func (p *Problem) Optimum(ctx context.Context, stop Stop, told func(steps int)) (*Head, Fit, error) {
	if err := p.check(); err != nil {
		return nil, Fit{}, err
	}
	// A weight's curvature is in proportion to its feature's variance, and the regularizer adds L2.
	s := scalingOf(p.X, p.D, p.L2)
	var at, slope []float64 // where the loss was last computed, and its gradient there
	problem := optimize.Problem{
		Func: func(x []float64) float64 {
			if at == nil {
				slope = make([]float64, len(x))
			}
			at = append(at[:0], x...)
			return p.loss(s, x, slope)
		},
		Grad: func(grad, x []float64) {
			if slices.Equal(at, x) {
				copy(grad, slope)
				return
			}
			p.loss(s, x, grad)
		},
	}
	settings := &optimize.Settings{GradientThreshold: stop.Gradient, MajorIterations: stop.Steps, Converger: optimize.NeverTerminate{}}
	settings.Recorder = recorder(func(steps int) error {
		if told != nil {
			told(steps)
		}
		return ctx.Err()
	})
	res, err := optimize.Minimize(problem, make([]float64, p.C*(p.D+1)), settings, &optimize.LBFGS{Store: 30})
	if ctx.Err() != nil {
		return nil, Fit{}, ctx.Err()
	}
	// At the last digits a line search finds no better point: that is the optimum, too.
	if res == nil || err != nil && res.Status != optimize.IterationLimit && !(maximum(res.Gradient) < 1e-6) {
		return nil, Fit{}, errors.Join(err, errors.New("no optimum was found"))
	}
	fit := Fit{res.MajorIterations, maximum(res.Gradient)}
	h := &Head{C: p.C, D: p.D, W: res.X[:p.C*p.D], B: res.X[p.C*p.D:]}
	middle := 0.0
	for c := range p.C {
		s.fold(h.W[c*p.D:(c+1)*p.D], &h.B[c])
		middle += h.B[c] / float64(p.C)
	}
	for c := range h.B {
		if p.Criterion == Softmax {
			h.B[c] -= middle
		}
	}
	return h, fit, nil
}

func maximum(v []float64) float64 {
	top := 0.0
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	return top
}
