package heads

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Stream is what random numbers are drawn for. Every stream, epoch and item has random numbers of
// its own, so that a training that resumes draws what it would have drawn.
type Stream uint64

// The streams.
const (
	Ordering   Stream = iota // the order of an epoch's rows
	Augmenting               // what is done to an image
	Mixing                   // how a batch is mixed
	Dropping                 // dropout of a batch
	Starting                 // a network's first parameters
	Splitting                // which rows train
)

// Rand are the random numbers of a stream in an epoch, for item i: an image, or a batch.
func (s Stream) Rand(seed uint64, epoch, i int) *rand.Rand {
	var b []byte
	for _, v := range []uint64{seed, uint64(s), uint64(epoch), uint64(i)} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return rand.New(rand.NewChaCha8(sha256.Sum256(b)))
}

// Order is the order in which the n rows of an epoch are seen.
func Order(seed uint64, epoch, n int) []int { return Ordering.Rand(seed, epoch, 0).Perm(n) }
