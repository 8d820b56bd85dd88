// Package doctor finds out whether other pixels than those that a classifier is given fit it better:
// the search of package pixels, on labelled images and a model.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"
	"cutmix-eval/pipeline"
	"cutmix-eval/pixels"
)

// Name is the task's name in reports.
const Name = "doctor"

// Config holds the task's options.
type Config struct {
	Choose  int `json:"choose"`  // labelled images to choose on
	Confirm int `json:"confirm"` // other ones to test the choice on
	// Coarse tries fewer recipes: see pixels.Search.
	Coarse bool `json:"coarse,omitempty"`
}

// DefaultConfig is what the command line starts from.
func DefaultConfig() Config { return Config{Choose: 200, Confirm: 400} }

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	switch {
	case c.Choose < 16:
		return fmt.Errorf("%d images to choose on: at least 16 are needed", c.Choose)
	case c.Confirm < 16:
		return fmt.Errorf("%d images to confirm on: at least 16 are needed", c.Confirm)
	}
	return nil
}

// Assumed says whether a recipe of this source may not be the one that the model was trained with:
// the default, flags, or a named recipe. What a model's file or a file beside it says is not assumed.
func Assumed(source string) bool {
	for _, start := range []string{"default", "flags", "recipe"} {
		if strings.HasPrefix(source, start) {
			return true
		}
	}
	return false
}

// Subject is whom the doctor sees.
type Subject struct {
	Classifier *evaluation.Classifier
	Images     *evaluation.Images
	Labels     *evaluation.Labels
	Restrict   bool // only the outputs that are classes of the data compete
	Seed       uint64
}

// Beside is the configuration for a look beside an evaluation of the images, which is not to
// take much longer for it: models of large images are slow.
func Beside(s Subject) Config {
	c := DefaultConfig()
	n, size := s.Images.Len(), s.Classifier.Size()
	if s.Labels.Selected != nil {
		n = len(s.Labels.Selected)
	}
	share := 10
	if size.H*size.W > 96*96 {
		share = 20
	}
	c.Choose, c.Coarse = min(c.Choose, max(40, n/share)), true
	return c
}

// Search tries other pixels. It opens the classifier's engine, or takes the one that is open. progress,
// which may be nil, is called with how many images the model has run on, each as often as it did.
func Search(ctx context.Context, c Config, s Subject, progress func(images int)) (*pixels.Result, error) {
	res, _, err := search(ctx, c, s, progress)
	return res, err
}

// search is Search, and why images could not be read, by their index.
func search(ctx context.Context, c Config, s Subject, progress func(images int)) (*pixels.Result, map[int]error, error) {
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	e, err := s.Classifier.EngineFor(ctx, s.Images, s.Labels.Selected)
	if err != nil {
		return nil, nil, err
	}
	outputs, err := s.Classifier.Outputs(ctx)
	if err != nil {
		return nil, nil, err
	}
	var only []int
	if s.Restrict {
		only = s.Labels.Competing()
	}
	t := &trier{
		Subject: s, engine: e, contest: evaluation.NewContest(outputs, only, false), sizes: map[image.Point]bool{}, bad: map[int]error{},
	}
	mixed := mix(s.Images, s.Labels.Selected, c.Choose+c.Confirm, s.Seed)
	// With few images, two of five are enough to choose on: the test needs more.
	choose := min(c.Choose, len(mixed)*2/5)
	res, err := pixels.Search{
		Present: s.Images.Recipe, Size: s.Classifier.Size(), Choose: mixed[:choose], Confirm: mixed[choose:],
		Try: t.try, Sizes: t.seen, Coarse: c.Coarse, Progress: progress,
	}.Find(ctx)
	return res, t.bad, err
}

// mix picks at most n of the selected images (nil: all) that have a label, as evenly over the classes as
// possible, and mixes the classes: so is every beginning of what it returns.
func mix(s evaluation.Samples, selected []int, n int, seed uint64) []int {
	byClass := map[int][]int{}
	add := func(i int) {
		if l := s.Label(i); l != datasets.Unlabelled {
			byClass[l] = append(byClass[l], i)
		}
	}
	if selected == nil {
		for i := range s.Len() {
			add(i)
		}
	}
	for _, i := range selected {
		add(i)
	}
	var classes []int
	for l, images := range byClass {
		classes = append(classes, l)
		rng := rand.New(rand.NewPCG(seed, uint64(l)))
		rng.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
	}
	slices.Sort(classes)
	rng := rand.New(rand.NewPCG(seed, 1<<63))
	var out []int
	for round := 0; ; round++ {
		before := len(out)
		rng.Shuffle(len(classes), func(i, j int) { classes[i], classes[j] = classes[j], classes[i] })
		for _, l := range classes {
			if len(out) < n && round < len(byClass[l]) {
				out = append(out, byClass[l][round])
			}
		}
		if len(out) == before {
			return out
		}
	}
}

