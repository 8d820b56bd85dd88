package corruption

import (
	"fmt"
	"slices"
	"sync"

	"cutmix-eval/corrupt"
	"cutmix-eval/corrupt/frost"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
)

// variants is how the variants of images are made. Use it by pointer; safe for concurrent use.
type variants struct {
	experiment experiment
	list       []Variant
	data       *datasets.Dataset
	recipe     imageproc.Recipe // makes images as the model sees them
	size       imageproc.Size   // that it leads to; 0 x 0 for any
	seed       uint64
	set        corrupt.Set
	frosts     corrupt.Frosts
	partner    []int // of every image; nil where none is mixed in
	recent     recentImages
}

// variantsOf is how a configuration's variants of images are made for a classifier, and in
// words which frost textures are used.
func variantsOf(c *evaluation.Classifier, images *evaluation.Images, config Config) (*variants, string, error) {
	size := c.Size()
	if config.Set == 0 {
		config.Set = corrupt.SetFor(size.W, size.H)
	}
	frosts, about, err := frost.Load(config.Frost)
	if err != nil {
		return nil, "", err
	}
	e, seed := config.experiment(), images.Config.Seed
	return &variants{
		experiment: e, list: e.variants(), data: images.Dataset, recipe: images.Recipe, size: size, seed: seed,
		set: config.Set, frosts: frosts, partner: e.partners(images.Dataset, seed),
	}, about, nil
}

// derived is the variants as images, called names, of the size that the recipe cropped has.
func (v *variants) derived(images *evaluation.Images, names []string, cropped imageproc.Recipe) *evaluation.Images {
	return images.Derive(v.data.Derive(v.data.Name, v.data.Why, names, v.maker), len(names), cropped)
}

// maker makes variants, for one goroutine.
type maker struct {
	*variants
	clean     func(i int) (imageproc.Image, error)
	transform *imageproc.Transform
	corruptor *corrupt.Corruptor
	jpeg      jpeg.Encoder
	out       []byte // pixels of an experiment's image
}

// maker is a maker of variants of the images that clean loads.
func (v *variants) maker(clean func(i int) (imageproc.Image, error)) datasets.Maker {
	m := &maker{variants: v, clean: clean}
	var err error
	if m.transform, err = imageproc.NewTransform(v.recipe); err == nil {
		m.corruptor, err = corrupt.New(v.set, v.frosts)
	}
	if err != nil {
		panic("corruption: " + err.Error()) // both were checked
	}
	return m.make
}

// make makes variant k of image i.
func (m *maker) make(i, k int) (imageproc.Image, error) {
	clean, err := m.load(i)
	if err != nil || m.list[k].Name == "" {
		return clean, err
	}
	out, err := m.experiment.apply(m, i, m.list[k], clean)
	out.Of = clean.Of
	return out, err
}

// load is an image as the model sees it. Nobody changes its pixels.
func (m *maker) load(i int) (imageproc.Image, error) {
	return m.recent.get(i, func() (imageproc.Image, error) {
		im, err := m.clean(i)
		if err != nil {
			return im, err
		}
		picture := im.Size()
		if im, err = m.transform.Pixels(im); err != nil {
			return im, err
		}
		if m.size != (imageproc.Size{}) && (im.W != m.size.W || im.H != m.size.H) {
			return im, fmt.Errorf("the preprocessing makes it %d x %d pixels, and the model takes %s", im.W, im.H, m.size)
		}
		im.Of = picture
		im.Pix = slices.Clone(im.Pix)
		return im, nil
	})
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

// copy is the image in the maker's memory.
func (m *maker) copy(im imageproc.Image) imageproc.Image {
	m.out = append(m.out[:0], im.Pix...)
	return imageproc.Image{W: im.W, H: im.H, Pix: m.out}
}
