package cam

import "math"

// Scorer runs a model on inputs of one size (as the model takes them, one after the
// other) and gives the score of the class for each.
type Scorer func(inputs [][]float32) ([]float64, error)

// Score is Score-CAM: every channel of the map, brought to the input's size and to
// 0..1, masks the input, and the channels are weighted by the softmax of the scores
// that the masked inputs get (Wang et al., CVPRW 2020; with pytorch-grad-cam's details:
// corners aligned, no baseline). input holds planes of H x W values, or where last is set,
// pixels of as many values as there are channels. batch inputs are made at a time.
func Score(f Features, input []float32, H, W int, last bool, batch int, score Scorer) ([]float64, error) {
	scores := make([]float64, 0, f.C)
	masked := make([][]float32, batch)
	for i := range masked {
		masked[i] = make([]float32, len(input))
	}
	mask := make([]float32, H*W)
	channels := len(input) / (H * W)
	for k := 0; k < f.C; k += batch {
		n := min(batch, f.C-k)
		for i := range n {
			spread(mask, f.channel(k+i), f.H, f.W, H, W)
			for p, v := range mask {
				for c := range channels {
					at := c*H*W + p
					if last {
						at = channels*p + c
					}
					masked[i][at] = input[at] * v
				}
			}
		}
		s, err := score(masked[:n])
		if err != nil {
			return nil, err
		}
		scores = append(scores, s...)
	}
	top, sum := math.Inf(-1), 0.0
	for _, s := range scores {
		top = max(top, s)
	}
	for k := range scores {
		scores[k] = math.Exp(scores[k] - top)
		sum += scores[k]
	}
	for k := range scores {
		scores[k] /= sum
	}
	return Combine(f, scores), nil
}

// spread resizes a channel bilinearly, its corners on the corners, and brings it to
// 0..1; a constant one becomes zeros.
func spread(dst, a []float32, h, w, H, W int) {
	step := func(in, out int) float64 {
		if out < 2 {
			return 0
		}
		return float64(in-1) / float64(out-1)
	}
	sy, sx := step(h, H), step(w, W)
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for y := range H {
		fy := float64(y) * sy
		y0 := min(int(fy), h-1)
		y1 := min(y0+1, h-1)
		wy := float32(fy - float64(y0))
		for x := range W {
			fx := float64(x) * sx
			x0 := min(int(fx), w-1)
			x1 := min(x0+1, w-1)
			wx := float32(fx - float64(x0))
			up := a[y0*w+x0]*(1-wx) + a[y0*w+x1]*wx
			down := a[y1*w+x0]*(1-wx) + a[y1*w+x1]*wx
			v := up*(1-wy) + down*wy
			dst[y*W+x] = v
			low, high = min(low, v), max(high, v)
		}
	}
	for i := range dst {
		dst[i] = (dst[i] - low) / (high - low + 1e-8)
	}
}
