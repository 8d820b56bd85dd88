package localize

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/boxes"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/classify"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// Overlays draws n images of each kind (most overlap, least overlap, chosen at random)
// as the model sees them, with the map as a heat map, true boxes in green and the box at
// the fixed threshold in red, as PNG files in dir, and all of them on one sheet. It
// returns the names of the files. The model runs again on those images.
func (j *Job) Overlays(ctx context.Context, dir string, n int, install runtime.Progress) ([]string, error) {
	a, err := Read(j.Run)
	if err != nil {
		return nil, err
	}
	res, err := Evaluate(ctx, a, j.Run)
	if err != nil {
		return nil, err
	}
	if j.setup.Session == nil { // the run was there already, or the session is closed
		j.setup.Taps, j.setup.Penultimate = j.taps, false
		if j.scoring != nil { // of the session that was closed
			_ = j.scoring.Close()
			j.scoring = nil
		}
	}
	if err := j.setup.Start(ctx, install); err != nil {
		return nil, err
	}
	j.shape = j.setup.Session.Outputs[1].Shape
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	kinds := map[int]string{} // by sample
	for _, kind := range []string{"best", "worst", "random"} {
		for k, i := range choose(res, kind, n, j.setup.Config.Seed) {
			index := int(res.Images[i].Index)
			if _, twice := kinds[index]; !twice {
				kinds[index] = fmt.Sprintf("%s-%02d", kind, k+1)
			}
		}
	}
	todo := make([]int, 0, len(kinds))
	for index := range kinds {
		todo = append(todo, index)
	}
	slices.Sort(todo)
	again := j.Again(todo)
	collector := classify.NewCollector(j.about.Classify)
	m := j.mapper()
	t, err := imageproc.NewTransform(j.setup.Recipe)
	if err != nil {
		return nil, err
	}
	loader := j.setup.Data.Loader()
	type tile struct {
		name, title string
		picture     *image.RGBA
	}
	var tiles []tile
	_, err = again.Each(ctx, nil, func(sc evaluation.Scored) error {
		it, err := j.item(ctx, collector, sc)
		if err != nil {
			return err
		}
		heat, err := m.frame(it)
		if err != nil || heat == nil {
			return err // a bad image has no map
		}
		m.cut(it, heat)
		img, err := loader.LoadWindow(sc.Index, t.Window)
		if err != nil {
			return err
		}
		pixels, err := t.Pixels(img)
		if err != nil {
			return err
		}
		title := fmt.Sprintf("%s %s IoU %.2f", kinds[sc.Index], it.record.Class, it.record.IoU)
		name := kinds[sc.Index] + "-" + strings.NewReplacer("/", "_", "\\", "_", ":", "_").Replace(strings.TrimSuffix(it.record.ID, filepath.Ext(it.record.ID))) + ".png"
		tiles = append(tiles, tile{name, title, Overlay(pixels, heat, it.truth, unflat(it.record.Box))})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tiles, func(a, b tile) int { return cmp.Compare(a.name, b.name) })
	var files []string
	save := func(name string, m image.Image) error {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := png.Encode(f, m); err != nil {
			return err
		}
		files = append(files, path)
		return f.Close()
	}
	var titles []string
	var pictures []*image.RGBA
	for _, t := range tiles {
		if err := save(t.name, t.picture); err != nil {
			return nil, err
		}
		titles, pictures = append(titles, t.title), append(pictures, t.picture)
	}
	if len(pictures) == 0 {
		return nil, errNothing
	}
	return files, save("sheet.png", Sheet(pictures, titles))
}

// choose picks n images of a kind: places in res.Images.
func choose(res *Result, kind string, n int, seed uint64) []int {
	at := make([]int, len(res.Images))
	for i := range at {
		at[i] = i
	}
	switch kind {
	case "random":
		rng := rand.New(rand.NewPCG(seed, 0x0e51a7))
		rng.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	case "best":
		slices.SortStableFunc(at, func(a, b int) int { return -cmp.Compare(res.Images[a].IoU, res.Images[b].IoU) })
	case "worst":
		slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(res.Images[a].IoU, res.Images[b].IoU) })
	}
	return at[:min(n, len(at))]
}

// least is the shorter side that small pictures are enlarged to, for people.
const least = 224

// Overlay is a picture with a map of the same size (values 0..1, row by row) over it,
// half transparent, true boxes in green and found ones in red. Small pictures are
// enlarged by a whole number.
func Overlay(p imageproc.Image, heat []float64, truth, found []boxes.Box) *image.RGBA {
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
