package main

import (
	"strconv"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"

	"github.com/spf13/cobra"
)

// addPixels declares the flags that say how pixels are prepared.
func (o *options) addPixels(cmd *cobra.Command) {
	addRecipe(cmd, &o.Model.Recipe, "named preprocessing")
	text(cmd, &o.Model.File, "preprocessing", "FILE",
		"file that says how pixels are made, as timm, Hugging Face, torchvision and reports write it (default: found beside the model)")
	ch := &o.Model.Changes
	declare(cmd, "resize", "SIZE", "",
		"shorter side in pixels, HEIGHTxWIDTH for both sides, or none", func(s string) error {
			ch.BothSides = strings.ContainsAny(s, "xX")
			return intoNew(&ch.Resize, imageproc.ParseSize)(s)
		})
	choose(cmd, &ch.Fit, "fit", "", "what --resize does",
		meaning[*imageproc.Fit]{"shorter\tkeeps the aspect ratio", new(imageproc.Shorter)},
		meaning[*imageproc.Fit]{"squash\tdoes not", new(imageproc.Squash)},
		meaning[*imageproc.Fit]{"cover\tkeeps it and covers the size", new(imageproc.Cover)},
		meaning[*imageproc.Fit]{"contain\tkeeps it and lies within the size", new(imageproc.Contain)})
	declare(cmd, "crop", "SIZE", "", "side of the centre crop in pixels, HEIGHTxWIDTH, or none", intoNew(&ch.Crop, imageproc.ParseSize))
	declare(cmd, "fill", "R,G,B", "", "colour around what is smaller than the crop, each 0 to 255", intoNew(&ch.Fill, fill))
	var filters []meaning[*imageproc.Filter]
	for _, f := range imageproc.Filters() {
		filters = append(filters, meaning[*imageproc.Filter]{string(f), &f})
	}
	choose(cmd, &ch.Interpolation, "interpolation", "", "filter for resizing", filters...)
	var backends []meaning[*imageproc.Backend]
	for _, b := range imageproc.Backends() {
		backends = append(backends, meaning[*imageproc.Backend]{b.String(), &b})
	}
	choose(cmd, &ch.Resizer, "resizer", "", "library whose arithmetic resizes", backends...)
	declare(cmd, "mean", "A,B,C", "", "mean of each channel, which is subtracted; one number is for all", intoNew(&ch.Mean, triple))
	declare(cmd, "std", "A,B,C", "", "standard deviation of each channel, which is divided by; one number is for all", intoNew(&ch.Std, positive))
	choose(cmd, &ch.Color, "color", "", "channels and their order",
		meaning[*evaluation.Color]{"rgb", new(evaluation.RGB)}, meaning[*evaluation.Color]{"bgr", new(evaluation.BGR)},
		meaning[*evaluation.Color]{"grey\tone channel", new(evaluation.Grey)})
	choose(cmd, &ch.Range, "range", "", "range of the samples before mean and std",
		meaning[*int]{"0..1", new(1)}, meaning[*int]{"0..255", new(255)})
	declare(cmd, "exif", "BOOL", "", "apply the orientation that EXIF gives", intoNew(&ch.Exif, truth))
	cmd.Flags().Lookup("exif").NoOptDefVal = "true"
}

func truth(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, refuse("%q is not true or false", s)
	}
	return v, nil
}

// fill reads a colour: "124,116,104", or one number for a grey.
func fill(s string) (v [3]uint8, err error) {
	parts := strings.Split(s, ",")
	if len(parts) == 1 {
		parts = []string{s, s, s}
	}
	if len(parts) != len(v) {
		return v, refuse("%q is not red, green and blue, separated by commas", s)
	}
	for i, p := range parts {
		x, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
		if err != nil {
			return v, refuse("%q is not a whole number from 0 to 255", strings.TrimSpace(p))
		}
		v[i] = uint8(x)
	}
	return v, nil
}
