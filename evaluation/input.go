package evaluation

import (
	"cmp"
	"fmt"

	"cutmix-eval/imageproc"
	"cutmix-eval/model"
)

// input brings the preprocessing, of which source says where it is from, to the model's input:
// its layout and its channels. It returns what is changed, the size of the images that the
// model sees, the shape of one image's tensor, and what is to be known.
func (c ModelConfig) input(m *model.Model, r imageproc.Recipe, source string) (_ imageproc.Recipe, size imageproc.Size, shape []int64, notes []string, err error) {
	if c.Layout != nil {
		r.Layout = *c.Layout
	}
	if r.Layout != m.Layout && m.FlatOrder(m.Layout) == "" {
		return r, size, nil, nil, fmt.Errorf("layout %s: input %q of model %q lies as %s; only of a flat colour input is that open", r.Layout, m.Input, m.Name, m.Layout)
	}
	if m.Channels == 1 {
		r.Grey = true // the model decides
	}
	if err := r.Validate(); err != nil {
		return r, size, nil, nil, fmt.Errorf("preprocessing (%s): %w", source, err)
	}
	note, err := m.CheckPixels(r)
	if err != nil {
		return r, size, nil, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	if n := m.FlatOrder(r.Layout); n != "" && c.Layout == nil && r.Layout == m.Layout { // nobody said
		notes = append(notes, n)
	}
	if size, err = imageSize(m, r); err == nil {
		shape, err = m.SampleShape(size)
	}
	return r, size, shape, notes, err
}

// imageSize is the size of the images that the model sees: what the recipe makes, or what the
// model takes.
func imageSize(m *model.Model, r imageproc.Recipe) (imageproc.Size, error) {
	size, ok := r.Fixed()
	if !ok {
		size = imageproc.Size{H: m.H, W: m.W}
		if size.H == 0 || size.W == 0 {
			return size, fmt.Errorf("neither the preprocessing (%s) nor the model %q fixes the image size; give --crop or --resize HEIGHTxWIDTH", r, m.Name)
		}
	}
	return size, nil
}

// checkSize says what to do where the preprocessing makes images of another size than the model's
// file says. Of flat inputs SampleShape has said it.
func (c *Classifier) checkSize() error {
	m, r, size := c.Model, c.Recipe, c.size
	if m.Flat != nil || size == (imageproc.Size{}) || (m.H <= 0 || m.H == size.H) && (m.W <= 0 || m.W == size.W) {
		return nil
	}
	takes := imageproc.Size{H: cmp.Or(m.H, size.H), W: cmp.Or(m.W, size.W)}
	flag := "--crop"
	if r.Crop == (imageproc.Size{}) {
		flag = "--resize"
	}
	return fmt.Errorf("the preprocessing (%s: %s) makes images of %d x %d pixels, and input %q of model %q takes %d x %d: give %s %dx%d in place of what it says of the size",
		c.RecipeSource, r, size.H, size.W, m.Input, c.source, takes.H, takes.W, flag, takes.H, takes.W)
}
