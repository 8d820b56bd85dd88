package localize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/evaluation"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/pin"
)

// stampMaps tells the maps of the samples in dir from others. All must be there.
func stampMaps(im *evaluation.Images, dir string, samples []int) (string, error) {
	if dir == "" {
		return "", nil
	}
	sum := sha256.New()
	missing, first := 0, ""
	if samples == nil {
		samples = make([]int, im.Len())
		for i := range samples {
			samples[i] = i
		}
	}
	for _, i := range samples {
		path, ok := mapPath(dir, im.Dataset, i)
		if !ok || pin.Stamp(sum, path) != nil {
			if missing++; missing == 1 {
				first = path
			}
		}
	}
	if missing > 0 {
		return "", fmt.Errorf("%d of %d images have no map in %q (the first is %s)", missing, len(samples), dir, first)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// mapPath is where the map of an image lies: DIR/ID.npy, with the image's extension or
// without, where the ID may begin below the folders that all images lie in.
func mapPath(dir string, d *datasets.Dataset, i int) (path string, ok bool) {
	id := filepath.Join(dir, filepath.FromSlash(d.Samples[i].ID))
	short := filepath.Join(dir, filepath.FromSlash(d.Short(i)))
	for _, full := range []string{id, short} {
		for _, p := range []string{full + ".npy", strings.TrimSuffix(full, filepath.Ext(full)) + ".npy"} {
			if _, err := os.Stat(p); err == nil {
				return p, true
			}
		}
	}
	return id + ".npy", false
}

// foreign reads the map of an image that was made elsewhere.
func foreign(dir string, d *datasets.Dataset, i int) (m []float64, h, w int, err error) {
	path, ok := mapPath(dir, d, i)
	if !ok {
		return nil, 0, 0, fmt.Errorf("there is no map %s", path)
	}
	info, v, err := npy.Read(path)
	if err == nil && (len(info.Shape) != 2 || len(v) == 0) {
		err = fmt.Errorf("its shape is %v, not rows by columns", info.Shape)
	}
	if err != nil {
		return nil, 0, 0, fmt.Errorf("map %s: %w", filepath.Base(path), err)
	}
	return v, info.Shape[0], info.Shape[1], nil
}
