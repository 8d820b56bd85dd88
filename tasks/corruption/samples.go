package corruption

import (
	"fmt"
	"slices"

	"cutmix-eval/corrupt"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/variants"
)

// samples is what a job evaluates: the variants of every image.
type samples struct {
	config   Config // with the parameter set that is used
	images   *evaluation.Images
	variants []variants.Variant
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
	source := variants.Source{Data: images.Dataset, Recipe: images.Recipe, Size: c.Size(), Seed: images.Config.Seed}
	v, err := variants.New(source, config.variants())
	if err != nil {
		return nil, err
	}
	config.Set = v.Set
	s := &samples{
		config: config, images: images.Derive(v.Dataset(), len(v.Variants), c.Cropped()),
		variants: v.Variants, n: images.Len(), place: v.Place, close: func() error { return nil },
		identity: fmt.Sprintf("%s of %s, set %d, seed %d, jpeg %d, frost %s",
			config.Experiment, source.Recipe.Fingerprint(), v.Set, source.Seed, config.JPEG, v.Textures),
		second: func(image int) int {
			if v.Partners == nil {
				return -1
			}
			return images.Label(v.Partners[image])
		},
	}
	if config.Experiment == variants.Corruptions && slices.Contains(config.Corruptions, corrupt.Frost) {
		s.notes = append(s.notes, "frost: "+v.Textures)
	}
	return s, nil
}

// openCorrupted takes the images in config.Corrupted as they are, chosen by the limit and the
// seed of the clean ones. Though every corruption has a folder, all of them are samples of one
// run: numbers are means over the images that have a result in every variant, so that a run
// for each folder would have to be joined again before anything could be said.
func openCorrupted(c *evaluation.Classifier, clean *evaluation.Images, config Config) (_ *samples, err error) {
	f, err := variants.OpenFolder(config.Corrupted, config.Benchmark, config.Labels)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	s := &samples{
		config: config, variants: f.Variants, n: f.Images, place: f.Place, second: func(int) int { return -1 }, close: f.Close,
		identity: fmt.Sprintf("from disk, severities %v of %v", config.Severities, config.Corruptions),
	}
	selected, err := f.Choose(config.Subset, clean.Config.Limit, clean.Config.Seed)
	if err != nil {
		return nil, err
	}
	first, err := f.FirstSize(selected)
	if err != nil {
		return nil, fmt.Errorf("%s of %q: %w", f.Samples[selected[0]].ID, config.Corrupted, err)
	}
	// The published images have the model's size already; resizing them again magnifies by
	// an eighth.
	recipe, size, asked := clean.Recipe, c.Size(), c.Changes.Resize
	switch {
	case first != size:
		s.warnings = append(s.warnings, fmt.Sprintf("corrupted images have %d x %d pixels, the model takes %s: "+
			"they are resized and cropped as clean ones are", first.W, first.H, size))
	case asked != nil && *asked != (imageproc.Size{}) && *asked != size:
		s.warnings = append(s.warnings, fmt.Sprintf("the corrupted images are cropped to %d x %d pixels already; "+
			"--resize magnifies them, and the numbers cannot be compared with published ones", first.W, first.H))
	default:
		recipe, s.size = c.Cropped(), size
		s.notes = append(s.notes, fmt.Sprintf("corrupted images have the model's %d x %d pixels and are not resized again, "+
			"as in the benchmark's own test", size.W, size.H))
	}
	if len(selected) == len(f.Samples) {
		selected = nil
	}
	s.images = clean.Replace(f.Dataset, config.Corrupted, recipe, selected)
	return s, nil
}
