package datasets

import (
	"strings"
	"testing"
)

// TestNames: which image a name means, with folders of its own (Find) and without
// (FindWithin), or that several are meant.
func TestNames(t *testing.T) {
	const none, several = "", "several"
	for _, c := range []struct {
		name, paths string
		find        string
		within      string
	}{
		{"a/x/1.jpg", "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"./a/x/1.jpg", "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"/data/a/x/1.jpg", "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"a/x/1", "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"a/x/1.png", "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"x/1.jpg", "a/x/1.jpg|b/y/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"x/1.jpg", "a/x/1.jpg|b/x/1.jpg", several, several},
		{"x/1.jpg", "x/1.jpg|b/x/1.jpg", "x/1.jpg", "x/1.jpg"},
		{"c/x/1.jpg", "a/x/1.jpg|b/y/1.jpg", "a/x/1.jpg", none},
		{"c/x/1.jpg", "a/x/1.jpg|1.jpg", "a/x/1.jpg", "1.jpg"},
		{"1.jpg", "a/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{"1.jpg", "a/1.jpg|b/1.png", "a/1.jpg", "a/1.jpg"},
		{"b/1.jpg", "a/1.jpg|b/1.png", "b/1.png", "b/1.png"},
		{"1", "a/1.jpg|b/1.png", several, several},
		{"1", "a/1.jpg|1.png", "1.png", "1.png"},
		{"1", "1.jpg|1.png", several, several},
		{"1", "1.jpg|1", "1", "1"},
		{"c/1.jpg", "a/1.jpg", "a/1.jpg", none},
		{"c/1.jpg", "a/1.jpg|b/1.jpg", several, none},
		{"b.v1", "b.v1.png|b.png", "b.v1.png", "b.v1.png"},
		{"b.v1.jpg", "x/b.v1.png|b.png", "x/b.v1.png", "x/b.v1.png"},
		{"mr. big cat", "mr. big cat.png|mr.png", "mr. big cat.png", "mr. big cat.png"},
		{"a\nb.png", "x/a%0Ab.png", "x/a%0Ab.png", "x/a%0Ab.png"},
		{"1.jpg", "a/1.jpg|a/1.jpg", "a/1.jpg", "a/1.jpg"},
		{"2.jpg", "a/1.jpg", none, none},
		{"a", "a/1.jpg", none, none},
		{`a\x\1.jpg`, "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{`C:\data\a\x\1.jpg`, "a/x/1.jpg|b/x/1.jpg", "a/x/1.jpg", "a/x/1.jpg"},
		{`a\1.jpg`, `a\1.jpg|1.jpg`, `a\1.jpg`, `a\1.jpg`},
		{`c/1.jpg`, `b\1.jpg|b\2.jpg`, `b\1.jpg`, none},
		{"1.JPG", "a/1.jpg", "a/1.jpg", "a/1.jpg"},
		{"A/One.jpeg", "a/one.jpg|b/one.jpg", "a/one.jpg", "a/one.jpg"},
		{`x\A.jpg`, "x/A.jpg|x/a.jpg", "x/A.jpg", "x/A.jpg"},
		{"X/A.JPG", "x/A.jpg|x/a.jpg", "x/A.jpg", several},
		{"X/AB.JPG", "x/Ab.jpg|x/aB.jpg", several, several},
		{"", "a/1.jpg", none, none},
	} {
		t.Run(c.name+" of "+c.paths, func(t *testing.T) {
			paths := strings.Split(c.paths, "|")
			names := NewNames("d", paths)
			for _, f := range []struct {
				what string
				find func(string) (int, error)
				want string
			}{{"Find", names.Find, c.find}, {"FindWithin", names.FindWithin, c.within}} {
				got := none
				i, err := f.find(c.name)
				switch {
				case err != nil && strings.Contains(err.Error(), "several images of d are called"):
					got = several
				case err != nil:
					t.Fatal(err)
				case i >= 0:
					got = paths[i]
				}
				if got != f.want {
					t.Errorf("%s: %q, want %q", f.what, got, f.want)
				}
			}
		})
	}
}
