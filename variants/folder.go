package variants

import (
	"fmt"
	"slices"

	"cutmix-eval/datasets"
)

// Folder is variants that lie on disk, in ImageNet-C's layout or CIFAR-C's. Close it.
type Folder struct {
	*datasets.Dataset
	Variants []Variant // that are there, of the severities that are wanted
	Images   int       // that there are variants of, of any severity

	path   string
	wanted Benchmark
	places []place
	images *datasets.Dataset // a sample for each image
}

// place is what a sample is: a variant, -1 where it is not wanted, of an image.
type place struct{ variant, image int }

// OpenFolder opens what a folder has of corruptions and severities; labels, if not empty, is
// a class map for folders.
func OpenFolder(path string, wanted Benchmark, labels string) (*Folder, error) {
	var names []string
	for _, n := range wanted.Corruptions {
		names = append(names, string(n))
	}
	d, err := datasets.OpenCorrupted(path, names, labels)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dataset: d.Dataset, path: path, wanted: wanted, images: &datasets.Dataset{Name: d.Name, Classes: d.Classes}}
	numbers := map[string]int{} // of images in all severities: they do not depend on which are wanted
	for i, cell := range d.Cells {
		image, ok := numbers[cell.Image]
		if !ok {
			image = len(numbers)
			numbers[cell.Image] = image
			f.images.Samples = append(f.images.Samples, datasets.Sample{ID: cell.Image, Label: d.Samples[i].Label})
		}
		at := -1
		if slices.Contains(wanted.Severities, cell.Severity) {
			v := Variant{cell.Corruption, float64(cell.Severity)}
			if at = slices.Index(f.Variants, v); at < 0 {
				at, f.Variants = len(f.Variants), append(f.Variants, v)
			}
		}
		f.places = append(f.places, place{at, image})
	}
	f.Images = len(numbers)
	return f, nil
}

// Place is what a sample is: an index into Variants, -1 where it is not wanted, and which
// image it is made of.
func (f *Folder) Place(sample int) (variant, image int) {
	return f.places[sample].variant, f.places[sample].image
}

// Choose chooses images as Pick does, of those that the file subset names, if it is not
// empty, and returns their samples, ascending: of the severities that are wanted.
func (f *Folder) Choose(subset string, limit int, seed uint64) ([]int, error) {
	named, err := f.images.Named(subset)
	if err != nil {
		return nil, err
	}
	chosen := f.images.PickOf(named, limit, seed)
	var out []int
	for i, p := range f.places {
		if p.variant < 0 {
			continue
		}
		if _, in := slices.BinarySearch(chosen, p.image); in || chosen == nil {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%q has none of the severities %v", f.path, f.wanted.Severities)
	}
	return out, nil
}
