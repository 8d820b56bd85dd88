package recipes

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"cutmix-eval/internal/text"
)

// object is a JSON object. Keys whose value is null are kept apart: most makers read them as
// missing.
type object struct {
	has   map[string]json.RawMessage
	nulls map[string]bool
}

func parse(data []byte) (object, error) {
	o := object{has: map[string]json.RawMessage{}, nulls: map[string]bool{}}
	if err := json.Unmarshal(data, &o.has); err != nil {
		return o, err
	}
	for k, v := range o.has {
		if string(v) == "null" {
			o.nulls[k] = true
			delete(o.has, k)
		}
	}
	return o, nil
}

func (o object) any(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { _, ok := o.has[n]; return ok })
}

func (o object) hasObject(name string) bool {
	raw, ok := o.has[name]
	return ok && raw[0] == '{'
}

// within is an object in this one.
func (o object) within(name string) (object, bool) {
	if !o.hasObject(name) {
		return object{}, false
	}
	inner, err := parse(o.has[name])
	return inner, err == nil
}

// keys reads values, and keeps the first error.
type keys struct {
	object
	err error
}

// into reads a key; v is as it was where there is none.
func (k *keys) into(name, what string, v any) bool {
	raw, ok := k.has[name]
	if !ok || k.err != nil {
		return false
	}
	if json.Unmarshal(raw, v) != nil {
		k.refuse(name, "is %s; it must be %s", shown(raw), what)
		return false
	}
	return true
}

// refuse says what is wrong with a key.
func (k *keys) refuse(name, format string, a ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("key %q "+format+"%s", append(append([]any{name}, a...), instead(name))...)
	}
}

// overriding are the flags that say what a key of an image processor or of timm says.
var overriding = map[string]string{
	"size": "--resize", "do_resize": "--resize", "resize_size": "--resize", "resize": "--resize", "input_size": "--resize and --crop",
	"crop": "--crop", "crop_size": "--crop", "do_center_crop": "--crop", "crop_pct": "--resize and --crop", "crop_mode": "--fit",
	"fit": "--fit", "do_pad": "--fit", "resample": "--interpolation", "interpolation": "--interpolation",
	"mean": "--mean", "image_mean": "--mean", "std": "--std", "image_std": "--std", "do_normalize": "--mean and --std",
	"range": "--range", "do_rescale": "--range", "rescale_factor": "--range, --mean and --std", "rescale_offset": "--range, --mean and --std",
	"include_top": "--std", "color": "--color", "do_flip_channel_order": "--color", "do_grayscale": "--color",
	"image_processor_type": "flags for what differs", "feature_extractor_type": "flags for what differs",
}

// instead says how to do without what a file or metadata say of a key.
func instead(key string) string {
	if flags := overriding[key]; flags != "" {
		return fmt.Sprintf("; correct it, or give --recipe NAME with %s instead", flags)
	}
	return ""
}

func shown(raw json.RawMessage) string {
	const most = 60
	s := []rune(string(raw))
	if len(s) > most {
		return string(s[:most]) + "…"
	}
	return string(s)
}

// is reads a switch.
func (k *keys) is(name string, otherwise bool) bool {
	k.into(name, "true or false", &otherwise)
	return otherwise
}

// above0 reads a finite number above 0.
func (k *keys) above0(name string, otherwise float64) float64 {
	v := otherwise
	if k.into(name, "a number", &v) && !(v > 0 && !math.IsInf(v, 0)) {
		k.refuse(name, "is %v; it must be above 0", v)
	}
	return v
}

// values reads a number for each of n channels; one is for all of them. n is 0 where it is not
// known: then the number of values decides.
func (k *keys) values(name string, n int) (v [3]float64, given int) {
	raw, ok := k.has[name]
	if !ok || k.err != nil {
		return v, 0
	}
	var list []float64
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		list = []float64{one}
	} else if json.Unmarshal(raw, &list) != nil {
		k.refuse(name, "is %s; it must be a number for each channel", shown(raw))
		return v, 0
	}
	switch {
	case len(list) == 1:
		return [3]float64{list[0], list[0], list[0]}, 1
	case len(list) == 3 && n != 1:
		return [3]float64(list), 3
	case n == 1 && len(list) == 3 && list[0] == list[1] && list[1] == list[2]:
		return [3]float64(list), 1
	case n == 1:
		k.refuse(name, "has %d values, and the pictures one channel", len(list))
	default:
		k.refuse(name, "has %d values; it must have 3, or 1 for all channels", len(list))
	}
	return v, 0
}

