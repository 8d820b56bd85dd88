package spool

import (
	"context"
	"os"
	"testing"
)

func TestRows(t *testing.T) {
	r, err := New(3)
	if err != nil {
		t.Fatal(err)
	}
	name := r.f.Name()
	const n = 30000 // more than the buffers hold
	for i := range n {
		if err := r.Append([]float32{float32(i), 1, -float32(i)}, i%7); err != nil {
			t.Fatal(err)
		}
	}
	for pass := range 2 {
		var failed error
		seen := 0
		for v, label := range r.Each(context.Background(), func(i int) bool { return i%2 == pass }, &failed) {
			i := 2*seen + pass
			if v[0] != float32(i) || v[2] != -float32(i) || label != i%7 {
				t.Fatalf("row %d: %v %d", i, v, label)
			}
			seen++
		}
		if failed != nil || seen != n/2 {
			t.Fatalf("%d rows: %v", seen, failed)
		}
	}
	if err := r.f.Truncate(100); err != nil {
		t.Fatal(err)
	}
	var failed error
	for range r.Each(context.Background(), nil, &failed) {
		continue
	}
	if failed == nil {
		t.Error("a shortened file was read without an error")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Error("the file was not deleted")
	}
}
