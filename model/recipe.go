package model

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cutmix-eval/imageproc"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/recipes"
)

// Default image sizes where neither model nor recipe fixes one.
const defaultSide = 224

// Recipe resolves the preprocessing of the model before flags are applied. The first of these
// that says something is taken: locked, what models.lock says of it (nil for nothing); a JSON file
// of the model's name beside it; its metadata; the files that makers keep in a model's folder; the
// default for its input size. Mean and std alone in the metadata are laid over what comes after
// them. source says which it was.
func (m *Model) Recipe(locked json.RawMessage) (r imageproc.Recipe, source string, err error) {
	in := m.recipeInput()
	if locked != nil {
		r, name, err := recipes.Locked(locked, in)
		switch {
		case err != nil:
			return r, "", fmt.Errorf("reading preprocessing of model %q from models.lock: %w", m.Name, err)
		case name != "":
			return r, "models.lock, recipe " + name, nil
		}
		return r, "models.lock", nil
	}
	if m.Path != "" {
		b, err := recipes.OwnFile(m.Path, in)
		switch {
		case err != nil:
			return r, "", err
		case b.Recipe != nil:
			return *b.Recipe, "file " + b.File, nil
		}
	}
	meta, whole, err := recipes.Metadata(m.file.Meta, in)
	switch {
	case err != nil:
		return r, "", fmt.Errorf("reading preprocessing from the metadata of model %q: %w", m.Name, err)
	case whole:
		return *meta.Recipe, "ONNX metadata", nil
	}
	r, source = in.Default, "default"
	if m.Path != "" {
		b, err := recipes.Folder(m.Path, in)
		switch {
		case err != nil:
			return r, "", err
		case b.Recipe != nil:
			r, source = *b.Recipe, "file "+b.File+m.company()
		case b.Doubt != "":
			source = "default; " + b.Doubt
		}
	}
	if meta.Recipe == nil {
		return r, source, nil
	}
	if strings.HasPrefix(source, "default") {
		return *meta.Recipe, "default size, mean and std from ONNX metadata", nil
	}
	in.Default = r
	meta, _, err = recipes.Metadata(m.file.Meta, in)
	if err != nil {
		return r, "", fmt.Errorf("reading preprocessing from the metadata of model %q over %s: %w", m.Name, source, err)
	}
	return *meta.Recipe, "mean and std from ONNX metadata over " + source, nil
}

// RecipeNamed is the named recipe, and RecipeIn that of a file, as this model takes it.
func (m *Model) RecipeNamed(name string) (imageproc.Recipe, error) {
	return recipes.Named(name, m.recipeInput())
}

// RecipeIn is the recipe in the file at path, as this model takes it.
func (m *Model) RecipeIn(path string) (imageproc.Recipe, error) {
	f, err := recipes.File(path, m.recipeInput())
	if err != nil {
		return imageproc.Recipe{}, err
	}
	return *f.Recipe, nil
}

func (m *Model) recipeInput() recipes.Input {
	return recipes.Input{H: m.H, W: m.W, Classes: m.Classes, Default: m.defaultRecipe(), Flat: m.FlatColour()}
}

// company says that a folder has other models, whose the folder's files may be as well.
func (m *Model) company() string {
	entries, err := os.ReadDir(filepath.Dir(m.Path))
	if err != nil {
		return ""
	}
	models := 0
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".onnx" {
			models++
		}
	}
	if models < 2 {
		return ""
	}
	return fmt.Sprintf(" in the folder of %d models", models)
}

// readFileNames takes the names of the classes from the files beside the model, where the metadata
// have none. Files that cannot be read are told when the recipe is.
func (m *Model) readFileNames() {
	if m.ClassNames != nil || m.Path == "" {
		return
	}
	for _, read := range []func(string, recipes.Input) (recipes.Beside, error){recipes.OwnFile, recipes.Folder} {
		b, err := read(m.Path, m.recipeInput())
		if err == nil && len(b.Classes) > 0 && (m.Classes == 0 || len(b.Classes) == m.Classes) {
			m.ClassNames = b.Classes
			return
		}
	}
}

// defaultRecipe is the stated default: ImageNet statistics; from 128 pixels up
// the shorter side is resized to the input size / 0.875, below to the input size. Grey inputs
// have no usual statistics, and get values 0..1; those of whole numbers get the pixels as they
// are, int8 with 128 subtracted.
func (m *Model) defaultRecipe() imageproc.Recipe {
	r := imageproc.Standard()
	r.Layout, r.Grey = m.Layout, m.Channels == 1
	if r.Grey {
		r.Mean, r.Std = [3]float32{}, [3]float32{1, 1, 1}
	}
	switch m.InputType {
	case onnx.Uint8, onnx.Int32:
		r.Range, r.Mean, r.Std = 255, [3]float32{}, [3]float32{1, 1, 1}
	case onnx.Int8:
		r.Range, r.Mean, r.Std = 255, [3]float32{128, 128, 128}, [3]float32{1, 1, 1}
	}
	h, w := m.H, m.W
	if h == 0 || w == 0 {
		h, w = defaultSide, defaultSide
	}
	r.Crop = imageproc.Size{H: h, W: w}
	side := min(h, w)
	switch {
	case h != w:
		r.Fit, r.Resize = imageproc.Squash, r.Crop
	case side >= 128:
		side = side * 8 / 7
		r.Resize = imageproc.Size{H: side, W: side}
	default:
		r.Resize = r.Crop
	}
	return r
}
