package imageproc

import (
	"fmt"
	"image"
	"math"
)

// Transform applies a recipe. It keeps buffers; use one per goroutine.
type Transform struct {
	recipe     Recipe
	resizer    Resizer
	opencv     openCV
	tensorflow tensorFlow
	oneChannel []byte // the picture in grey
	rounded    []byte // what TensorFlow made
	padded     []byte
	paddedF    []float32
	lut        [3][256]float32 // by channel of the output
	source     [3]int          // which of R, G, B an output channel is
	fill       [3]byte         // red, green, blue
}

// NewTransform prepares the recipe, which must be valid.
func NewTransform(r Recipe) (*Transform, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	t := &Transform{recipe: r, source: [3]int{0, 1, 2}, fill: r.Fill}
	if r.BGR {
		t.source = [3]int{2, 1, 0}
	}
	if r.Grey {
		v := r.Resizer.luma().of(r.Fill[0], r.Fill[1], r.Fill[2])
		t.fill = [3]byte{v, v, v}
	}
	for c := range 3 {
		for i := range 256 {
			t.lut[c][i] = r.normalise(float32(i), c)
		}
	}
	return t, nil
}

// normalise is ToTensor and Normalize: float32, each step rounded. v is in 0..255.
func (r *Recipe) normalise(v float32, channel int) float32 {
	if r.Range == 1 {
		v /= 255
	}
	v = float32(v - r.Mean[channel])
	return v / r.Std[channel]
}

// Pixels returns the 8-bit image after resize and crop; of a recipe with one channel all three
// are equal, and what TensorFlow leaves unrounded is rounded. It is valid until the next call and
// may share img's memory. It fails when an image is so long for its width that the resized one
// would have more than 65536 pixels a side.
func (t *Transform) Pixels(img Image) (Image, error) {
	g, img, err := t.prepare(img)
	if err != nil {
		return Image{}, err
	}
	win := t.window(img, g)
	if win.W == g.CropW && win.H == g.CropH {
		return win, nil
	}
	out := grow(&t.padded, g.CropW, g.CropH)
	l, tp, _, _ := g.visible()
	paint(out.Pix, t.fill)
	for y := range win.H {
		copy(out.Pix[((y+tp-g.Top)*out.W+l-g.Left)*3:], win.Pix[y*win.W*3:(y+1)*win.W*3])
	}
	return out, nil
}

// window is the visible part of img, resized.
func (t *Transform) window(img Image, g Geometry) Image {
	l, tp, w, h := g.visible()
	switch t.recipe.Resizer {
	case OpenCV:
		return t.opencv.window(img, g.W, g.H, l, tp, w, h, t.recipe.Interpolation, t.recipe.Grey)
	case TensorFlow:
		f := t.tensorflow.window(img, g.W, g.H, l, tp, w, h, t.recipe.Interpolation)
		out := grow(&t.rounded, w, h)
		for i, v := range f.Pix {
			out.Pix[i] = saturate(roundToEven(v))
		}
		return out
	}
	return t.resizer.Window(img, g.W, g.H, l, tp, w, h, t.recipe.Interpolation)
}

// samples is Pixels of a recipe whose resizer is TensorFlow, before rounding.
func (t *Transform) samples(img Image) (floats, error) {
	g, img, err := t.prepare(img)
	if err != nil {
		return floats{}, err
	}
	l, tp, w, h := g.visible()
	win := t.tensorflow.window(img, g.W, g.H, l, tp, w, h, t.recipe.Interpolation)
	if win.W == g.CropW && win.H == g.CropH {
		return win, nil
	}
	if n := 3 * g.CropW * g.CropH; cap(t.paddedF) < n {
		t.paddedF = make([]float32, n)
	}
	out := floats{W: g.CropW, H: g.CropH, Pix: t.paddedF[:3*g.CropW*g.CropH]}
	paint(out.Pix, [3]float32{float32(t.fill[0]), float32(t.fill[1]), float32(t.fill[2])})
	for y := range win.H {
		copy(out.Pix[((y+tp-g.Top)*out.W+l-g.Left)*3:], win.Pix[y*win.W*3:(y+1)*win.W*3])
	}
	return out, nil
}

