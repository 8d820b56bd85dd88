package npy

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestValues(t *testing.T) {
	data := Header("f4", 2, 3)
	for i := range 6 {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i)/2))
	}
	info, v, err := Values(data)
	if err != nil || !slices.Equal(info.Shape, []int{2, 3}) || !slices.Equal(v, []float64{0, 0.5, 1, 1.5, 2, 2.5}) {
		t.Errorf("%+v %v %v", info, v, err)
	}
	for text, want := range map[string]string{
		"": "not a .npy", "hello world 123": "not a .npy", "\x93NUMPY\x01\x00\xff\xff{": "cut off", string(data[:len(data)-1]): "its header says 24",
		"\x93NUMPY\x01\x00\x02\x00{}":                                 "not understood",
		strings.Replace(string(data), "(2, 3,)", "(99999999999,)", 1): "",
	} {
		if _, _, err := Values([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTexts: texts are read, and Python's objects, numbers and unknown types refused.
func TestTexts(t *testing.T) {
	file := func(descr, shape, values string) []byte {
		text := "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }\n"
		return append([]byte("\x93NUMPY\x01\x00"+string([]byte{byte(len(text)), 0})+text), values...)
	}
	for _, c := range []struct {
		descr, shape, values string
		want                 []string
		err                  string
	}{
		{"<U2", "2,", "\xe9\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00b\x00\x00\x00", []string{"é", "ab"}, ""},
		{"|S3", "2,", "ab\x00cde", []string{"ab", "cde"}, ""},
		{"|O", "2,", "\x80\x04.", nil, "never loaded"},
		{">i8", "1,", "\x00\x00\x00\x00\x00\x00\x00\x01", nil, "not texts"},
		{"<M8", "1,", "\x00\x00\x00\x00\x00\x00\x00\x01", nil, "type M8"},
		{"<U0", "1,", "", nil, "type U0"},
		{"|u1", "1,", "x", nil, "not texts"},
		{"<f8", "1000000, 1000000", "", nil, "too large"},
		{"<f8", "1000000, 1000", "", nil, "0 bytes of values"},
	} {
		if _, v, err := Texts(file(c.descr, c.shape, c.values)); !slices.Equal(v, c.want) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.descr, v, err)
		}
	}
}

// with is a file of the given kind and bytes of values, with one place of its header changed.
func with(kind, old, new, values string, shape ...int) []byte {
	return []byte(strings.Replace(string(Header(kind, shape...)), old, new, 1) + values)
}

// TestKinds: files as numpy writes them, of every kind, byte order and order of axes.
func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want []float64
	}{
		"half":              {with("f2", "", "", "\x00\x3c\x00\xc0\x01\x00\xff\x7b", 4), []float64{1, -2, 1. / (1 << 24), 65504}},
		"half, infinite":    {with("f2", "", "", "\x00\x7c\x00\xfc", 2), []float64{math.Inf(1), math.Inf(-1)}},
		"big-endian single": {with("f4", "<", ">", "\x3f\x80\x00\x00\xc0\x00\x00\x00", 2), []float64{1, -2}},
		"big-endian double": {with("f8", "<", ">", "\x3f\xf8\x00\x00\x00\x00\x00\x00", 1), []float64{1.5}},
		"big-endian short":  {with("i2", "<", ">", "\xff\xfe\x01\x00", 2), []float64{-2, 256}},
		"unsigned":          {with("u2", "", "", "\xff\xff", 1), []float64{65535}},
		"truth":             {with("b1", "<", "|", "\x00\x01", 2), []float64{0, 1}},
		"Fortran":           {with("u1", "False", "True ", "\x01\x04\x02\x05\x03\x06", 2, 3), []float64{1, 2, 3, 4, 5, 6}},
		"Fortran, three":    {with("u1", "False", "True ", "\x01\x05\x03\x07\x02\x06\x04\x08", 2, 2, 2), []float64{1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		if _, v, err := Values(c.data); err != nil || !slices.Equal(v, c.want) {
			t.Errorf("%s: %v %v, want %v", name, v, err, c.want)
		}
	}
	if _, v, err := Values(with("f2", "", "", "\x00\x7e", 1)); err != nil || v[0] == v[0] {
		t.Errorf("NaN of 16 bits: %v %v", v, err)
	}
	for name, c := range map[string]struct {
		data []byte
		want []string
	}{
		"texts":             {with("U2", "", "", "a\x00\x00\x00\x00\x00\x00\x00\xe9\x00\x00\x00b\x00\x00\x00", 2), []string{"a", "éb"}},
		"texts, big-endian": {with("U1", "<", ">", "\x00\x00\x00a", 1), []string{"a"}},
		"bytes":             {with("S3", "<", "|", "ab\x00c\x00\x00", 2), []string{"ab", "c"}},
	} {
		if a, err := Parsed(c.data); err != nil || !slices.Equal(a.Text, c.want) {
			t.Errorf("%s: %q %v, want %q", name, a.Text, err, c.want)
		}
	}
	// Read in place, a file must be as it is written.
	for want, data := range map[string][]byte{
		"Fortran": with("u1", "False", "True ", "\x01", 1), "big-endian": with("i2", "<", ">", "\x01\x01", 1),
	} {
		if _, err := Parse(strings.NewReader(string(data)), int64(len(data))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func FuzzValues(f *testing.F) {
	f.Add(append(Header("f4", 2), make([]byte, 8)...))
	f.Add(append(Header("i8", 1, 1), make([]byte, 8)...))
	f.Add(append(Header("U2", 1), make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, v, err := Values(data); err == nil && len(v) != info.Len() {
			t.Fatalf("%d values of %v", len(v), info.Shape)
		}
		if info, v, err := Texts(data); err == nil && len(v) != info.Len() {
			t.Fatalf("%d texts of %v", len(v), info.Shape)
		}
		if a, err := Parsed(data); err == nil && len(a.Data)+len(a.Text) != (Info{Shape: a.Shape}).Len() {
			t.Fatalf("%d values and %d texts of %v", len(a.Data), len(a.Text), a.Shape)
		}
	})
}
