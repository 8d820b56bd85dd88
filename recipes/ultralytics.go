package recipes

import (
	"encoding/json"
	"fmt"
	"math"

	"cutmix-eval/imageproc"
)

// ultralytics says whether Ultralytics' exporter wrote the metadata.
func ultralytics(meta map[string]string) bool {
	_, size := meta["imgsz"]
	_, stride := meta["stride"]
	return meta["author"] == "Ultralytics" || size && stride && meta["task"] != ""
}

// readUltralytics reads what Ultralytics' exporter writes about a classifier. Its pixels are those of
// classify_transforms: the shorter side bilinear to imgsz / crop_fraction, a centre crop, samples
// 0..1 without mean and std; of sides that differ, both are squashed.
func readUltralytics(meta map[string]string, in Input) (*imageproc.Recipe, error) {
	if task := meta["task"]; task != "classify" {
		return nil, fmt.Errorf("key %q of Ultralytics' metadata is %q; only classify is evaluated here", "task", task)
	}
	size := imageproc.Size{H: in.H, W: in.W}
	if text, ok := meta["imgsz"]; ok {
		data, ok := literal(text)
		var list []int
		var one int
		switch {
		case ok && json.Unmarshal(data, &one) == nil && fits(one):
			size = square(one)
		case ok && json.Unmarshal(data, &list) == nil && len(list) == 2 && fits(list...):
			size = imageproc.Size{H: list[0], W: list[1]}
		default:
			return nil, fmt.Errorf("key %q of Ultralytics' metadata is %q; it must be [height, width]", "imgsz", text)
		}
	}
	if size.H == 0 || size.W == 0 {
		size = square(224) // its default
	}
	fraction := 1.0
	for _, text := range []string{meta["args"], meta["crop_fraction"]} {
		data, ok := literal(text)
		if !ok {
			continue
		}
		var args struct {
			Fraction *float64 `json:"crop_fraction"`
		}
		if json.Unmarshal(data, &args) == nil && args.Fraction != nil {
			fraction = *args.Fraction
		} else {
			_ = json.Unmarshal(data, &fraction) // something else leaves it as it is
		}
	}
	if !(fraction > 0.01 && fraction <= 1) {
		return nil, fmt.Errorf("key %q of Ultralytics' metadata is %v; it must be above 0.01, at most 1", "crop_fraction", fraction)
	}
	r := imageproc.Recipe{
		Fit: imageproc.Shorter, Interpolation: imageproc.Bilinear, Crop: size, Range: 1, Std: [3]float32{1, 1, 1},
		Layout: in.Default.Layout, Grey: in.Default.Grey,
		Resize: imageproc.Size{H: int(math.Floor(float64(size.H) / fraction)), W: int(math.Floor(float64(size.W) / fraction))},
	}
	if size.H != size.W {
		r.Fit = imageproc.Squash
	}
	return valid(r, &keys{})
}
