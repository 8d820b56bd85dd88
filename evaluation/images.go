package evaluation

import (
	"fmt"
	"path/filepath"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/pipeline"
	"cutmix-eval/report"
)

// Images are pictures as a classifier takes them: Samples of a dataset with a recipe.
type Images struct {
	*datasets.Dataset
	Config DataConfig
	Recipe imageproc.Recipe // how pictures become tensors
	// Geometry is the recipe by which pictures as stored came to the model's size: Recipe,
	// but for derived data, which have that size already.
	Geometry imageproc.Recipe

	size     imageproc.Size // of the images that the model sees
	source   string         // who gave the recipe
	notes    []string       // what is to be known of it
	unseen   bool           // pictures are not looked at
	selected []int
}

// Images opens the images that a configuration names, for the classifier. Noise is drawn
// at the size that the model sees. Where the model has several outputs and none was asked for,
// the number of classes of the first images with labels decides. Close them.
func (c *Classifier) Images(d DataConfig) (*Images, error) {
	size := c.Size()
	data, err := datasets.Open(d.Path, datasets.Options{
		Format: d.Format, Labels: d.Labels, LabelColumn: d.LabelColumn, Root: d.Root, Split: d.Split, Prefer: d.Prefer, Order: d.Order, Unlabelled: d.Unlabelled,
		NoiseSeed: d.Seed, NoiseW: size.W, NoiseH: size.H, Exif: c.Recipe.Exif,
	})
	if err != nil {
		return nil, err
	}
	if err := c.settleOutput(len(data.Classes)); err != nil {
		_ = data.Close()
		return nil, err
	}
	im := &Images{Dataset: data, Config: d, Recipe: c.Recipe, Geometry: c.Recipe, size: size, source: c.RecipeSource, notes: c.pixelNotes}
	if data.Format == datasets.Noise {
		im.Recipe = c.Cropped()
	}
	named, err := data.Named(d.Subset)
	if err != nil {
		_ = data.Close()
		return nil, err
	}
	im.selected = data.PickOf(named, d.Limit, d.Seed)
	return im, nil
}

// settleOutput chooses among several outputs of the model by the number of classes of the
// data, once; 0 is data without labels.
func (c *Classifier) settleOutput(classes int) error {
	if classes == 0 || c.named != "" || c.settled || c.engine != nil {
		return nil
	}
	c.settled = true
	m, err := c.Model.ForClasses(classes)
	if err != nil {
		return err
	}
	c.Model, c.outputs = m, m.Classes
	return nil
}

// Select is the same images with others of them selected: ascending indices, nil for all.
func (im *Images) Select(at []int) *Images {
	out := *im
	out.selected = at
	return &out
}

// With is the same images, prepared by another recipe.
func (im *Images) With(r imageproc.Recipe) *Images {
	out := *im
	out.Recipe, out.Geometry = r, r
	return &out
}

// Derive is images that are computed from these, at the size that the model sees: cropped
// is the recipe for that size, and every selected image has so many variants in d.
func (im *Images) Derive(d *datasets.Dataset, variants int, cropped imageproc.Recipe) *Images {
	out := *im
	out.Dataset, out.Recipe, out.selected = d, cropped, nil
	for _, i := range im.selected {
		for k := range variants {
			out.selected = append(out.selected, i*variants+k)
		}
	}
	return &out
}

// Replace is other data in place of these images, as cropped as recipe says.
func (im *Images) Replace(d *datasets.Dataset, path string, recipe imageproc.Recipe, selected []int) *Images {
	out := *im
	out.Dataset, out.Config.Path, out.Recipe, out.Geometry, out.selected = d, path, recipe, recipe, selected
	return &out
}

// Len is the number of images.
func (im *Images) Len() int { return len(im.Samples) }

// Selected are the images to evaluate, ascending; nil is all.
func (im *Images) Selected() []int { return im.selected }

// ID is an image's path within the data.
func (im *Images) ID(i int) string { return im.Samples[i].ID }

// Label is the index of an image's class, or datasets.Unlabelled.
func (im *Images) Label(i int) int { return im.Samples[i].Label }

// Classes are the names of the classes.
func (im *Images) Classes() []string { return im.Dataset.Classes }

// Identity is what determines the images' tensors and labels.
func (im *Images) Identity() Identity {
	return Identity{Data: im.Fingerprint(), Preprocessing: im.Recipe.Fingerprint(), Limit: im.Config.Limit, Seed: im.Config.Seed}
}

// Filler decodes, resizes, crops and normalises pictures.
func (im *Images) Filler() (pipeline.Filler, error) {
	l := im.Loader()
	fill, err := Filler(im.Recipe, im.size, l.LoadWindow)
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		known, err := fill(i, dst)
		known.Sum = l.Sum()
		return known, err
	}, err
}

// Load loads image i, of which only the part that want gives will be looked at. The image
// need only live until the next call. A Load is used by one goroutine.
type Load func(i int, want imageproc.Window) (imageproc.Image, error)

// Filler fills in images as load gives them, prepared by a recipe. size is that of the images that
// the model sees: a recipe that leaves the size to its pictures must come to it with each of them,
// for another size can have as many pixels.
func Filler(r imageproc.Recipe, size imageproc.Size, load Load) (pipeline.Filler, error) {
	t, err := imageproc.NewTransform(r)
	if err != nil {
		return nil, err
	}
	_, fixed := r.Fixed()
	return func(i int, dst []float32) (pipeline.Loaded, error) {
		picture, err := load(i, t.Window)
		if err == nil && !fixed && size != (imageproc.Size{}) {
			err = r.Fits(picture.W, picture.H, size)
		}
		if err == nil {
			err = t.Apply(picture, dst)
		}
		if err != nil {
			return pipeline.Loaded{}, err
		}
		return pipeline.Loaded{Size: picture.Size()}, nil
	}, nil
}

// sideways says how many of the selected pictures have an EXIF orientation that is not applied;
// nothing where there are none.
func (im *Images) sideways() string {
	if im.unseen {
		return ""
	}
	n := im.Sideways(im.selected)
	if n == 0 {
		return ""
	}
	has, its := "have", "their"
	if n == 1 {
		has, its = "has", "its"
	}
	return fmt.Sprintf("%d of the pictures %s an EXIF orientation other than upright, which is not applied, as Pillow and torchvision do not either; --exif turns %s pixels", n, has, its)
}

// Describe writes the images' part of a report.
func (im *Images) Describe(h *report.Head) {
	h.Dataset = report.Dataset{
		Name: im.Name, Path: im.Config.Path, Format: string(im.Format), Recognised: im.Why,
		Classes: len(im.Dataset.Classes), Fingerprint: im.Fingerprint(), Notes: append(slices.Clip(im.Notes), im.notes...),
	}
	if note := im.sideways(); note != "" {
		h.Dataset.Notes = append(slices.Clip(h.Dataset.Notes), note)
	}
	recipe := im.Recipe
	if im.Format == datasets.Derived {
		recipe = im.Geometry
	}
	h.Preprocessing = report.Preprocessing{
		Recipe: recipe, Summary: recipe.String(), Source: im.source,
		Decoder: imageproc.DecoderName, Fingerprint: recipe.Fingerprint(),
	}
	h.Config.Limit, h.Config.Seed, h.Config.Split = im.Config.Limit, im.Config.Seed, im.Config.Split
	if im.Config.Subset != "" {
		h.Option("images named in %s", filepath.Base(im.Config.Subset))
	}
	if im.Config.Limit > 0 {
		h.Option("limit %d (seed %d)", im.Config.Limit, im.Config.Seed)
	}
}
