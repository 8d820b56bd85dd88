package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"cutmix-eval/imageproc"
)

// NoiseKinds lists the noise that can be had as data, "noise:KIND": uniform and
// Gaussian noise, every value of every pixel by itself (the latter of mean 0.5 and
// variance 1, clipped to 0..1; Liang et al., ICLR 2018, whose sets the CutMix paper
// takes), blobs (smoothed noise with all but its upper part cut off, Hendrycks et
// al., ICLR 2019), and texture (colours along sums of plane waves, the slower the
// stronger).
func NoiseKinds() []string { return []string{"uniform", "gaussian", "blobs", "texture"} }

// noiseImages is how many images of noise there are.
const noiseImages = 2000

// noise draws images of one kind and size. Image i is a pure function of kind, size, seed
// and i.
type noise struct {
	kind string
	w, h int
	seed uint64
}

// openNoise makes the data set of a kind of noise.
func openNoise(kind string, o Options) (*Dataset, error) {
	known := false
	for _, k := range NoiseKinds() {
		known = known || k == kind
	}
	if !known {
		return nil, fmt.Errorf("noise %q is not one of %v", kind, NoiseKinds())
	}
	w, h := o.NoiseW, o.NoiseH
	if w <= 0 || h <= 0 || w*h > 1<<24 {
		return nil, fmt.Errorf("noise of %d x %d pixels", w, h)
	}
	d := &Dataset{
		Name: "noise:" + kind, Format: Noise, Why: fmt.Sprintf("%s noise of %d x %d pixels, seed %d", kind, w, h, o.NoiseSeed),
		src: noise{kind, w, h, o.NoiseSeed},
	}
	for i := range noiseImages {
		d.Samples = append(d.Samples, Sample{ID: fmt.Sprintf("%s/%06d-%d", kind, i, o.NoiseSeed), Label: Unlabelled, Size: int64(3 * w * h), at: i})
	}
	return d, nil
}

func (n noise) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	size := 3 * n.w * n.h
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	rng := rand.New(rand.NewPCG(n.seed, uint64(at)))
	switch n.kind {
	case "uniform":
		for i := range buf {
			buf[i] = byte(rng.Uint32())
		}
	case "gaussian":
		for i := range buf {
			buf[i] = byte(255 * min(max(0.5+rng.NormFloat64(), 0), 1))
		}
	case "blobs":
		n.blobs(rng, buf)
	default:
		n.texture(rng, buf)
	}
	return nil, &imageproc.Image{W: n.w, H: n.h, Pix: buf}, nil
}

// blobs smooths points that are set with probability 0.7 (sigma 1.5 at 32 pixels, in
// proportion elsewhere), and sets values below 0.75 to 0.
func (n noise) blobs(rng *rand.Rand, buf []byte) {
	sigma := 1.5 * float64(min(n.w, n.h)) / 32
	radius := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*radius+1), 0.0
	for i := range kernel {
		kernel[i] = math.Exp(-float64((i-radius)*(i-radius)) / (2 * sigma * sigma))
		sum += kernel[i]
	}
	plane, rows := make([]float64, n.w*n.h), make([]float64, n.w*n.h)
	for c := range 3 {
		for i := range plane {
			plane[i] = 0
			if rng.Float64() < 0.7 {
				plane[i] = 1
			}
		}
		for y := range n.h {
			for x := range n.w {
				v := 0.0
				for k, w := range kernel {
					v += w * plane[y*n.w+min(max(x+k-radius, 0), n.w-1)]
				}
				rows[y*n.w+x] = v / sum
			}
		}
		for y := range n.h {
			for x := range n.w {
				v := 0.0
				for k, w := range kernel {
					v += w * rows[min(max(y+k-radius, 0), n.h-1)*n.w+x]
				}
				if v /= sum; v < 0.75 {
					v = 0
				}
				buf[3*(y*n.w+x)+c] = byte(255 * min(v, 1))
			}
		}
	}
}

// texture adds eight waves of random direction, phase and length, from the whole side to
// a sixteenth of it, with amplitudes in proportion to its root, and lays the sum on a
// line between two random colours.
func (n noise) texture(rng *rand.Rand, buf []byte) {
	const waves = 8
	side := float64(min(n.w, n.h))
	var kx, ky, phase, amplitude [waves]float64
	sum := 0.0
	for i := range waves {
		length := side * math.Exp2(-4*rng.Float64())
		angle := 2 * math.Pi * rng.Float64()
		kx[i], ky[i] = 2*math.Pi/length*math.Cos(angle), 2*math.Pi/length*math.Sin(angle)
		phase[i], amplitude[i] = 2*math.Pi*rng.Float64(), math.Sqrt(length)
		sum += amplitude[i]
	}
	var from, to [3]float64
	for c := range 3 {
		from[c], to[c] = 255*rng.Float64(), 255*rng.Float64()
	}
	for y := range n.h {
		for x := range n.w {
			v := 0.0
			for i := range waves {
				v += amplitude[i] * math.Sin(kx[i]*float64(x)+ky[i]*float64(y)+phase[i])
			}
			v = min(max(0.5+v/sum, 0), 1)
			for c := range 3 {
				buf[3*(y*n.w+x)+c] = byte(from[c] + v*(to[c]-from[c]))
			}
		}
	}
}

func (noise) changed(int) time.Time { return time.Time{} }

func (noise) close() error { return nil }
