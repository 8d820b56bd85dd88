package datasets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"cutmix-eval/imageproc"

	"golang.org/x/sync/errgroup"
)

// Problem is an image that cannot be used.
type Problem struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Checkup is what Check finds.
type Checkup struct {
	Images      int                      `json:"images"`
	Good        int                      `json:"good"`
	PerClass    []int                    `json:"per_class"` // images by class, bad ones included
	NoImages    []string                 `json:"classes_without_images"`
	Missing     []Problem                `json:"missing"`
	Empty       []Problem                `json:"empty"`
	Undecodable []Problem                `json:"undecodable"`
	Formats     map[imageproc.Format]int `json:"formats"`
	// Duplicates are groups of images of the same content; Conflicts counts
	// the groups whose images have different labels.
	Duplicates [][]string `json:"duplicates"`
	Conflicts  int        `json:"duplicates_with_different_labels"`
	// Sideways counts pictures whose EXIF orientation is other than upright.
	Sideways int `json:"exif_orientation_not_upright"`
	MinSide  int `json:"min_side"`
	MaxSide  int `json:"max_side"`
}

// Bad is the number of images that cannot be used.
func (c *Checkup) Bad() int { return len(c.Missing) + len(c.Empty) + len(c.Undecodable) }

// Check reads and decodes every image with the given number of workers. done,
// if not nil, is called after each image, from several goroutines.
func (d *Dataset) Check(ctx context.Context, workers int, done func()) (*Checkup, error) {
	type found struct {
		err    error
		empty  bool
		format imageproc.Format
		turned bool
		w, h   int
		sum    [32]byte
	}
	res := make([]found, len(d.Samples))
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range max(workers, 1) {
		group.Go(func() error {
			l := d.Loader()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(res) {
					return nil
				}
				f := &res[i]
				data, ready, err := l.read(i)
				if storage := (*StorageError)(nil); errors.As(err, &storage) {
					return fmt.Errorf("image %s: %w", d.Samples[i].ID, err)
				}
				f.err = err
				switch {
				case err != nil:
				case ready != nil:
					f.sum, f.w, f.h = sha256.Sum256(ready.Pix), ready.W, ready.H
				default:
					f.sum, f.empty = sha256.Sum256(data), len(data) == 0
					var img imageproc.Image
					if img, f.err = l.decode(data, nil); f.err == nil {
						f.w, f.h, f.format = img.W, img.H, imageproc.Sniff(data)
						f.turned = imageproc.OrientationOf(bytes.NewReader(data)) != imageproc.Upright
					}
				}
				if done != nil {
					done()
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	c := &Checkup{Images: len(res), PerClass: make([]int, len(d.Classes)), Formats: map[imageproc.Format]int{}}
	same := map[[32]byte][]int{}
	for i, f := range res {
		s := d.Samples[i]
		if s.Label >= 0 {
			c.PerClass[s.Label]++
		}
		switch {
		case s.Size < 0:
			c.Missing = append(c.Missing, Problem{s.ID, f.err.Error()})
			continue
		case f.empty:
			c.Empty = append(c.Empty, Problem{s.ID, "the file is empty"})
			continue
		case f.err != nil:
			c.Undecodable = append(c.Undecodable, Problem{s.ID, f.err.Error()})
		default:
			c.Good++
			c.Formats[f.format]++
			if f.turned {
				c.Sideways++
			}
			if c.MinSide == 0 {
				c.MinSide = min(f.w, f.h)
			}
			c.MinSide, c.MaxSide = min(c.MinSide, f.w, f.h), max(c.MaxSide, f.w, f.h)
		}
		if f.sum != ([32]byte{}) {
			same[f.sum] = append(same[f.sum], i)
		}
	}
	for i, n := range c.PerClass {
		if n == 0 {
			c.NoImages = append(c.NoImages, d.Classes[i])
		}
	}
	for _, group := range same {
		if len(group) < 2 {
			continue
		}
		ids := make([]string, len(group))
		conflict := false
		for k, i := range group {
			ids[k] = d.Samples[i].ID
			conflict = conflict || d.Samples[i].Label != d.Samples[group[0]].Label
		}
		if conflict {
			c.Conflicts++
		}
		c.Duplicates = append(c.Duplicates, ids)
	}
	slices.SortFunc(c.Duplicates, func(a, b []string) int { return slices.Compare(a, b) })
	return c, nil
}
