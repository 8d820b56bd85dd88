package ood

import (
	"context"
	"fmt"

	"cutmix-eval/internal/text"
	"cutmix-eval/results"
)

// overlaps finds images that the model cannot tell apart: of an OOD set and of an ID set,
// or of the ID test images and of those that scores are fitted with. It says so in a
// sentence for each pair of sets.
func (s sets) overlaps(ctx context.Context) ([]string, error) {
	first := map[int64]int{} // set by content
	var out []string
	for i := range s {
		shared := map[int][]string{} // IDs by the set that they are in too
		err := results.Each[Record](ctx, s[i].Run, nil, func(rec *Record, _ [][]float32) error {
			if rec.Status != results.OK {
				return nil
			}
			other, seen := first[rec.Content]
			if !seen {
				first[rec.Content] = i
			} else if other != i {
				shared[other] = append(shared[other], rec.ID)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for k := range i {
			if ids := shared[k]; len(ids) > 0 {
				out = append(out, fmt.Sprintf("%d images of %s give the model the same pixels as images of %s: %s",
					len(ids), s[i].Name, s[k].Name, text.Some(ids, 5)))
			}
		}
	}
	return out, nil
}
