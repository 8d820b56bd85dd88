// Package annotations reads where objects are: bounding boxes and masks, in the
// formats that localization data sets come with. Which format a file or folder
// has, is recognised from its content.
package annotations

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/datasets"
	"cutmix-eval/internal/regular"
)

// Box is a box in pixels of the stored picture, corners as the evaluation of
// localization takes them (X1, Y1 are the last pixels of ILSVRC's boxes, and x + w,
// y + h where a format gives widths).
type Box struct {
	X0, Y0, X1, Y1 float64
	Class          string // of the object, where the format tells
}

// Marks are the masks of an image, as paths relative to the list's folder.
type Marks struct{ Object, Ignore []string }

// Set is the annotations of many images.
type Set struct {
	Format string // for people
	Boxes  map[string][]Box
	Masks  map[string]Marks
	Root   string // folder that masks are relative to
}

// Open reads the annotations at p: a file or a folder.
func Open(p string) (*Set, error) {
	s, err := open(p)
	if err != nil {
		return nil, fmt.Errorf("reading annotations %q: %w", p, err)
	}
	if len(s.Boxes)+len(s.Masks) == 0 {
		return nil, fmt.Errorf("reading annotations %q: it holds none (%s)", p, s.Format)
	}
	return s, nil
}

// maxFile bounds what is read of one file.
const maxFile = 1 << 30

func read(p string) ([]byte, error) {
	return regular.Read(p, maxFile)
}

func open(p string) (*Set, error) {
	info, err := os.Stat(p)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("there is no such file or folder")
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if filepath.Base(p) == CUBBoxes {
			return openCUB(filepath.Dir(p))
		}
		data, err := read(p)
		if err != nil {
			return nil, err
		}
		s, err := Parse(filepath.Base(p), data)
		if err == nil {
			s.Root = filepath.Dir(p)
		}
		return s, err
	}
	for _, name := range Companions() {
		f := filepath.Join(p, name)
		if _, err := os.Stat(f); err != nil {
			continue
		}
		if name == CUBBoxes {
			return openCUB(p)
		}
		data, err := read(f)
		if err != nil {
			return nil, err
		}
		s, err := Parse(name, data)
		if err == nil {
			s.Root = p
		}
		return s, err
	}
	return openXML(p)
}

// Companions are the names of files with boxes that lie beside the images of a data
// set.
func Companions() []string {
	return []string{"localization.txt", "val_annotations.txt", "LOC_val_solution.csv", "boxes.csv", CUBBoxes}
}

// Parse reads the annotations of a file with the given name.
func Parse(name string, data []byte) (*Set, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	trimmed := strings.TrimSpace(text)
	switch {
	case trimmed == "":
		return nil, errors.New("the file is empty")
	case strings.HasPrefix(trimmed, "<"):
		return parseXML(name, []byte(text))
	case strings.HasPrefix(trimmed, "{"):
		return parseCOCO([]byte(text))
	}
	return parseText(text)
}

func newSet(format string) *Set {
	return &Set{Format: format, Boxes: map[string][]Box{}, Masks: map[string]Marks{}}
}

// add keeps a box that makes sense.
func (s *Set) add(key string, b Box) error {
	for _, v := range []float64{b.X0, b.Y0, b.X1, b.Y1} {
		if math.IsNaN(v) || math.Abs(v) > 1e7 {
			return fmt.Errorf("the box of %s has the coordinate %v", key, v)
		}
	}
	if b.X1 < b.X0 || b.Y1 < b.Y0 {
		return fmt.Errorf("the box of %s is turned inside out: %v,%v,%v,%v", key, b.X0, b.Y0, b.X1, b.Y1)
	}
	key = clean(key)
	s.Boxes[key] = append(s.Boxes[key], b)
	return nil
}

func clean(p string) string { return strings.TrimPrefix(path.Clean(filepath.ToSlash(p)), "/") }

// Match finds the annotations of images: keys[i] is the key of those of image ids[i] (its
// path in the data set), empty where there are none. A key and an ID must be the same
// path, or one the end of the other, whatever their extensions. Annotations that fit
// several images alike are an error, as are several that fit one.
func (s *Set) Match(ids []string) (keys []string, err error) {
	all := slices.Collect(maps.Keys(s.Boxes))
	for k := range s.Masks {
		if _, both := s.Boxes[k]; !both {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	names := datasets.NewNames("the annotations", all)
	keys = make([]string, len(ids))
	of := map[string]string{}
	for i, id := range ids {
		k, err := names.FindWithin(id)
		if err != nil {
			return nil, err
		}
		if k < 0 {
			continue
		}
		keys[i] = all[k]
		if other, ok := of[keys[i]]; ok && other != id {
			return nil, fmt.Errorf("the annotations of %s fit %s and %s; give paths that tell the two apart", keys[i], other, id)
		}
		of[keys[i]] = id
	}
	return keys, nil
}

// Of are the boxes of an image that show an object of the class, or all of them where
// none says that it does.
func (s *Set) Of(key, class string) []Box {
	all := s.Boxes[key]
	var of []Box
	for _, b := range all {
		if b.Class == class {
			of = append(of, b)
		}
	}
	if len(of) > 0 {
		return of
	}
	return all
}
