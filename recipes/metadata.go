package recipes

import (
	"encoding/json"
	"fmt"
	"strings"

	"cutmix-eval/imageproc"
)

// metadataKeys are the keys of this program's JSON that an ONNX file's metadata may hold one by
// one. They count where mean and std are both there, or mode.
var metadataKeys = []string{"mean", "std", "range", "color", "interpolation", "resize", "crop", "fit", "input_size", "crop_pct", "crop_mode", "mode"}

// Metadata reads the metadata of an ONNX file: "recipe" (JSON, or a recipe's name), "pretrained_cfg"
// of timm and "preprocessor_config" of transformers (JSON, or a Python dict as text), what
// Ultralytics writes, and mean and std alone. whole is false where only the latter were found: the
// rest is then in.Default's. Names of the classes are in "classes", "id2label", "label_names",
// "class_names", "labels" or "names".
func Metadata(meta map[string]string, in Input) (f Found, whole bool, err error) {
	for _, key := range []string{"recipe", "preprocessing", "pretrained_cfg", "preprocessor_config"} {
		text, ok := meta[key]
		if !ok {
			continue
		}
		if key == "recipe" && !strings.ContainsAny(text, "{[") {
			r, err := Named(strings.TrimSpace(text), in)
			if err != nil {
				return f, false, fmt.Errorf("key %q: %w", key, err)
			}
			f.Recipe = &r
			break
		}
		data, ok := literal(text)
		if !ok {
			return f, false, fmt.Errorf("key %q is neither JSON nor a Python dict", key)
		}
		if f, err = Read(data, in); err != nil {
			return Found{}, false, fmt.Errorf("key %q: %w", key, err)
		}
		if f.Recipe != nil {
			break
		}
	}
	if f.Recipe == nil && ultralytics(meta) {
		if f.Recipe, err = readUltralytics(meta, in); err != nil {
			return Found{}, false, err
		}
	}
	whole = f.Recipe != nil
	if !whole {
		if f.Recipe, err = singly(meta, in); err != nil {
			return Found{}, false, err
		}
	}
	if names := MetadataClasses(meta); names != nil {
		f.Classes, f.Count = names, len(names)
	}
	return f, whole, nil
}

// literal is JSON that text holds as such, or as a literal of Python.
func literal(text string) ([]byte, bool) {
	if json.Valid([]byte(text)) {
		return []byte(text), true
	}
	data, err := pythonJSON(text)
	return data, err == nil
}

// singly reads keys that metadata hold one by one.
func singly(meta map[string]string, in Input) (*imageproc.Recipe, error) {
	_, mean := meta["mean"]
	_, std := meta["std"]
	mode := meta["mode"]
	keras := mode == "caffe" || mode == "tf" || mode == "torch"
	if !keras && !(mean && std) {
		return nil, nil
	}
	o := object{has: map[string]json.RawMessage{}, nulls: map[string]bool{}}
	for _, key := range metadataKeys {
		text, ok := meta[key]
		if !ok || key == "mode" && !keras {
			continue
		}
		data, ok := literal(text)
		if !ok {
			if data, ok = literal("[" + text + "]"); !ok { // numbers separated by commas
				data, _ = json.Marshal(text) // texts marshal
			}
		}
		o.has[key] = data
	}
	return o.readOwn(in)
}

// MetadataClasses are the names of the classes: JSON, a Python literal, or names separated by
// commas; nil where there are none.
func MetadataClasses(meta map[string]string) []string {
	for _, key := range []string{"classes", "id2label", "label_names", "class_names", "labels", "names", "categories"} {
		text, ok := meta[key]
		if !ok {
			continue
		}
		if data, ok := literal(text); ok {
			if names, ok := Names(data); ok && !placeholders(names) {
				return names
			}
			continue
		}
		if !strings.Contains(text, ",") || strings.ContainsAny(text, "{[") {
			continue
		}
		names := strings.Split(text, ",")
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return names
	}
	if data, ok := literal(meta["pretrained_cfg"]); ok {
		if o, err := parse(data); err == nil {
			var f Found
			o.readClasses(&f)
			return f.Classes
		}
	}
	return nil
}
