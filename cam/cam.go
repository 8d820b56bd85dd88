// Package cam computes class activation maps from one forward pass: from a
// classifier's last feature map and the weights of its head, without
// backpropagation.
//
// Where the head is linear behind a mean (or a sum) over the places of the map,
// the gradient of a logit with respect to the map is known: for channel k and
// class c it is W[c,k] times a constant, everywhere. Where the linear layer is a
// 1x1 convolution whose results are averaged, with or without a ReLU between, it
// is the same where the ReLU lets through. All gradient methods follow from that in
// closed form, with the constants of the implementation they are best known from
// (jacobgil/pytorch-grad-cam), so that their maps equal those of autograd.
//
// Maps are before any ReLU, scaling or resizing; post.go has those. Everything is
// safe for concurrent use.
package cam

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// Method is a way to make a map.
type Method string

// The methods, with their papers.
const (
	CAM          Method = "cam"          // Zhou et al., CVPR 2016
	GradCAM      Method = "gradcam"      // Selvaraju et al., ICCV 2017
	GradCAMPP    Method = "gradcam++"    // Chattopadhyay et al., WACV 2018
	XGradCAM     Method = "xgradcam"     // Fu et al., BMVC 2020
	HiResCAM     Method = "hirescam"     // Draelos and Carin, 2020
	LayerCAM     Method = "layercam"     // Jiang et al., TIP 2021
	EigenCAM     Method = "eigencam"     // Muhammad and Yeasin, IJCNN 2020
	EigenGradCAM Method = "eigengradcam" // pytorch-grad-cam
	AblationCAM  Method = "ablationcam"  // Desai and Ramaswamy, WACV 2020
	ScoreCAM     Method = "scorecam"     // Wang et al., CVPRW 2020; runs the model once per channel
	FEM          Method = "fem"          // Fuad et al., IPTA 2020
)

// Methods lists the methods.
func Methods() []Method {
	return []Method{CAM, GradCAM, GradCAMPP, XGradCAM, HiResCAM, LayerCAM, EigenCAM, EigenGradCAM, AblationCAM, ScoreCAM, FEM}
}

// NeedsHead says whether a method looks at the weights of the head, and so needs
// one whose gradient is known.
func (m Method) NeedsHead() bool {
	switch m {
	case EigenCAM, ScoreCAM, FEM:
		return false
	}
	return true
}

// PerClass says whether the map depends on the class.
func (m Method) PerClass() bool { return m != EigenCAM && m != FEM }

// Features is a feature map: A[(k*H+y)*W+x] is channel k at row y, column x.
type Features struct {
	C, H, W int
	A       []float32
}

func (f Features) channel(k int) []float32 { return f.A[k*f.H*f.W : (k+1)*f.H*f.W] }

// Head is what follows the map for one class: logit = Bias + Scale times the sum
// over places of Weight . A, which is the mean over places for a Scale of
// 1/(H W). PerPlace with Relu puts a ReLU between: the sum is over
// max(0, Weight . A + Bias), and Bias is inside it; PerPlace without Relu has Bias
// at every place.
type Head struct {
	Weight         []float32 // one a channel
	Bias           float64
	Scale          float64
	PerPlace, Relu bool
}

// places computes Weight . A at every place.
func (h Head) places(f Features) []float64 {
	out := make([]float64, f.H*f.W)
	for k, w := range h.Weight {
		for i, a := range f.channel(k) {
			out[i] += float64(w) * float64(a)
		}
	}
	return out
}

// open says at which places the gradient passes: nil is all.
func (h Head) open(f Features) []bool {
	if !h.PerPlace || !h.Relu {
		return nil
	}
	out := make([]bool, f.H*f.W)
	for i, v := range h.places(f) {
		out[i] = v+h.Bias > 0
	}
	return out
}

// Map computes a map of f.H x f.W values, row by row. h is not looked at by methods
// that do not need it. ScoreCAM is not one for this function: see Combine. NaN in
// the features gives NaN in the map.
func Map(m Method, f Features, h Head) ([]float64, error) {
	if len(f.A) != f.C*f.H*f.W || f.C < 1 || f.H < 1 || f.W < 1 {
		panic("cam: feature map of another size than it says")
	}
	if m.NeedsHead() && len(h.Weight) != f.C {
		return nil, fmt.Errorf("%s: the head has %d weights, the map %d channels", m, len(h.Weight), f.C)
	}
	switch m {
	case CAM:
		return h.places(f), nil
	case EigenCAM:
		return principal(f, func(int, int) float64 { return 1 }), nil
	case FEM:
		return fem(f), nil
	case ScoreCAM:
		return nil, fmt.Errorf("%s: it needs the model's score of every channel", m)
	case AblationCAM:
		return ablation(f, h)
	}
	open := h.open(f)
	g := func(k, i int) float64 { // the gradient
		if open != nil && !open[i] {
			return 0
		}
		return float64(h.Weight[k]) * h.Scale
	}
	n := f.H * f.W
	switch m {
	case HiResCAM:
		return pointwise(f, g), nil
	case LayerCAM:
		return pointwise(f, func(k, i int) float64 { return max(g(k, i), 0) }), nil
	case EigenGradCAM:
		return principal(f, g), nil
	}
	weights := make([]float64, f.C)
	for k := range weights {
		a := f.channel(k)
		sum := 0.0
		for _, v := range a {
			sum += float64(v)
		}
		for i, v := range a {
			d := g(k, i)
			switch m {
			case GradCAM:
				weights[k] += d / float64(n)
			case XGradCAM:
				weights[k] += d * float64(v) / (sum + 1e-7)
			case GradCAMPP:
				if d > 0 { // where it is not, its part is 0
					weights[k] += d * (d * d / (2*d*d + sum*d*d*d + 1e-6))
				}
			}
		}
	}
	return Combine(f, weights), nil
}

