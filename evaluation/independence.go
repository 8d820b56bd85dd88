package evaluation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"cutmix-eval/model"
	"cutmix-eval/pipeline"
	"cutmix-eval/results"
	"cutmix-eval/runtime"
)

// EngineFor is Engine for these samples, of which those at (nil is all) will be evaluated.
// Before a tensor is first used, a few of them are run alone and within a batch. Where what the
// model gives for an image depends on the others of its batch, it runs image by image from then
// on, and Notes say so. A model that gives something else at every run is an error, and so is
// one that depends on the batch and cannot run on one image.
func (c *Classifier) EngineFor(ctx context.Context, s Samples, at []int, taps ...string) (Engine, error) {
	e, err := c.Engine(ctx, taps...)
	if err != nil || c.alone {
		return e, err
	}
	var fresh []string
	for _, t := range e.Outputs() {
		if !slices.Contains(c.checked, t.Name) {
			fresh = append(fresh, t.Name)
		}
	}
	if len(fresh) == 0 {
		return e, nil
	}
	if err := c.checkBatch(ctx, e, s, at); err != nil {
		return nil, fmt.Errorf("model %q: %w", c.source, err)
	}
	c.checked = append(c.checked, fresh...)
	return e, nil
}

// Alone says whether the model runs image by image because its results depend on the batch.
// Known once EngineFor was called.
func (c *Classifier) Alone() bool { return c.alone }

// Device is what determines results of an engine of the classifier.
func (c *Classifier) Device(e Engine) results.Device {
	d := e.Device()
	d.Alone = c.alone
	return d
}

// Warnings are what was found out about the model that reports must warn of.
func (c *Classifier) Warnings() []string { return slices.Clone(c.warnings) }

func (c *Classifier) note(format string, a ...any) {
	if n := fmt.Sprintf(format, a...); !slices.Contains(c.warnings, n) {
		c.warnings = append(slices.Clip(c.warnings), n)
	}
}

// forInference is the model as it is to be run: a BatchNormalization that was left in training
// mode takes the statistics of the file. notes are what reports must warn of.
func forInference(m *model.Model) (_ *model.Model, notes []string, err error) {
	name := cmp.Or(m.Path, m.Name)
	edited, changed, unset, err := m.Inference()
	if err != nil {
		return nil, nil, err
	}
	if n := len(changed); n > 0 {
		more := ""
		if n > 1 {
			more = fmt.Sprintf(" and %d more", n-1)
		}
		never := ""
		if unset {
			never = " (means of 0 and variances of 1, as if they had never been set)"
		}
		notes = append(notes, fmt.Sprintf("model %q was exported in training mode: %s%s would take mean and variance of each batch; "+
			"those that are stored in the file%s are used instead, as in inference; export it in evaluation mode, as with model.eval() in PyTorch, to be sure",
			name, changed[0], more, never))
	}
	if node := m.BatchSoftmax(); node != "" {
		notes = append(notes, fmt.Sprintf("%s of model %q normalises over the images of a batch (axis 0), so its outputs are no probabilities; "+
			"those in this report are computed from the logits before it, image by image", node, name))
	}
	return edited, notes, nil
}

// Differences that are no more than the order of additions: a fraction of the largest value of a
// tensor. Kernels may divide a sum otherwise for one image than for several. A float32 is rounded
// by 6e-8; a sum of ten thousand terms in another order is off by some 1e-6, and after a hundred
// layers by 1e-5 at most, so that 1e-4 is ten times what is seen. What a batch does to an image
// through a scale or a mean is rather a step of 8 bits, 4e-3, or more. Where numbers have 11 bits
// (float16, and float32 as graphics cards multiply it), one is rounded by 5e-4, and layers add up.
const (
	rounding     = 1e-4
	halfRounding = 1e-2
)

// tolerance is what results on the classifier's device may differ by.
func (c *Classifier) tolerance() float64 {
	if d := c.Running.Device.Name; c.Model.Half() || d != "" && d != runtime.CPU.Name {
		return halfRounding
	}
	return rounding
}

// ofBatch is how many images the check looks at, and candidates how many it tries to load.
const (
	ofBatch    = 4
	candidates = 16
)

// checkBatch runs a few images alone and within a batch.
func (c *Classifier) checkBatch(ctx context.Context, e Engine, s Samples, at []int) error {
	b, err := e.NewBatch(ofBatch + 1) // or of as many as the model insists on
	if err != nil {
		return err
	}
	defer b.Close()
	images, err := someImages(s, at, min(b.Size(), ofBatch), len(b.Input(0, 0)))
	if err != nil || len(images) == 0 {
		return err // where nothing can be loaded, the run says why
	}
	return c.checkImages(ctx, e, b, images)
}

