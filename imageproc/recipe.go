package imageproc

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Size is a height and a width in pixels; the zero value means "leave as is".
type Size struct{ H, W int }

func (s Size) String() string {
	switch {
	case s == Size{}:
		return "none"
	case s.H == s.W:
		return strconv.Itoa(s.H)
	}
	return fmt.Sprintf("%dx%d", s.H, s.W)
}

// ParseSize reads "224", "224x320" (height x width) or "none".
func ParseSize(s string) (Size, error) {
	if s == "none" || s == "0" {
		return Size{}, nil
	}
	hs, ws, two := strings.Cut(strings.ToLower(s), "x")
	h, err := strconv.Atoi(hs)
	w := h
	if err == nil && two {
		w, err = strconv.Atoi(ws)
	}
	if err != nil || h <= 0 || w <= 0 || h > maxSide || w > maxSide {
		return Size{}, fmt.Errorf("size %q is not a number of pixels (1 to %d), HEIGHTxWIDTH, or none", s, maxSide)
	}
	return Size{h, w}, nil
}

// maxSide bounds the sides of what a recipe may produce.
const maxSide = 16384

// Fit says how Resize is meant.
type Fit string

const (
	// Shorter scales the shorter side to the given length and keeps the aspect
	// ratio; the longer side becomes int(size*long/short), truncated
	// (torchvision's Resize with one number).
	Shorter Fit = "shorter"
	// Squash scales both sides, whatever the aspect ratio (torchvision's
	// Resize with two numbers).
	Squash Fit = "squash"
	// Cover keeps the aspect ratio and makes the image just cover Resize; the other side is
	// rounded half to even (timm's ResizeKeepRatio, crop_mode center of inputs that are not
	// square; PaddleClas' resize_short).
	Cover Fit = "cover"
	// Contain keeps the aspect ratio and makes the image just fit into Resize, rounded as
	// Cover; with a crop of that size the rest is filled (letterbox, timm's crop_mode border).
	Contain Fit = "contain"
)

// Fits lists the ways to resize.
func Fits() []Fit { return []Fit{Shorter, Squash, Cover, Contain} }

// Backend is the library whose arithmetic resizes. It also decides how the offset of the crop is
// rounded (Geometry) and how a picture becomes grey.
type Backend string

// The backends. The zero value is Pillow.
const (
	Pillow Backend = ""
	// OpenCV is cv2.resize of 8-bit images, byte for byte. Builds of OpenCV with Intel's IPP, as
	// the wheels for x86 are, may leave bicubic and lanczos to it, whose rounding is its own.
	OpenCV Backend = "opencv"
	// TensorFlow is tf.image.resize without antialiasing: half-pixel centres, float32 results
	// that are normalised without being rounded to bytes.
	TensorFlow Backend = "tensorflow"
)

// Backends lists the backends.
func Backends() []Backend { return []Backend{Pillow, OpenCV, TensorFlow} }

func (b Backend) String() string { return cmp.Or(string(b), "pillow") }

// ParseBackend reads a backend's name.
func ParseBackend(s string) (Backend, error) {
	for _, b := range Backends() {
		if b.String() == s {
			return b, nil
		}
	}
	return "", fmt.Errorf("resizer %q is not one of pillow, opencv, tensorflow", s)
}

// Layout is the axis order of the tensor.
type Layout string

// The layouts: N is the image, C the channel, H the row, W the column.
const (
	NCHW Layout = "NCHW"
	NHWC Layout = "NHWC"
)

// Recipe is everything that lies between the decoded image and the tensor.
type Recipe struct {
	Resize        Size // Shorter uses H
	Fit           Fit
	Interpolation Filter
	Resizer       Backend
	Crop          Size       // centre crop, padded with Fill where the image is smaller
	Fill          [3]uint8   // red, green, blue
	Range         int        // largest value of a sample before Mean and Std: 1 or 255
	Mean          [3]float32 // subtracted, in units of Range, in the order of the channels
	Std           [3]float32 // divided by, likewise
	BGR           bool       // order of the channels: blue first
	// Grey makes one channel, before the resize, as Pillow's convert("L") does, or with OpenCV
	// as cv2.cvtColor; Mean and Std then hold one value three times.
	Grey   bool
	Exif   bool // the orientation that EXIF gives is applied
	Layout Layout
}

// Channels is the number of channels of the tensor: 1 or 3.
func (r Recipe) Channels() int {
	if r.Grey {
		return 1
	}
	return 3
}

