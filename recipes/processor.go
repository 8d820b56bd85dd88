package recipes

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"cutmix-eval/imageproc"
)

// processorKeys are keys that only image processors of Hugging Face's transformers have.
var processorKeys = []string{
	"image_processor_type", "feature_extractor_type", "image_mean", "image_std", "resample", "rescale_factor", "rescale_offset",
	"do_resize", "do_rescale", "do_normalize", "do_center_crop",
}

var processorRead = append([]string{
	"size", "crop_size", "crop_pct", "include_top", "do_pad", "do_flip_channel_order", "do_convert_rgb", "do_grayscale",
	"default_to_square",
}, processorKeys...)

// processorHarmless are the other keys of such files, which say nothing of a classifier's pixels.
var processorHarmless = append([]string{
	"processor_class", "auto_map", "data_format", "input_data_format", "return_tensors", "device", "disable_grouping",
	"do_reduce_labels", "reduce_labels", "image_seq_length", "_valid_processor_keys", "model_input_names", "pad_size", "num_channels",
	"image_size", "patch_size", "architecture", "transformers_version", "model_type", "size_divisor",
}, classKeys...)

// processor is how one type of image processor reads its file: its defaults, and its own rules.
// Sources: image_processing_*.py of transformers 4.57.
type processor struct {
	size     imageproc.Size // where "size" is missing
	shorter  bool           // size is the shorter side, also where the file gives one number
	resample int
	crop     int // of "crop_size", where it crops without being told; 0 where it does not
	mean     [3]float64
	std      [3]float64
	bare     bool // it never normalises
	rule     rule
}

// rule is what a type does otherwise than all others.
type rule int

const (
	plainRule rule = iota
	convNextRule
	levitRule
	poolFormerRule
	efficientNetRule
)

var (
	half         = [3]float64{0.5, 0.5, 0.5}
	imageNetMean = [3]float64{0.485, 0.456, 0.406}
	imageNetStd  = [3]float64{0.229, 0.224, 0.225}
	clipMean     = [3]float64{0.48145466, 0.4578275, 0.40821073}
	clipStd      = [3]float64{0.26862954, 0.26130258, 0.27577711}
)

func square(n int) imageproc.Size { return imageproc.Size{H: n, W: n} }

// processors, by the name of the class without ImageProcessor or FeatureExtractor.
var processors = map[string]processor{
	"ViT":             {size: square(224), resample: 2, mean: half, std: half},
	"ViTHybrid":       {size: square(224), shorter: true, resample: 3, crop: 224, mean: half, std: half},
	"DeiT":            {size: square(256), resample: 3, crop: 224, mean: half, std: half},
	"Beit":            {size: square(256), resample: 3, crop: 224, mean: half, std: half},
	"ConvNext":        {size: square(384), shorter: true, resample: 3, mean: half, std: half, rule: convNextRule},
	"MobileNetV1":     {size: square(256), shorter: true, resample: 2, crop: 224, mean: half, std: half},
	"MobileNetV2":     {size: square(256), shorter: true, resample: 2, crop: 224, mean: half, std: half},
	"EfficientNet":    {size: square(346), resample: 0, mean: half, std: half, rule: efficientNetRule},
	"EfficientFormer": {size: square(224), resample: 3, crop: 224, mean: imageNetMean, std: imageNetStd},
	"Levit":           {size: square(224), shorter: true, resample: 3, crop: 224, mean: imageNetMean, std: imageNetStd, rule: levitRule},
	"PoolFormer":      {size: square(224), shorter: true, resample: 3, crop: 224, mean: imageNetMean, std: imageNetStd, rule: poolFormerRule},
	"Pvt":             {size: square(224), resample: 2, mean: imageNetMean, std: imageNetStd},
	"CLIP":            {size: square(224), shorter: true, resample: 3, crop: 224, mean: clipMean, std: clipStd},
	"ChineseCLIP":     {size: square(224), shorter: true, resample: 3, crop: 224, mean: clipMean, std: clipStd},
	"Blip":            {size: square(384), resample: 3, mean: clipMean, std: clipStd},
	"Siglip":          {size: square(224), resample: 3, mean: half, std: half},
	"Bit":             {size: square(224), shorter: true, resample: 3, crop: 224, mean: clipMean, std: clipStd},
	"MobileViT":       {size: square(224), shorter: true, resample: 2, crop: 256, bare: true},
}