// checkImages is checkBatch on images that are loaded, as many as fit into b at most.
func (c *Classifier) checkImages(ctx context.Context, e Engine, b pipeline.Batch, images [][]float32) (err error) {
	t := trial{Batch: b, outputs: len(e.Outputs())}
	var names []string
	for _, o := range e.Outputs() {
		names = append(names, o.Name)
	}
	mixers := c.Model.Mixers(names...)
	if e.Fixed() > 0 {
		err = c.checkFixed(ctx, e, t, images)
	} else {
		err = c.checkOpen(ctx, e, t, images)
	}
	var found *dependence
	switch {
	case err != nil && !errors.As(err, &found):
		return err
	case found == nil:
		if k := slices.IndexFunc(mixers, func(m model.Mixer) bool { return m.Branches }); k >= 0 && e.Fixed() != 1 {
			err = c.branching(e, mixers[k])
		}
	default:
		err = c.judge(e, found, mixers)
	}
	if err == nil && len(mixers) > 0 && mixers[0].Random {
		c.note("%s in model %q; on a few images it made no difference, but numbers may depend on chance: export the model in evaluation mode", mixers[0], c.source)
	}
	return err
}

// branching is judge of a model in which a node decides once for all images of a batch, though a
// few images did not show it.
func (c *Classifier) branching(e Engine, m model.Mixer) error {
	if e.Fixed() > 1 {
		return fmt.Errorf("%s, by what their values are together, and its batches are fixed at %d: export it with an open batch axis, or with a batch of 1", m, e.Fixed())
	}
	c.alone = true
	c.note("model %q runs image by image, because %s, by what their values are together; other programs that run it in batches get other numbers", c.source, m)
	return nil
}

// judge decides what becomes of a model whose results depend on something else than the image.
func (c *Classifier) judge(e Engine, d *dependence, mixers []model.Mixer) error {
	because := func(random bool) string {
		for _, m := range mixers {
			if m.Random == random {
				return fmt.Sprintf(" (%s)", m)
			}
		}
		return ""
	}
	if d.random {
		return fmt.Errorf("it gives something else for the same image at every run%s; %s differs by %s: "+
			"export it in evaluation mode, as with model.eval() in PyTorch", because(true), d.tensor, d.size())
	}
	depends := fmt.Sprintf("what it gives for an image depends on the others of its batch%s; %s differs by %s", because(false), d.tensor, d.size())
	switch {
	case e.Fixed() > 1:
		return fmt.Errorf("%s, and its batches are fixed at %d: export it with an open batch axis, or with a batch of 1", depends, e.Fixed())
	case slices.ContainsFunc(mixers, func(m model.Mixer) bool { return m.Training }):
		return fmt.Errorf("%s, and one image has no statistics of a batch: export it in evaluation mode, as with model.eval() in PyTorch", depends)
	case d.empty:
		return fmt.Errorf("%s, and for one image alone the scores say nothing: export it so that nothing is computed over the batch axis, "+
			"or name a tensor before it with --output", depends)
	}
	c.alone = true
	c.note("model %q runs image by image, because %s; other programs that run it in batches get other numbers", c.source, depends)
	return nil
}

// dependence is the error that results depend on something else than the image.
type dependence struct {
	tensor   string
	relative float64 // difference, of the largest value
	random   bool    // two runs on the same image differ
	empty    bool    // alone, scores are the same for all classes, or for all images
}

func (d *dependence) Error() string { return "results depend on the batch" }

// size says for people how large the difference is.
func (d *dependence) size() string {
	if math.IsInf(d.relative, 1) {
		return "values that are not finite"
	}
	return fmt.Sprintf("up to %.2g times its largest value", d.relative)
}

// compare is nil where two results of an image are the same.
func compare(e Engine, a, b [][]float32, tolerance float64) *dependence {
	var worst *dependence
	for k, x := range a {
		if d := difference(x, b[k]); d > tolerance && (worst == nil || d > worst.relative) {
			worst = &dependence{tensor: fmt.Sprintf("tensor %q", e.Outputs()[k].Name), relative: d}
		}
	}
	return worst
}

