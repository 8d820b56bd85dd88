package localize

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/overlay"
)

// Finish draws the overlays that are wanted: images with most overlap, with least and
// chosen at random, as the model sees them, with the map as a heat map, true boxes in green
// and the box at the fixed threshold in red, as PNG files, and all of them on one sheet.
// The model runs again on those images.
func (j *Job) Finish(ctx context.Context) error {
	if j.overlays.N == 0 {
		return nil
	}
	if err := j.draw(ctx); err != nil {
		return fmt.Errorf("drawing overlays: %w", err)
	}
	return nil
}

// tile is a picture of the sheet.
type tile struct {
	file, title string
	picture     *image.RGBA
}

func (j *Job) draw(ctx context.Context) error {
	res, err := evaluate(ctx, j.about, j.Pass.Run)
	if err != nil {
		return err
	}
	kinds := map[int]string{} // by sample
	for _, kind := range []string{"best", "worst", "random"} {
		for k, i := range choose(res, kind, j.overlays.N, j.maps.seed) {
			index := int(res.images[i].Index)
			if _, twice := kinds[index]; !twice {
				kinds[index] = fmt.Sprintf("%s-%02d", kind, k+1)
			}
		}
	}
	var at []int
	for index := range kinds {
		at = append(at, index)
	}
	slices.Sort(at)
	tiles, err := j.tiles(ctx, at, kinds)
	if err != nil {
		return err
	}
	if len(tiles) == 0 {
		return errNothing
	}
	slices.SortFunc(tiles, func(a, b tile) int { return cmp.Compare(a.file, b.file) })
	var titles []string
	var pictures []*image.RGBA
	for _, t := range tiles {
		titles, pictures = append(titles, t.title), append(pictures, t.picture)
	}
	tiles = append(tiles, tile{file: "sheet.png", picture: overlay.Sheet(pictures, titles)})
	if err := os.MkdirAll(j.overlays.Dir, 0o755); err != nil {
		return err
	}
	for _, t := range tiles {
		path := filepath.Join(j.overlays.Dir, t.file)
		if err := savePNG(path, t.picture); err != nil {
			return err
		}
		j.Pictures = append(j.Pictures, path)
	}
	return nil
}

// tiles draws the images at, which are called as kinds says.
func (j *Job) tiles(ctx context.Context, at []int, kinds map[int]string) ([]tile, error) {
	t, err := imageproc.NewTransform(j.images.Recipe)
	if err != nil {
		return nil, err
	}
	loader := j.images.Loader()
	r, m := j.recorder(), mapper{maps: j.maps}
	defer r.close()
	var tiles []tile
	err = j.Pass.Again(ctx, at, func(sc evaluation.Scored) error {
		it, err := r.item(ctx, sc)
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
		id := strings.TrimSuffix(it.record.ID, filepath.Ext(it.record.ID))
		tiles = append(tiles, tile{
			file:    kinds[sc.Index] + "-" + strings.NewReplacer("/", "_", "\\", "_", ":", "_").Replace(id) + ".png",
			title:   fmt.Sprintf("%s %s IoU %.2f", kinds[sc.Index], it.record.Class, it.record.IoU),
			picture: overlay.Picture(pixels, heat, it.truth, unflat(it.record.Box)),
		})
		return nil
	})
	return tiles, err
}

func savePNG(path string, m image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		return err
	}
	return f.Close()
}

// choose picks n images of a kind: places in res.images.
func choose(res *result, kind string, n int, seed uint64) []int {
	at := make([]int, len(res.images))
	for i := range at {
		at[i] = i
	}
	switch kind {
	case "random":
		rng := rand.New(rand.NewPCG(seed, 0x0e51a7))
		rng.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	case "best":
		slices.SortStableFunc(at, func(a, b int) int { return -cmp.Compare(res.images[a].IoU, res.images[b].IoU) })
	case "worst":
		slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(res.images[a].IoU, res.images[b].IoU) })
	}
	return at[:min(n, len(at))]
}
