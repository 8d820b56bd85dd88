package annotations

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/png"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/boxes"
	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/internal/pin"
	"cutmix-eval/internal/regular"
)

// Objects are the true boxes of one sample, in pixels of its picture, and its masks.
type Objects struct {
	Boxes         []Box
	Masks, Ignore []boxes.Mask
}

// Found is what is known about where the objects of a dataset are.
type Found struct {
	Why         string // where annotations come from
	Fingerprint string // of them, and of their files
	Boxes       bool   // there are boxes
	Masks       bool   // there are masks
	Samples     []int  // that have annotations, ascending; nil is all
	Notes       []string
	of          func(sample int) (Objects, error)
}

// Objects are those of a sample. Masks are read from their files. It is safe for concurrent
// use.
func (f *Found) Objects(sample int) (Objects, error) { return f.of(sample) }

// Find finds the annotations of a dataset: those at path, those that lie with the data, or
// those of the embedded scenes. What names masks that are not there is an error.
func Find(d *datasets.Dataset, path string) (*Found, error) {
	if split, ok := d.SceneSplit(); ok && path == "" {
		return &Found{Why: "the embedded scenes", Fingerprint: "scenes:" + string(split), Masks: true, Boxes: true, of: func(i int) (Objects, error) {
			sc := scenes.Generate(split, i)
			o := Objects{Masks: []boxes.Mask{{W: scenes.Size, H: scenes.Size, In: make([]bool, len(sc.Mask))}}}
			for p, v := range sc.Mask {
				o.Masks[0].In[p] = v > 0
			}
			if b := sc.Box; !b.Empty() {
				o.Boxes = []Box{{X0: float64(b.Min.X), Y0: float64(b.Min.Y), X1: float64(b.Max.X - 1), Y1: float64(b.Max.Y - 1)}}
			}
			return o, nil
		}}, nil
	}
	set, err := openSet(d, path)
	if err != nil {
		return nil, err
	}
	a := &Found{Why: set.Format, Masks: len(set.Masks) > 0, Boxes: len(set.Boxes) > 0}
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
		a.Samples = append(a.Samples, i)
		fmt.Fprintf(sum, "%d %v %v\n", i, set.Boxes[key], set.Masks[key])
		for _, f := range append(slices.Clone(set.Masks[key].Object), set.Masks[key].Ignore...) {
			if err := pin.Stamp(sum, filepath.Join(set.Root, filepath.FromSlash(f))); err != nil {
				return nil, fmt.Errorf("mask of %s: %w", sample.ID, err)
			}
		}
	}
	a.Fingerprint = hex.EncodeToString(sum.Sum(nil)[:8])
	switch n := len(d.Samples) - len(a.Samples); {
	case len(a.Samples) == 0:
		return nil, fmt.Errorf("the annotations (%s) name none of the %d images (first: %s)", set.Format, len(d.Samples), d.Samples[0].ID)
	case n == 0:
		a.Samples = nil
	default:
		a.Notes = append(a.Notes, fmt.Sprintf("%d images without annotations are left out", n))
	}
	a.of = func(i int) (Objects, error) {
		key := keys[i]
		class := ""
		if l := d.Samples[i].Label; l >= 0 {
			class = d.Classes[l]
		}
		o, marks := Objects{Boxes: set.Of(key, class)}, set.Masks[key]
		for k, files := range [][]string{marks.Object, marks.Ignore} {
			for _, f := range files {
				m, err := readMask(filepath.Join(set.Root, filepath.FromSlash(f)))
				if err != nil {
					return o, fmt.Errorf("mask %s: %w", f, err)
				}
				if k == 0 {
					o.Masks = append(o.Masks, m)
				} else {
					o.Ignore = append(o.Ignore, m)
				}
			}
		}
		return o, nil
	}
	return a, nil
}

func openSet(d *datasets.Dataset, path string) (*Set, error) {
	if path != "" {
		return Open(path)
	}
	for _, name := range Companions() {
		data, dir, ok := d.Companion(name)
		if !ok {
			continue
		}
		set, err := Parse(name, data)
		if images, _, cub := d.Companion("images.txt"); cub && name == CUBBoxes {
			set, err = ParseCUB(string(images), string(data))
		}
		if err != nil {
			return nil, fmt.Errorf("%s beside the images: %w", name, err)
		}
		if set.Root = dir; dir == "" && len(set.Masks) > 0 {
			return nil, fmt.Errorf("%s names masks in the archive %s; unpack it, or give --boxes", name, d.Name)
		}
		return set, nil
	}
	return nil, fmt.Errorf("%s has no boxes with it (looked for %s); give them with --boxes", d.Name, strings.Join(Companions(), ", "))
}

func readMask(path string) (boxes.Mask, error) {
	f, err := regular.Open(path)
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
