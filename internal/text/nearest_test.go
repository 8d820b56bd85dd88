package text

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"mean", "std", "resize", "crop_pct"}
	for s, want := range map[string]string{
		"means": "mean", "men": "mean", "resise": "resize", "crop-pct": "crop_pct", "": "", "s": "", "classes": "", "st": "std",
	} {
		if got := Nearest(s, words); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"modle", "model", 2}, {"cam", "cam", 0}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