// single rounds to float32, as tensors of means and deviations are kept.
func single(v [3]float64) (out [3]float32) {
	for c := range v {
		out[c] = float32(v[c])
	}
	return out
}

// remarks are keys that people add for themselves.
var remarks = []string{"comment", "comments", "description", "name", "note", "notes", "source", "summary", "version"}

func isRemark(key string) bool {
	return slices.Contains(remarks, key) || strings.HasPrefix(key, "_") || strings.HasPrefix(key, "$")
}

// unknown is an error for the first key that is not among the known ones.
func (o object) unknown(whose string, known ...[]string) error {
	all := slices.Concat(known...)
	for _, key := range o.names() {
		if !slices.Contains(all, key) && !isRemark(key) {
			return unknownKey(key, whose, known[0])
		}
	}
	return nil
}

func (o object) names() []string {
	return slices.Sorted(maps.Keys(o.has))
}

// suspicious is unknown for files in which makers add keys all the time: only those are errors
// that are nearly a key that is read, or whose words are about pixels.
func (o object) suspicious(whose string, read, harmless []string) error {
	for _, key := range o.names() {
		switch {
		case slices.Contains(read, key) || slices.Contains(harmless, key) || isRemark(key):
		case nearest(key, read) != "" || aboutPixels(key):
			return unknownKey(key, whose, read)
		case strings.HasPrefix(key, "do_") && string(o.has[key]) == "true":
			return fmt.Errorf("key %q of %s asks for a step that is not known here; give --recipe NAME with flags for what differs instead", key, whose)
		}
	}
	return nil
}

var pixelWords = []string{
	"mean", "std", "crop", "resize", "resample", "resampling", "interpolation", "interp", "rescale", "normalize", "normalise", "pad",
	"padding", "flip", "rotate", "thumbnail", "color", "colour", "grayscale", "greyscale", "gray", "grey", "bgr", "rgb",
}

func aboutPixels(key string) bool {
	for w := range strings.FieldsFuncSeq(strings.ToLower(key), func(r rune) bool { return r == '_' || r == '-' || r == ' ' }) {
		if slices.Contains(pixelWords, w) {
			return true
		}
	}
	return false
}

func unknownKey(key, whose string, known []string) error {
	if near := nearest(key, known); near != "" {
		return fmt.Errorf("key %q is not one of %s; did you mean %q?", key, whose, near)
	}
	return fmt.Errorf("key %q is not one of %s, which has %s; remove it, or give --recipe NAME with flags for what differs instead", key, whose, strings.Join(known, ", "))
}

// nearest is the word that s was probably meant to be, empty where none is near: text.Nearest,
// and words that differ in case, hyphens or a plural only.
func nearest(s string, words []string) string {
	for _, w := range words {
		if plain(w) == plain(s) {
			return w
		}
	}
	return text.Nearest(s, words)
}

func plain(s string) string {
	return strings.TrimSuffix(strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s)), "s")
}

// steps are words for steps on pixels that other programs' files have.
var steps = []string{"normalize", "normalise", "normalization", "rescale", "resizing", "cropping", "mean_std", "means_stds", "transforms", "preprocess"}

// nearlyRight is an error for a key that is nearly one about pixels, in a file that has none.
// Short words need to be nearer: many have four letters.
func (o object) nearlyRight() error {
	words := slices.Concat([]string{"mean", "std", "resize", "crop", "interpolation"}, timmKeys, processorKeys)
	for _, key := range o.names() {
		if isRemark(key) || slices.Contains(classKeys, key) {
			continue
		}
		near := nearest(key, words)
		if first := o.has[key][0]; near == "" && slices.Contains(steps, key) && (first == '[' || first == '{') {
			return fmt.Errorf("key %q is not one of a recipe, which has %s. Rename the file if it is not about preprocessing", key, strings.Join(recipeKeys, ", "))
		} else if near == "" {
			continue
		}
		if plain(near) == plain(key) || len(near) > 6 || text.Distance(near, key) == 1 {
			return fmt.Errorf("key %q is not one of a recipe; did you mean %q? Rename the file if it is not about preprocessing", key, near)
		}
	}
	return nil
}
