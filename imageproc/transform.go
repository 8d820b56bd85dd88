package imageproc

import (
	"fmt"
	"image"
	"math"
)

// Transform applies a recipe. It keeps buffers; use one per goroutine.
type Transform struct {
	recipe  Recipe
	resizer Resizer
	padded  []byte
	lut     [3][256]float32 // by channel of the output
	source  [3]int          // which of R, G, B an output channel is
}

// NewTransform prepares the recipe, which must be valid.
func NewTransform(r Recipe) (*Transform, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	t := &Transform{recipe: r, source: [3]int{0, 1, 2}}
	if r.BGR {
		t.source = [3]int{2, 1, 0}
	}
	for c := range 3 {
		for i := range 256 {
			// ToTensor and Normalize: float32, each step rounded.
			v := float32(i)
			if r.Range == 1 {
				v /= 255
			}
			v = float32(v - r.Mean[c])
			t.lut[c][i] = v / r.Std[c]
		}
	}
	return t, nil
}

// Pixels returns the 8-bit image after resize and crop. It is valid until the
// next call and may share img's memory. It fails when an image is so long for its
// width that the resized one would have more than 65536 pixels a side.
func (t *Transform) Pixels(img Image) (Image, error) {
	g := t.recipe.Geometry(img.W, img.H)
	if g.excessive() {
		return Image{}, fmt.Errorf("resizing %d x %d to %d x %d: too long for its width", img.W, img.H, g.W, g.H)
	}
	l, tp, w, h := g.visible()
	win := t.resizer.Window(img, g.W, g.H, l, tp, w, h, t.recipe.Interpolation)
	if win.W == g.CropW && win.H == g.CropH {
		return win, nil
	}
	out := grow(&t.padded, g.CropW, g.CropH)
	clear(out.Pix)
	for y := range win.H {
		copy(out.Pix[((y+tp-g.Top)*out.W+l-g.Left)*3:], win.Pix[y*win.W*3:(y+1)*win.W*3])
	}
	return out, nil
}

// Window is the part of a w x h image that Pixels and Apply look at, for
// Decoder.DecodeWindow.
func (t *Transform) Window(w, h int) image.Rectangle {
	g := t.recipe.Geometry(w, h)
	if g.excessive() {
		return image.Rect(0, 0, w, h)
	}
	l, tp, cw, ch := g.visible()
	return t.resizer.source(w, h, g.W, g.H, l, tp, cw, ch, t.recipe.Interpolation)
}

// Geometry says where the pixels of a w x h image go: it is resized to W x H,
// then the window CropW x CropH at (Left, Top) is taken; the offset is negative
// where the window is larger than the image (black border).
type Geometry struct{ W, H, Left, Top, CropW, CropH int }

// visible is the part of the crop that lies in the resized image.
func (g Geometry) visible() (left, top, w, h int) {
	left, top = max(g.Left, 0), max(g.Top, 0)
	return left, top, min(g.Left+g.CropW, g.W) - left, min(g.Top+g.CropH, g.H) - top
}

func (g Geometry) excessive() bool { return g.W > 4*maxSide || g.H > 4*maxSide }

// Geometry computes torchvision's sizes and offsets for a w x h image.
func (r Recipe) Geometry(w, h int) Geometry {
	g := Geometry{W: w, H: h}
	if r.Resize != (Size{}) {
		switch {
		case r.Fit == Squash:
			g.W, g.H = r.Resize.W, r.Resize.H
		case w <= h:
			g.W, g.H = r.Resize.H, longSide(r.Resize.H, h, w)
		default:
			g.W, g.H = longSide(r.Resize.H, w, h), r.Resize.H
		}
	}
	g.CropW, g.CropH = g.W, g.H
	if r.Crop != (Size{}) {
		g.CropW, g.CropH = r.Crop.W, r.Crop.H
		g.Left, g.Top = centre(g.W, r.Crop.W), centre(g.H, r.Crop.H)
	}
	return g
}

func longSide(size, long, short int) int { return int(float64(size*long) / float64(short)) }

// centre is torchvision's crop offset: half the difference, rounded half to
// even; or, negative, the border before an image that is too small.
func centre(have, want int) int {
	if want > have {
		return -((want - have) / 2)
	}
	return int(math.RoundToEven(float64(have-want) / 2))
}

// Apply writes the tensor of img to dst, which must have exactly the size of
// the recipe's output: 3*H*W values in the recipe's layout.
func (t *Transform) Apply(img Image, dst []float32) error {
	p, err := t.Pixels(img)
	if err != nil {
		return err
	}
	n := p.W * p.H
	if len(dst) != 3*n {
		return fmt.Errorf("the recipe makes a tensor of 3 x %d x %d values, the model takes %d", p.H, p.W, len(dst))
	}
	if t.recipe.Layout == NHWC {
		for i := range n {
			px, o := p.Pix[3*i:3*i+3:3*i+3], dst[3*i:3*i+3:3*i+3]
			for c, s := range t.source {
				o[c] = t.lut[c][px[s]]
			}
		}
		return nil
	}
	for c, s := range t.source {
		lut, o := &t.lut[c], dst[c*n:(c+1)*n]
		px := p.Pix[s:]
		for i := range o {
			o[i] = lut[px[3*i]]
		}
	}
	return nil
}
