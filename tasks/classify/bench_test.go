package classify

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/results"
)

// BenchmarkRecord is what a record costs: scores to row, and row and logits to a
// run directory on the disk, in parts of 512 as CIFAR's test set has them.
func BenchmarkRecord(b *testing.B) {
	for _, outputs := range []int{10, 1000} {
		b.Run(strconv.Itoa(outputs), func(b *testing.B) {
			a := About{Outputs: outputs}
			for i := range outputs {
				a.Names, a.Output = append(a.Names, strconv.Itoa(i)), append(a.Output, i)
			}
			run, err := results.Claim(context.Background(), b.TempDir(), results.Manifest{
				Key:    results.Key{Task: Name, Data: results.Data{N: 1 << 30}, PartSize: 512},
				Arrays: []results.Array{{Name: evaluation.Logits, Width: outputs}},
			}, nil, results.Shard{})
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 1))
			z := make([]float32, outputs)
			for i := range z {
				z[i] = float32(rng.NormFloat64())
			}
			c, w := NewRecorder(a), results.NewWriter[Record](run)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				rec, err := c.Record(results.Row{Index: int64(i), ID: "cifar10-test/airplane/" + strconv.Itoa(i) + ".jpg", Status: results.OK, Width: 32, Height: 32}, i%outputs, z, nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := w.Add(rec, z); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
