package recipes

import (
	"encoding/json"

	"cutmix-eval/imageproc"
)

var torchvisionRead = []string{"resize_size", "crop_size", "mean", "std", "interpolation"}

// readTorchvision reads the arguments of torchvision's presets ImageClassification: resize_size
// and crop_size are a number, [number] or [height, width]; bilinear and ImageNet's statistics are
// the defaults.
func (o object) readTorchvision(in Input) (*imageproc.Recipe, error) {
	if err := o.unknown("torchvision's presets", torchvisionRead, []string{"antialias", "backend"}, classKeys); err != nil {
		return nil, err
	}
	k := &keys{object: o}
	r := imageproc.Standard()
	r.Layout = in.Default.Layout
	if !o.any("crop_size") {
		k.refuse("resize_size", "is there without crop_size")
	}
	var both bool
	r.Resize, both = k.torchvisionSize("resize_size", r.Resize)
	if both {
		r.Fit = imageproc.Squash
	}
	r.Crop, _ = k.torchvisionSize("crop_size", r.Crop)
	k.into("interpolation", "the name of a filter", &r.Interpolation)
	r.Interpolation = filter(r.Interpolation)
	if v, given := k.values("mean", 0); given > 0 {
		r.Mean = single(v)
	}
	if v, given := k.values("std", 0); given > 0 {
		r.Std = single(v)
	}
	if !k.is("antialias", true) {
		k.refuse("antialias", "is false, which is about tensors; Pillow's pictures are always smoothed")
	}
	return valid(r, k)
}

// torchvisionSize reads a size of torchvision; both says whether it gives both sides.
func (k *keys) torchvisionSize(name string, otherwise imageproc.Size) (s imageproc.Size, both bool) {
	raw, ok := k.has[name]
	if !ok {
		return otherwise, false
	}
	var one int
	var list []int
	switch {
	case json.Unmarshal(raw, &one) == nil && fits(one):
		return imageproc.Size{H: one, W: one}, false
	case json.Unmarshal(raw, &list) == nil && len(list) == 1 && fits(list...):
		return imageproc.Size{H: list[0], W: list[0]}, false
	case len(list) == 2 && fits(list...):
		return imageproc.Size{H: list[0], W: list[1]}, true
	}
	k.refuse(name, "is %s; it must be a number of pixels or [height, width]", shown(raw))
	return otherwise, false
}
