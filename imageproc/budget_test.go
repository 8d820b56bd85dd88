package imageproc

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"sync"
	"testing"
	"time"
)

// TestBudget: decoders wait for each other where their pictures together take more than the
// budget, one that takes all of it is decoded all the same, and everything is given back.
func TestBudget(t *testing.T) {
	var d, e, small Decoder
	if err := d.claim(13000, 13000, perPixel16); err != nil || d.claimed < 1<<30 {
		t.Fatalf("%v, %d", err, d.claimed)
	}
	if err := d.claim(13000, 13000, perPixel16); err != nil { // a second time, of the same picture
		t.Fatal(err)
	}
	if err := small.claim(4000, 3000, perPixelCoded); err != nil || small.claimed != 0 {
		t.Errorf("a usual picture waits: %v, %d", err, small.claimed)
	}
	got := make(chan error)
	go func() { got <- e.claim(13000, 13000, perPixel16) }()
	select {
	case <-got:
		t.Fatal("two pictures of 1.8 GB are decoded at once")
	case <-time.After(50 * time.Millisecond):
	}
	d.release()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	e.release()
	e.release()
	if !shared.TryAcquire(budget) {
		t.Fatal("not all is given back")
	}
	shared.Release(budget)
	if err := d.claim(13000, 1<<20, 1); err == nil || d.claimed != 0 {
		t.Error("an absurd size is claimed")
	}
}

// header is the beginning of a PNG file of 16-bit RGBA, with pixel data that is damaged.
func header(w, h uint32) []byte {
	out := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		at := len(out)
		out = append(append(out, name...), body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[at:]))
	}
	var ihdr []byte
	ihdr = binary.BigEndian.AppendUint32(ihdr, w)
	ihdr = binary.BigEndian.AppendUint32(ihdr, h)
	chunk("IHDR", append(ihdr, 16, 6, 0, 0, 0))
	chunk("IDAT", bytes.Repeat([]byte{0xff}, int(8*w*h/1032)+100))
	return out
}

// TestBudgetReturned: pictures that cannot be decoded give back what they claimed, in many
// decoders at once.
func TestBudgetReturned(t *testing.T) {
	data := header(8000, 8000)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var d Decoder
			for range 3 {
				if _, _, err := d.Decode(data); err == nil || d.claimed != 0 {
					t.Errorf("%v, %d", err, d.claimed)
				}
			}
		})
	}
	group.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := shared.Acquire(ctx, budget); err != nil {
		t.Fatal("not all is given back")
	}
	shared.Release(budget)
}
