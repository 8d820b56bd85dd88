package corruption

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

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

// making is what variants of images are made by; it is the same for all goroutines.
type making struct {
	data     *datasets.Dataset
	recipe   imageproc.Recipe
	size     imageproc.Size // that the recipe leads to; 0 x 0 for any
	seed     uint64
	config   Config
	variants []Variant
	frosts   corrupt.Frosts
	partner  []int // of every image; nil where none is mixed in
	shared   *shared
}

// shared are the last images as the model sees them: several goroutines make variants of one
// at the same time, and it is decoded once.
type shared struct {
	lock   sync.Mutex
	images map[int]*sharedImage
	recent []int
}

type sharedImage struct {
	once  sync.Once
	image imageproc.Image
	err   error
}

// kept is how many images are shared: more than goroutines work on at once.
const kept = 64

func (s *shared) get(i int, load func() (imageproc.Image, error)) (imageproc.Image, error) {
	s.lock.Lock()
	im, ok := s.images[i]
	if !ok {
		if s.images == nil {
			s.images = map[int]*sharedImage{}
		}
		if len(s.recent) == kept {
			delete(s.images, s.recent[0])
			s.recent = s.recent[1:]
		}
		im = &sharedImage{}
		s.images[i], s.recent = im, append(s.recent, i)
	}
	s.lock.Unlock()
	im.once.Do(func() { im.image, im.err = load() })
	return im.image, im.err
}

// maker makes the variants of images, for one goroutine.
type maker struct {
	making
	clean     func(i int) (imageproc.Image, error)
	transform *imageproc.Transform
	corruptor *corrupt.Corruptor
	jpeg      jpeg.Encoder
	out       []byte
	fill      [3]byte
}

func (mk making) open(clean func(i int) (imageproc.Image, error)) datasets.Maker {
	m := &maker{making: mk, clean: clean}
	var err error
	if m.transform, err = imageproc.NewTransform(mk.recipe); err == nil {
		m.corruptor, err = corrupt.New(mk.config.Set, mk.frosts)
	}
	if err != nil {
		panic("corruption: " + err.Error()) // both were checked
	}
	for ch, mean := range mk.recipe.Mean { // what becomes 0
		scale := 255.0
		if mk.recipe.Range == 255 {
			scale = 1
		}
		at := ch
		if mk.recipe.BGR {
			at = 2 - ch
		}
		m.fill[at] = byte(math.Round(min(max(float64(mean)*scale, 0), 255)))
	}
	return m.make
}

// load is an image as the model sees it. It is not changed by anyone.
func (m *maker) load(i int) (imageproc.Image, error) {
	return m.shared.get(i, func() (imageproc.Image, error) {
		im, err := m.clean(i)
		if err != nil {
			return im, err
		}
		of := im.Size()
		if im, err = m.transform.Pixels(im); err != nil {
			return im, err
		}
		if m.size != (imageproc.Size{}) && (im.W != m.size.W || im.H != m.size.H) {
			return im, fmt.Errorf("the preprocessing makes it %d x %d pixels, and the model takes %s", im.W, im.H, m.size)
		}
		im.Of = of
		return copied(im), nil
	})
}

func (m *maker) make(i, k int) (imageproc.Image, error) {
	clean, err := m.load(i)
	if err != nil {
		return clean, err
	}
	out, err := m.variant(i, m.variants[k], clean)
	out.Of = clean.Of
	return out, err
}

func (m *maker) variant(i int, v Variant, clean imageproc.Image) (imageproc.Image, error) {
	switch {
	case v.Name == "":
		return clean, nil
	case m.config.Experiment != Corruptions:
		other := clean
		if m.partner != nil {
			var err error
			if other, err = m.load(m.partner[i]); err == nil && len(other.Pix) != len(clean.Pix) {
				err = errors.New("it has another size")
			}
			if err != nil {
				return clean, fmt.Errorf("its partner %s: %w", m.data.Samples[m.partner[i]].ID, err)
			}
		}
		return m.experiment(v.Level, clean, other), nil
	}
	n, severity := corrupt.Name(v.Name), int(v.Level)
	out, err := m.corruptor.Apply(clean, n, severity, corrupt.Random(m.seed, m.data.Samples[i].ID, n, severity))
	if err == nil && m.config.JPEG > 0 {
		err = m.jpeg.RoundTrip(out.Pix, out.Pix, out.W, out.H, m.config.JPEG)
	}
	return out, err
}

// experiment is the image at a level of one of the CutMix paper's experiments.
func (m *maker) experiment(level float64, clean, other imageproc.Image) imageproc.Image {
	m.out = append(m.out[:0], clean.Pix...)
	out := imageproc.Image{W: clean.W, H: clean.H, Pix: m.out}
	if m.config.Experiment == Mixup {
		for i, a := range clean.Pix {
			out.Pix[i] = byte(math.Round(float64(float64(a)*(1-level)) + float64(float64(other.Pix[i])*level)))
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
				copy(p, other.Pix[3*(y*out.W+x):])
			case m.config.Experiment == Centre && inside, m.config.Experiment == Boundary && !inside:
				copy(p, m.fill[:])
			}
		}
	}
	return out
}
