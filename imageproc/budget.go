package imageproc

import (
	"context"
	"runtime"

	"cutmix-eval/imageproc/jpeg"

	"golang.org/x/sync/semaphore"
)

// All decoders of the process share one budget for pictures that take much memory while they are
// decoded, so that it does not grow with the number of decoders. One that takes more than all of
// it is decoded alone. Pictures that people usually have are below large and wait for nobody.
const (
	budget = 2 << 30
	large  = 256 << 20
)

var shared = semaphore.NewWeighted(budget)

// Bytes per pixel while a picture is decoded: what the format's decoder makes, and three of the result.
const (
	perPixel      = 7
	perPixel16    = 11 // of four samples of 16 bits
	perPixelCoded = 12 // of a progressive JPEG file, whose coefficients are kept
)

// claim refuses sizes that are absurd before anything is allocated, and waits until there is
// memory for the picture, each of whose pixels takes so many bytes. The first claim of a
// picture counts.
func (d *Decoder) claim(w, h, each int) error {
	if err := checkSize(w, h); err != nil {
		return err
	}
	if n := min(int64(w)*int64(h)*int64(each), budget); n >= large && d.claimed == 0 {
		_ = shared.Acquire(context.Background(), n) // fails only where the context ends
		d.claimed = n
	}
	return nil
}

// release gives back what the picture took; the result itself stays until the next one.
func (d *Decoder) release() {
	if d.claimed == 0 {
		return
	}
	d.jpeg = jpeg.Decoder{}
	runtime.GC() // what one picture leaves must not be there when the next one is decoded
	shared.Release(d.claimed)
	d.claimed = 0
}
