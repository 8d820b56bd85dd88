// Package overlay draws what was found in pictures over them: maps, boxes, contact
// sheets. It is pure: it touches no files.
package overlay

import (
	"image"
	"image/color"
	"image/draw"

	"cutmix-eval/boxes"
	"cutmix-eval/imageproc"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// least is the shorter side that small pictures are enlarged to, for people.
const least = 224

// Picture is a picture with a map of the same size (values 0..1, row by row) over it,
// half transparent, true boxes in green and found ones in red. Small pictures are
// enlarged by a whole number.
func Picture(p imageproc.Image, heat []float64, truth, found []boxes.Box) *image.RGBA {
	zoom := max(1, (least+min(p.W, p.H)-1)/min(p.W, p.H))
	out := image.NewRGBA(image.Rect(0, 0, p.W*zoom, p.H*zoom))
	for y := range p.H * zoom {
		for x := range p.W * zoom {
			at := y/zoom*p.W + x/zoom
			px, c := p.Pix[3*at:3*at+3], colour(heat[at])
			mix := func(a, b byte) byte { return byte((int(a) + int(b)) / 2) }
			out.SetRGBA(x, y, color.RGBA{mix(px[0], c.R), mix(px[1], c.G), mix(px[2], c.B), 255})
		}
	}
	for k, list := range [][]boxes.Box{truth, found} {
		line := color.RGBA{0, 255, 0, 255}
		if k == 1 {
			line = color.RGBA{255, 0, 0, 255}
		}
		for _, b := range list {
			outline(out, image.Rect(b.X0*zoom, b.Y0*zoom, (b.X1+1)*zoom, (b.Y1+1)*zoom), line)
		}
	}
	return out
}

// outline draws a rectangle two pixels wide inside r.
func outline(m *image.RGBA, r image.Rectangle, c color.RGBA) {
	for x := r.Min.X; x < r.Max.X; x++ {
		for d := range 2 {
			m.SetRGBA(x, r.Min.Y+d, c)
			m.SetRGBA(x, r.Max.Y-1-d, c)
		}
	}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for d := range 2 {
			m.SetRGBA(r.Min.X+d, y, c)
			m.SetRGBA(r.Max.X-1-d, y, c)
		}
	}
}

// colour goes from blue over cyan, green and yellow to red.
func colour(v float64) color.RGBA {
	stops := [...][3]float64{{0, 0, 128}, {0, 128, 255}, {64, 255, 128}, {255, 224, 0}, {255, 0, 0}}
	at := min(max(v, 0), 1) * float64(len(stops)-1)
	i := min(int(at), len(stops)-2)
	f := at - float64(i)
	var c [3]byte
	for k := range c {
		c[k] = byte(stops[i][k]*(1-f) + stops[i+1][k]*f + 0.5)
	}
	return color.RGBA{c[0], c[1], c[2], 255}
}

// Sheet puts pictures beside each other, each under its title.
func Sheet(pictures []*image.RGBA, titles []string) *image.RGBA {
	const gap, bar, row = 8, 16, 5
	w, h := 0, 0
	for _, p := range pictures {
		w, h = max(w, p.Rect.Dx()), max(h, p.Rect.Dy())
	}
	columns := min(row, len(pictures))
	rows := (len(pictures) + columns - 1) / columns
	out := image.NewRGBA(image.Rect(0, 0, gap+columns*(w+gap), gap+rows*(h+bar+gap)))
	draw.Draw(out, out.Rect, image.White, image.Point{}, draw.Src)
	for i, p := range pictures {
		x, y := gap+i%columns*(w+gap), gap+i/columns*(h+bar+gap)
		title := titles[i]
		if most := w / 7; len(title) > most { // the face is 7 pixels wide
			title = title[:most]
		}
		d := font.Drawer{Dst: out, Src: image.Black, Face: basicfont.Face7x13, Dot: fixed.P(x, y+12)}
		d.DrawString(title)
		draw.Draw(out, image.Rect(x, y+bar, x+w, y+bar+h), p, image.Point{}, draw.Src)
	}
	return out
}