// trier runs the model on images with one recipe after another.
type trier struct {
	Subject
	engine  evaluation.Engine
	contest *evaluation.Contest
	sizes   map[image.Point]bool // of pictures that were read
	bad     map[int]error        // images that could not be
	store   store
}

func (t *trier) seen() []image.Point {
	var out []image.Point
	for s := range t.sizes {
		out = append(out, s)
	}
	return out
}

// try is a pixels.Try.
func (t *trier) try(ctx context.Context, r imageproc.Recipe, at []int) ([]pixels.Outcome, error) {
	out := make([]pixels.Outcome, len(at))
	samples := &tried{t.Images.With(r), t.Classifier.Size(), &t.store}
	_, err := pipeline.Run(ctx, t.Classifier.Pipeline(t.engine, samples, at, nil), func(res pipeline.Result) error {
		if res.Err != nil {
			out[res.Index], t.bad[at[res.Index]] = pixels.Bad, res.Err
			return nil
		}
		t.sizes[res.Size] = true
		scores := res.Output(0)
		if metrics.NotFinite(scores) >= 0 {
			return nil // wrong, whatever it is
		}
		// The largest score is the largest logit, whether scores are probabilities or not.
		best := t.contest.Outputs[metrics.Argmax(t.contest.Logits(scores))]
		if slices.Contains(t.Labels.Right(at[res.Index]), best) {
			out[res.Index] = pixels.Right
		}
		return nil
	})
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*datasets.StorageError)) && r.Fingerprint() != t.Images.Recipe.Fingerprint() {
		return make([]pixels.Outcome, len(at)), nil // a model that refuses such pixels was not trained with them
	}
	return out, err
}

// tried are images that are read and resized once for all recipes that only differ in what becomes of
// the samples.
type tried struct {
	*evaluation.Images
	size  imageproc.Size // that the model sees
	store *store
}

// Filler fills in images from the store.
func (s *tried) Filler() (pipeline.Filler, error) {
	if s.Recipe.Resizer == imageproc.TensorFlow {
		return s.Images.Filler() // its samples are no bytes before they are scaled
	}
	bytes := s.Recipe
	bytes.Range, bytes.Mean, bytes.Std, bytes.BGR, bytes.Layout = 255, [3]float32{}, [3]float32{1, 1, 1}, false, imageproc.NHWC
	fill, err := s.With(bytes).Filler()
	if err != nil {
		return nil, err
	}
	rest := s.Recipe
	rest.Resize, rest.Crop, rest.Fit, rest.Exif = imageproc.Size{}, imageproc.Size{}, imageproc.Shorter, false
	t, err := imageproc.NewTransform(rest)
	if err != nil {
		return nil, err
	}
	size, channels := s.size, s.Recipe.Channels()
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		p, ok := s.store.get(bytes, i)
		if !ok {
			known, err := fill(i, dst)
			if err != nil {
				return known, err
			}
			p.size = known.Size
			p.image = imageproc.New(size.W, size.H)
			for k := range size.W * size.H {
				for c := range 3 {
					p.image.Pix[3*k+c] = byte(dst[channels*k+c%channels])
				}
			}
			s.store.put(bytes, i, p)
		}
		return pipeline.Loaded{Size: p.size}, t.Apply(p.image, dst)
	}, nil
}

// picture is an image at the size that the model sees, and its size as it was stored.
type picture struct {
	image imageproc.Image
	size  image.Point
}

// store keeps pictures. It may be used by several goroutines.
type store struct {
	mu       sync.Mutex
	pictures map[storeKey]picture
	bytes    int
}

type storeKey struct {
	recipe imageproc.Recipe
	image  int
}

// most bounds the bytes that a store keeps; what is above is read again.
const most = 128 << 20

func (s *store) get(r imageproc.Recipe, i int) (picture, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.pictures[storeKey{r, i}]
	return p, ok
}

func (s *store) put(r imageproc.Recipe, i int, p picture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pictures == nil {
		s.pictures = map[storeKey]picture{}
	}
	if s.bytes += len(p.image.Pix); s.bytes <= most {
		s.pictures[storeKey{r, i}] = p
	}
}
