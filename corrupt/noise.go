package corrupt

import "math"

// addNoise is x + c z.
func addNoise(dst, src []byte, c float64, normal func() float64) {
	for i, k := range src {
		dst[i] = truncate(unit[k] + float64(c*normal()))
	}
}

// speckle is x + x c z.
func speckle(dst, src []byte, c float64, normal func() float64) {
	for i, k := range src {
		dst[i] = truncate(unit[k] + float64(unit[k]*float64(c*normal())))
	}
}

// impulse sets a share of all values, channels by themselves, to 1 or 0.
func impulse(dst, src []byte, share float64, flip, salt func() float64) {
	for i, k := range src {
		dst[i] = k
		if flip() <= share {
			if dst[i] = 0; salt() <= 0.5 {
				dst[i] = 255
			}
		}
	}
}

// shot is Poisson(x c) / c. A value has one of 256 means, so the draws are looked up.
func (x *Corruptor) shot(dst, src []byte, c float64, uniform func() float64) {
	t := x.poissons(c)
	for i, k := range src {
		dst[i] = truncate(float64(t[k].draw(uniform())) / c)
	}
}

// poisson draws from one distribution by inversion: cdf[i] is the chance of first + i or
// less, and guide says where to begin for a number between 0 and 1.
type poisson struct {
	first int
	cdf   []float64
	guide [257]int32
}

func (p *poisson) draw(u float64) int {
	i := int(p.guide[int(u*256)])
	for i < len(p.cdf)-1 && p.cdf[i] <= u {
		i++
	}
	return p.first + i
}

// smallestTail is below what a uniform number of 53 bits can hit.
const smallestTail = 0x1p-60

// poissons are the distributions of k c / 255 for every byte k, computed once.
func (x *Corruptor) poissons(c float64) *[256]poisson {
	t, ok := x.poisson[c]
	if !ok {
		t = &[256]poisson{}
		for k := range t {
			t[k] = newPoisson(unit[k] * c)
		}
		x.poisson[c] = t
	}
	return t
}

func newPoisson(mean float64) (p poisson) {
	if mean == 0 {
		p.cdf = []float64{1}
		return p
	}
	chance := func(n int) float64 {
		lg, _ := math.Lgamma(float64(n) + 1)
		return math.Exp(float64(float64(n)*math.Log(mean)) - mean - lg)
	}
	mode := int(mean)
	lo, hi := mode, mode
	for lo > 0 && chance(lo-1) > smallestTail {
		lo--
	}
	for chance(hi+1) > smallestTail {
		hi++
	}
	p.first = lo
	sum := 0.0
	for n := lo; n <= hi; n++ {
		sum += chance(n)
		p.cdf = append(p.cdf, sum)
	}
	at := 0
	for g := range p.guide {
		for at < len(p.cdf)-1 && p.cdf[at] <= float64(g)/256 {
			at++
		}
		p.guide[g] = int32(at)
	}
	return p
}
