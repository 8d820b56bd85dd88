package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/heads"
	"cutmix-eval/internal/text"
	"cutmix-eval/report"
	"cutmix-eval/results"
)

// role is images that train, validate or test.
type role struct {
	name   string // train, val or test
	images *evaluation.Images
	truth  *datasets.Truth
	maps   bool // their feature maps are kept
	size   mapSize
	pass   *evaluation.Pass
	// labelled are those with a label, ascending; nil is all.
	labelled []int
}

// folder is the name of the folder of the role's records.
func (r *role) folder() string {
	if r.maps {
		return r.name + "-maps"
	}
	return r.name
}

// openPass opens the run of a role's features.
func (j *Job) openPass(ctx context.Context, r *role, dir string) error {
	spec := evaluation.Spec{
		Task: Name, Config: struct{}{}, Selected: evaluation.Both(r.images.Selected(), r.labelled),
		Needs: []string{evaluation.Logits, evaluation.Features},
	}
	if r.maps {
		spec.Taps, spec.PartSize = []string{j.head.FeatureMap}, mapsPart
	}
	p, err := evaluation.Open(ctx, j.base, r.images, evaluation.Store{Dir: dir}, spec)
	if err != nil {
		return err
	}
	var own []results.Array
	about := any(p.Before)
	if p.New() {
		if r.maps {
			channels, size, err := mapShape(j.head, p.Shape(j.head.FeatureMap))
			if err != nil {
				return errors.Join(err, p.Close())
			}
			r.size, own = size, []results.Array{{Name: mapsArray, Width: channels * size.Rows * size.Columns}}
		}
		about = r.size
	}
	if err = p.Begin(ctx, about, own...); err == nil {
		r.size, err = results.About[mapSize](p.Run, Name)
	}
	if err == nil && j.options.Restart {
		err = readable(ctx, p.Run)
	}
	if err != nil {
		return errors.Join(err, p.Close())
	}
	r.pass = p
	return nil
}

// readable says whether the features that are there can be read.
func readable(ctx context.Context, run *results.Run) error {
	err := results.Each[Record](ctx, run, []string{evaluation.Features}, func(*Record, [][]float32) error { return nil })
	if err != nil {
		err = fmt.Errorf("%w: %w", results.ErrUnreadable, err)
	}
	return err
}

// examples are images of a role in memory, by their features.
type examples struct {
	*role
	heads.Set
	name    string // val for the part of the training images that validates
	at      []int  // samples, ascending: those that could be read and have a label
	content []int64
	bad     []report.BadImage
}

// only are some of the images, ascending.
func (e *examples) only(name string, at []int) *examples {
	out := &examples{role: e.role, Set: e.Set.Only(at), name: name}
	for _, i := range at {
		out.at, out.content = append(out.at, e.at[i]), append(out.content, e.content[i])
	}
	return out
}

// selected are the images alone, as samples.
func (e *examples) selected() *evaluation.Images {
	if len(e.at) == e.images.Len() {
		return e.images.Select(nil)
	}
	return e.images.Select(e.at)
}

