package corruption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/report"
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
// to dir. Files that are there stay, so that the same call goes on where one stopped; a
// call that would make others is an error. Images that cannot be read are returned.
// progress, if not nil, is told how many variants are done; it is called from several
// goroutines.
func Write(ctx context.Context, d *datasets.Dataset, e Export, dir string, progress func(done int)) (written int, bad []report.BadImage, err error) {
	c := e.Config
	if err := c.Validate(); err != nil {
		return 0, nil, err
	}
	if !d.Labelled() {
		return 0, nil, fmt.Errorf("%s has no labels, and the layout has a folder for each class", d.Name)
	}
	frosts, about, err := LoadFrosts(c.Frost)
	if err != nil {
		return 0, nil, err
	}
	variants := c.variants()[1:]
	at := d.Pick(e.Limit, e.Seed)
	if at == nil {
		for i := range d.Samples {
			at = append(at, i)
		}
	}
	names, err := e.names(d, at)
	if err == nil {
		err = e.claim(dir, d, about)
	}
	if err != nil {
		return 0, nil, err
	}
	mk := making{data: d, recipe: e.Recipe, seed: e.Seed, config: c, variants: variants, frosts: frosts, shared: &shared{}}
	var lock sync.Mutex
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	var done, files atomic.Int64
	for range max(e.Workers, 1) {
		wg.Go(func() {
			loader := d.Loader()
			m := mk.open(loader.Load)
			var enc jpeg.Encoder
			for i := range next {
				for k, v := range variants {
					if ctx.Err() != nil {
						break
					}
					name := filepath.Join(dir, v.Name, fmt.Sprint(v.Level), names[i])
					if _, err := os.Stat(name); err != nil {
						im, err := m(i, k)
						if err != nil {
							lock.Lock()
							bad = append(bad, report.BadImage{ID: d.Samples[i].ID, Reason: err.Error()})
							lock.Unlock()
							done.Add(int64(len(variants) - k))
							break
						}
						if err := e.write(name, im, &enc); err != nil {
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
		return int(files.Load()), bad, err
	}
	slices.SortFunc(bad, func(a, b report.BadImage) int { return strings.Compare(a.ID, b.ID) })
	return int(files.Load()), bad, nil
}

// claimName says what made a folder of corrupted images.
const claimName = "corrupt.json"

// claim marks the folder as one of these images, and refuses one of others.
func (e Export) claim(dir string, d *datasets.Dataset, frost string) error {
	what := struct {
		Data    string `json:"data"`
		Pixels  string `json:"pixels"`
		Set     int    `json:"set"`
		Seed    uint64 `json:"seed"`
		Frost   string `json:"frost"`
		PNG     bool   `json:"png"`
		Quality int    `json:"quality,omitempty"`
	}{d.Fingerprint(), fmt.Sprintf("%v, crop %v, %s, %s", e.Recipe.Resize, e.Recipe.Crop, e.Recipe.Fit, e.Recipe.Interpolation), int(e.Config.Set), e.Seed, frost, e.PNG, e.Quality}
	if e.PNG {
		what.Quality = 0
	}
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, claimName)
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		old, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("folder %q is not empty and holds no images that this program corrupted", dir)
		}
		if strings.TrimSpace(string(old)) != string(text) {
			return fmt.Errorf("folder %q holds images that were made otherwise (%s): give the same options, or choose another --out", dir, path)
		}
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.Save(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// names are the images' class folders and file names. The folders of a path, but for the
// class and those that all images lie in, become part of the name; two images of one name
// are an error.
func (e Export) names(d *datasets.Dataset, at []int) (map[int]string, error) {
	ext := ".JPEG"
	if e.PNG {
		ext = ".png"
	}
	out, seen := map[int]string{}, map[string]int{}
	for _, i := range at {
		s := d.Samples[i]
		if s.Label < 0 {
			continue
		}
		class := d.Classes[s.Label]
		var parts []string
		for _, p := range strings.Split(d.Short(i), "/") {
			if p != class && p != "" {
				parts = append(parts, p)
			}
		}
		base := strings.Join(parts, "_")
		name := filepath.Join(class, strings.TrimSuffix(base, path.Ext(base))+ext)
		if other, twice := seen[name]; twice {
			return nil, fmt.Errorf("%s and %s would both become %s; give them other names", d.Samples[other].ID, s.ID, name)
		}
		seen[name], out[i] = i, name
	}
	return out, nil
}

func (e Export) write(name string, im imageproc.Image, enc *jpeg.Encoder) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return atomicfile.Save(name, func(w io.Writer) error {
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
