package recipes

import (
	"encoding/json"
	"math"

	"cutmix-eval/imageproc"
)

// timmKeys are keys that only timm's pretrained_cfg has.
var timmKeys = []string{"input_size", "test_input_size", "crop_pct", "test_crop_pct", "crop_mode"}

var timmRead = append([]string{"interpolation", "mean", "std"}, timmKeys...)

// timmHarmless are the other keys of timm's config.json and pretrained_cfg (timm 0.4 to 1.0).
var timmHarmless = append([]string{
	"architecture", "tag", "tags", "custom_load", "min_input_size", "fixed_input_size", "pool_size", "test_pool_size", "first_conv",
	"classifier", "license", "origin_url", "paper_name", "paper_ids", "url", "file", "state_dict", "hf_hub_id", "hf_hub_filename",
	"hf_hub_tag", "input_type", "has_feature_pooling", "num_features", "global_pool", "model_args", "pretrained_cfg", "label_offset",
	"vocab_size", "depth", "mid_channels", "drop_path_rate",
}, classKeys...)

// readTimmNested reads timm's config.json: the model's own keys around "pretrained_cfg". The number
// and names of the classes outside are the model's, those inside of the weights it was made from.
func (o object) readTimmNested(in Input) (Found, error) {
	inner, err := parse(o.has["pretrained_cfg"])
	if err != nil {
		return Found{}, err
	}
	var f Found
	if f.Recipe, err = inner.readTimm(in); err != nil {
		return Found{}, err
	}
	inner.readClasses(&f)
	var outer Found
	o.readClasses(&outer)
	if outer.Count > 0 {
		f.Count = outer.Count
	}
	if outer.Classes != nil || outer.Count > 0 && len(f.Classes) != outer.Count {
		f.Classes = outer.Classes
	}
	f.modelType = outer.modelType
	return f, nil
}

// readTimm reads a pretrained_cfg as timm's validate.py does (resolve_data_config with
// use_test_size, transforms_imagenet_eval): test_input_size over input_size and test_crop_pct over
// crop_pct, unless the model is fixed at the size of input_size.
func (o object) readTimm(in Input) (*imageproc.Recipe, error) {
	k := &keys{object: o}
	if !o.any(ownKeys...) { // else unknown keys were refused
		if err := o.suspicious("timm's pretrained_cfg", timmRead, timmHarmless); err != nil {
			return nil, err
		}
	}
	channels, size := 3, in.Default.Crop
	if in.Default.Grey {
		channels = 1
	}
	test := true
	if n, s, ok := k.inputSize("input_size"); ok {
		channels, size = n, s
		if n, s, ok := k.inputSize("test_input_size"); ok {
			fixed := imageproc.Size{H: in.H, W: in.W}
			if test = s == fixed || size != fixed; test {
				channels, size = n, s
			}
		}
	} else if n, s, ok := k.inputSize("test_input_size"); ok {
		channels, size = n, s
	}
	const defaultPct = 0.875
	pct := k.above0("crop_pct", defaultPct)
	if test {
		pct = k.above0("test_crop_pct", pct)
	}
	scaled := imageproc.Size{H: int(math.Floor(float64(size.H) / pct)), W: int(math.Floor(float64(size.W) / pct))}
	if k.err == nil && !fits(size.H, size.W, scaled.H, scaled.W) {
		k.refuse("crop_pct", "is %v, which makes %s of %s pixels", pct, scaled, size)
	}
	mode := "center"
	k.into("crop_mode", "center, squash or border", &mode)

	r := imageproc.Recipe{
		Resize: scaled, Interpolation: imageproc.Bicubic, Crop: size, Range: 1, Mean: imageproc.ImageNetMean, Std: imageproc.ImageNetStd,
		Layout: in.Default.Layout, Grey: channels == 1,
	}
	k.into("interpolation", "the name of a filter", &r.Interpolation)
	r.Interpolation = filter(r.Interpolation)
	mean, given := k.values("mean", channels)
	if given > 0 {
		r.Mean = single(mean)
	} else {
		for c, v := range r.Mean {
			mean[c] = float64(v)
		}
	}
	if std, given := k.values("std", channels); given > 0 {
		r.Std = single(std)
	}
	if channels == 1 && (!o.any("mean") || !o.any("std")) {
		k.refuse("input_size", "is of one channel: mean and std must be given")
	}
	switch {
	case mode == "squash":
		r.Fit = imageproc.Squash
	case mode == "border":
		r.Fit = imageproc.Contain
		for c, v := range mean {
			r.Fill[c] = uint8(min(max(math.RoundToEven(255*v), 0), 255))
		}
	case mode != "center":
		k.refuse("crop_mode", "is %q; timm has center, squash and border", mode)
	case scaled.H == scaled.W:
		r.Fit = imageproc.Shorter
	default:
		// ResizeKeepRatio(scale_size): no interpolation is passed on, and its default is bilinear.
		r.Fit, r.Interpolation = imageproc.Cover, imageproc.Bilinear
	}
	return valid(r, k)
}

// inputSize reads [channels, height, width].
func (k *keys) inputSize(name string) (channels int, size imageproc.Size, ok bool) {
	raw, has := k.has[name]
	if !has || k.err != nil {
		return 0, size, false
	}
	var v []int
	if json.Unmarshal(raw, &v) != nil || len(v) != 3 || !fits(v[1:]...) {
		k.refuse(name, "is %s; it must be [channels, height, width]", shown(raw))
		return 0, size, false
	}
	if v[0] != 1 && v[0] != 3 {
		k.refuse(name, "is %s: pictures have 1 or 3 channels", shown(raw))
		return 0, size, false
	}
	return v[0], imageproc.Size{H: v[1], W: v[2]}, true
}
