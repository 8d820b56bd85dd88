package recipes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cutmix-eval/internal/regular"
)

// largest bounds what is read of a file: configurations are small, and large JSON files beside a
// model, such as annotations, are about something else.
const largest = 8 << 20

// Own names the JSON files that are a model file's own, in the order in which they are read.
func Own(model string) []string {
	return []string{strings.TrimSuffix(model, ".onnx") + ".json", model + ".json"}
}

// general are the names under which makers keep a folder's files, in the order in which they are
// read: the first that says something of pixels is taken.
var general = []string{"preprocessing.json", "preprocessor_config.json", "processor_config.json", "pretrained_cfg.json", "config.json"}

// Beside is what a file said, and which it was.
type Beside struct {
	Found
	File string // how reports call it: its name, below the parent's where it lies there
	// ClassFile is the file that the names, or the number, of the classes are from.
	ClassFile string
	// Doubt says why what files say of the classes is not taken; empty where there is none.
	Doubt string
}

// OwnFile reads the model file's own JSON files.
func OwnFile(model string, in Input) (b Beside, err error) {
	for _, path := range Own(model) {
		f, err := file(path, in, about{own: true})
		if err != nil {
			return Beside{}, err
		}
		b.add(f, filepath.Base(path))
	}
	return b, nil
}

// Folder reads the files that makers keep in the folder of a model: they are of one model, but may
// lie beside several, so what is about another number of classes is refused. Where the folder
// is called onnx, as in repositories for transformers.js and optimum, and has none of them, its
// parent is read.
func Folder(model string, in Input) (Beside, error) {
	dir := filepath.Dir(model)
	b, err := folder(dir, "", in)
	if err != nil || b.File != "" || b.ClassFile != "" {
		return b, err
	}
	whole, err := filepath.Abs(dir)
	if err != nil || filepath.Base(whole) != "onnx" {
		return b, nil // there is no parent to look into
	}
	return folder(filepath.Dir(whole), "../", in)
}

func folder(dir, prefix string, in Input) (b Beside, err error) {
	config, err := file(filepath.Join(dir, "config.json"), in, about{})
	if err != nil {
		return b, err
	}
	for _, name := range general {
		f := config
		if name != "config.json" {
			if f, err = file(filepath.Join(dir, name), in, about{modelType: config.modelType}); err != nil {
				return Beside{}, err
			}
		}
		b.add(f, prefix+name)
	}
	if b.Recipe == nil {
		if err := b.contradicts(in.Classes); err != nil {
			b.Doubt = fmt.Sprintf("%s beside it is of another model: %v", b.ClassFile, err)
			b.Classes = nil
		}
		return b, nil
	}
	for _, is := range []struct {
		Found
		file string
	}{{b.Found, b.ClassFile}, {config, "config.json"}} {
		if err := is.contradicts(in.Classes); err != nil {
			return Beside{}, fmt.Errorf("reading preprocessing from %q beside the model: it is of another model: %q says %w; give --preprocessing FILE or --recipe NAME",
				filepath.Join(dir, strings.TrimPrefix(b.File, prefix)), is.file, err)
		}
	}
	return b, nil
}

// add takes from f what is not known yet.
func (b *Beside) add(f Found, name string) {
	if b.Recipe == nil && f.Recipe != nil {
		b.Recipe, b.File = f.Recipe, name
	}
	if b.Classes == nil && f.Classes != nil || b.Count == 0 && f.Count > 0 {
		b.Classes, b.Count, b.ClassFile = f.Classes, f.Count, name
	}
}

// File reads the file that somebody named, with the config.json beside it. It must hold a recipe.
func File(path string, in Input) (Found, error) {
	a := about{own: true}
	if filepath.Base(path) != "config.json" {
		if config, err := file(filepath.Join(filepath.Dir(path), "config.json"), in, about{}); err == nil {
			a.modelType = config.modelType
		}
	}
	if info, err := regular.Check(path); info != nil && info.IsDir() {
		return Found{}, fmt.Errorf("reading preprocessing from %q: it is a folder; name one of its files", path)
	} else if err != nil {
		return Found{}, fmt.Errorf("reading preprocessing: %w", err)
	} else if info.Size() > largest {
		return Found{}, fmt.Errorf("reading preprocessing from %q: it has %d bytes, and files about preprocessing are small", path, info.Size())
	}
	f, err := file(path, in, a)
	if err == nil && f.Recipe == nil {
		err = fmt.Errorf("reading preprocessing from %q: it says nothing of pixels", path)
	}
	return f, err
}

// file reads one file. One that is not there, is no
// regular file or is too large says nothing.
func file(path string, in Input, a about) (Found, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return Found{}, nil // most models have none
	}
	r, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, fmt.Errorf("reading preprocessing: %w", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, largest))
	var f Found
	if err == nil {
		f, err = read(data, in, a)
	}
	if err != nil {
		return Found{}, fmt.Errorf("reading preprocessing from %q: %w", path, err)
	}
	return f, nil
}
