package pixels

import (
	"fmt"
	"strconv"
	"strings"

	"cutmix-eval/imageproc"
)

// Flags are the flags of the command line that say all of a recipe, whatever the model says of
// itself: typed over any other recipe, they give this one. The layout is not among them, since
// the graph decides it.
func Flags(r imageproc.Recipe) string {
	var flags []string
	add := func(name, value string) { flags = append(flags, "--"+name+" "+value) }
	add("resize", r.Resize.String())
	if r.Resize != (imageproc.Size{}) {
		add("fit", string(r.Fit))
		add("interpolation", string(r.Interpolation))
	}
	add("crop", r.Crop.String())
	if r.Fill != [3]uint8{} {
		add("fill", fmt.Sprintf("%d,%d,%d", r.Fill[0], r.Fill[1], r.Fill[2]))
	}
	if r.Resizer != imageproc.Pillow {
		add("resizer", r.Resizer.String())
	}
	if r.Exif {
		flags = append(flags, "--exif")
	}
	mean, std := triple(r.Mean), triple(r.Std)
	switch {
	case r.Grey:
		mean, std = decimal(r.Mean[0]), decimal(r.Std[0])
		add("color", "grey")
	case r.BGR:
		add("color", "bgr")
	default:
		add("color", "rgb")
	}
	add("range", fmt.Sprintf("0..%d", r.Range))
	add("mean", mean)
	add("std", std)
	return strings.Join(flags, " ")
}

func triple(v [3]float32) string {
	return decimal(v[0]) + "," + decimal(v[1]) + "," + decimal(v[2])
}

// decimal is the shortest number that is read as v again.
func decimal(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) }