// modelTypes says which image processor a config.json's model_type stands for, where the file of
// the processor does not say it (AutoImageProcessor).
var modelTypes = map[string]string{
	"vit": "ViT", "vit_mae": "ViT", "vit_msn": "ViT", "swin": "ViT", "swinv2": "ViT", "swiftformer": "ViT", "nat": "ViT", "dinat": "ViT",
	"vit_hybrid": "ViTHybrid", "deit": "DeiT", "beit": "Beit", "data2vec-vision": "Beit",
	"convnext": "ConvNext", "convnextv2": "ConvNext", "cvt": "ConvNext", "resnet": "ConvNext", "regnet": "ConvNext", "van": "ConvNext",
	"mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2", "efficientnet": "EfficientNet", "efficientformer": "EfficientFormer",
	"levit": "Levit", "poolformer": "PoolFormer", "pvt": "Pvt", "clip": "CLIP", "chinese_clip": "ChineseCLIP", "siglip": "Siglip",
	"bit": "Bit", "dinov2": "Bit", "focalnet": "Bit", "hiera": "Bit", "mobilevit": "MobileViT", "mobilevitv2": "MobileViT",
}

// typeOf is the file's image processor; of files that do not say it, and whose model type is not
// known either, it is what their keys mean: one number for the size is both sides, unless there is
// a centre crop.
func (k *keys) typeOf(modelType string) (p processor, named bool) {
	for _, key := range []string{"image_processor_type", "feature_extractor_type"} {
		var class string
		if !k.into(key, "a class of transformers", &class) {
			continue
		}
		name := class
		for _, suffix := range []string{"Fast", "Pil", "ImageProcessor", "FeatureExtractor"} {
			name = strings.TrimSuffix(name, suffix)
		}
		p, ok := processors[name]
		if !ok {
			k.refuse(key, "is %q, which is not one of those that are read: %s", class, strings.Join(slices.Sorted(maps.Keys(processors)), ", "))
		}
		return p, true
	}
	if p, ok := processors[modelTypes[modelType]]; ok {
		return p, true
	}
	p.resample = 2
	_, cropped := k.has["crop_size"]
	if p.shorter = k.is("do_center_crop", cropped); p.shorter {
		p.crop = 224
	}
	switch {
	case k.any("crop_pct") && cropped:
		p.shorter, p.rule = true, poolFormerRule
	case k.any("crop_pct"):
		p.shorter, p.rule = true, convNextRule
	case k.any("include_top"):
		p.rule = efficientNetRule
	}
	return p, false
}

// edges is a size of transformers: both sides, or one of them.
type edges struct {
	both              imageproc.Size // zero where one of the others is given
	shortest, longest int
}

const sizesRead = "it must be a number, [height, width], or an object with height and width, shortest_edge, or longest_edge"

// edges reads a size: a number, [height, width], or an object.
func (k *keys) edges(name string, shorter bool) (e edges, ok bool) {
	raw, ok := k.has[name]
	if !ok || k.err != nil {
		return e, false
	}
	var one int
	var list []int
	var dict map[string]*int
	switch {
	case json.Unmarshal(raw, &one) == nil && shorter:
		e.shortest = one
	case json.Unmarshal(raw, &one) == nil:
		e.both = square(one)
	case json.Unmarshal(raw, &list) == nil && len(list) == 2:
		e.both = imageproc.Size{H: list[0], W: list[1]}
	case json.Unmarshal(raw, &dict) == nil:
		maps.DeleteFunc(dict, func(_ string, v *int) bool { return v == nil })
		h, w, short, long := dict["height"], dict["width"], dict["shortest_edge"], dict["longest_edge"]
		switch {
		case len(dict) == 2 && h != nil && w != nil:
			e.both = imageproc.Size{H: *h, W: *w}
		case len(dict) == 1 && short != nil:
			e.shortest = *short
		case len(dict) == 1 && long != nil:
			e.longest = *long
		default:
			k.refuse(name, "is %s; %s", shown(raw), sizesRead)
			return e, false
		}
	default:
		k.refuse(name, "is %s; %s", shown(raw), sizesRead)
		return e, false
	}
	if sides := []int{e.both.H, e.both.W, e.shortest, e.longest}; !fits(max(sides[0], sides[2], sides[3])) || !fits(max(sides[1], sides[2], sides[3])) {
		k.refuse(name, "is %s, which is no size of a picture", shown(raw))
		return e, false
	}
	return e, true
}

