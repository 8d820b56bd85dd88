package variants

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/frost"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
)

// Source is the images that variants are made of.
type Source struct {
	Data   *datasets.Dataset
	Recipe imageproc.Recipe // makes images as the model sees them; variants are made of those
	Size   imageproc.Size   // that it must lead to; 0 x 0 for any
	Seed   uint64           // of random corruptions and of pairs
}

// Images is how the variants of a source's images are made. Safe for concurrent use.
type Images struct {
	Variants []Variant   // of every image; take out what is not wanted before the first use
	Set      corrupt.Set // the parameters of corruptions
	Textures string      // in words, what frost is made of
	Partners []int       // by image, the one that is mixed into it; nil where none is

	source     Source
	experiment Experiment
	quality    int // of a JPEG round trip; 0: none
	frosts     corrupt.Frosts
	recent     recentImages
}

// New reads what variants of a source's images need. Without a set of parameters it takes
// that for the source's size.
func New(s Source, c Config) (*Images, error) {
	v := &Images{Variants: c.List(), Set: c.Set, source: s, experiment: c.Experiment, quality: c.JPEG}
	if v.Set == 0 {
		v.Set = corrupt.SetFor(s.Size.W, s.Size.H)
	}
	if c.Experiment == Mixup || c.Experiment == CutMix {
		v.Partners = partners(s.Data, s.Seed)
	}
	var err error
	v.frosts, v.Textures, err = frost.Load(c.Frost)
	return v, err
}

// Corrupt is the images of a source under one corruption, and in words all that their pixels
// depend on. textures names a folder as frost.Load takes it. The source must stay open as long.
func Corrupt(s Source, n corrupt.Name, severity int, textures string) (*datasets.Dataset, string, error) {
	b := Benchmark{Corruptions: []corrupt.Name{n}, Severities: []int{severity}, Frost: textures}
	if err := b.Validate(); err != nil {
		return nil, "", err
	}
	v, err := New(s, Config{Experiment: Corruptions, Benchmark: b})
	if err != nil {
		return nil, "", err
	}
	v.Variants = v.Variants[1:] // without the image itself
	what := fmt.Sprintf("%s at severity %d, parameters for size %d, seed %d", n, severity, v.Set, s.Seed)
	if n == corrupt.Frost {
		what += ", " + v.Textures
	}
	return v.dataset([]string{""}), what + ", pixels " + s.Recipe.Fingerprint(), nil
}

// Dataset is the variants as a dataset: sample i*len(Variants)+k is variant k of image i. The
// source must stay open as long.
func (v *Images) Dataset() *datasets.Dataset {
	var names []string
	for _, variant := range v.Variants {
		names = append(names, variant.String())
	}
	return v.dataset(names)
}

// Place is what a sample of the dataset is: an index into Variants, and one of the images.
func (v *Images) Place(sample int) (variant, image int) {
	return sample % len(v.Variants), sample / len(v.Variants)
}

func (v *Images) dataset(names []string) *datasets.Dataset {
	d := v.source.Data
	return d.Derive(d.Name, d.Why, names, v.maker)
}

// maker makes variants, for one goroutine.
type maker struct {
	*Images
	clean     func(i int) (imageproc.Image, error)
	transform *imageproc.Transform
	corruptor *corrupt.Corruptor
	jpeg      jpeg.Encoder
	out       []byte // pixels of an image that is not a corruption's
}

// maker is a maker of variants of the images that clean loads.
func (v *Images) maker(clean func(i int) (imageproc.Image, error)) datasets.Maker {
	m := &maker{Images: v, clean: clean}
	var err error
	if m.transform, err = imageproc.NewTransform(v.source.Recipe); err == nil {
		m.corruptor, err = corrupt.New(v.Set, v.frosts)
	}
	if err != nil {
		return func(int, int) (imageproc.Image, error) { return imageproc.Image{}, err }
	}
	return m.make
}

// make makes variant k of image i.
func (m *maker) make(i, k int) (imageproc.Image, error) {
	clean, err := m.load(i)
	if err != nil || m.Variants[k].Name == "" {
		return clean, err
	}
	var out imageproc.Image
	if m.experiment == Corruptions {
		out, err = m.corrupted(i, m.Variants[k], clean)
	} else {
		out, err = m.levelled(i, m.Variants[k].Level, clean)
	}
	out.Of = clean.Of
	return out, err
}

