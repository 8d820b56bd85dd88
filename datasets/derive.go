package datasets

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cutmix-eval/imageproc"
)

// Maker makes variant k of sample i. The image is valid until the next call.
type Maker func(i, k int) (imageproc.Image, error)

// derivation says how a data set's pictures are computed from another's.
type derivation struct {
	from     *Dataset
	variants []string
	open     func(clean func(i int) (imageproc.Image, error)) Maker
	sums     sync.Map // uint32 by int: of the images that were loaded
}

// Derive makes the data set of variants of every sample of d, which stays open as long as
// it: sample i*len(variants)+k is variant k of sample i, under the same ID. open is
// called for each Loader; what it returns is used by one goroutine, with neighbours one
// after the other, so that what variants share need be computed once. clean loads a sample
// of d; its image is valid until the next call.
func (d *Dataset) Derive(name, why string, variants []string, open func(clean func(i int) (imageproc.Image, error)) Maker) *Dataset {
	out := *d
	out.Name, out.Why, out.Format = name, why, Derived
	out.derived = &derivation{from: d, variants: variants, open: open}
	out.Samples = make([]Sample, 0, len(d.Samples)*len(variants))
	for _, s := range d.Samples {
		for range variants {
			out.Samples = append(out.Samples, s) // IDs share their memory: there can be a hundred variants
		}
	}
	return &out
}

// derive makes sample i of a derived data set.
func (l *Loader) derive(i int) (imageproc.Image, error) {
	d := l.d.derived
	if l.make == nil {
		clean := d.from.Loader()
		l.make = d.open(func(i int) (imageproc.Image, error) {
			im, err := clean.Load(i)
			d.sums.Store(i, clean.sum)
			return im, err
		})
	}
	if l.d.Samples[i].Size < 0 {
		return imageproc.Image{}, errListed
	}
	im, err := l.make(i/len(d.variants), i%len(d.variants))
	sum, _ := d.sums.Load(i / len(d.variants)) // it may have been loaded by another Loader
	l.sum, _ = sum.(uint32)
	return im, err
}

var errListed = errors.New("listed, but there is no such file")

// Join makes one data set of several with the same classes, one after the other; names are
// put before the IDs of each. They are closed with it.
func Join(name, why string, parts []*Dataset, names []string) (*Dataset, error) {
	out := &Dataset{Name: name, Why: why, Format: parts[0].Format, Classes: parts[0].Classes, Indices: parts[0].Indices, ClassMap: parts[0].ClassMap, MapName: parts[0].MapName, ClassSets: parts[0].ClassSets, border: parts[0].border, Order: parts[0].Order, exif: parts[0].exif}
	j := joinSource{}
	at := 0
	for k, p := range parts {
		if !slices.Equal(p.Classes, out.Classes) {
			return nil, fmt.Errorf("%s has other classes than %s", names[k], names[0])
		}
		for i, s := range p.Samples {
			s.ID, s.at = names[k]+"/"+s.ID, at+i
			out.Samples = append(out.Samples, s)
		}
		at += len(p.Samples)
		j.parts, j.end = append(j.parts, p), append(j.end, at)
		for _, n := range p.Notes {
			if note := names[k] + ": " + n; len(out.Notes) < 20 {
				out.Notes = append(out.Notes, note)
			}
		}
	}
	out.src = j
	return out, nil
}

type joinSource struct {
	parts []*Dataset
	end   []int // number of samples up to and with each part
}

func (j joinSource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	p, at := j.part(at)
	return p.src.read(p.Samples[at].at, buf)
}

func (j joinSource) changed(at int) time.Time {
	p, at := j.part(at)
	return p.src.changed(p.Samples[at].at)
}

func (j joinSource) close() error {
	var errs []error
	for _, p := range j.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