// readProcessor reads preprocessor_config.json of transformers.
func (o object) readProcessor(in Input, modelType string) (*imageproc.Recipe, error) {
	if err := o.suspicious("an image processor of transformers", processorRead, processorHarmless); err != nil {
		return nil, err
	}
	k := &keys{object: o}
	p, named := k.typeOf(modelType)
	if k.is("default_to_square", !p.shorter) == p.shorter {
		p.shorter = !p.shorter
	}
	r := imageproc.Recipe{Fit: imageproc.Shorter, Interpolation: imageproc.Bilinear, Range: 1, Std: [3]float32{1, 1, 1}, Layout: in.Default.Layout}
	r.Grey = in.Default.Grey || k.is("do_grayscale", false)
	k.processorResize(&r, p, named)
	k.processorValues(&r, p, named)
	switch {
	case k.is("do_pad", false) && k.any("pad_size", "size_divisor"):
		k.refuse("do_pad", "is true; padding at the right and the bottom is not among the steps that are known")
	case k.is("do_pad", false) && r.Fit == imageproc.Contain:
		k.refuse("do_pad", "is true; padding at the right and the bottom is not among the steps that are known")
	}
	if k.is("do_flip_channel_order", p.bare) {
		if r.BGR = !r.Grey; r.Mean[0] != r.Mean[2] || r.Std[0] != r.Std[2] {
			k.refuse("do_flip_channel_order", "is true beside image_mean or image_std, whose order is then not clear")
		}
	}
	return valid(r, k)
}

// processorResize reads how the picture is resized and cropped.
func (k *keys) processorResize(r *imageproc.Recipe, p processor, named bool) {
	crops := k.is("do_center_crop", p.crop > 0)
	crop, ok := k.edges("crop_size", false)
	if crops {
		switch {
		case !ok && p.crop == 0 && p.rule == efficientNetRule:
			r.Crop = square(289)
		case !ok && p.crop == 0:
			k.refuse("do_center_crop", "is true without crop_size")
		case !ok:
			r.Crop = square(p.crop)
		case crop.both == imageproc.Size{}:
			k.refuse("crop_size", "is %s; it must have height and width", shown(k.has["crop_size"]))
		default:
			r.Crop = crop.both
		}
	}
	size, ok := k.edges("size", p.shorter)
	if !k.is("do_resize", named || ok) {
		return
	}
	switch {
	case ok:
	case p.size == imageproc.Size{}:
		k.refuse("do_resize", "is true without size")
		return
	case p.shorter:
		size.shortest = p.size.H
	default:
		size.both = p.size
	}
	resample := p.resample
	k.into("resample", "a filter's number in Pillow, 0 to 5", &resample)
	// PIL.Image.Resampling
	filters := []imageproc.Filter{imageproc.Nearest, imageproc.Lanczos, imageproc.Bilinear, imageproc.Bicubic, imageproc.Box, imageproc.Hamming}
	if resample < 0 || resample >= len(filters) {
		k.refuse("resample", "is %d; it must be a filter's number in Pillow, 0 to 5", resample)
		return
	}
	r.Interpolation = filters[resample]
	switch {
	case size.longest > 0 && !crops:
		k.refuse("size", "is a longest_edge without a centre crop, which gives pictures of different sizes")
	case size.longest > 0:
		r.Fit, r.Resize = imageproc.Contain, square(size.longest)
	case size.shortest > 0:
		r.Fit, r.Resize = imageproc.Shorter, square(size.shortest)
	default:
		r.Fit, r.Resize = imageproc.Squash, size.both
	}
	pct := 0.0
	switch p.rule {
	case convNextRule:
		pct = k.above0("crop_pct", 224.0/256)
		switch {
		case size.shortest == 0:
			k.refuse("size", "is %s; this image processor takes shortest_edge only", shown(k.has["size"]))
			return
		case size.shortest >= 384: // warped, not cropped
			r.Fit = imageproc.Squash
			return
		}
		r.Crop = square(size.shortest)
	case poolFormerRule:
		if k.nulls["crop_pct"] {
			return
		}
		pct = k.above0("crop_pct", 0.9)
		if size.both.H == size.both.W {
			r.Fit = imageproc.Shorter
		}
	case levitRule:
		if size.shortest > 0 {
			r.Resize = square(int(256.0 / 224.0 * float64(size.shortest)))
		}
		return
	default:
		if !crops && r.Fit == imageproc.Shorter {
			k.refuse("size", "is a shortest_edge without a centre crop, which gives pictures of different sizes")
		}
		return
	}
	h, w := float64(r.Resize.H)/pct, float64(r.Resize.W)/pct
	if !(h >= 1 && w >= 1 && h <= 16384 && w <= 16384) {
		k.refuse("crop_pct", "is %v, which makes no size of a picture", pct)
		return
	}
	r.Resize = imageproc.Size{H: int(h), W: int(w)}
}

