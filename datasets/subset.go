package datasets

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// Named finds the samples that a file names as Names does, ascending: one on each line, as
// in RobustBench's imagenet_test_image_ids.txt. An empty file name is all samples, nil. A
// name that no sample has is an error, as is one that several have.
func (d *Dataset) Named(file string) ([]int, error) {
	if file == "" {
		return nil, nil
	}
	data, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("subset %q: %w", file, err)
	}
	names := d.Names()
	chosen := map[int]bool{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; sc.Scan(); line++ {
		name := strings.TrimSpace(sc.Text())
		if name == "" {
			continue
		}
		i, err := names.Find(name)
		switch {
		case err != nil:
			return nil, fmt.Errorf("subset %q, line %d: %w", file, line, err)
		case i < 0:
			return nil, fmt.Errorf("subset %q, line %d: %s has no image %q", file, line, d.Name, name)
		}
		chosen[i] = true
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("subset %q: %w", file, err)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("subset %q names no image", file)
	}
	var out []int
	for i := range d.Samples {
		if chosen[i] {
			out = append(out, i)
		}
	}
	return out, nil
}
