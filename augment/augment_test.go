package augment

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"cutmix-eval/internal/golden"
)

// TestBoxGolden: every box of the official code's rand_bbox.
func TestBoxGolden(t *testing.T) {
	var v struct {
		Table []struct {
			W, H           int // rows and columns, as the official code calls them
			Lam            float64
			CX, CY         int
			X1, Y1, X2, Y2 int
			Adjusted       float64 `json:"lam_adjusted"`
		}
	}
	golden.JSON(t, &v, "golden", "cutmix", "rand_bbox.json")
	if len(v.Table) != 500 {
		t.Fatalf("%d rows", len(v.Table))
	}
	for _, r := range v.Table {
		b := BoxAt(r.W, r.H, r.Lam, r.CX, r.CY)
		if b != image.Rect(r.Y1, r.X1, r.Y2, r.X2) || math.Abs(Lambda(b, r.W, r.H)-r.Adjusted) > 1e-15 {
			t.Errorf("%+v: %+v, lambda %v", r, b, Lambda(b, r.W, r.H))
		}
	}
}

// TestDraws: lambda has the Beta distribution's moments, boxes their mean area and place.
func TestDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 20000
	for _, alpha := range []float64{0.2, 1, 4} {
		sum, square := 0.0, 0.0
		for range n {
			l := Beta(rng, alpha)
			sum, square = sum+l, square+l*l
		}
		mean := sum / n
		variance := square/n - mean*mean
		want := 1 / (4 * (2*alpha + 1))
		// Five standard errors of the mean; the variance's is below its own hundredth.
		if math.Abs(mean-0.5) > 5*math.Sqrt(want/n) || math.Abs(variance/want-1) > 0.05 {
			t.Errorf("alpha %v: mean %v, variance %v, want %v", alpha, mean, variance, want)
		}
	}
	for _, c := range []Centre{Uniform, Gaussian} {
		middle, area := 0.0, 0.0
		for range n {
			b := RandomBox(rng, 32, 32, 0.75, c)
			if !b.In(image.Rect(0, 0, 32, 32)) || b.Dx() > 16 || b.Dy() > 16 || b.Empty() {
				t.Fatalf("%+v", b)
			}
			middle += math.Abs(float64(b.Min.Y+b.Max.Y)/2-16) / n
			area += float64(b.Dx()*b.Dy()) / n
		}
		if (c == Gaussian) != (middle < 6) {
			t.Errorf("centre %d: boxes are %v from the middle, area %v", c, middle, area)
		}
	}
	for lambda, want := range map[float64][3]float64{0.5: {0.5, 1, 0.5}, 0.49: {0.49, 0, 0.5}, 1: {1, 1, 0.5}} {
		if got := [3]float64{Shares.Share(lambda), Larger.Share(lambda), Halves.Share(lambda)}; got != want {
			t.Errorf("shares of %v: %v, want %v", lambda, got, want)
		}
	}
}
