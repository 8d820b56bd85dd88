package finetune

import (
	"crypto/sha256"
	"encoding/binary"
	"image"
	"math/rand/v2"
	"slices"

	"cutmix-eval/augment"
)

// Concerns of random numbers: each has its own, so that a run that goes on after a stop
// draws what it would have drawn.
const (
	ordering uint64 = iota
	augmenting
	mixingOf
	dropping
	starting
	splitting
)

// random are the random numbers of a concern in an epoch, for one image or batch.
func random(seed, concern uint64, epoch, i int) *rand.Rand {
	var b []byte
	for _, v := range []uint64{seed, concern, uint64(epoch), uint64(i)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return rand.New(rand.NewChaCha8(sha256.Sum256(b)))
}

// mixing is how a batch is mixed: image i gets from image partner[i] what is in box[i], or,
// of Mixup, the share 1 - lambda[i] of all pixels; of Cutout box[i] is erased. own[i] is what of
// the label it keeps.
type mixing struct {
	partner []int
	box     []image.Rectangle
	lambda  []float64
	own     []float64
}

// plan draws the mixing of n images, or maps, of h x w places. progress is the share of the
// training that is done. nil: nothing is mixed.
func (m Mix) plan(rng *rand.Rand, n, h, w int, progress float64) *mixing {
	prob := m.Prob
	if m.Scheduled {
		prob *= progress
	}
	perImage := m.PerImage || m.Method == Cutout // whose squares are every image's own
	if m.Method == None || !perImage && rng.Float64() >= prob {
		return nil
	}
	p := &mixing{make([]int, n), make([]image.Rectangle, n), make([]float64, n), make([]float64, n)}
	perm := rng.Perm(n)
	label := labelings[m.Labels]
	for i := range n {
		if i > 0 && !perImage {
			p.partner[i], p.box[i], p.lambda[i], p.own[i] = perm[i], p.box[0], p.lambda[0], p.own[0]
			continue
		}
		if p.partner[i] = perm[i]; perImage && rng.Float64() >= prob {
			p.partner[i], p.lambda[i], p.own[i] = i, 1, 1
			continue
		}
		lambda := m.lambda(rng)
		switch m.Method {
		case Cutout:
			p.box[i] = augment.CutoutBox(h, w, int(m.Length*float64(min(h, w))), rng.IntN(h), rng.IntN(w))
			p.lambda[i], p.own[i] = 1, 1
			continue
		case Mixup:
		default:
			centre := augment.Uniform
			if m.Box == "gaussian" {
				centre = augment.Gaussian
			}
			p.box[i] = augment.RandomBox(rng, h, w, lambda, centre)
			if !m.Uncorrected {
				lambda = augment.Lambda(p.box[i], h, w)
			}
		}
		p.lambda[i], p.own[i] = lambda, label.Share(lambda)
	}
	return p
}

// lambda is the share of an image that is to stay.
func (m Mix) lambda(rng *rand.Rand) float64 {
	if m.Box == "fixed" && m.Method != Mixup {
		return 0.75 // half the side
	}
	return augment.Beta(rng, m.Alpha)
}

// pixels mixes tensors of a batch in place: planes of h x w values, or, where channels lie
// together, one plane of h x w pixels of the given depth. scratch holds the batch as it was.
// Cutout fills with 0, the mean that was subtracted.
func (m Mix) pixels(p *mixing, slot func(i int) []float32, scratch *[]float32, channels, h, w, depth int) {
	n := len(p.partner)
	size := channels * h * w * depth
	if m.Method == Cutout {
		for i := range n {
			augment.Erase(slot(i), slot(i), channels, h, w*depth, deep(p.box[i], depth), 0)
		}
		return
	}
	if cap(*scratch) < n*size {
		*scratch = make([]float32, n*size)
	}
	before := (*scratch)[:n*size]
	for i := range n {
		copy(before[i*size:], slot(i))
	}
	for i, o := range p.partner {
		own, other := before[i*size:(i+1)*size], before[o*size:(o+1)*size]
		if m.Method == Mixup {
			augment.Blend(slot(i), own, other, p.lambda[i])
		} else {
			augment.Paste(slot(i), own, other, channels, h, w*depth, deep(p.box[i], depth))
		}
	}
}

// deep is a box of pixels as one of values.
func deep(b image.Rectangle, depth int) image.Rectangle {
	b.Min.X, b.Max.X = b.Min.X*depth, b.Max.X*depth
	return b
}

// pooled writes to dst the mean over places of a map of channels x h x w values with the box
// taken from another.
func pooled(dst, own, other []float32, channels, h, w int, b image.Rectangle) {
	for c := range channels {
		at := c * h * w
		sum := 0.0
		for _, v := range own[at : at+h*w] {
			sum += float64(v)
		}
		for y := b.Min.Y; y < b.Max.Y; y++ {
			row := at + y*w
			for x := row + b.Min.X; x < row+b.Max.X; x++ {
				sum += float64(other[x]) - float64(own[x])
			}
		}
		dst[c] = float32(sum / float64(h*w))
	}
}

// blend writes the targets of a mixed image: the share own of y, the rest of other.
func blend(dst, y, other []float64, own float64) {
	switch own { // what is not known of an image that is not seen does not matter
	case 1:
		copy(dst, y)
		return
	case 0:
		copy(dst, other)
		return
	}
	for c, v := range y {
		dst[c] = own*v + (1-own)*other[c]
	}
}

// targets are those of a batch: the images at of all.
func (p *mixing) targets(dst []float64, all *labels, at []int) []float64 {
	dst = slices.Grow(dst[:0], len(at)*all.classes)[:len(at)*all.classes]
	y, other := make([]float64, all.classes), make([]float64, all.classes)
	for i, a := range at {
		row := dst[i*all.classes : (i+1)*all.classes]
		if all.row(row, a); p == nil || p.partner[i] == i || p.own[i] == 1 {
			continue
		}
		copy(y, row)
		all.row(other, at[p.partner[i]])
		blend(row, y, other, p.own[i])
	}
	return dst
}
