package pixels

import (
	"fmt"
	"image"
	"math"
	"slices"

	"cutmix-eval/imageproc"
)

// variant is a recipe and what it changes, in words.
type variant struct {
	name   string
	recipe imageproc.Recipe
}

// scale is how samples of 0 to 255 become the numbers that a model takes: red, green, blue.
type scale struct {
	name      string
	top       int // of the range
	mean, std [3]float32
}

func same3(v float32) [3]float32 { return [3]float32{v, v, v} }

// scales are the usual ones, those that most models have first: of two that do equally well
// the first is taken.
var scales = []scale{
	{"0..1", 1, same3(0), same3(1)},
	{"0..255", 255, same3(0), same3(1)},
	{"ImageNet's mean and std", 1, imageproc.ImageNetMean, imageproc.ImageNetStd},
	{"-1..1", 1, same3(0.5), same3(0.5)},
	// Caffe's, and those of Keras' VGG and ResNet.
	{"0..255 less ImageNet's mean", 255, [3]float32{123.68, 116.779, 103.939}, same3(1)},
	{"CIFAR-10's mean and std", 1, [3]float32{0.4914, 0.4822, 0.4465}, [3]float32{0.2470, 0.2435, 0.2616}},
	// The mean of the images' own deviations, of which many tutorials make the std.
	{"CIFAR-10's mean and std of single images", 1, [3]float32{0.4914, 0.4822, 0.4465}, [3]float32{0.2023, 0.1994, 0.2010}},
	{"CIFAR-100's mean and std", 1, [3]float32{0.5071, 0.4867, 0.4408}, [3]float32{0.2675, 0.2565, 0.2761}},
	// OpenAI's CLIP.
	{"CLIP's mean and std", 1, [3]float32{0.48145466, 0.4578275, 0.40821073}, [3]float32{0.26862954, 0.26130258, 0.27577711}},
	{"MNIST's mean and std", 1, same3(0.1307), same3(0.3081)},
}

// greys are the scales of one channel; ImageNet's are the means over its three.
var greys = []scale{
	scales[0], scales[1], {"MNIST's mean and std", 1, same3(0.1307), same3(0.3081)}, scales[3],
	{"Fashion-MNIST's mean and std", 1, same3(0.2860), same3(0.3530)},
	{"ImageNet's mean and std", 1, same3(0.449), same3(0.226)},
}

// scaled are the other scales of r, in its order of the channels.
func scaled(r imageproc.Recipe) []variant {
	list := scales
	if r.Grey {
		list = greys
	}
	var out []variant
	for _, s := range list {
		v := r
		v.Range, v.Mean, v.Std = s.top, s.mean, s.std
		if r.BGR {
			v.Mean, v.Std = reversed(v.Mean), reversed(v.Std)
		}
		out = append(out, variant{s.name, v})
	}
	return out
}

func reversed(v [3]float32) [3]float32 { return [3]float32{v[2], v[1], v[0]} }

// apart are the variants whose samples lie further than nearly from those of present, and of the variants
// before them.
func apart(present imageproc.Recipe, variants []variant) []variant {
	// The statistics of ImageNet, CIFAR and CLIP are less than 0.15 of the range apart, which costs
	// a network a point or two.
	const nearly = 0.15
	before := []imageproc.Recipe{present}
	var out []variant
	for _, v := range variants {
		if slices.ContainsFunc(before, func(r imageproc.Recipe) bool { return distance(r, v.recipe) < nearly }) {
			continue
		}
		before, out = append(before, v.recipe), append(out, v)
	}
	return out
}

// distance is how far the smallest and the largest sample of two recipes lie from each other, at most, as a
// share of a's range.
func distance(a, b imageproc.Recipe) float64 {
	worst := 0.0
	for c := range 3 {
		low, high := ends(a, c)
		l, h := ends(b, c)
		worst = max(worst, math.Abs(low-l)/(high-low), math.Abs(high-h)/(high-low))
	}
	return worst
}

// ends are the smallest and the largest sample of a channel.
func ends(r imageproc.Recipe, c int) (low, high float64) {
	m, s := float64(r.Mean[c]), float64(r.Std[c])
	return -m / s, (float64(r.Range) - m) / s
}

// recoloured is r with red and blue exchanged: mean and std stay with their colours.
func recoloured(r imageproc.Recipe) []variant {
	if r.Grey {
		return nil
	}
	r.BGR, r.Mean, r.Std = !r.BGR, reversed(r.Mean), reversed(r.Std)
	if r.BGR {
		return []variant{{"BGR", r}}
	}
	return []variant{{"RGB", r}}
}

// fitted are the other ways to bring a picture to the size that the model sees.
func fitted(r imageproc.Recipe, size imageproc.Size) []variant {
	with := func(name string, fit imageproc.Fit, resize imageproc.Size) variant {
		v := r
		v.Fit, v.Resize, v.Crop = fit, resize, size
		return variant{name, v}
	}
	squash := with("squashed to "+size.String(), imageproc.Squash, size)
	if size.H != size.W {
		return []variant{squash, with("covering "+size.String()+", then cropped", imageproc.Cover, size)}
	}
	// int(224 / 0.875) = 256: torchvision's and timm's usual share of the crop.
	larger := size.H * 8 / 7
	return []variant{
		squash,
		with(fmt.Sprintf("shorter side %d, crop %d", size.H, size.H), imageproc.Shorter, size),
		with(fmt.Sprintf("shorter side %d, crop %d", larger, size.H), imageproc.Shorter, imageproc.Size{H: larger, W: larger}),
	}
}

// filtered are the other filters of the resize.
func filtered(r imageproc.Recipe) []variant {
	var out []variant
	for _, f := range []imageproc.Filter{imageproc.Bilinear, imageproc.Bicubic, imageproc.Nearest} {
		v := r
		v.Interpolation = f
		out = append(out, variant{string(f), v})
	}
	return out
}

// undos take back what a recipe changes: r as it is, but for one thing that is as in present.
var undos = []struct {
	name  string
	apply func(r, present imageproc.Recipe) imageproc.Recipe
}{
	{"filter as now", func(r, present imageproc.Recipe) imageproc.Recipe {
		r.Interpolation = present.Interpolation
		return r
	}},
	{"size as now", func(r, present imageproc.Recipe) imageproc.Recipe {
		r.Resize, r.Fit, r.Crop = present.Resize, present.Fit, present.Crop
		return r
	}},
	{"range, mean and std as now", func(r, present imageproc.Recipe) imageproc.Recipe {
		r.Range, r.Mean, r.Std = present.Range, present.Mean, present.Std
		if r.BGR != present.BGR {
			r.Mean, r.Std = reversed(r.Mean), reversed(r.Std)
		}
		return r
	}},
	{"order of the channels as now", func(r, present imageproc.Recipe) imageproc.Recipe {
		if r.BGR != present.BGR {
			r = recoloured(r)[0].recipe
		}
		return r
	}},
}

// equal says whether two recipes make the same tensors of pictures of these sizes, or nearly:
// range, mean and std may say the same in other units.
func equal(a, b imageproc.Recipe, sizes []image.Point) bool {
	if a.BGR != b.BGR || a.Grey != b.Grey {
		return false
	}
	if distance(a, b) > 1e-3 {
		return false
	}
	for _, s := range sizes {
		g := a.Geometry(s.X, s.Y)
		if g != b.Geometry(s.X, s.Y) {
			return false
		}
		resized := g.W != s.X || g.H != s.Y
		if resized && (a.Interpolation != b.Interpolation || a.Resizer != b.Resizer) {
			return false
		}
	}
	return true
}