// paint fills pixels with one colour.
func paint[T byte | float32](pix []T, colour [3]T) {
	if colour == [3]T{} {
		clear(pix)
		return
	}
	for i := 0; i+2 < len(pix); i += 3 {
		copy(pix[i:], colour[:])
	}
}

// prepare says where the pixels of img go, and makes img grey where the recipe wants that.
func (t *Transform) prepare(img Image) (Geometry, Image, error) {
	g := t.recipe.Geometry(img.W, img.H)
	if g.excessive() {
		return g, img, fmt.Errorf("resizing %d x %d to %d x %d: too long for its width", img.W, img.H, g.W, g.H)
	}
	if t.recipe.Grey {
		img = t.recipe.Resizer.luma().grey(&t.oneChannel, img, t.Window(img.W, img.H))
	}
	return g, img, nil
}

// Resize returns img resized to w x h by the recipe's resizer and filter, in grey where the recipe
// is, without its geometry. It is valid until the next call and may share img's memory.
func (t *Transform) Resize(img Image, w, h int) Image {
	if t.recipe.Grey {
		img = t.recipe.Resizer.luma().grey(&t.oneChannel, img, image.Rect(0, 0, img.W, img.H))
	}
	return t.window(img, Geometry{W: w, H: h, CropW: w, CropH: h})
}

// Window is the part of a w x h image that Pixels and Apply look at, for
// Decoder.DecodeWindow.
func (t *Transform) Window(w, h int) image.Rectangle {
	g := t.recipe.Geometry(w, h)
	if g.excessive() {
		return image.Rect(0, 0, w, h)
	}
	l, tp, cw, ch := g.visible()
	switch t.recipe.Resizer {
	case OpenCV:
		return t.opencv.source(w, h, g.W, g.H, l, tp, cw, ch, t.recipe.Interpolation)
	case TensorFlow:
		return t.tensorflow.source(w, h, g.W, g.H, l, tp, cw, ch, t.recipe.Interpolation)
	}
	return t.resizer.source(w, h, g.W, g.H, l, tp, cw, ch, t.recipe.Interpolation)
}

// Geometry says where the pixels of a w x h image go: it is resized to W x H,
// then the window CropW x CropH at (Left, Top) is taken; the offset is negative
// where the window is larger than the image (a border of Recipe.Fill).
type Geometry struct{ W, H, Left, Top, CropW, CropH int }

// visible is the part of the crop that lies in the resized image.
func (g Geometry) visible() (left, top, w, h int) {
	left, top = max(g.Left, 0), max(g.Top, 0)
	return left, top, min(g.Left+g.CropW, g.W) - left, min(g.Top+g.CropH, g.H) - top
}

func (g Geometry) excessive() bool { return g.W > 4*maxSide || g.H > 4*maxSide }

// Geometry computes sizes and offsets for a w x h image: torchvision's, or timm's of Cover and
// Contain. With the other backends it is what people write beside them: the offset of the crop
// is rounded down (slices in Python, tf.image.resize_with_crop_or_pad); with OpenCV the sides
// of Cover and Contain are multiplied by a scale (PaddleClas' ResizeImage, Ultralytics'
// LetterBox) where timm divides by a ratio; with TensorFlow Contain is tf.image.resize_with_pad.
func (r Recipe) Geometry(w, h int) Geometry {
	g := Geometry{W: w, H: h}
	if r.Resize != (Size{}) {
		switch {
		case r.Fit == Squash:
			g.W, g.H = r.Resize.W, r.Resize.H
		case r.Fit == Cover || r.Fit == Contain:
			g.W, g.H = r.keepRatio(w, h)
		case w <= h:
			g.W, g.H = r.Resize.H, longSide(r.Resize.H, h, w)
		default:
			g.W, g.H = longSide(r.Resize.H, w, h), r.Resize.H
		}
	}
	g.CropW, g.CropH = g.W, g.H
	if r.Crop != (Size{}) {
		g.CropW, g.CropH = r.Crop.W, r.Crop.H
		g.Left, g.Top = r.centre(g.W, r.Crop.W), r.centre(g.H, r.Crop.H)
		if r.Resizer == TensorFlow && r.Fit == Contain && r.Crop == r.Resize {
			fw, fh := r.padded(w, h) // the border is of sizes that are not rounded yet
			g.Left, g.Top = -int((float32(r.Crop.W)-fw)/2), -int((float32(r.Crop.H)-fh)/2)
		}
	}
	return g
}

