package localize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/boxes"
	"cutmix-eval/datasets"
	"cutmix-eval/datasets/annotations"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/npy"
)

// objects are the true boxes of one sample, in pixels of its picture, and its masks.
type objects struct {
	boxes         []annotations.Box
	masks, ignore []boxes.Mask
	files         annotations.Marks // masks to be read when they are wanted
}

// annotated is what is known about where objects are.
type annotated struct {
	why         string
	fingerprint string
	masks       bool
	boxes       bool
	samples     []int // that have annotations; nil is all
	notes       []string
	of          func(sample int) (objects, error)
}

// find finds the annotations: those at path, those that lie with the data, or those
// of the embedded scenes.
func find(im *evaluation.Images, path string) (*annotated, error) {
	d := im.Dataset
	if split, ok := d.SceneSplit(); ok && path == "" {
		return &annotated{why: "the embedded scenes", fingerprint: "scenes:" + string(split), masks: true, boxes: true, of: func(i int) (objects, error) {
			sc := scenes.Generate(split, i)
			o := objects{masks: []boxes.Mask{{W: scenes.Size, H: scenes.Size, In: make([]bool, len(sc.Mask))}}}
			for p, v := range sc.Mask {
				o.masks[0].In[p] = v > 0
			}
			if b := sc.Box; !b.Empty() {
				o.boxes = []annotations.Box{{X0: float64(b.Min.X), Y0: float64(b.Min.Y), X1: float64(b.Max.X - 1), Y1: float64(b.Max.Y - 1)}}
			}
			return o, nil
		}}, nil
	}
	set, err := openSet(im, path)
	if err != nil {
		return nil, err
	}
	a := &annotated{why: set.Format, masks: len(set.Masks) > 0, boxes: len(set.Boxes) > 0}
	ids := make([]string, len(d.Samples))
	for i, sample := range d.Samples {
		ids[i] = sample.ID
	}
	keys, err := set.Match(ids)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for i, sample := range d.Samples {
		key := keys[i]
		if key == "" {
			continue
		}
		a.samples = append(a.samples, i)
		fmt.Fprintf(sum, "%d %v %v\n", i, set.Boxes[key], set.Masks[key])
		for _, f := range append(slices.Clone(set.Masks[key].Object), set.Masks[key].Ignore...) {
			if err := stamp(sum, filepath.Join(set.Root, filepath.FromSlash(f))); err != nil {
				return nil, fmt.Errorf("mask of %s: %w", sample.ID, err)
			}
		}
	}
	a.fingerprint = hex.EncodeToString(sum.Sum(nil)[:8])
	switch n := len(d.Samples) - len(a.samples); {
	case len(a.samples) == 0:
		return nil, fmt.Errorf("the annotations (%s) name none of the %d images (first: %s)", set.Format, len(d.Samples), d.Samples[0].ID)
	case n == 0:
		a.samples = nil
	default:
		a.notes = append(a.notes, fmt.Sprintf("%d images without annotations are left out", n))
	}
	a.of = func(i int) (objects, error) {
		key := keys[i]
		class := ""
		if l := d.Samples[i].Label; l >= 0 {
			class = d.Classes[l]
		}
		o := objects{boxes: set.Of(key, class), files: set.Masks[key]}
		for k, files := range [][]string{o.files.Object, o.files.Ignore} {
			for _, f := range files {
				m, err := readMask(filepath.Join(set.Root, filepath.FromSlash(f)))
				if err != nil {
					return o, fmt.Errorf("mask %s: %w", f, err)
				}
				if k == 0 {
					o.masks = append(o.masks, m)
				} else {
					o.ignore = append(o.ignore, m)
				}
			}
		}
		return o, nil
	}
	return a, nil
}

func openSet(im *evaluation.Images, path string) (*annotations.Set, error) {
	if path != "" {
		return annotations.Open(path)
	}
	for _, name := range annotations.Companions() {
		data, dir, ok := im.Companion(name)
		if !ok {
			continue
		}
		set, err := annotations.Parse(name, data)
		if images, _, cub := im.Companion("images.txt"); cub && name == annotations.CUBBoxes {
			set, err = annotations.ParseCUB(string(images), string(data))
		}
		if err != nil {
			return nil, fmt.Errorf("%s beside the images: %w", name, err)
		}
		if set.Root = dir; dir == "" && len(set.Masks) > 0 {
			return nil, fmt.Errorf("%s names masks in the archive %s; unpack it, or give --boxes", name, im.Config.Path)
		}
		return set, nil
	}
	return nil, fmt.Errorf("%s has no boxes with it (looked for %v); give them with --boxes", im.Name, annotations.Companions())
}

// stamp tells a file from others, and from what it was before, without reading it.
func stamp(sum io.Writer, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(sum, "%d %d\n", info.Size(), info.ModTime().UnixNano())
	return nil
}

// stampMaps tells the maps of the samples in dir from others. All must be there.
func stampMaps(im *evaluation.Images, dir string, samples []int) (string, error) {
	if dir == "" {
		return "", nil
	}
	sum := sha256.New()
	missing, first := 0, ""
	if samples == nil {
		samples = make([]int, im.Len())
		for i := range samples {
			samples[i] = i
		}
	}
	for _, i := range samples {
		path, ok := mapPath(dir, im.Dataset, i)
		if !ok || stamp(sum, path) != nil {
			if missing++; missing == 1 {
				first = path
			}
		}
	}
	if missing > 0 {
		return "", fmt.Errorf("%d of %d images have no map in %q (the first is %s)", missing, len(samples), dir, first)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// mapPath is where the map of an image lies: DIR/ID.npy, with the image's extension or
// without, where the ID may begin below the folders that all images lie in.
func mapPath(dir string, d *datasets.Dataset, i int) (path string, ok bool) {
	id := filepath.Join(dir, filepath.FromSlash(d.Samples[i].ID))
	short := filepath.Join(dir, filepath.FromSlash(d.Short(i)))
	for _, full := range []string{id, short} {
		for _, p := range []string{full + ".npy", strings.TrimSuffix(full, filepath.Ext(full)) + ".npy"} {
			if _, err := os.Stat(p); err == nil {
				return p, true
			}
		}
	}
	return id + ".npy", false
}

func readMask(path string) (boxes.Mask, error) {
	f, err := os.Open(path)
	if err != nil {
		return boxes.Mask{}, err
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil {
		return boxes.Mask{}, err
	}
	if c.Width*c.Height > 1<<28 {
		return boxes.Mask{}, fmt.Errorf("%d x %d pixels are too many", c.Width, c.Height)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return boxes.Mask{}, err
	}
	m, err := png.Decode(f)
	if err != nil {
		return boxes.Mask{}, err
	}
	return boxes.MaskOf(m), nil
}

// foreign reads the map of an image that was made elsewhere.
func foreign(dir string, d *datasets.Dataset, i int) (m []float64, h, w int, err error) {
	path, ok := mapPath(dir, d, i)
	if !ok {
		return nil, 0, 0, fmt.Errorf("there is no map %s", path)
	}
	info, v, err := npy.Read(path)
	if err == nil && (len(info.Shape) != 2 || len(v) == 0) {
		err = fmt.Errorf("its shape is %v, not rows by columns", info.Shape)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("map %s: %w", filepath.Base(path), err)
	}
	return v, info.Shape[0], info.Shape[1], nil
}