// checkOpen compares images within a batch, in reverse order and behind bright noise, with the
// same ones alone.
func (c *Classifier) checkOpen(ctx context.Context, e Engine, t trial, images [][]float32) error {
	n, tolerance := len(images), c.tolerance()
	alone := make([][][]float32, n)
	for i, image := range images {
		r, err := t.run(ctx, image)
		if err != nil {
			return err
		}
		alone[i] = r[0]
	}
	batch := append(slices.Clone(images), brighter(images))
	slices.Reverse(batch)
	together, err := t.run(ctx, batch...)
	if err != nil && ctx.Err() == nil { // a graph may look values up, and have none for noise
		batch[0] = images[0]
		together, err = t.run(ctx, batch...)
	}
	if err != nil {
		return err
	}
	var worst *dependence
	for i := range images {
		if d := compare(e, alone[i], together[n-i], tolerance); d != nil && (worst == nil || d.relative > worst.relative) {
			worst = d
		}
	}
	if worst == nil {
		return nil
	}
	for i, image := range images {
		again, err := t.run(ctx, image)
		if err != nil {
			return err
		}
		if d := compare(e, alone[i], again[0], tolerance); d != nil {
			d.random = true
			return d
		}
	}
	worst.empty = empty(alone, tolerance)
	return worst
}

// empty says whether the scores of images alone are the same for all classes, or for all images.
func empty(alone [][][]float32, tolerance float64) bool {
	flat, same := true, len(alone) > 1
	for _, r := range alone {
		scores := r[0]
		flat = flat && len(scores) > 1 && difference(scores, slices.Repeat(scores[:1], len(scores))) <= tolerance
		same = same && difference(scores, alone[0][0]) <= tolerance
	}
	return flat || same
}

// brighter is noise of larger values than any of the images has: what moves a scale or a mean
// over a batch, even where all the images are alike.
func brighter(images [][]float32) []float32 {
	most := float32(1)
	for _, v := range images {
		most = max(most, slices.Max(v), -slices.Min(v))
	}
	rng := rand.New(rand.NewPCG(1, 1))
	out := make([]float32, len(images[0]))
	for i := range out {
		out[i] = 8 * most * rng.Float32()
	}
	return out
}

// checkFixed compares images within batches of a fixed size with the same ones at other places
// and with other companions: first black ones, then bright noise.
func (c *Classifier) checkFixed(ctx context.Context, e Engine, t trial, images [][]float32) error {
	size, tolerance := t.Size(), c.tolerance()
	zero := make([]float32, len(images[0]))
	first, second := slices.Repeat([][]float32{zero}, size), slices.Repeat([][]float32{brighter(images)}, size)
	kept := (len(images) + 1) / 2 // of those in the first batch are in the second
	copy(first, images)
	for i := range kept {
		second[size-1-i] = images[i]
	}
	a, err := t.run(ctx, first...)
	if err != nil {
		return err
	}
	b, err := t.run(ctx, second...)
	if err != nil {
		return err
	}
	for i := range kept {
		d := compare(e, a[i], b[size-1-i], tolerance)
		if d == nil {
			continue
		}
		again, err := t.run(ctx, first...)
		if err != nil {
			return err
		}
		d.random = compare(e, a[i], again[i], tolerance) != nil
		return d
	}
	return nil
}

// trial runs images in the slots of a batch.
type trial struct {
	pipeline.Batch
	outputs int
}

// run returns what the model gives for every image: its outputs.
func (t trial) run(ctx context.Context, images ...[]float32) ([][][]float32, error) {
	for i, image := range images {
		copy(t.Input(0, i), image)
	}
	if err := t.Run(ctx, len(images)); err != nil {
		return nil, err
	}
	out := make([][][]float32, len(images))
	for i := range images {
		for k := range t.outputs {
			out[i] = append(out[i], slices.Clone(t.Output(k, i)))
		}
	}
	return out, nil
}

// difference is the largest one of two tensors, as a fraction of the largest value of a. Of
// tensors that are nearly 0 everywhere it is a thousandfold of the difference. Where one is not
// finite, the other must be the same.
func difference(a, b []float32) float64 {
	scale, most := 1e-3, 0.0
	for i, v := range a {
		x, y := float64(v), float64(b[i])
		switch {
		case x == y || x != x && y != y:
		case math.IsInf(x-y, 0) || math.IsNaN(x-y):
			return math.Inf(1)
		default:
			most = max(most, math.Abs(x-y))
		}
		if !math.IsInf(x, 0) && x == x {
			scale = max(scale, math.Abs(x))
		}
	}
	return most / scale
}

// someImages loads up to n of the samples, spread over them all, which may be sorted by class;
// those that cannot be loaded are passed over.
func someImages(s Samples, at []int, n, size int) ([][]float32, error) {
	fill, err := s.Filler()
	if err != nil {
		return nil, err
	}
	all := s.Len()
	if at != nil {
		all = len(at)
	}
	tries := min(candidates, all)
	var out [][]float32
	for first := range ofBatch {
		for k := first; k < tries && len(out) < n; k += ofBatch {
			i := k * all / tries
			if at != nil {
				i = at[i]
			}
			image := make([]float32, size)
			if _, err := fill.Guarded(i, image); err == nil {
				out = append(out, image)
			}
		}
	}
	return out, nil
}
