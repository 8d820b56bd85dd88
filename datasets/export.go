package datasets

import (
	"bufio"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"cutmix-eval/datasets/scenes"
	"cutmix-eval/internal/atomicfile"
)

// ExportScenes writes a split of the embedded scenes to the folder dir: PNG
// pictures in class folders, and beside those boxes.csv (path,class,x0,y0,x1,y1:
// pixels from the top left, x1 and y1 exclusive). masks, if not empty, is a folder
// for the masks: the same paths, white where the object is visible. dir must not
// exist or be empty, but for what an export that was killed left. n limits the number
// of scenes; 0 is all. done, if not nil, is called with how many are written. After an
// error nothing is there.
func ExportScenes(ctx context.Context, dir, masks, split string, n int, done func(int)) (int, error) {
	sp, err := scenes.ParseSplit(split)
	if err != nil {
		return 0, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, stagingName)); err != nil {
			return 0, fmt.Errorf("folder %q is not empty", dir)
		}
	}
	if n <= 0 || n > scenes.Len(sp) {
		n = scenes.Len(sp)
	}
	pictures, err := stage(dir)
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(pictures)
	visible := ""
	if masks != "" {
		if visible, err = stage(masks); err != nil {
			return 0, err
		}
		defer os.RemoveAll(visible)
	}
	if err := writeScenes(ctx, pictures, visible, sp, n, done); err != nil {
		return 0, err
	}
	if masks != "" {
		if err := unstage(visible); err != nil {
			return 0, err
		}
	}
	return n, unstage(pictures)
}

// stagingName is a folder's folder for files that are not all there yet.
const stagingName = atomicfile.Temporary + "scenes"

// stage makes dir and in it an empty folder for what is to lie there, without what a process that
// was killed left in such a one.
func stage(dir string) (staging string, err error) {
	staging = filepath.Join(dir, stagingName)
	if err := os.RemoveAll(staging); err != nil {
		return "", err
	}
	return staging, os.MkdirAll(staging, 0o755)
}

// unstage moves the files of a staging folder to where they are to lie.
func unstage(staging string) error {
	dir := filepath.Dir(staging)
	return filepath.WalkDir(staging, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(staging, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		return os.Rename(p, filepath.Join(dir, rel))
	})
}

// writeScenes writes scenes and, where masks names a folder, their masks.
func writeScenes(ctx context.Context, dir, masks string, sp scenes.Split, n int, done func(int)) error {
	f, err := os.Create(filepath.Join(dir, "boxes.csv"))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "path,class,x0,y0,x1,y1")
	rgba := image.NewNRGBA(image.Rect(0, 0, scenes.Size, scenes.Size))
	mask := image.NewGray(rgba.Rect)
	var sc scenes.Scene
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		scenes.GenerateInto(sp, i, &sc)
		for p := range scenes.Size * scenes.Size {
			px := sc.Pixels[3*p:]
			rgba.SetNRGBA(p%scenes.Size, p/scenes.Size, color.NRGBA{px[0], px[1], px[2], 255})
		}
		copy(mask.Pix, sc.Mask)
		_, rel, _ := strings.Cut(scenes.ID(sp, i), "/") // without the split
		if err := writePNG(filepath.Join(dir, filepath.FromSlash(rel)), rgba); err != nil {
			return err
		}
		if !sc.Box.Empty() {
			if masks != "" {
				if err := writePNG(filepath.Join(masks, filepath.FromSlash(rel)), mask); err != nil {
					return err
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
		return err
	}
	return f.Close()
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
