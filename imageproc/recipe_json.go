package imageproc

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// MarshalJSON writes [height, width], or "none" for the zero value.
func (s Size) MarshalJSON() ([]byte, error) {
	if s == (Size{}) {
		return []byte(`"none"`), nil
	}
	return json.Marshal([2]int{s.H, s.W})
}

// UnmarshalJSON reads a number of pixels, [height, width], "none" or anything else that
// ParseSize reads, and {"H": height, "W": width}, which older versions wrote.
func (s *Size) UnmarshalJSON(data []byte) error {
	var text string
	var one int
	var two []int
	var old struct{ H, W *int }
	switch {
	case json.Unmarshal(data, &text) == nil:
		v, err := ParseSize(text)
		*s = v
		return err
	case json.Unmarshal(data, &one) == nil:
		*s = Size{H: one, W: one}
	case json.Unmarshal(data, &two) == nil && len(two) == 2:
		*s = Size{H: two[0], W: two[1]}
	case json.Unmarshal(data, &old) == nil && old.H != nil && old.W != nil:
		*s = Size{H: *old.H, W: *old.W}
	default:
		return fmt.Errorf("size %.100s is not a number, [height, width] or \"none\"", data)
	}
	return nil
}

// recipeJSON is a recipe as JSON holds it; sidecar files of models have the same keys.
type recipeJSON struct {
	Resize        Size           `json:"resize"`
	Fit           Fit            `json:"fit"`
	Interpolation Filter         `json:"interpolation"`
	Resizer       string         `json:"resizer,omitempty"` // left out: pillow
	Crop          Size           `json:"crop"`
	Fill          three[uint8]   `json:"fill,omitzero"`
	Range         span           `json:"range"`
	Mean          three[float32] `json:"mean"`
	Std           three[float32] `json:"std"`
	Color         string         `json:"color,omitempty"` // rgb, bgr, grey
	BGR           *bool          `json:"bgr,omitempty"`   // in place of color, as older versions wrote it
	Exif          bool           `json:"exif,omitempty"`
	Layout        Layout         `json:"layout"`
}

// three is a value for each channel.
type three[T any] [3]T

func (t *three[T]) UnmarshalJSON(data []byte) error {
	var list []*T
	if err := json.Unmarshal(data, &list); err != nil || len(list) != 3 || slices.Contains(list, nil) {
		return fmt.Errorf("%.100s is not three numbers", data)
	}
	for i, v := range list {
		t[i] = *v
	}
	return nil
}

// span is the largest value of a range that begins at 0.
type span int

func (s span) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprintf("0..%d", int(s))) }

func (s *span) UnmarshalJSON(data []byte) error {
	var n int
	if json.Unmarshal(data, &n) != nil { // older versions wrote the number
		var text string
		err := json.Unmarshal(data, &text)
		if err == nil {
			_, err = fmt.Sscanf(text, "0..%d", &n)
		}
		if err != nil {
			return fmt.Errorf("range %.100s is not 0..1 or 0..255", data)
		}
	}
	*s = span(n)
	return nil
}

// MarshalJSON writes the recipe as a file beside a model may hold it.
func (r Recipe) MarshalJSON() ([]byte, error) {
	color := "rgb"
	switch {
	case r.BGR:
		color = "bgr"
	case r.Grey:
		color = "grey"
	}
	return json.Marshal(recipeJSON{
		Resize: r.Resize, Fit: r.Fit, Interpolation: r.Interpolation, Resizer: string(r.Resizer), Crop: r.Crop, Fill: r.Fill,
		Range: span(r.Range), Mean: r.Mean, Std: r.Std, Color: color, Exif: r.Exif, Layout: r.Layout,
	})
}

// UnmarshalJSON reads what MarshalJSON writes, and what older versions wrote in run
// directories and detectors. Keys that are unknown, missing or null are errors. It does not
// validate.
func (r *Recipe) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil // as package json has it; whoever needs a recipe looks for it
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(data, &has); err != nil {
		return err
	}
	for _, key := range []string{"resize", "fit", "interpolation", "crop", "range", "mean", "std", "layout"} {
		switch raw, ok := has[key]; {
		case !ok:
			return fmt.Errorf("its key %q is missing", key)
		case string(raw) == "null":
			return fmt.Errorf("its key %q is null", key)
		}
	}
	var f recipeJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return err
	}
	switch f.Color {
	case "rgb", "bgr", "grey", "":
	default:
		return fmt.Errorf("color %q is not rgb, bgr or grey", f.Color)
	}
	resizer, err := ParseBackend(cmp.Or(f.Resizer, Pillow.String()))
	if err != nil {
		return err
	}
	*r = Recipe{
		Resize: f.Resize, Fit: f.Fit, Interpolation: f.Interpolation, Resizer: resizer, Crop: f.Crop, Fill: f.Fill,
		Range: int(f.Range), Mean: f.Mean, Std: f.Std,
		BGR: f.Color == "bgr" || f.BGR != nil && *f.BGR, Grey: f.Color == "grey", Exif: f.Exif, Layout: f.Layout,
	}
	return nil
}
