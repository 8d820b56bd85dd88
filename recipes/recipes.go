// Package recipes reads what says how a model's pixels are made and what its classes are called:
// this program's own JSON, and the files and metadata that timm, Hugging Face's transformers,
// torchvision, Ultralytics and Keras write, each as its maker reads it. It is the only reader.
package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"cutmix-eval/imageproc"
)

// Input is what is known of a model before anything is read.
type Input struct {
	H, W    int // pixels that the input takes; 0 where it leaves them open
	Classes int // number of class scores, 0 where it is not known
	// Default is the recipe where nothing is said. Its layout is the model's, and no file
	// changes it, but where it is open.
	Default imageproc.Recipe
	// Flat says that nothing in the graph tells how the values of a colour picture are ordered.
	Flat bool
}

// Found is what a file, or a part of the metadata, says.
type Found struct {
	Recipe  *imageproc.Recipe // valid; nil where nothing is said of pixels
	Classes []string          // name of each output, nil where they are not said
	Count   int               // number of classes it is about, 0 where it does not say

	modelType string // of transformers: which image processor a file without its type means
}

// Read reads the JSON of one file. What it says of pixels is laid over in.Default where its maker
// has no defaults of its own. JSON about something else gives an empty Found and no error; an
// unknown key in a recipe, and whatever a recipe cannot express, is an error that names it.
func Read(data []byte, in Input) (Found, error) { return read(data, in, about{own: true}) }

// Named is the recipe of that name, in the model's layout.
func Named(name string, in Input) (imageproc.Recipe, error) {
	r, err := imageproc.NamedRecipe(name)
	r.Layout = in.Default.Layout
	return r, err
}

// about is what is known of a file beside what is in it.
type about struct {
	own       bool   // it was named for this model, so that keys that are nearly right are mistakes
	modelType string // of the config.json beside it
}

func read(data []byte, in Input, a about) (Found, error) {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if !json.Valid(data) {
		var v any
		return Found{}, fmt.Errorf("it is not JSON (%w): correct it, or give --recipe NAME instead", json.Unmarshal(data, &v))
	}
	if data[0] != '{' {
		return Found{}, nil
	}
	o, err := parse(data)
	if err != nil {
		return Found{}, err
	}
	return o.read(in, a, 0)
}

// read finds out whose an object is.
func (o object) read(in Input, a about, depth int) (Found, error) {
	if depth > 4 {
		return Found{}, errors.New("recipes lie within recipes")
	}
	if inner, ok := o.within("preprocessing"); ok { // a report
		return inner.read(in, a, depth+1)
	}
	if inner, ok := o.within("image_processor"); ok { // processor_config.json
		return inner.read(in, a, depth+1)
	}
	if raw, ok := o.has["recipe"]; ok { // a report's preprocessing, or a name
		return o.readNamed(raw, in, a, depth)
	}
	var f Found
	var err error
	switch {
	case o.hasObject("pretrained_cfg"):
		return o.readTimmNested(in)
	case o.any(processorKeys...):
		f.Recipe, err = o.readProcessor(in, a.modelType)
	case o.any("resize_size") || o.any("crop_size") && o.any("mean", "std", "interpolation"):
		f.Recipe, err = o.readTorchvision(in)
	case o.any("model_type", "architectures", "transformers_version"):
		// a config.json of transformers, which says nothing of pixels
	case o.any(ownKeys...):
		f.Recipe, err = o.readOwn(in)
	case o.any(timmKeys...):
		f.Recipe, err = o.readTimm(in)
	case o.any("mean", "std", "interpolation"):
		f.Recipe, err = o.readOwn(in)
	case a.own:
		err = o.nearlyRight()
	}
	if err != nil {
		return Found{}, err
	}
	o.readClasses(&f)
	return f, nil
}

// readNamed reads "recipe": a recipe's name, or an object.
func (o object) readNamed(raw json.RawMessage, in Input, a about, depth int) (Found, error) {
	if raw[0] == '{' {
		inner, err := parse(raw)
		if err != nil {
			return Found{}, err
		}
		return inner.read(in, a, depth+1)
	}
	var name string
	if json.Unmarshal(raw, &name) != nil {
		return Found{}, nil // of something else
	}
	r, err := Named(name, in)
	if err != nil {
		return Found{}, err
	}
	return Found{Recipe: &r}, nil
}

// Check says what is wrong with a recipe as models.lock has it: a name, or JSON.
func Check(raw json.RawMessage) error {
	_, _, err := Locked(raw, Input{Default: imageproc.Standard()})
	return err
}

// Locked reads a recipe as models.lock has it: a name, which is returned too, or JSON.
func Locked(raw json.RawMessage, in Input) (r imageproc.Recipe, name string, err error) {
	if json.Unmarshal(raw, &name) == nil {
		r, err = Named(name, in)
		return r, name, err
	}
	f, err := Read(raw, in)
	switch {
	case err != nil:
		return r, "", err
	case f.Recipe == nil:
		return r, "", errors.New("it holds no recipe")
	}
	return *f.Recipe, "", nil
}

// Encode is a recipe as metadata and files beside a model hold it: its JSON without the layout,
// which the graph decides. Of a flat colour input it does not (Input.Flat): there the layout stays.
func Encode(r imageproc.Recipe, flat bool) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	if !flat {
		delete(keys, "layout")
	}
	return json.Marshal(keys)
}

// valid is the end of every reader.
func valid(r imageproc.Recipe, k *keys) (*imageproc.Recipe, error) {
	if k.err != nil {
		return nil, k.err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return &r, nil
}

// fits says whether these can be sides of a picture, in pixels.
func fits(sides ...int) bool {
	return !slices.ContainsFunc(sides, func(n int) bool { return n < 1 || n > 16384 })
}
