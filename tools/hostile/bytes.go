//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// change makes a file's contents hostile and says how. The same generator gives the same.
type change func(rng *rand.Rand, data []byte) ([]byte, string)

// pick draws one of several.
func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// garbage is random bytes.
func garbage(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// somewhere draws an index of data that is often near the beginning or the end, where headers are.
func somewhere(rng *rand.Rand, n int) int {
	if n < 1 {
		return 0
	}
	switch rng.IntN(4) {
	case 0:
		return rng.IntN(min(n, 64))
	case 1:
		return n - 1 - rng.IntN(min(n, 512))
	}
	return rng.IntN(n)
}

// changeBytes changes a file of any format.
func changeBytes(rng *rand.Rand, data []byte) ([]byte, string) {
	out := bytes.Clone(data)
	at := somewhere(rng, len(out))
	switch rng.IntN(10) {
	case 0:
		return nil, "empty"
	case 1, 2:
		return out[:at], fmt.Sprintf("cut off after %d of %d bytes", at, len(out))
	case 3, 4:
		n := 1 + rng.IntN(8)
		for range n {
			if len(out) > 0 {
				out[somewhere(rng, len(out))] ^= 1 << rng.IntN(8)
			}
		}
		return out, fmt.Sprintf("%d bits flipped", n)
	case 5:
		n := min(len(out)-at, 1+rng.IntN(256))
		copy(out[at:at+n], bytes.Repeat([]byte{pick(rng, byte(0), 0xff, 0x7f, 0x80)}, n))
		return out, fmt.Sprintf("%d bytes from %d on are all the same", n, at)
	case 6:
		n := min(len(out)-at, 1+rng.IntN(4096))
		return append(out[:at:at], data[at+n:]...), fmt.Sprintf("%d bytes from %d on left out", n, at)
	case 7:
		n := min(len(out)-at, 1+rng.IntN(4096))
		return append(append(out[:at:at], data[at:at+n]...), data[at:]...), fmt.Sprintf("%d bytes from %d on twice", n, at)
	case 8:
		n := 1 << rng.IntN(20)
		return append(out, garbage(rng, n)...), fmt.Sprintf("%d random bytes at the end", n)
	}
	n := 1 << rng.IntN(14)
	return garbage(rng, n), fmt.Sprintf("%d random bytes", n)
}

// extremes are numbers at the ends of their types and beyond, as text.
var extremes = []string{
	"-1", "0", "1", "2", "255", "256", "65536", "-2147483648", "2147483647", "2147483648", "4294967296", "1099511627776",
	"-9223372036854775808", "9223372036854775807", "9223372036854775808", "18446744073709551615", "1e308", "-1e308", "1e309", "5e-324", "0.5", "-0.0",
}