// padded is the size to which tf.image.resize_with_pad resizes, before it is rounded down.
func (r Recipe) padded(w, h int) (fw, fh float32) {
	ratio := max(float32(w)/float32(r.Resize.W), float32(h)/float32(r.Resize.H))
	return float32(w) / ratio, float32(h) / ratio
}

func longSide(size, long, short int) int { return int(float64(size*long) / float64(short)) }

// keepRatio is the size to which Cover and Contain resize.
func (r Recipe) keepRatio(w, h int) (int, int) {
	round := func(side float64) int { return max(1, int(math.RoundToEven(side))) }
	if r.Resizer == TensorFlow && r.Fit == Contain {
		fw, fh := r.padded(w, h)
		return max(1, int(fw)), max(1, int(fh))
	}
	if r.Resizer == OpenCV {
		scale := float64(r.Resize.H) / float64(h)
		if other := float64(r.Resize.W) / float64(w); (other > scale) == (r.Fit == Cover) {
			scale = other
		}
		return round(float64(w) * scale), round(float64(h) * scale)
	}
	ratio := float64(h) / float64(r.Resize.H)
	if other := float64(w) / float64(r.Resize.W); (other < ratio) == (r.Fit == Cover) {
		ratio = other
	}
	return round(float64(w) / ratio), round(float64(h) / ratio)
}

// centre is torchvision's crop offset: half the difference, rounded half to even (of the other
// backends down); or, negative, the border before an image that is too small.
func (r Recipe) centre(have, want int) int {
	switch {
	case want > have:
		return -((want - have) / 2)
	case r.Resizer != Pillow:
		return (have - want) / 2
	}
	return int(math.RoundToEven(float64(have-want) / 2))
}

// Apply writes the tensor of img to dst, which must have exactly the size of
// the recipe's output: Channels()*H*W values in the recipe's layout.
func (t *Transform) Apply(img Image, dst []float32) error {
	if t.recipe.Resizer == TensorFlow {
		return t.applySamples(img, dst)
	}
	p, err := t.Pixels(img)
	if err != nil {
		return err
	}
	n := p.W * p.H
	if err := t.fits(p.W, p.H, dst); err != nil {
		return err
	}
	if t.recipe.Layout == NHWC && !t.recipe.Grey {
		for i := range n {
			px, o := p.Pix[3*i:3*i+3:3*i+3], dst[3*i:3*i+3:3*i+3]
			for c, s := range t.source {
				o[c] = t.lut[c][px[s]]
			}
		}
		return nil
	}
	for c, s := range t.source[:t.recipe.Channels()] {
		lut, o := &t.lut[c], dst[c*n:(c+1)*n]
		px := p.Pix[s:]
		for i := range o {
			o[i] = lut[px[3*i]]
		}
	}
	return nil
}

// applySamples is Apply of a recipe whose resizer is TensorFlow.
func (t *Transform) applySamples(img Image, dst []float32) error {
	f, err := t.samples(img)
	if err != nil {
		return err
	}
	if err := t.fits(f.W, f.H, dst); err != nil {
		return err
	}
	n := f.W * f.H
	for c, s := range t.source[:t.recipe.Channels()] {
		at, step := t.order(c, n)
		for i := range n {
			dst[at+i*step] = t.recipe.normalise(f.Pix[3*i+s], c)
		}
	}
	return nil
}

// fits checks that dst is the tensor of w x h pixels.
func (t *Transform) fits(w, h int, dst []float32) error {
	if n := t.recipe.Channels(); len(dst) != n*w*h {
		return fmt.Errorf("the recipe makes a tensor of %d x %d x %d values, the model takes %d", n, h, w, len(dst))
	}
	return nil
}

// order is where the first of a channel's n values lies in the tensor, and how far it is from
// one to the next.
func (t *Transform) order(channel, n int) (at, step int) {
	if t.recipe.Layout == NHWC {
		return channel, t.recipe.Channels()
	}
	return channel * n, 1
}
