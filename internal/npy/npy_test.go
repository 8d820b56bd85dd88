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
		strings.Replace(string(data), "False", "True ", 1):            "Fortran",
		strings.Replace(string(data), "(2, 3,)", "(99999999999,)", 1): "",
	} {
		if _, _, err := Values([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestTexts: texts are read, and Python's objects, big-endian numbers and unknown types refused.
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
		{">i8", "1,", "\x00\x00\x00\x00\x00\x00\x00\x01", nil, "big-endian"},
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
	})
}