// corrupted is image i, as the model sees it, under a corruption.
func (m *maker) corrupted(i int, v Variant, clean imageproc.Image) (imageproc.Image, error) {
	n, severity := corrupt.Name(v.Name), int(v.Level)
	// The folders that all images lie in do not count: wherever they lie, the pixels are the same.
	random := corrupt.Random(m.source.Seed, m.source.Data.Short(i), n, severity)
	out, err := m.corruptor.Apply(clean, n, severity, random)
	if err == nil && m.quality > 0 {
		err = m.jpeg.RoundTrip(out.Pix, out.Pix, out.W, out.H, m.quality)
	}
	return out, err
}

// levelled is image i, as the model sees it, at a level of one of the other experiments.
func (m *maker) levelled(i int, level float64, clean imageproc.Image) (imageproc.Image, error) {
	m.out = append(m.out[:0], clean.Pix...)
	out := imageproc.Image{W: clean.W, H: clean.H, Pix: m.out}
	switch m.experiment {
	case Centre:
		corrupt.OccludeCentre(out, level, zero(m.source.Recipe))
		return out, nil
	case Boundary:
		corrupt.OccludeBoundary(out, level, zero(m.source.Recipe))
		return out, nil
	}
	other, err := m.load(m.Partners[i])
	if err == nil && (other.W != out.W || other.H != out.H) {
		err = errors.New("it has another size")
	}
	switch {
	case err != nil:
		return out, fmt.Errorf("its partner %s: %w", m.source.Data.Samples[m.Partners[i]].ID, err)
	case m.experiment == Mixup:
		corrupt.Mixup(out, other, level)
	default:
		corrupt.CutMix(out, other, level)
	}
	return out, nil
}

// load is an image as the model sees it. Nobody changes its pixels.
func (m *maker) load(i int) (imageproc.Image, error) {
	return m.recent.get(i, func() (imageproc.Image, error) {
		im, err := m.clean(i)
		if err != nil {
			return im, err
		}
		picture, size := im.Size(), m.source.Size
		if im, err = m.transform.Pixels(im); err != nil {
			return im, err
		}
		if size != (imageproc.Size{}) {
			if err := m.source.Recipe.Fits(picture.X, picture.Y, size); err != nil {
				return im, err
			}
		}
		im.Of = picture
		im.Pix = slices.Clone(im.Pix)
		return im, nil
	})
}

// zero is the pixel that a recipe makes zeros of, but for rounding.
func zero(r imageproc.Recipe) [3]byte {
	scale := 255.0
	if r.Range == 255 {
		scale = 1
	}
	var out [3]byte
	for channel, mean := range r.Mean {
		if r.BGR {
			channel = 2 - channel
		}
		out[channel] = byte(math.Round(min(max(float64(mean)*scale, 0), 255)))
	}
	return out
}

// partners pairs every image with one of another class: in a random order of all images,
// with the next one of another class.
func partners(d *datasets.Dataset, seed uint64) []int {
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

// recentImages are the last images as the model sees them: several goroutines make variants
// of one at the same time, and it is decoded once.
type recentImages struct {
	lock   sync.Mutex
	images map[int]*recentImage
	order  []int
}

type recentImage struct {
	once  sync.Once
	image imageproc.Image
	err   error
}

// mostRecent is how many images are kept: more than goroutines work on at once.
const mostRecent = 64

// get is image i, which load loads where it is not there.
func (r *recentImages) get(i int, load func() (imageproc.Image, error)) (imageproc.Image, error) {
	r.lock.Lock()
	im, ok := r.images[i]
	if !ok {
		if r.images == nil {
			r.images = map[int]*recentImage{}
		}
		if len(r.order) == mostRecent {
			delete(r.images, r.order[0])
			r.order = r.order[1:]
		}
		im = &recentImage{}
		r.images[i], r.order = im, append(r.order, i)
	}
	r.lock.Unlock()
	im.once.Do(func() { im.image, im.err = load() })
	return im.image, im.err
}