// sum is a checksum of what images are and are of.
func sum(sets ...*examples) string {
	h := sha256.New()
	for _, s := range sets {
		for i, c := range s.Class {
			_ = binary.Write(h, binary.LittleEndian, [2]int64{int64(c), s.content[i]}) // a hash takes everything
		}
		_ = binary.Write(h, binary.LittleEndian, s.Several)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// read reads the features of all roles into memory.
func (j *Job) read(ctx context.Context) ([]*examples, error) {
	var out []*examples
	for _, r := range j.roles {
		e, err := r.read(ctx, j.config.several())
		if err != nil {
			return nil, fmt.Errorf("%s images: %w: %w", r.name, results.ErrUnreadable, err)
		}
		if len(e.at) == 0 {
			return nil, fmt.Errorf("%s images: not one could be read; the first: %s: %s", r.name, e.bad[0].ID, e.bad[0].Reason)
		}
		out = append(out, e)
	}
	return out, nil
}

func (r *role) read(ctx context.Context, several bool) (*examples, error) {
	width, _ := r.pass.HasArray(evaluation.Features)
	e := &examples{role: r, name: r.name, Set: heads.Set{Targets: heads.Targets{Classes: len(r.truth.Classes)}, Features: width}}
	row := make([]float64, e.Classes)
	return e, results.Each[Record](ctx, r.pass.Run, []string{evaluation.Features}, func(rec *Record, arrays [][]float32) error {
		i := int(rec.Index)
		if rec.Status != results.OK {
			e.bad = append(e.bad, report.BadImage{ID: r.name + "/" + rec.ID, Reason: rec.Error})
			return nil
		}
		c := r.truth.Row(row, i)
		if c < 0 {
			return fmt.Errorf("the run has a record of %s, which has no label", rec.ID)
		}
		e.at, e.Class, e.content = append(e.at, i), append(e.Class, c), append(e.content, rec.Content)
		if e.X = append(e.X, arrays[0]...); several {
			e.Several = append(e.Several, row...)
		}
		return nil
	})
}

// divisible says whether some training images are left to validate on.
func (j *Job) divisible() error {
	r := j.roles[0]
	var class []int
	var own []int64 // contents are not known yet
	row := make([]float64, len(j.classes))
	selected := r.images.Selected()
	for i := range r.images.Len() {
		if _, ok := slices.BinarySearch(selected, i); selected != nil && !ok {
			continue
		}
		if c := r.truth.Row(row, i); c >= 0 {
			class, own = append(class, c), append(own, int64(i))
		}
	}
	if _, held := heads.Split(class, own, j.config.Split, j.seed); len(held) == 0 {
		return j.indivisible(len(class))
	}
	return nil
}

func (j *Job) indivisible(n int) error {
	return fmt.Errorf("no image is left to validate on: %d images of %d classes with --split %v; give more, or --val", n, len(j.classes), j.config.Split)
}

// divide says which images train, and which the head is judged by: those that validate first.
// A part of the training images validates where there are no others.
func (j *Job) divide(all []*examples) (train *examples, judged []*examples, notes []string, err error) {
	train, judged = all[0], all[1:]
	if len(judged) > 0 && judged[0].name == "val" {
		return train, judged, nil, nil
	}
	at, held := heads.Split(train.Class, train.content, j.config.Split, j.seed)
	if len(held) == 0 {
		return nil, nil, nil, j.indivisible(len(train.at))
	}
	val := train.only("val", held)
	part := train.only("train", at)
	train.Set = heads.Set{} // its rows are in the parts
	return part, append([]*examples{val}, judged...), []string{fmt.Sprintf(
		"%d of the images train and %d validate, by class (--split %v); images of equal content are on one side", part.N(), val.N(), j.config.Split)}, nil
}

// suspicious says what about the images is.
func (j *Job) suspicious(train *examples, judged []*examples) (warnings []string, err error) {
	warn := func(format string, a ...any) { warnings = append(warnings, fmt.Sprintf(format, a...)) }
	for _, s := range judged {
		if n := shared(train, s); n > 0 {
			warn("%d of the %d %s images are training images too (the same tensor): their numbers are too good", n, len(s.at), s.name)
		}
	}
	if len(judged) == 2 && !j.config.Last {
		if n := shared(judged[0], judged[1]); n > 0 {
			warn("%d of the %d test images are validation images too (the same tensor), which chose the epoch", n, judged[1].N())
		}
	}
	named := func(is func(k int) bool) (names []string) {
		for k, name := range j.classes {
			if is(k) {
				names = append(names, name)
			}
		}
		return names
	}
	if j.config.several() {
		for _, s := range append([]*examples{train}, judged...) {
			none := named(func(k int) bool { return !s.Shown(k) })
			if len(none) == len(j.classes) {
				return nil, fmt.Errorf("no %s image is of any class", s.name)
			}
			if len(none) > 0 {
				warn("%d of %d classes have no %s image (%s)", len(none), len(j.classes), s.name, text.Some(none, most))
			}
		}
		return warnings, nil
	}
	count := train.Counts()
	if none := named(func(k int) bool { return count[k] == 0 }); len(none) > 0 {
		warn("%d of %d classes have no training image (%s): they are not predicted but by chance", len(none), len(count), text.Some(none, most))
	}
	if single := named(func(k int) bool { return count[k] == 1 }); len(single) > 0 {
		warn("%d classes have a single training image (%s)", len(single), text.Some(single, most))
	}
	largest, least := 0, math.MaxInt
	for _, n := range count {
		if n > 0 {
			largest, least = max(largest, n), min(least, n)
		}
	}
	if largest >= 10*least && !j.config.Balanced {
		warn("classes have between %d and %d training images: rare ones will be predicted less "+
			"(--class-weights balanced evens it out; see balanced_accuracy)", least, largest)
	}
	for _, s := range judged {
		has := s.Counts()
		if missing := named(func(k int) bool { return has[k] == 0 && count[k] > 0 }); len(missing) > 0 {
			warn("%d of %d classes have no %s image (%s): nothing is known about them", len(missing), len(count), s.name, text.Some(missing, most))
		}
	}
	return warnings, nil
}

// shared is how many of b's images have the content of one of a's.
func shared(a, b *examples) int {
	seen := map[int64]bool{}
	for _, c := range a.content {
		seen[c] = true
	}
	n := 0
	for _, c := range b.content {
		if seen[c] {
			n++
		}
	}
	return n
}
