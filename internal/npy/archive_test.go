package npy

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// TestArchive: what is written comes back, bytes do not depend on the order of maps, and what
// unpacks to too much is refused.
func TestArchive(t *testing.T) {
	a := Archive{Texts: map[string][]byte{"b.json": []byte("{}"), "a.txt": nil}, Arrays: map[string]Array{"x/y": {Shape: []int{2, 2}, Data: []float64{1, -2, 0.5, 1e300}}, "empty": {Shape: []int{0, 3}}}}
	var first, second bytes.Buffer
	if err := a.Write(&first); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(&second); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("two writings differ (%v)", err)
	}
	r := bytes.NewReader(first.Bytes())
	back, err := ReadArchive(r, r.Size(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b Array) bool { return slices.Equal(a.Shape, b.Shape) && slices.Equal(a.Data, b.Data) }
	if !maps.EqualFunc(a.Arrays, back.Arrays, same) || !maps.EqualFunc(a.Texts, back.Texts, bytes.Equal) {
		t.Errorf("%v came back as %v", a, back)
	}
	if _, err := ReadArchive(r, r.Size(), 100); err == nil {
		t.Error("300 bytes fit into 100")
	}
	if _, err := ReadArchive(bytes.NewReader([]byte("PK")), 2, 100); err == nil {
		t.Error("two bytes are an archive")
	}
}
