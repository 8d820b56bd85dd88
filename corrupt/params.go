package corrupt

import (
	"fmt"
	"slices"
	"strings"
)

// Name is a corruption.
type Name string

// The fifteen corruptions of the benchmark, in its order.
const (
	GaussianNoise    Name = "gaussian_noise"
	ShotNoise        Name = "shot_noise"
	ImpulseNoise     Name = "impulse_noise"
	DefocusBlur      Name = "defocus_blur"
	GlassBlur        Name = "glass_blur"
	MotionBlur       Name = "motion_blur"
	ZoomBlur         Name = "zoom_blur"
	Snow             Name = "snow"
	Frost            Name = "frost"
	Fog              Name = "fog"
	Brightness       Name = "brightness"
	Contrast         Name = "contrast"
	ElasticTransform Name = "elastic_transform"
	Pixelate         Name = "pixelate"
	JPEGCompression  Name = "jpeg_compression"
)

// The four that the benchmark keeps for validation.
const (
	SpeckleNoise Name = "speckle_noise"
	GaussianBlur Name = "gaussian_blur"
	Spatter      Name = "spatter"
	Saturate     Name = "saturate"
)

// Severities is how many severities a corruption has: 1 to Severities.
const Severities = 5

// Benchmark lists the fifteen corruptions that mCE is a mean over, Extra the four others.
func Benchmark() []Name {
	return []Name{GaussianNoise, ShotNoise, ImpulseNoise, DefocusBlur, GlassBlur, MotionBlur, ZoomBlur, Snow, Frost, Fog, Brightness, Contrast, ElasticTransform, Pixelate, JPEGCompression}
}

// Extra lists the four that are not part of mCE.
func Extra() []Name { return []Name{SpeckleNoise, GaussianBlur, Spatter, Saturate} }

// All lists the nineteen.
func All() []Name { return append(Benchmark(), Extra()...) }

// ParseName reads a corruption's name.
func ParseName(s string) (Name, error) {
	if slices.Contains(All(), Name(s)) {
		return Name(s), nil
	}
	var known []string
	for _, n := range All() {
		known = append(known, string(n))
	}
	return "", fmt.Errorf("corruption %q is not one of %s", s, strings.Join(known, ", "))
}

// Set is a set of severity parameters, by the image size that it was made for: 224, 299
// (Inception's inputs), 64 (Tiny-ImageNet and ImageNet 64 x 64) or 32 (CIFAR).
type Set int

// Sets lists the sets.
func Sets() []Set { return []Set{224, 299, 64, 32} }

// SetFor chooses the set for images of a size: that whose size is nearest in proportion.
func SetFor(w, h int) Set {
	switch side := min(w, h); {
	case side >= 259: // the geometric means of neighbours
		return 299
	case side >= 120:
		return 224
	case side >= 46:
		return 64
	}
	return 32
}

// parameters are those of one severity; what they mean, the corruptions say.
type parameters = [Severities][]float64

// each is a row of single numbers.
func each(v ...float64) parameters {
	return parameters{{v[0]}, {v[1]}, {v[2]}, {v[3]}, {v[4]}}
}

// with replaces the last number of every severity.
func with(p parameters, last ...float64) parameters {
	var out parameters
	for i, v := range p {
		out[i] = append(slices.Clone(v[:len(v)-1]), last[i])
	}
	return out
}

// scaled multiplies all numbers by k: elastic_transform's are in units of the side.
func scaled(k float64, p parameters) parameters {
	var out parameters
	for i, v := range p {
		for _, x := range v {
			out[i] = append(out[i], k*x)
		}
	}
	return out
}

