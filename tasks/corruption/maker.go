package corruption

import (
	"fmt"
	"math"
	"math/rand/v2"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
)

// partners pairs every image with one of another class, where an experiment mixes two: by
// a random order of all images, each with the next of another class. nil otherwise.
func partners(d *datasets.Dataset, e Experiment, seed uint64) []int {
	if e != Mixup && e != CutMix {
		return nil
	}
	n := len(d.Samples)
	order := rand.New(rand.NewPCG(seed, 0x1be7)).Perm(n)
	out := make([]int, n)
	for k, i := range order {
		out[i] = i
		for step := 1; step < n; step++ {
			if o := order[(k+step)%n]; d.Samples[o].Label != d.Samples[i].Label && d.Samples[o].Label >= 0 {
				out[i] = o
				break
			}
		}
	}
	return out
}

// maker makes the variants of images, and remembers the last clean one: its variants come
// one after the other.
type maker struct {
	data      *datasets.Dataset
	seed      uint64
	config    Config
	variants  []Variant
	partner   []int
	clean     func(i int) (imageproc.Image, error)
	transform *imageproc.Transform
	corruptor *corrupt.Corruptor
	jpeg      jpeg.Encoder
	at        int // of image; -1 for none
	image     imageproc.Image
	other     imageproc.Image // mixed in
	err       error
	out       []byte
	fill      [3]byte
}

func newMaker(d *datasets.Dataset, recipe imageproc.Recipe, seed uint64, c Config, variants []Variant, frosts corrupt.Frosts, partner []int, clean func(i int) (imageproc.Image, error)) datasets.Maker {
	m := &maker{data: d, seed: seed, config: c, variants: variants, partner: partner, clean: clean, at: -1}
	var err error
	if m.transform, err = imageproc.NewTransform(recipe); err == nil {
		m.corruptor, err = corrupt.New(c.Set, frosts)
	}
	if err != nil {
		panic("corruption: " + err.Error()) // both were checked
	}
	for ch, mean := range recipe.Mean { // what becomes 0
		scale := 255.0
		if recipe.Range == 255 {
			scale = 1
		}
		at := ch
		if recipe.BGR {
			at = 2 - ch
		}
		m.fill[at] = byte(math.Round(min(max(float64(mean)*scale, 0), 255)))
	}
	return m.make
}

// load is an image as the model sees it.
func (m *maker) load(i int, into *imageproc.Image) error {
	im, err := m.clean(i)
	if err != nil {
		return err
	}
	into.Of = im.Size()
	if im, err = m.transform.Pixels(im); err != nil {
		return err
	}
	into.W, into.H, into.Pix = im.W, im.H, append(into.Pix[:0], im.Pix...)
	return nil
}

func (m *maker) make(i, k int) (imageproc.Image, error) {
	out, err := m.variant(i, k)
	out.Of = m.image.Of
	return out, err
}

func (m *maker) variant(i, k int) (imageproc.Image, error) {
	if m.at != i {
		m.at = i
		if m.err = m.load(i, &m.image); m.err == nil && m.partner != nil {
			if m.err = m.load(m.partner[i], &m.other); m.err != nil {
				m.err = fmt.Errorf("its partner %s: %w", m.data.Samples[m.partner[i]].ID, m.err)
			}
		}
	}
	if m.err != nil {
		return imageproc.Image{}, m.err
	}
	v := m.variants[k]
	if v.Name == "" {
		return m.image, nil
	}
	if m.config.Experiment != Corruptions {
		return m.experiment(v.Level), nil
	}
	n, severity := corrupt.Name(v.Name), int(v.Level)
	out, err := m.corruptor.Apply(m.image, n, severity, corrupt.Random(m.seed, m.data.Samples[i].ID, n, severity))
	if err == nil && m.config.JPEG > 0 {
		err = m.jpeg.RoundTrip(out.Pix, out.Pix, out.W, out.H, m.config.JPEG)
	}
	return out, err
}

// experiment is the image at a level of one of the CutMix paper's experiments.
func (m *maker) experiment(level float64) imageproc.Image {
	m.out = append(m.out[:0], m.image.Pix...)
	out := imageproc.Image{W: m.image.W, H: m.image.H, Pix: m.out}
	if m.config.Experiment == Mixup {
		for i, a := range m.image.Pix {
			out.Pix[i] = byte(math.Round(float64(float64(a)*(1-level)) + float64(float64(m.other.Pix[i])*level)))
		}
		return out
	}
	// A box in the middle with this share of the sides; what is left of them for the boundary.
	if m.config.Experiment == Boundary {
		level = 1 - level
	}
	w, h := int(math.Round(level*float64(out.W))), int(math.Round(level*float64(out.H)))
	x0, y0 := (out.W-w)/2, (out.H-h)/2
	for y := range out.H {
		for x := range out.W {
			inside := x >= x0 && x < x0+w && y >= y0 && y < y0+h
			p := out.Pix[3*(y*out.W+x):][:3]
			switch {
			case m.config.Experiment == CutMix && inside:
				copy(p, m.other.Pix[3*(y*out.W+x):])
			case m.config.Experiment == Centre && inside, m.config.Experiment == Boundary && !inside:
				copy(p, m.fill[:])
			}
		}
	}
	return out
}