// Combine is the sum of the channels, weighted.
func Combine(f Features, weights []float64) []float64 {
	return pointwise(f, func(k, _ int) float64 { return weights[k] })
}

func pointwise(f Features, w func(k, i int) float64) []float64 {
	out := make([]float64, f.H*f.W)
	for k := range f.C {
		for i, a := range f.channel(k) {
			out[i] += w(k, i) * float64(a)
		}
	}
	return out
}

// ablation weights each channel by the share of the logit that is lost with it.
func ablation(f Features, h Head) ([]float64, error) {
	n := f.H * f.W
	at := h.places(f)
	weights := make([]float64, f.C)
	y := h.Bias
	if h.PerPlace && h.Relu {
		y = 0
		for i := range at {
			at[i] += h.Bias
			y += h.Scale * max(at[i], 0)
		}
		for k := range weights {
			without := 0.0
			for i, a := range f.channel(k) {
				without += h.Scale * max(at[i]-float64(h.Weight[k])*float64(a), 0)
			}
			weights[k] = y - without
		}
	} else {
		if h.PerPlace {
			y *= h.Scale * float64(n)
		}
		for k := range weights {
			sum := 0.0
			for _, a := range f.channel(k) {
				sum += float64(a)
			}
			weights[k] = float64(h.Weight[k]) * sum * h.Scale
			y += weights[k]
		}
	}
	if y == 0 {
		return make([]float64, n), nil // nothing to lose: no map
	}
	for k := range weights {
		weights[k] /= y
	}
	return Combine(f, weights), nil
}

// fem marks, in every channel, the places more than two standard deviations above
// the mean, and weights the channel by their share.
func fem(f Features) []float64 {
	n := float64(f.H * f.W)
	weights := make([]float64, f.C)
	for k := range weights {
		var sum, sq float64
		for _, a := range f.channel(k) {
			sum += float64(a)
		}
		mean := sum / n
		for _, a := range f.channel(k) {
			sq += (float64(a) - mean) * (float64(a) - mean)
		}
		limit := mean + 2*math.Sqrt(sq/n)
		for _, a := range f.channel(k) {
			if float64(a) > limit {
				weights[k] += 1 / n
			}
		}
	}
	return Combine(f, weights)
}

// principal projects the places, as points with one coordinate a channel, on their
// first principal component. Its sign is arbitrary; here it is the one in which the
// projection does not correlate negatively with the sum over channels, so that more
// activation is more map.
func principal(f Features, w func(k, i int) float64) []float64 {
	n := f.H * f.W
	x := mat.NewDense(n, f.C, nil)
	sums := make([]float64, n)
	for k := range f.C {
		mean := 0.0
		for i, a := range f.channel(k) {
			v := w(k, i) * float64(a)
			x.Set(i, k, v)
			mean += v / float64(n)
		}
		for i := range n {
			v := x.At(i, k) - mean
			x.Set(i, k, v)
			sums[i] += v
		}
	}
	var u []float64
	if f.C < n { // the smaller of the two Gram matrices
		var gram mat.Dense
		gram.Mul(x.T(), x)
		v := mat.NewVecDense(f.C, leading(&gram))
		var p mat.VecDense
		p.MulVec(x, v)
		u = slices.Clone(p.RawVector().Data)
	} else {
		var gram mat.Dense
		gram.Mul(x, x.T())
		u = leading(&gram)
		norm := 0.0
		for i := range n { // singular value: |x' u|
			for j := range n {
				norm += u[i] * gram.At(i, j) * u[j]
			}
		}
		s := math.Sqrt(max(norm, 0))
		for i := range u {
			u[i] *= s
		}
	}
	dot := 0.0
	for i := range u {
		dot += u[i] * sums[i]
	}
	if dot < 0 {
		for i := range u {
			u[i] = -u[i]
		}
	}
	return u
}

// leading is the eigenvector of the largest eigenvalue of a symmetric, positive
// semidefinite matrix; NaN where the matrix has any, zeros where it is zero.
func leading(m *mat.Dense) []float64 {
	n, _ := m.Dims()
	out := make([]float64, n)
	total := 0.0
	for i := range n {
		for j := range n {
			total += math.Abs(m.At(i, j))
		}
	}
	if total == 0 {
		return out
	}
	var e mat.EigenSym
	if math.IsNaN(total) || math.IsInf(total, 0) || !e.Factorize(mat.NewSymDense(n, m.RawMatrix().Data), true) {
		for i := range out {
			out[i] = math.NaN()
		}
		return out
	}
	var v mat.Dense
	e.VectorsTo(&v)
	mat.Col(out, n-1, &v) // values ascend
	return out
}
