// Package corrupt makes the nineteen image corruptions of ImageNet-C (Hendrycks and
// Dietterich, ICLR 2019) without ImageMagick, OpenCV or scikit-image, value for value as
// those give them, truncation to bytes included. Beside them are the occlusions and the
// images between two classes of the CutMix paper's experiments.
//
// Images are RGB bytes, and so are results. Random numbers come from a generator whose
// stream is a function of seed, image, corruption and severity, so results do not depend
// on order, workers or machine. Products that are added to are rounded first, wherever a
// last digit could decide a byte: compilers may fuse both on some machines.
package corrupt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
)

// Random is the generator of one corrupted image: ChaCha8 in counter mode under a key
// made of everything that determines the image.
func Random(seed uint64, image string, n Name, severity int) *rand.Rand {
	h := sha256.New()
	var head [16]byte
	binary.LittleEndian.PutUint64(head[:], seed)
	binary.LittleEndian.PutUint64(head[8:], uint64(severity))
	h.Write(head[:])
	fmt.Fprintf(h, "%s\x00%s", n, image)
	return rand.New(rand.NewChaCha8([32]byte(h.Sum(nil))))
}

// Corruptor corrupts images with one set of parameters. It keeps memory between calls: use
// one per goroutine.
type Corruptor struct {
	set     Set
	frosts  Frosts
	resizer imageproc.Resizer
	buf     map[string][]float64
	bytes   map[string][]byte
	ints    map[string][]int32
	singles map[string][]float32
	scaled  map[int]imageproc.Image // frosts
	out     []byte
	jpeg    jpeg.Encoder
	poisson map[float64]*[256]poisson
	disks   map[[2]float64]disk
}

// New prepares for a set. frosts are textures; nil stands for built-in ones.
func New(set Set, frosts Frosts) (*Corruptor, error) {
	if _, ok := tables[set]; !ok {
		return nil, fmt.Errorf("there are no parameters for size %d, only for 224, 299, 64 and 32", set)
	}
	if frosts == nil {
		frosts = builtinFrosts()
	}
	return &Corruptor{set: set, frosts: frosts, buf: map[string][]float64{}, bytes: map[string][]byte{}, ints: map[string][]int32{}, singles: map[string][]float32{},
		poisson: map[float64]*[256]poisson{}, disks: map[[2]float64]disk{}}, nil
}

// MinSide is the smallest side of images that can be corrupted.
const MinSide = 16

// Apply corrupts src, which is not changed; severity is 1 to Severities. The result is
// valid until the next call. Random corruptions draw from rng.
func (c *Corruptor) Apply(src imageproc.Image, n Name, severity int, rng *rand.Rand) (imageproc.Image, error) {
	p, ok := tables[c.set][n]
	switch {
	case !ok:
		_, err := ParseName(string(n))
		return imageproc.Image{}, err
	case severity < 1 || severity > Severities:
		return imageproc.Image{}, fmt.Errorf("severity %d is not one of 1 to %d", severity, Severities)
	case src.W < MinSide || src.H < MinSide:
		return imageproc.Image{}, fmt.Errorf("an image of %d x %d pixels is too small to corrupt; at least %d x %d", src.W, src.H, MinSide, MinSide)
	}
	if n := 3 * src.W * src.H; cap(c.out) < n {
		c.out = make([]byte, n)
	}
	dst := imageproc.Image{W: src.W, H: src.H, Pix: c.out[:3*src.W*src.H]}
	v := p[severity-1]
	switch n {
	case GaussianNoise:
		addNoise(dst.Pix, src.Pix, v[0], rng.NormFloat64)
	case SpeckleNoise:
		speckle(dst.Pix, src.Pix, v[0], rng.NormFloat64)
	case ShotNoise:
		c.shot(dst.Pix, src.Pix, v[0], rng.Float64)
	case ImpulseNoise:
		impulse(dst.Pix, src.Pix, v[0], rng.Float64, rng.Float64)
	case GaussianBlur:
		c.gaussianBlur(dst, src, v[0])
	case DefocusBlur:
		c.defocus(dst, src, v[0], v[1])
	case GlassBlur:
		d := int(v[1])
		c.glass(dst, src, v[0], d, int(v[2]), func() (dx, dy int) { return rng.IntN(2*d) - d, rng.IntN(2*d) - d })
	case MotionBlur:
		c.motion(dst.Pix, src.Pix, src.W, src.H, 3, v[0], v[1], -45+float64(90*rng.Float64()))
	case ZoomBlur:
		c.zoomBlur(dst, src, int(v[0]), v[1])
	case Snow:
		c.snow(dst, src, v, rng.NormFloat64, func() float64 { return -135 + float64(90*rng.Float64()) })
	case Frost:
		c.frost(dst, src, v[0], v[1], rng.IntN)
	case Fog:
		c.fog(dst, src, v[0], c.plasma(plasmaSide(c.set, src), v[1], func() float64 { return 2 * (float64(rng.Float64()) - 0.5) }))
	case Brightness:
		brightness(dst.Pix, src.Pix, v[0])
	case Contrast:
		contrast(dst.Pix, src.Pix, v[0])
	case Saturate:
		saturate(dst.Pix, src.Pix, v[0], v[1])
	case ElasticTransform:
		c.elastic(dst, src, v[0], v[1], v[2], func() float64 { return 2 * (float64(rng.Float64()) - 0.5) })
	case Pixelate:
		c.pixelate(dst, src, v[0])
	case JPEGCompression:
		c.jpegRoundTrip(dst, src, int(v[0]))
	case Spatter:
		c.spatter(dst, src, v, rng.NormFloat64)
	}
	return dst, nil
}

// floats is memory of n values by name, not cleared.
func (c *Corruptor) floats(name string, n int) []float64 { return room(c.buf, name, n) }

func room[T any](m map[string][]T, name string, n int) []T {
	if cap(m[name]) < n {
		m[name] = make([]T, n)
	}
	return m[name][:n]
}

// truncate is the byte of a value in 0..1, clipped, as numpy's conversion cuts it off.
func truncate(v float64) byte {
	if !(v > 0) {
		return 0
	}
	if v >= 1 {
		return 255
	}
	return byte(v * 255)
}

// unit is every byte by 255.
var unit = func() (t [256]float64) {
	for k := range t {
		t[k] = float64(k) / 255
	}
	return t
}()
