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

// TestReader: members are read one by one, and bounded; arrays by their shape.
func TestReader(t *testing.T) {
	a := Archive{Texts: map[string][]byte{"a.txt": []byte("text")}, Arrays: map[string]Array{"x": {Shape: []int{100, 300}, Data: make([]float64, 30000)}}}
	a.Arrays["x"].Data[29999] = 7
	var b bytes.Buffer
	if err := a.Write(&b); err != nil {
		t.Fatal(err)
	}
	m, err := Members(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || !slices.Equal(m.Names(), []string{"a.txt", "x.npy"}) {
		t.Fatalf("%v, %v", m.Names(), err)
	}
	x, err := m.Array("x", func(shape []int) bool { return slices.Equal(shape, []int{100, 300}) })
	if err != nil || !slices.Equal(x.Data, a.Arrays["x"].Data) {
		t.Errorf("the array came back otherwise (%v)", err)
	}
	if text, err := m.Read("a.txt", 4); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if text, err := m.Read("b.txt", 4); err != nil || text != nil {
		t.Errorf("of what is not there: %q, %v", text, err)
	}
	if _, err := m.Read("a.txt", 3); err == nil {
		t.Error("four bytes fit into three")
	}
	if _, err := m.Array("x", func([]int) bool { return false }); err == nil {
		t.Error("a shape that does not fit is read")
	}
	if _, err := m.Array("y", func([]int) bool { return true }); err == nil {
		t.Error("an array that is not there is read")
	}
	for at := range 40 { // somewhere in the array, damaged
		bad := bytes.Clone(b.Bytes())
		bad[60+at] ^= 0x55
		m, err := Members(bytes.NewReader(bad), int64(len(bad)))
		if err != nil {
			continue
		}
		if y, err := m.Array("x", func([]int) bool { return true }); err == nil && !slices.Equal(y.Data, x.Data) {
			t.Errorf("damaged at %d, and read as if whole", 60+at)
		}
	}
}
