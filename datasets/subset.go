package datasets

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"strings"
)

// Named finds the samples that a file names, ascending: a path or a file name a line,
// with or without its extension, as RobustBench's imagenet_test_image_ids.txt. An empty
// name is all of them, nil. A name that no sample has is an error, as is one that several
// have.
func (d *Dataset) Named(file string) ([]int, error) {
	if file == "" {
		return nil, nil
	}
	data, err := readText(file)
	if err != nil {
		return nil, fmt.Errorf("subset %q: %w", file, err)
	}
	stem := func(s string) string { return strings.TrimSuffix(path.Base(s), path.Ext(s)) }
	byID, byStem := map[string]int{}, map[string]int{}
	const several = -2
	for i, s := range d.Samples {
		byID[s.ID] = i
		if _, twice := byStem[stem(s.ID)]; twice {
			byStem[stem(s.ID)] = several
		} else {
			byStem[stem(s.ID)] = i
		}
	}
	chosen := map[int]bool{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for line := 1; sc.Scan(); line++ {
		name := strings.TrimSpace(sc.Text())
		if name == "" {
			continue
		}
		i, ok := byID[name]
		if !ok {
			i, ok = byStem[stem(name)]
		}
		switch {
		case !ok:
			return nil, fmt.Errorf("subset %q, line %d: %s has no image %q", file, line, d.Name, name)
		case i == several:
			return nil, fmt.Errorf("subset %q, line %d: several images of %s are called %q; give their paths", file, line, d.Name, name)
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
