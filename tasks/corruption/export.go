package corruption

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
	"cutmix-eval/results"
)

// Export says what Write writes.
type Export struct {
	Config  Config
	Recipe  imageproc.Recipe // size of the images; its mean and deviation do not matter
	Seed    uint64
	Limit   int
	PNG     bool // else JPEG files of Quality
	Quality int
	Workers int
}

// Write writes corrupted images in the layout of ImageNet-C, CORRUPTION/SEVERITY/CLASS/IMAGE,
// to dir. Files that are there stay, so that the same call goes on where one stopped.
// progress, if not nil, is told how many variants are done; it is called from several
// goroutines.
func Write(ctx context.Context, d *datasets.Dataset, e Export, dir string, progress func(done int)) (written int, err error) {
	c := e.Config
	if err := c.Validate(); err != nil {
		return 0, err
	}
	if !d.Labelled() {
		return 0, fmt.Errorf("%s has no labels, and the layout has a folder for each class", d.Name)
	}
	frosts, _, err := LoadFrosts(c.Frost)
	if err != nil {
		return 0, err
	}
	variants := c.variants()[1:]
	at := d.Pick(e.Limit, e.Seed)
	if at == nil {
		for i := range d.Samples {
			at = append(at, i)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	var done, files atomic.Int64
	for range max(e.Workers, 1) {
		wg.Go(func() {
			loader := d.Loader()
			m := newMaker(d, e.Recipe, e.Seed, c, variants, frosts, nil, loader.Load)
			var enc jpeg.Encoder
			for i := range next {
				for k, v := range variants {
					if ctx.Err() != nil {
						break
					}
					name := filepath.Join(dir, v.Name, fmt.Sprint(v.Level), e.name(d, i))
					if _, err := os.Stat(name); err != nil {
						im, err := m(i, k)
						if err == nil {
							err = e.write(name, im, &enc)
						}
						if err != nil {
							stop(fmt.Errorf("%s: %w", d.Samples[i].ID, err))
							break
						}
						files.Add(1)
					}
					if n := done.Add(1); progress != nil {
						progress(int(n))
					}
				}
			}
		})
	}
send:
	for _, i := range at {
		if d.Samples[i].Label < 0 {
			continue
		}
		select {
		case next <- i:
		case <-ctx.Done():
			break send
		}
	}
	close(next)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return int(files.Load()), err
	}
	return int(files.Load()), nil
}

// name is the class's folder and the file's name.
func (e Export) name(d *datasets.Dataset, i int) string {
	s := d.Samples[i]
	base := path.Base(s.ID)
	ext := ".JPEG"
	if e.PNG {
		ext = ".png"
	}
	// The folders of the path, but for the class, become part of the name: they may tell images
	// of one name apart.
	dir := strings.TrimSuffix(path.Dir(s.ID), "/")
	dir = strings.Trim(strings.TrimSuffix(dir, d.Classes[s.Label]), "/.")
	if dir != "" {
		base = strings.ReplaceAll(dir, "/", "_") + "_" + base
	}
	return filepath.Join(d.Classes[s.Label], strings.TrimSuffix(base, path.Ext(base))+ext)
}

func (e Export) write(name string, im imageproc.Image, enc *jpeg.Encoder) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return results.Save(name, func(w io.Writer) error {
		if e.PNG {
			m := image.NewNRGBA(image.Rect(0, 0, im.W, im.H))
			for i := range im.W * im.H {
				copy(m.Pix[4*i:], im.Pix[3*i:3*i+3])
				m.Pix[4*i+3] = 255
			}
			return png.Encode(w, m)
		}
		data, err := enc.Encode(im.Pix, im.W, im.H, e.Quality)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}
