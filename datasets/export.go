package datasets

import (
	"bufio"
	"context"
	"errors"
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
	"cutmix-eval/internal/filelock"
)

// ExportScenes writes a split of the embedded scenes to the folder dir: PNG
// pictures in class folders, and beside those boxes.csv (path,class,x0,y0,x1,y1:
// pixels from the top left, x1 and y1 exclusive). masks, if not empty, is a folder
// for the masks: the same paths, white where the object is visible. dir must not
// exist or be empty. n limits the number of scenes; 0 is all. done, if not nil, is
// called with how many are written.
//
// Both folders appear when they are whole: until then they are folders of other names beside
// their places, of which nothing stays after an error; what a process that died left there is removed.
func ExportScenes(ctx context.Context, dir, masks, split string, n int, done func(int)) (written int, err error) {
	sp, err := scenes.ParseSplit(split)
	if err != nil {
		return 0, err
	}
	if n <= 0 || n > scenes.Len(sp) {
		n = scenes.Len(sp)
	}
	pictures, err := newFolder(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer pictures.discard()
	var shapes *newlyMade
	if masks != "" {
		if shapes, err = newFolder(ctx, masks); err != nil {
			return 0, err
		}
		defer shapes.discard()
		masks = shapes.at
	}
	if written, err = exportScenes(ctx, pictures.at, masks, sp, n, done); err != nil {
		return written, err
	}
	if shapes != nil {
		if err := shapes.keep(); err != nil {
			return 0, err
		}
	}
	return written, pictures.keep()
}

// exportScenes writes into folders that are there.
func exportScenes(ctx context.Context, dir, masks string, sp scenes.Split, n int, done func(int)) (int, error) {
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

// newlyMade is a folder whose contents get their place when they are whole.
type newlyMade struct {
	at, dir string
	inside  bool // at lies in dir, which was there: it may be another file system
	release func()
}

// newFolder makes a folder for what is to be in dir, which must not exist or be empty. It is
// removed unless keep is called; so is one that a process that died has left.
func newFolder(ctx context.Context, dir string) (*newlyMade, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m := &newlyMade{dir: dir, at: filepath.Join(filepath.Dir(dir), atomicfile.Temporary+filepath.Base(dir))}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil:
		m.inside, m.at = true, filepath.Join(dir, atomicfile.Temporary+"export")
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), filepath.Base(m.at)) {
				return nil, fmt.Errorf("folder %q is not empty", dir)
			}
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if m.release, err = filelock.Acquire(ctx, m.at+".lock", 0); err != nil {
		return nil, fmt.Errorf("writing folder %q: %w", dir, err)
	}
	if err = os.RemoveAll(m.at); err == nil {
		err = os.Mkdir(m.at, 0o755)
	}
	if err != nil {
		m.discard()
		return nil, err
	}
	return m, nil
}

// keep puts what was written in its place.
func (m *newlyMade) keep() error {
	if !m.inside {
		return os.Rename(m.at, m.dir)
	}
	entries, err := os.ReadDir(m.at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(m.at, e.Name()), filepath.Join(m.dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// discard removes what has not been kept.
func (m *newlyMade) discard() {
	_ = os.RemoveAll(m.at) // nothing of it is of use
	_ = os.Remove(m.at + ".lock")
	m.release()
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
