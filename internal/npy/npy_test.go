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

func FuzzValues(f *testing.F) {
	f.Add(append(Header("f4", 2), make([]byte, 8)...))
	f.Add(append(Header("i8", 1, 1), make([]byte, 8)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if info, v, err := Values(data); err == nil && len(v) != info.Len() {
			t.Fatalf("%d values of %v", len(v), info.Shape)
		}
	})
}
