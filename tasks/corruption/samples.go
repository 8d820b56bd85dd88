package corruption

import (
	"fmt"
	"slices"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
)

// samples is what a job evaluates: the variants of every image.
type samples struct {
	config   Config // with the parameter set that is used
	images   *evaluation.Images
	variants []Variant
	n        int                                   // images of the data, selected or not
	place    func(sample int) (variant, image int) // what a sample is
	second   func(image int) int                   // class of the image that is mixed in; -1 for none
	size     imageproc.Size                        // that every sample must have; 0 x 0 for any
	identity string                                // everything that pixels depend on
	notes    []string                              // on the data
	warnings []string
	close    func() error
}

// derive makes variants of the clean images on the fly.
func derive(c *evaluation.Classifier, images *evaluation.Images, config Config) (*samples, error) {
	v, textures, err := variantsOf(c, images, config)
	if err != nil {
		return nil, err
	}
	config.Set = v.set
	s := &samples{
		config: config, variants: v.list, n: images.Len(), close: func() error { return nil },
		identity: fmt.Sprintf("%s of %s, set %d, seed %d, jpeg %d, frost %s",
			config.Experiment, v.recipe.Fingerprint(), v.set, v.seed, config.JPEG, textures),
		place: func(sample int) (variant, image int) { return sample % len(v.list), sample / len(v.list) },
		second: func(image int) int {
			if v.partner == nil {
				return -1
			}
			return images.Label(v.partner[image])
		},
	}
	var names []string
	for _, variant := range v.list {
		names = append(names, variant.String())
	}
	s.images = v.derived(images, names, c.Cropped())
	if config.Experiment == Corruptions && slices.Contains(config.Corruptions, corrupt.Frost) {
		s.notes = append(s.notes, "frost: "+textures)
	}
	return s, nil
}

// Corrupt is images under one corruption, for other tasks, and in words all that their
// pixels depend on. The images that are given must stay open as long.
func Corrupt(c *evaluation.Classifier, images *evaluation.Images, n corrupt.Name, severity int, textures string,
) (*evaluation.Images, string, error) {
	config := DefaultConfig()
	config.Corruptions, config.Severities, config.Frost = []corrupt.Name{n}, []int{severity}, textures
	if err := config.Validate(); err != nil {
		return nil, "", err
	}
	v, about, err := variantsOf(c, images, config)
	if err != nil {
		return nil, "", err
	}
	v.list = v.list[1:] // without the clean image
	what := fmt.Sprintf("%s at severity %d, parameters for size %d, seed %d", n, severity, v.set, v.seed)
	if n == corrupt.Frost {
		what += ", " + about
	}
	return v.derived(images, []string{""}, c.Cropped()), what + ", pixels " + v.recipe.Fingerprint(), nil
}

// openCorrupted takes the images in config.Corrupted as they are, chosen by the limit and the
// seed of the clean ones. Though every corruption has a folder, all of them are samples of one
// run: numbers are means over the images that have a result in every variant, so that a run
// for each folder would have to be joined again before anything could be said.
func openCorrupted(c *evaluation.Classifier, clean *evaluation.Images, config Config) (_ *samples, err error) {
	var names []string
	for _, n := range config.Corruptions {
		names = append(names, string(n))
	}
	d, err := datasets.OpenCorrupted(config.Corrupted, names, config.Labels)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	s := &samples{
		config: config, second: func(int) int { return -1 }, close: d.Close,
		identity: fmt.Sprintf("from disk, severities %v of %v", config.Severities, config.Corruptions),
	}
	selected, err := s.choose(d, clean.Config)
	if err != nil {
		return nil, err
	}
	first, err := firstReadable(d.Dataset, selected)
	if err != nil {
		return nil, fmt.Errorf("%s of %q: %w", d.Samples[selected[0]].ID, config.Corrupted, err)
	}
	// The published images have the model's size already; resizing them again magnifies by
	// an eighth.
	recipe, size, asked := clean.Recipe, c.Size(), c.Changes.Resize
	switch {
	case first != size:
		s.warnings = append(s.warnings, fmt.Sprintf("corrupted images have %d x %d pixels, the model takes %s: "+
			"they are resized and cropped as clean ones are", first.W, first.H, size))
	case asked != nil && *asked != (imageproc.Size{}):
		s.warnings = append(s.warnings, fmt.Sprintf("the corrupted images are cropped to %d x %d pixels already; "+
			"--resize magnifies them, and the numbers cannot be compared with published ones", first.W, first.H))
	default:
		recipe, s.size = c.Cropped(), size
		s.notes = append(s.notes, fmt.Sprintf("corrupted images have the model's %d x %d pixels and are not resized again, "+
			"as in the benchmark's own test", size.W, size.H))
	}
	if len(selected) == len(d.Samples) {
		selected = nil
	}
	s.images = clean.Replace(d.Dataset, config.Corrupted, recipe, selected)
	return s, nil
}

// choose finds out what every sample of a folder is, and returns those to evaluate: of the
// severities that are wanted, of the images that limit and subset choose.
func (s *samples) choose(d *datasets.Corrupted, of evaluation.DataConfig) ([]int, error) {
	type place struct{ variant, image int }
	places := make([]place, len(d.Samples))
	var selected []int
	images := &datasets.Dataset{Name: d.Name, Classes: d.Classes} // in all severities: numbers do not depend on which are wanted
	numbers := map[string]int{}
	for i, cell := range d.Cells {
		image, ok := numbers[cell.Image]
		if !ok {
			image = len(numbers)
			numbers[cell.Image] = image
			images.Samples = append(images.Samples, datasets.Sample{ID: cell.Image, Label: d.Samples[i].Label})
		}
		if !slices.Contains(s.config.Severities, cell.Severity) {
			continue
		}
		v := Variant{cell.Corruption, float64(cell.Severity)}
		if !slices.Contains(s.variants, v) {
			s.variants = append(s.variants, v)
		}
		places[i] = place{slices.Index(s.variants, v), image}
		selected = append(selected, i)
	}
	s.n = len(numbers)
	s.place = func(sample int) (variant, image int) { return places[sample].variant, places[sample].image }
	named, err := images.Named(s.config.Subset)
	if err != nil {
		return nil, err
	}
	if chosen := images.PickOf(named, of.Limit, of.Seed); chosen != nil {
		selected = slices.DeleteFunc(selected, func(i int) bool {
			_, in := slices.BinarySearch(chosen, places[i].image)
			return !in
		})
	}
	if len(selected) == 0 {
		return nil, fmt.Errorf("%q has none of the severities %v", s.config.Corrupted, s.config.Severities)
	}
	return selected, nil
}

// firstReadable is the size of the first of some samples that can be read.
func firstReadable(d *datasets.Dataset, samples []int) (size imageproc.Size, err error) {
	loader := d.Loader()
	for _, i := range samples {
		var im imageproc.Image
		if im, err = loader.Load(i); err == nil {
			return imageproc.Size{H: im.H, W: im.W}, nil
		}
	}
	return size, err
}