// processorValues reads the arithmetic of the values: (sample * rescale_factor - offset - mean) / std.
// A factor other than 1/255 and 1 is folded into mean and std of samples in 0..255.
func (k *keys) processorValues(r *imageproc.Recipe, p processor, named bool) {
	n := 0
	if r.Grey {
		n = 1
	}
	mean, std := p.mean, p.std
	m, givenMean := k.values("image_mean", n)
	s, givenStd := k.values("image_std", n)
	if givenMean > 0 {
		mean = m
	}
	if givenStd > 0 {
		std = s
		if c := slices.IndexFunc(s[:], func(v float64) bool { return !(v > 0) }); c >= 0 {
			k.refuse("image_std", "is %v for channel %d; it must be above 0", s[c], c)
		}
	}
	normalise := k.is("do_normalize", named && !p.bare || givenMean > 0 && givenStd > 0)
	if normalise && (givenMean == 0 || givenStd == 0) && (!named || p.bare || r.Grey) {
		k.refuse("do_normalize", "is true without image_mean and image_std")
	}
	given := std // include_top divides by it whether do_normalize is on or not
	if !normalise {
		mean, std = [3]float64{}, [3]float64{1, 1, 1}
	}
	offset := 0.0
	factor := 1.0
	if k.is("do_rescale", true) {
		factor = k.above0("rescale_factor", 1.0/255)
		if k.is("rescale_offset", false) {
			// Versions differ in what they subtract: 127.5 before the product, or 1 after it. It is the same for 1/127.5.
			if math.Abs(factor*127.5-1) > 1e-6 {
				k.refuse("rescale_offset", "is true with a rescale_factor of %v; versions of transformers agree only for 1/127.5", factor)
			}
			offset = 1
		}
	}
	if p.rule == efficientNetRule && k.is("include_top", true) {
		for c := range std {
			std[c] *= given[c]
		}
	}
	switch unit := factor * 255; {
	case offset == 0 && math.Abs(unit-1) < 1e-6: // as people round 1/255
		r.Range = 1
	case offset == 0 && factor == 1:
		r.Range = 255
	default:
		r.Range = 255
		for c := range mean {
			mean[c] = (mean[c] + offset) / factor
			std[c] /= factor
		}
	}
	r.Mean, r.Std = single(mean), single(std)
	for c, v := range r.Std {
		if k.err == nil && !(v > 0) {
			k.err = fmt.Errorf("std %v of channel %d is not above 0", v, c)
		}
	}
}
