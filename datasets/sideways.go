package datasets

import (
	"bytes"
	"io"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/regular"
)

// Sideways counts those of some samples (ascending indices, nil for all) whose files have an EXIF
// orientation other than upright that loading does not apply: see Options.Exif. Of a derived data set,
// those that it is computed from are counted. Of each file the parts that say so are read; one that
// cannot be read counts as upright.
func (d *Dataset) Sideways(samples []int) int {
	if d.exif {
		return 0
	}
	return d.Oriented(samples)
}

// Oriented is Sideways whether loading applies the orientation or not.
func (d *Dataset) Oriented(samples []int) int {
	if d.derived != nil {
		var from []int
		for _, i := range samples {
			from = append(from, i/len(d.derived.variants))
		}
		if samples == nil {
			return d.derived.from.Oriented(nil)
		}
		return d.derived.from.Oriented(slices.Compact(from))
	}
	if _, ok := d.src.(opener); !ok {
		return 0
	}
	n := len(samples)
	if samples == nil {
		n = len(d.Samples)
	}
	var next, count atomic.Int64
	var group sync.WaitGroup
	const workers = 16 // they wait for the disk, mostly
	for range min(workers, n) {
		group.Go(func() {
			for {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				if samples != nil {
					k = samples[k]
				}
				if d.orientation(d.Samples[k]) != imageproc.Upright {
					count.Add(1)
				}
			}
		})
	}
	group.Wait()
	return int(count.Load())
}

func (d *Dataset) orientation(s Sample) imageproc.Orientation {
	if s.Size < 0 {
		return imageproc.Upright
	}
	r, done := d.src.(opener).open(s.at)
	if r == nil {
		return imageproc.Upright
	}
	defer done()
	return imageproc.OrientationOf(r)
}

// opener is a source of files, parts of which can be read.
type opener interface {
	// open opens a file; nil where it cannot be read. done ends that.
	open(at int) (r io.ReaderAt, done func())
}

func (t *tree) open(at int) (io.ReaderAt, func()) {
	fl := t.files[at]
	switch {
	case fl.zip != nil:
		data, err := t.readFile(fl, nil)
		if err != nil {
			return nil, nil
		}
		return bytes.NewReader(data), func() {}
	case fl.open == "":
		return io.NewSectionReader(t.archive(fl), fl.off, fl.size), func() {}
	}
	f, err := regular.Open(fl.open)
	if err != nil {
		return nil, nil
	}
	return f, func() { f.Close() }
}

func (j joinSource) open(at int) (io.ReaderAt, func()) {
	p, at := j.part(at)
	if o, ok := p.src.(opener); ok {
		return o.open(p.Samples[at].at)
	}
	return nil, nil
}

// part is the data set that a sample is of, and which it is there.
func (j joinSource) part(at int) (*Dataset, int) {
	k := sort.SearchInts(j.end, at+1)
	if k > 0 {
		at -= j.end[k-1]
	}
	return j.parts[k], at
}