// ImageNet's channel statistics for samples in 0..1, as torchvision has them.
var (
	ImageNetMean = [3]float32{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float32{0.229, 0.224, 0.225}
)

// Standard is torchvision's evaluation recipe for ImageNet: shorter side 256,
// bilinear, centre crop 224, ImageNet statistics.
func Standard() Recipe {
	return Recipe{
		Resize: Size{256, 256}, Fit: Shorter, Interpolation: Bilinear, Crop: Size{224, 224},
		Range: 1, Mean: ImageNetMean, Std: ImageNetStd, Layout: NCHW,
	}
}

// Named recipes, in the order in which help lists them.
var named = []struct {
	name, about string
	make        func() Recipe
}{
	{"imagenet", "resize 256 bilinear, crop 224 (torchvision V1 weights, CutMix-PyTorch)", Standard},
	{"imagenet-v2", "resize 232 bilinear, crop 224 (torchvision V2 weights)", func() Recipe {
		r := Standard()
		r.Resize = Size{232, 232}
		return r
	}},
	{"timm-0.875", "resize 256 bicubic, crop 224 (timm, crop_pct 0.875)", func() Recipe {
		r := Standard()
		r.Interpolation = Bicubic
		return r
	}},
	{"timm-0.95", "resize 235 bicubic, crop 224 (timm, crop_pct 0.95)", func() Recipe {
		r := Standard()
		r.Interpolation, r.Resize = Bicubic, Size{235, 235}
		return r
	}},
	{"imagenet-224", "no resize, crop 224 (data that is cropped already, as ImageNet-C)", func() Recipe {
		r := Standard()
		r.Resize = Size{}
		return r
	}},
	{"cifar10", "32 x 32, CIFAR-10 statistics", func() Recipe {
		r := Standard()
		r.Resize, r.Crop = Size{32, 32}, Size{32, 32}
		r.Mean, r.Std = [3]float32{0.4914, 0.4822, 0.4465}, [3]float32{0.2470, 0.2435, 0.2616}
		return r
	}},
	{"cifar100", "32 x 32, CIFAR-100 statistics", func() Recipe {
		r := Standard()
		r.Resize, r.Crop = Size{32, 32}, Size{32, 32}
		r.Mean, r.Std = [3]float32{0.5071, 0.4867, 0.4408}, [3]float32{0.2675, 0.2565, 0.2761}
		return r
	}},
	{"mlperf-resnet50", "OpenCV area 256, crop 224, 0..255 minus means (MLPerf inference)", mlperfResNet50},
	{"paddleclas", "OpenCV bilinear 256, crop 224, ImageNet statistics (PaddleClas)", paddleClas},
	{"keras-caffe", "squash 224 nearest, BGR 0..255 minus means (Keras, mode caffe: VGG, ResNet)", kerasCaffe},
	{"keras-tf", "squash 224 nearest, samples -1..1 (Keras, mode tf: MobileNet, ResNetV2, NASNet)", kerasTF},
	{"keras-torch", "squash 224 nearest, ImageNet statistics (Keras, mode torch: DenseNet)", keras},
	{"raw", "no resize, no crop, samples 0..1", func() Recipe {
		return Recipe{Fit: Shorter, Interpolation: Bilinear, Range: 1, Std: [3]float32{1, 1, 1}, Layout: NCHW}
	}},
}

// RecipeNames lists the named recipes with a line about each.
func RecipeNames() [][2]string {
	out := make([][2]string, len(named))
	for i, n := range named {
		out[i] = [2]string{n.name, n.about}
	}
	return out
}

// NamedRecipe returns the recipe of that name.
func NamedRecipe(name string) (Recipe, error) {
	var names []string
	for _, n := range named {
		if n.name == name {
			return n.make(), nil
		}
		names = append(names, n.name)
	}
	return Recipe{}, fmt.Errorf("recipe %q is not one of %s", name, strings.Join(names, ", "))
}

// Validate says what in the recipe makes no sense.
func (r Recipe) Validate() error {
	switch {
	case r.Range != 1 && r.Range != 255:
		return fmt.Errorf("range 0..%d: it must be 0..1 or 0..255", r.Range)
	case !slices.Contains(Fits(), r.Fit):
		return fmt.Errorf("fit %q is not one of shorter, squash, cover, contain", r.Fit)
	case r.Grey && (r.Mean[0] != r.Mean[1] || r.Mean[0] != r.Mean[2] || r.Std[0] != r.Std[1] || r.Std[0] != r.Std[2]):
		return fmt.Errorf("mean %s and std %s are of three channels; of one channel give one value each", triple(r.Mean), triple(r.Std))
	case r.Grey && r.BGR:
		return errors.New("one channel has no order of colours")
	case r.Layout != NCHW && r.Layout != NHWC:
		return fmt.Errorf("layout %q is not one of NCHW, NHWC", r.Layout)
	}
	if _, err := ParseFilter(string(r.Interpolation)); err != nil {
		return err
	}
	if _, err := ParseBackend(r.Resizer.String()); err != nil {
		return err
	}
	if has := r.Resizer.Filters(); !slices.Contains(has, r.Interpolation) {
		return fmt.Errorf("resizer %s has no interpolation %s, as %s has; it has %s",
			r.Resizer, r.Interpolation, strings.Join(r.Interpolation.backends(), " or "), names(has))
	}
	for _, s := range []Size{r.Resize, r.Crop} {
		if s.H < 0 || s.W < 0 || s.H > maxSide || s.W > maxSide || (s.H == 0) != (s.W == 0) {
			return fmt.Errorf("size %dx%d", s.H, s.W)
		}
	}
	for c := range 3 {
		m, s := float64(r.Mean[c]), float64(r.Std[c])
		if math.IsNaN(m) || math.IsInf(m, 0) || math.IsNaN(s) || math.IsInf(s, 0) {
			return errors.New("mean and std must be finite")
		}
		if s <= 0 {
			return fmt.Errorf("std %v is not above 0", r.Std[c])
		}
	}
	return nil
}

// Fixed returns the size of the tensor and whether the recipe fixes it.
func (r Recipe) Fixed() (Size, bool) {
	switch {
	case r.Crop != Size{}:
		return r.Crop, true
	case r.Fit == Squash && r.Resize != Size{}:
		return r.Resize, true
	}
	return Size{}, false
}

// Fits says why what the recipe makes of a w x h picture is not of the size that a model takes; nil
// where it is. Where the recipe fixes the size, it is known without pictures.
func (r Recipe) Fits(w, h int, want Size) error {
	g := r.Geometry(w, h)
	switch {
	case g.CropW == want.W && g.CropH == want.H:
		return nil
	case r.Resize == Size{} && r.Crop == Size{}:
		return fmt.Errorf("it has %d x %d pixels (height x width), the model takes %d x %d, and the preprocessing does not resize (do_resize is false, or there is no resize): give --resize %dx%d",
			h, w, want.H, want.W, want.H, want.W)
	}
	return fmt.Errorf("the preprocessing makes it %d x %d pixels (height x width), and the model takes %d x %d: give --crop %dx%d",
		g.CropH, g.CropW, want.H, want.W, want.H, want.W)
}

// String is one line for people.
func (r Recipe) String() string {
	var b strings.Builder
	if r.Resize == (Size{}) {
		b.WriteString("no resize")
	} else {
		fit := ""
		if r.Fit != Shorter {
			fit = string(r.Fit) + " "
		}
		fmt.Fprintf(&b, "resize %s%s %s", fit, r.Resize, r.Interpolation)
		if r.Resizer != Pillow {
			fmt.Fprintf(&b, " as %s", r.Resizer)
		}
	}
	if r.Crop != (Size{}) {
		fmt.Fprintf(&b, ", crop %s", r.Crop)
		if r.Fill != [3]uint8{} {
			fmt.Fprintf(&b, " filled with %d,%d,%d", r.Fill[0], r.Fill[1], r.Fill[2])
		}
	}
	if r.Exif {
		b.WriteString(", EXIF orientation applied")
	}
	colour, mean, std := "RGB", triple(r.Mean), triple(r.Std)
	switch {
	case r.BGR:
		colour = "BGR"
	case r.Grey:
		colour, mean, std = "grey", fmt.Sprint(r.Mean[0]), fmt.Sprint(r.Std[0])
	}
	fmt.Fprintf(&b, ", %s 0..%d, mean %s, std %s, %s", colour, r.Range, mean, std, r.Layout)
	return b.String()
}

func triple(v [3]float32) string { return fmt.Sprintf("%v,%v,%v", v[0], v[1], v[2]) }

// Fingerprint identifies everything that decides the tensor's values: the
// recipe and the decoder. Equal fingerprints mean equal tensors for equal files.
func (r Recipe) Fingerprint() string {
	type size struct{ H, W int }
	// Run directories hold fingerprints of this form: it stays, and what is added is left out
	// where it is not used.
	data, err := json.Marshal(struct {
		Resize        size       `json:"resize"`
		Fit           Fit        `json:"fit"`
		Interpolation Filter     `json:"interpolation"`
		Crop          size       `json:"crop"`
		Range         int        `json:"range"`
		Mean          [3]float32 `json:"mean"`
		Std           [3]float32 `json:"std"`
		BGR           bool       `json:"bgr"`
		Layout        Layout     `json:"layout"`
		Resizer       Backend    `json:"resizer,omitempty"`
		Fill          [3]uint8   `json:"fill,omitzero"`
		Grey          bool       `json:"grey,omitempty"`
		Exif          bool       `json:"exif,omitempty"`
	}{size(r.Resize), r.Fit, r.Interpolation, size(r.Crop), r.Range, r.Mean, r.Std, r.BGR, r.Layout, r.Resizer, r.Fill, r.Grey, r.Exif})
	if err != nil {
		panic("imageproc: recipe does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(append(data, DecoderName...))
	return hex.EncodeToString(sum[:8])
}
