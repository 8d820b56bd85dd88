package recipes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/imageproc"
)

// ownKeys are keys that only this program's JSON has.
var ownKeys = []string{"resize", "crop", "fit", "resizer", "fill", "color", "bgr", "range", "exif", "layout", "mode"}

// recipeKeys are all keys of this program's JSON about pixels, as docs/preprocessing.md lists
// them.
var recipeKeys = slices.Concat([]string{"mean", "std", "interpolation"}, ownKeys)

// readOwn reads this program's JSON over the default: every key may be left out. Keys of timm's
// are taken as timm takes them, and the others laid over that.
func (o object) readOwn(in Input) (*imageproc.Recipe, error) {
	older := []string{"input"} // of the models in the program: the input's shape
	if err := o.unknown("a recipe", recipeKeys, timmKeys, classKeys, older); err != nil {
		return nil, err
	}
	k := &keys{object: o}
	out := in.Default
	if o.any(timmKeys...) {
		r, err := o.readTimm(in)
		if err != nil {
			return nil, err
		}
		out = *r
	}
	ranged := o.any("range")
	var mode string
	if k.into("mode", "caffe, tf or torch", &mode) {
		if err := keras(&out, mode); err != nil {
			return nil, err
		}
		ranged = true
	}
	k.resize(&out)
	if k.into("crop", `a number of pixels, [height, width] or "none"`, &out.Crop) && out.Crop == (imageproc.Size{}) && !isNone(o.has["crop"]) {
		k.refuse("crop", "is %s; it must be a number of pixels above 0, [height, width] or \"none\"", shown(o.has["crop"]))
	}
	k.into("fit", "shorter, squash, cover or contain", &out.Fit)
	k.into("interpolation", "the name of a filter", &out.Interpolation)
	out.Interpolation = filter(out.Interpolation)
	var name string
	if k.into("resizer", "pillow, opencv or tensorflow", &name) {
		var err error
		if out.Resizer, err = imageproc.ParseBackend(strings.ToLower(name)); err != nil {
			return nil, err
		}
	}
	k.fill(&out)
	out.Exif = k.is("exif", out.Exif)
	if out.BGR = k.is("bgr", out.BGR); out.BGR {
		out.Grey = false
	}
	if k.into("color", "rgb, bgr or grey", &name) {
		name = strings.ToLower(name)
		switch name {
		case "rgb", "bgr", "grey", "gray":
			out.BGR, out.Grey = name == "bgr", strings.HasPrefix(name, "gr")
		default:
			k.refuse("color", "is %q; it must be rgb, bgr or grey", name)
		}
	}
	k.span(&out)
	n := 0
	if out.Grey {
		n = 1
	}
	if v, given := k.values("mean", n); given > 0 {
		out.Mean = single(v)
		for _, x := range v {
			// 16 is far above any mean of samples in 0..1, and far below those of bytes.
			if !ranged && out.Range == 1 && (x > 16 || x < -16) {
				k.refuse("mean", `is %v, which is no mean of samples in 0..1; say "range": "0..255"`, x)
			}
		}
	}
	if v, given := k.values("std", n); given > 0 {
		out.Std = single(v)
	}
	var layout imageproc.Layout
	if k.into("layout", "NCHW or NHWC", &layout) {
		if out.Layout = layout; layout != in.Default.Layout && !in.Flat {
			k.refuse("layout", "is %s, and the model's is %s", layout, in.Default.Layout)
		}
	}
	return valid(out, k)
}

// resize reads "resize": a number is the shorter side; [height, width] and "HEIGHTxWIDTH" are both
// sides, equal ones too. Of {"H": …, "W": …}, which older versions wrote, equal ones are the
// shorter side; "fit" is beside it.
func (k *keys) resize(out *imageproc.Recipe) {
	raw, ok := k.has["resize"]
	if !k.into("resize", `a number of pixels, [height, width] or "none"`, &out.Resize) || !ok {
		return
	}
	if out.Resize == (imageproc.Size{}) && !isNone(raw) {
		k.refuse("resize", "is %s; it must be a number of pixels above 0, [height, width] or \"none\"", shown(raw))
	}
	out.Fit = imageproc.Shorter
	var text string
	_ = json.Unmarshal(raw, &text) // of others it stays empty
	if raw[0] == '[' || strings.ContainsAny(text, "xX") || out.Resize.H != out.Resize.W {
		out.Fit = imageproc.Squash
	}
}

// isNone says whether a size is written as none: a 0 that is a number is a mistake, but for older
// versions' {"H": 0, "W": 0}.
func isNone(raw json.RawMessage) bool {
	return slices.Contains([]string{`"none"`, `"0"`}, string(raw)) || raw[0] == '{'
}

func (k *keys) fill(out *imageproc.Recipe) {
	var fill []int
	var one int
	if raw, ok := k.has["fill"]; ok && json.Unmarshal(raw, &one) == nil {
		fill = []int{one, one, one}
	} else if !k.into("fill", "[red, green, blue]", &fill) {
		return
	}
	if len(fill) != 3 || slices.ContainsFunc(fill, func(v int) bool { return v < 0 || v > 255 }) {
		k.refuse("fill", "is %v; it must be [red, green, blue] in 0 to 255", fill)
		return
	}
	for c, v := range fill {
		out.Fill[c] = uint8(v)
	}
}

// span reads "range": "0..1" or "0..255", and the number alone, which older versions wrote.
func (k *keys) span(out *imageproc.Recipe) {
	raw, ok := k.has["range"]
	if !ok {
		return
	}
	switch string(raw) {
	case `"0..1"`, "1":
		out.Range = 1
	case `"0..255"`, "255":
		out.Range = 255
	default:
		k.refuse("range", "is %s; it must be \"0..1\" or \"0..255\"", shown(raw))
	}
}

// keras is the arithmetic of keras.applications.imagenet_utils.preprocess_input.
func keras(out *imageproc.Recipe, mode string) error {
	out.BGR, out.Std = false, [3]float32{1, 1, 1}
	switch mode {
	case "caffe":
		out.BGR, out.Range, out.Mean = true, 255, [3]float32{103.939, 116.779, 123.68}
	case "tf":
		out.Range, out.Mean, out.Std = 255, [3]float32{127.5, 127.5, 127.5}, [3]float32{127.5, 127.5, 127.5}
	case "torch":
		out.Range, out.Mean, out.Std = 1, imageproc.ImageNetMean, imageproc.ImageNetStd
	default:
		return fmt.Errorf("key %q is %q; Keras' imagenet_utils has caffe, tf and torch", "mode", mode)
	}
	if out.Grey && mode != "tf" {
		return fmt.Errorf("key %q is %q, which is for three channels; the pictures have one", "mode", mode)
	}
	return nil
}

// filter is a filter as makers write it: torchvision's InterpolationMode.BICUBIC is bicubic.
func filter(f imageproc.Filter) imageproc.Filter {
	s := strings.ToLower(string(f))
	return imageproc.Filter(strings.TrimPrefix(s, "interpolationmode."))
}