// tables are the parameters of Hendrycks and Dietterich's scripts (ICLR 2019):
// make_imagenet_c.py, make_imagenet_c_inception.py, make_tinyimagenet_c.py and
// make_cifar_c.py.
var tables = func() map[Set]map[Name]parameters {
	snow224 := parameters{{.1, .3, 3, .5, 10, 4, .8}, {.2, .3, 2, .5, 12, 4, .7}, {.55, .3, 4, .9, 12, 8, .7}, {.55, .3, 4.5, .85, 12, 8, .65}, {.55, .3, 2.5, .85, 12, 12, .55}}
	snow64 := parameters{{.1, .2, 1, .6, 8, 3, .8}, {.1, .2, 1, .5, 10, 4, .8}, {.15, .3, 1.75, .55, 10, 4, .7}, {.25, .3, 2.25, .6, 12, 6, .65}, {.3, .3, 1.25, .65, 14, 12, .6}}
	frost224 := parameters{{1, .4}, {.8, .6}, {.7, .7}, {.65, .7}, {.6, .75}}
	elastic := parameters{{2, .7, .1}, {2, .08, .2}, {.05, .01, .02}, {.07, .01, .02}, {.12, .01, .02}}
	// zoom_blur: how many factors, the first being 1, and their step. numpy's arange includes
	// the end or not as rounding has it.
	zoom224 := parameters{{12, .01}, {16, .01}, {11, .02}, {13, .02}, {11, .03}}
	zoom64 := parameters{{7, .01}, {12, .01}, {16, .01}, {21, .01}, {26, .01}}
	saturate224 := parameters{{.3, 0}, {.1, 0}, {2, 0}, {5, .1}, {20, .2}}
	return map[Set]map[Name]parameters{
		224: {
			GaussianNoise: each(.08, .12, .18, .26, .38), ShotNoise: each(60, 25, 12, 5, 3), ImpulseNoise: each(.03, .06, .09, .17, .27),
			DefocusBlur: {{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}}, GlassBlur: {{.7, 1, 2}, {.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}},
			MotionBlur: {{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}, ZoomBlur: zoom224, Snow: snow224, Frost: frost224,
			Fog: {{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}}, Brightness: each(.1, .2, .3, .4, .5), Contrast: each(.4, .3, .2, .1, .05),
			ElasticTransform: scaled(244, elastic), Pixelate: each(.6, .5, .4, .3, .25), JPEGCompression: each(25, 18, 15, 10, 7),
			SpeckleNoise: each(.15, .2, .35, .45, .6), GaussianBlur: each(1, 2, 3, 4, 6),
			Spatter:  {{.65, .3, 4, .69, .6, 0}, {.65, .3, 3, .68, .6, 0}, {.65, .3, 2, .68, .5, 0}, {.65, .3, 1, .65, 1.5, 1}, {.67, .4, 1, .65, 1.5, 1}},
			Saturate: saturate224,
		},
		299: {
			GaussianNoise: each(.09, .13, .19, .27, .40), ShotNoise: each(50, 20, 10, 5, 3), ImpulseNoise: each(.04, .07, .10, .18, .28),
			DefocusBlur: {{4, .1}, {5, .5}, {7, .5}, {10, .5}, {12, .5}}, GlassBlur: {{.8, 1, 3}, {1, 3, 1}, {1.1, 2, 4}, {1.2, 4, 2}, {1.6, 5, 2}},
			MotionBlur: {{12, 4}, {17, 6}, {17, 9}, {17, 13}, {22, 16}}, ZoomBlur: zoom224, Snow: snow224, Frost: frost224,
			Fog: {{1.5, 2}, {2, 2}, {2.5, 1.8}, {2.5, 1.6}, {3, 1.5}}, Brightness: each(.1, .2, .3, .4, .5), Contrast: each(.4, .3, .2, .1, .05),
			ElasticTransform: scaled(360, elastic), Pixelate: each(.5, .4, .3, .25, .2), JPEGCompression: each(23, 16, 13, 8, 5),
			SpeckleNoise: each(.16, .21, .36, .46, .61), GaussianBlur: each(1.5, 2.5, 3.5, 4.5, 6.5),
			Spatter:  {{.65, .3, 4, .69, .9, 0}, {.65, .3, 3.5, .68, .9, 0}, {.65, .3, 3, .68, .8, 0}, {.65, .3, 1.2, .65, 1.8, 1}, {.67, .4, 1.2, .65, 1.8, 1}},
			Saturate: saturate224,
		},
		64: {
			GaussianNoise: each(.04, .08, .12, .15, .18), ShotNoise: each(250, 100, 50, 30, 15), ImpulseNoise: each(.01, .02, .05, .08, .14),
			DefocusBlur: {{.5, .6}, {1, .1}, {1.5, .1}, {2.5, .01}, {3, .1}}, GlassBlur: {{.1, 1, 1}, {.5, 1, 1}, {.6, 1, 2}, {.7, 2, 1}, {.9, 2, 2}},
			MotionBlur: {{10, 1}, {10, 1.5}, {10, 2}, {10, 2.5}, {12, 3}}, ZoomBlur: zoom64, Snow: snow64, Frost: {{1, .3}, {.9, .4}, {.8, .45}, {.75, .5}, {.7, .55}},
			Fog: {{.4, 3}, {.7, 3}, {1, 2.5}, {1.5, 2}, {2, 1.75}}, Brightness: each(.1, .2, .3, .4, .5), Contrast: each(.4, .3, .2, .1, .05),
			ElasticTransform: scaled(64, parameters{{0, 0, .08}, {.05, .3, .06}, {.1, .08, .06}, {.1, .03, .03}, {.16, .03, .02}}),
			Pixelate:         each(.9, .8, .7, .6, .5), JPEGCompression: each(65, 58, 50, 40, 25),
			SpeckleNoise: each(.15, .2, .25, .3, .35), GaussianBlur: each(.5, .75, 1, 1.25, 1.5),
			Spatter:  {{.62, .1, .7, .7, .6, 0}, {.65, .1, .8, .7, .6, 0}, {.65, .3, 1, .69, .6, 0}, {.65, .1, .7, .68, .6, 1}, {.65, .1, .5, .67, .6, 1}},
			Saturate: {{.3, 0}, {.1, 0}, {2, 0}, {5, .1}, {30, .2}},
		},
		32: {
			GaussianNoise: each(.04, .06, .08, .09, .10), ShotNoise: each(500, 250, 100, 75, 50), ImpulseNoise: each(.01, .02, .03, .05, .07),
			DefocusBlur: {{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}}, GlassBlur: {{.05, 1, 1}, {.25, 1, 1}, {.4, 1, 1}, {.25, 1, 2}, {.4, 1, 2}},
			MotionBlur: {{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}, ZoomBlur: zoom64, Snow: with(snow64, .95, .9, .9, .85, .8),
			Frost: {{1, .2}, {1, .3}, {.9, .4}, {.85, .4}, {.75, .45}},
			Fog:   {{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}}, Brightness: each(.05, .1, .15, .2, .3), Contrast: each(.75, .5, .4, .3, .15),
			ElasticTransform: scaled(32, parameters{{0, 0, .08}, {.05, .2, .07}, {.08, .06, .06}, {.1, .04, .05}, {.1, .03, .03}}),
			Pixelate:         each(.95, .9, .85, .75, .65), JPEGCompression: each(80, 65, 58, 50, 40),
			SpeckleNoise: each(.06, .1, .12, .16, .2), GaussianBlur: each(.4, .6, .7, .8, 1),
			Spatter:  {{.62, .1, .7, .7, .5, 0}, {.65, .1, .8, .7, .5, 0}, {.65, .3, 1, .69, .5, 0}, {.65, .1, .7, .69, .6, 1}, {.65, .1, .5, .68, .6, 1}},
			Saturate: {{.3, 0}, {.1, 0}, {1.5, 0}, {2, .1}, {2.5, .2}},
		},
	}
}()
