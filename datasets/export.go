package datasets

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cutmix-eval/datasets/scenes"
)

// ExportScenes writes a split of the embedded scenes to the folder dir: PNG
// pictures in class folders, and beside those boxes.csv (path,class,x0,y0,x1,y1:
// pixels from the top left, x1 and y1 exclusive). masks, if not empty, is a folder
// for the masks: the same paths, white where the object is visible. dir must not
// exist or be empty. n limits the number of scenes; 0 is all. done, if not nil, is
// called with how many are written.
func ExportScenes(ctx context.Context, dir, masks, split string, n int, done func(int)) (int, error) {
	sp, err := scenes.ParseSplit(split)
	if err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return 0, fmt.Errorf("folder %q is not empty", dir)
	}
	if n <= 0 || n > scenes.Len(sp) {
		n = scenes.Len(sp)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	f, err := os.Create(filepath.Join(dir, "boxes.csv"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "path,class,x0,y0,x1,y1")
	rgba := image.NewNRGBA(image.Rect(0, 0, scenes.Size, scenes.Size))
	mask := image.NewGray(rgba.Rect)
	var sc scenes.Scene
	for i := range n {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		scenes.GenerateInto(sp, i, &sc)
		for p := range scenes.Size * scenes.Size {
			px := sc.Pixels[3*p:]
			rgba.SetNRGBA(p%scenes.Size, p/scenes.Size, color.NRGBA{px[0], px[1], px[2], 255})
		}
		copy(mask.Pix, sc.Mask)
		_, rel, _ := strings.Cut(scenes.ID(sp, i), "/") // without the split
		if err := writePNG(filepath.Join(dir, filepath.FromSlash(rel)), rgba); err != nil {
			return i, err
		}
		if !sc.Box.Empty() {
			if masks != "" {
				if err := writePNG(filepath.Join(masks, filepath.FromSlash(rel)), mask); err != nil {
					return i, err
				}
			}
			b := sc.Box
			fmt.Fprintf(w, "%s,%s,%d,%d,%d,%d\n", rel, path.Dir(rel), b.Min.X, b.Min.Y, b.Max.X, b.Max.Y)
		}
		if done != nil {
			done(i + 1)
		}
	}
	if err := w.Flush(); err != nil {
		return n, err
	}
	return n, f.Close()
}

func writePNG(p string, m image.Image) error {
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	f, err := os.Create(p)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		return err
	}
	return f.Close()
}
