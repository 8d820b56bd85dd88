package variants

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
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cutmix-eval/corrupt"
	"cutmix-eval/datasets"
	"cutmix-eval/imageproc"
	"cutmix-eval/imageproc/jpeg"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/regular"

	"golang.org/x/sync/errgroup"
)

// Export says which corrupted images are written, and how.
type Export struct {
	Benchmark                  // without a set: that of the images' size
	Recipe    imageproc.Recipe // size of the images; its mean and deviation do not matter
	Seed      uint64
	Limit     int
	PNG       bool // else JPEG files of Quality
	Quality   int
	Workers   int // 0: one per core
}

// Settle chooses what e leaves open for the images of d: the parameters for their size, which
// is the recipe's or, where that keeps theirs, that of the first image that can be read; and
// the number of goroutines.
func (e *Export) Settle(d *datasets.Dataset) (err error) {
	if e.Workers == 0 {
		e.Workers = goruntime.GOMAXPROCS(0)
	}
	if e.Set != 0 {
		return nil
	}
	size, ok := e.Recipe.Fixed()
	if !ok {
		if size, err = d.FirstSize(Export{}.images(d)); err != nil {
			return fmt.Errorf("not one of the images can be read, and their size chooses the parameters: %w", err)
		}
	}
	e.Set = corrupt.SetFor(size.W, size.H)
	return nil
}

// images are the samples of d that are corrupted.
func (e Export) images(d *datasets.Dataset) []int {
	at := d.Pick(e.Limit, e.Seed)
	if at == nil {
		for i := range d.Samples {
			at = append(at, i)
		}
	}
	return at
}

// Images is how many images of d are corrupted.
func (e Export) Images(d *datasets.Dataset) int { return len(e.images(d)) }

// Variants is how many files are made of an image.
func (e Export) Variants() int { return len(e.Corruptions) * len(e.Severities) }

// Write writes corrupted images in the layout of ImageNet-C, CORRUPTION/SEVERITY/CLASS/IMAGE,
// to dir; what e leaves open is settled. Files that are there stay, so that the same call goes
// on where one stopped; a call that would make others is an error. Images that cannot be read
// are returned. progress, if not nil, is given the number of files that are done; it is called
// from several goroutines.
func (e Export) Write(ctx context.Context, d *datasets.Dataset, dir string, progress func(done int),
) (written int, bad []datasets.Problem, err error) {
	if err := e.Validate(); err != nil {
		return 0, nil, err
	}
	if !d.Labelled() {
		return 0, nil, fmt.Errorf("%s has no labels, and the layout has a folder for each class", d.Name)
	}
	if err := e.Settle(d); err != nil {
		return 0, nil, err
	}
	source := Source{Data: d, Recipe: e.Recipe, Seed: e.Seed}
	images, err := New(source, Config{Experiment: Corruptions, Benchmark: e.Benchmark})
	if err != nil {
		return 0, nil, err
	}
	images.Variants = images.Variants[1:] // without the image itself
	x := &exporting{Export: e, dir: dir, data: d, at: e.images(d), images: images, progress: progress}
	if x.names, err = e.names(d, x.at); err == nil {
		err = e.claim(dir, d, images.Textures)
	}
	if err != nil {
		return 0, nil, err
	}
	if err := x.clean(); err != nil {
		return 0, nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range e.Workers {
		group.Go(func() error { return x.work(ctx) })
	}
	err = group.Wait()
	slices.SortFunc(x.bad, func(a, b datasets.Problem) int { return strings.Compare(a.ID, b.ID) })
	return int(x.files.Load()), x.bad, err
}

// exporting is a Write that is going on.
type exporting struct {
	Export
	dir      string
	data     *datasets.Dataset
	at       []int          // samples
	names    map[int]string // of images with a label
	images   *Images
	progress func(done int)

	next, done, files atomic.Int64 // of images; of files, and of those that were not there
	lock              sync.Mutex
	bad               []datasets.Problem
}

// clean removes what an export that was killed left in the folders of images.
func (x *exporting) clean() error {
	seen := map[string]bool{}
	for _, v := range x.images.Variants {
		for _, i := range x.at {
			dir := filepath.Join(x.dir, v.Name, v.Digits(), filepath.Dir(x.names[i]))
			if x.names[i] == "" || seen[dir] {
				continue
			}
			seen[dir] = true
			if err := atomicfile.Clean(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// work takes images until none is left, for one goroutine.
func (x *exporting) work(ctx context.Context) error {
	variant := x.images.maker(x.data.Loader().Load)
	var enc jpeg.Encoder
	for n := x.next.Add(1) - 1; n < int64(len(x.at)); n = x.next.Add(1) - 1 {
		i := x.at[n]
		if x.names[i] == "" {
			continue
		}
		id := x.data.Samples[i].ID
		for k, v := range x.images.Variants {
			if err := ctx.Err(); err != nil {
				return err
			}
			name := filepath.Join(x.dir, v.Name, v.Digits(), x.names[i])
			if _, err := os.Stat(name); err != nil {
				im, err := variant(i, k)
				if storage := (*datasets.StorageError)(nil); errors.As(err, &storage) {
					return fmt.Errorf("image %s: %w: mend that first; the same command goes on then", id, err)
				}
				if err != nil {
					x.lock.Lock()
					x.bad = append(x.bad, datasets.Problem{ID: id, Reason: err.Error()})
					x.lock.Unlock()
					x.done.Add(int64(len(x.images.Variants) - k))
					break
				}
				if err := x.write(name, im, &enc); err != nil {
					return fmt.Errorf("%s: %w", id, err)
				}
				x.files.Add(1)
			}
			if done := x.done.Add(1); x.progress != nil {
				x.progress(int(done))
			}
		}
	}
	return nil
}

// claimName says what made a folder of corrupted images.
const claimName = "corrupt.json"

// claim marks the folder as one of these images, and refuses one of others.
func (e Export) claim(dir string, d *datasets.Dataset, textures string) error {
	r := e.Recipe
	what := struct {
		Data    string `json:"data"`
		Pixels  string `json:"pixels"`
		Set     int    `json:"set"`
		Seed    uint64 `json:"seed"`
		Frost   string `json:"frost"`
		PNG     bool   `json:"png"`
		Quality int    `json:"quality,omitempty"`
	}{
		d.Fingerprint(), fmt.Sprintf("%v, crop %v, %s, %s", r.Resize, r.Crop, r.Fit, r.Interpolation),
		int(e.Set), e.Seed, textures, e.PNG, e.Quality,
	}
	if e.PNG {
		what.Quality = 0
	}
	text, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, claimName)
	if err := atomicfile.Clean(dir, claimName); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		old, err := regular.Read(path, regular.Small)
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
