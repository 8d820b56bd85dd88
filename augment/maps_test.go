package augment

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestPlanar(t *testing.T) {
	// Three places of two channels.
	if got := Planar(nil, []float32{1, 10, 2, 20, 3, 30}, 2); !slices.Equal(got, []float32{1, 2, 3, 10, 20, 30}) {
		t.Error(got)
	}
}

func TestMeansDiffer(t *testing.T) {
	m := []float32{1, 3, 10, 30}
	if c, _ := MeansDiffer(m, []float32{2, 20}); c != -1 {
		t.Errorf("feature %d is said to differ", c)
	}
	if c, mean := MeansDiffer(m, []float32{2, 20.1}); c != 1 || mean != 20 {
		t.Errorf("feature %d, mean %v", c, mean)
	}
}

// TestMaps: the features of mixed maps are their means, and without mixing they stay.
func TestMaps(t *testing.T) {
	maps := [][]float32{{1, 2, 3, 4}, {10, 20, 30, 40}, {100, 200, 300, 400}} // of one channel
	m := &Maps{Channels: 1, H: 2, W: 2, Read: func(dst []float32, i int) error { copy(dst, maps[i]); return nil }}
	mix := Mix{Method: FeatureCutMix, Alpha: 1, Prob: 1, Box: "uniform", Labels: "shares", Length: 0.5}
	at := []int{2, 0, 1}
	for batch := range 20 {
		x := make([]float32, 3)
		p, err := m.Mix(x, at, mix, drawn(0, batch), 0)
		if err != nil {
			t.Fatal(err)
		}
		for k, i := range at {
			mixed := slices.Clone(maps[i])
			Paste(mixed, maps[i], maps[at[p.Partner[k]]], 1, 2, 2, p.Box[k])
			want := (mixed[0] + mixed[1] + mixed[2] + mixed[3]) / 4
			if math.Abs(float64(x[k]-want)) > 1e-4 { // float32
				t.Errorf("map %d: %v, want %v", i, x[k], want)
			}
		}
	}
	mix.Prob = 0
	x := []float32{1, 2, 3}
	if p, err := m.Mix(x, at, mix, drawn(0, 0), 0); p != nil || err != nil || !slices.Equal(x, []float32{1, 2, 3}) {
		t.Errorf("not mixed: %v, %v, %v", p, x, err)
	}
	bad := errors.New("bad")
	mix.Prob, m.Read = 1, func([]float32, int) error { return bad }
	if _, err := m.Mix(x, at, mix, drawn(0, 0), 0); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
}
