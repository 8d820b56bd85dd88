package cam

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChannelsFirst(t *testing.T) {
	// A class token and a 2 x 3 grid of two channels.
	tokens := []float32{9, 9, 0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15}
	for name, c := range map[string]struct {
		layout Layout
		shape  []int64
		v      []float32
		h, w   int
		want   Features
		fails  bool
	}{
		"tokens":        {Tokens, []int64{-1, 7, 2}, tokens, 32, 48, Features{C: 2, H: 2, W: 3, A: []float32{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}}, false},
		"no grid":       {Tokens, []int64{-1, 7, 2}, tokens, 10, 1000, Features{}, true},
		"channels last": {NHWC, []int64{-1, 1, 2, 2}, []float32{1, 2, 3, 4}, 1, 1, Features{C: 2, H: 1, W: 2, A: []float32{1, 3, 2, 4}}, false},
		"as it is":      {NCHW, []int64{-1, 2, 1, 2}, []float32{1, 2, 3, 4}, 1, 1, Features{C: 2, H: 1, W: 2, A: []float32{1, 2, 3, 4}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ChannelsFirst(c.layout, c.shape, c.v, c.h, c.w)
			if (err != nil) != c.fails {
				t.Fatalf("error %v", err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
