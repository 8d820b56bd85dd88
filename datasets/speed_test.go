package datasets

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cutmix-eval/internal/long"

	"github.com/parquet-go/parquet-go"
)

// TestContainers reads 50,000 small pictures (JPEG, 64 x 64) from a tar, and from every other
// container in turns, by four goroutines, and logs the images per second. Memory is small, and does
// not grow from turn to turn.
func TestContainers(t *testing.T) {
	long.Skip(t, "reading 50,000 images from every container takes a minute")
	const n, turns = 50_000, 3
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	pictures := make([]string, 500)
	for i := range pictures {
		m := image.NewRGBA(image.Rect(0, 0, 64, 64))
		for y := range 64 {
			for x := range 64 {
				m.Set(x, y, color.RGBA{byte(4*x + rng.IntN(32)), byte(4*y + rng.IntN(32)), byte(i), 255})
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, m, nil); err != nil {
			t.Fatal(err)
		}
		pictures[i] = b.String()
	}
	plain := files{}
	for i := range n {
		plain[fmt.Sprintf("%02d/%05d.jpg", i/5000, i)] = pictures[i%len(pictures)]
	}
	parts := filepath.Join(dir, "parquet")
	if err := os.Mkdir(parts, 0o755); err != nil {
		t.Fatal(err)
	}
	for s := range 20 {
		var rows []hfRow
		for i := s * n / 20; i < (s+1)*n/20; i++ {
			label := int64(i / 5000)
			rows = append(rows, hfRow{Image: &hfImage{Bytes: []byte(pictures[i%len(pictures)])}, Label: &label})
		}
		data := parquetBytes(t, rows, parquet.PageBufferSize(1<<20), parquet.MaxRowsPerRowGroup(1000), parquet.Compression(&parquet.Snappy))
		if err := os.WriteFile(filepath.Join(parts, fmt.Sprintf("test-%05d-of-00020.parquet", s)), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []string{"tar", "zip", "parquet"}
	paths := map[string]string{"tar": plain.tar(t), "zip": plain.zip(t, zip.Store), "parquet": parts}
	first := map[string]uint64{} // MiB in use after the first turn
	for turn := range turns {
		for _, kind := range kinds {
			d, err := Open(paths[kind], Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Samples) != n {
				t.Fatalf("%s: %d samples", kind, len(d.Samples))
			}
			begin := time.Now()
			var next atomic.Int64
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					l := d.Loader()
					for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
						if _, err := l.Load(i); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			speed := n / time.Since(begin).Seconds()
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			heap := m.HeapAlloc >> 20
			t.Logf("%s: %.0f images per second, heap %d MiB", kind, speed, heap)
			if turn == 0 {
				first[kind] = heap
			}
			// The pictures have 100 MB in all; 16 MiB more are what pages that are kept may differ by.
			if heap > 128 || heap > first[kind]+16 {
				t.Errorf("%s: %d MiB in use in turn %d, %d in the first", kind, heap, turn, first[kind])
			}
			d.Close()
		}
	}
}
