package annotations

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
)

// parseText reads the line formats, told apart by their first lines.
func parseText(text string) (*Set, error) {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	start := 0 // of the first line with anything in it
	for strings.TrimSpace(lines[start]) == "" {
		start++
	}
	first := lines[start]
	head := append([]string(nil), lines...) // with the header left out, but counted
	head[start] = ""
	switch {
	case strings.HasPrefix(first, "ImageId,PredictionString"):
		return eachLine("Kaggle LOC_val_solution", head, kaggleLine)
	case strings.HasPrefix(first, "path,class,x0,y0,x1,y1"):
		return eachLine("path,class,x0,y0,x1,y1", head, ownLine)
	case len(strings.Split(first, "\t")) == 6:
		return eachLine("Tiny-ImageNet val_annotations", lines, tinyLine)
	case len(strings.Split(first, ",")) == 5:
		return eachLine("wsolevaluation boxes", lines, wsolBoxLine)
	case len(strings.Split(first, ",")) == 3:
		return eachLine("wsolevaluation masks", lines, wsolMaskLine)
	case len(strings.Fields(first)) >= 6 && (len(strings.Fields(first))-2)%4 == 0:
		return eachLine("TS-CAM list", lines, tscamLine)
	}
	return nil, ErrUnknown
}

func eachLine(format string, lines []string, f func(s *Set, line string) error) (*Set, error) {
	s := newSet(format)
	for i, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if err := f(s, l); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", format, i+1, err)
		}
	}
	return s, nil
}

// numbers reads four coordinates.
func numbers(v []string) (b Box, err error) {
	var n [4]float64
	for i := range n {
		if n[i], err = strconv.ParseFloat(strings.TrimSpace(v[i]), 64); err != nil {
			return b, fmt.Errorf("%q is not a number", v[i])
		}
	}
	return Box{X0: n[0], Y0: n[1], X1: n[2], Y1: n[3]}, nil
}

// kaggleLine: ImageId,synset x0 y0 x1 y1 synset …
func kaggleLine(s *Set, line string) error {
	id, rest, ok := strings.Cut(line, ",")
	f := strings.Fields(rest)
	if !ok || len(f)%5 != 0 {
		return fmt.Errorf("%q is not an image and groups of a synset and four numbers", line)
	}
	for i := 0; i < len(f); i += 5 {
		b, err := numbers(f[i+1:])
		if err != nil {
			return err
		}
		b.Class = f[i]
		if err := s.add(id, b); err != nil {
			return err
		}
	}
	return nil
}

// ownLine: path,class,x0,y0,x1,y1 with x1 and y1 exclusive, as datasets export has it.
func ownLine(s *Set, line string) error {
	f := strings.Split(line, ",")
	if len(f) < 6 {
		return fmt.Errorf("%q has %d fields, not 6", line, len(f))
	}
	n := len(f)
	b, err := numbers(f[n-4:])
	if err != nil {
		return err
	}
	b.X1, b.Y1, b.Class = b.X1-1, b.Y1-1, f[n-5]
	return s.add(strings.Join(f[:n-5], ","), b)
}

// tinyLine: name, synset, x0, y0, x1, y1, with tabs.
func tinyLine(s *Set, line string) error {
	f := strings.Split(line, "\t")
	if len(f) != 6 {
		return fmt.Errorf("%q has %d fields with tabs, not 6", line, len(f))
	}
	b, err := numbers(f[2:])
	if err != nil {
		return err
	}
	b.Class = f[1]
	return s.add(f[0], b)
}

// wsolBoxLine: path,x0,y0,x1,y1
func wsolBoxLine(s *Set, line string) error {
	f := strings.Split(line, ",")
	if len(f) != 5 {
		return fmt.Errorf("%q has %d fields, not 5", line, len(f))
	}
	b, err := numbers(f[1:])
	if err != nil {
		return err
	}
	return s.add(f[0], b)
}

// wsolMaskLine: path,mask,ignore mask; the last is empty but on an image's first line.
func wsolMaskLine(s *Set, line string) error {
	f := strings.Split(line, ",")
	if len(f) != 3 || f[1] == "" {
		return fmt.Errorf("%q is not path,mask,ignore", line)
	}
	key := clean(f[0])
	m := s.Masks[key]
	m.Object = append(m.Object, f[1])
	if f[2] != "" {
		m.Ignore = append(m.Ignore, f[2])
	}
	s.Masks[key] = m
	return nil
}

// tscamLine: path label and groups of four numbers.
func tscamLine(s *Set, line string) error {
	f := strings.Fields(line)
	if len(f) < 6 || (len(f)-2)%4 != 0 {
		return fmt.Errorf("%q is not a path, a label and groups of four numbers", line)
	}
	for i := 2; i < len(f); i += 4 {
		b, err := numbers(f[i:])
		if err != nil {
			return err
		}
		if err := s.add(f[0], b); err != nil {
			return err
		}
	}
	return nil
}

// CUBBoxes is the file of CUB-200-2011 with its boxes; images.txt beside it names the
// images.
const CUBBoxes = "bounding_boxes.txt"

// openCUB reads CUB-200-2011: images.txt gives names by number, bounding_boxes.txt
// x, y, width and height.
func openCUB(dir string) (*Set, error) {
	names, err := read(filepath.Join(dir, "images.txt"))
	if err != nil {
		return nil, err
	}
	boxes, err := read(filepath.Join(dir, CUBBoxes))
	if err != nil {
		return nil, err
	}
	return ParseCUB(string(names), string(boxes))
}

// ParseCUB reads the contents of images.txt and bounding_boxes.txt.
func ParseCUB(names, boxes string) (*Set, error) {
	byNumber := map[string]string{}
	for line := range strings.Lines(names) {
		if number, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			byNumber[number] = name
		}
	}
	return eachLine("CUB-200-2011", strings.Split(boxes, "\n"), func(s *Set, line string) error {
		f := strings.Fields(line)
		if len(f) != 5 {
			return fmt.Errorf("%q is not a number and a box", line)
		}
		name, ok := byNumber[f[0]]
		if !ok {
			return fmt.Errorf("image %s is not in images.txt", f[0])
		}
		b, err := numbers(f[1:])
		if err != nil {
			return err
		}
		b.X1, b.Y1 = b.X0+b.X1, b.Y0+b.Y1 // width and height there
		return s.add(name, b)
	})
}

// voc is the part of ILSVRC's and VOC's XML that matters.
type voc struct {
	Filename string `xml:"filename"`
	Objects  []struct {
		Name string `xml:"name"`
		Box  struct {
			X0 float64 `xml:"xmin"`
			Y0 float64 `xml:"ymin"`
			X1 float64 `xml:"xmax"`
			Y1 float64 `xml:"ymax"`
		} `xml:"bndbox"`
	} `xml:"object"`
}

func parseXML(name string, data []byte) (*Set, error) {
	s := newSet("ILSVRC or VOC XML")
	return s, s.addXML(name, data)
}

var errNoObjects = errors.New("it has no objects")

// addXML adds a file's boxes under its own name: that is the image's.
func (s *Set) addXML(name string, data []byte) error {
	var v voc
	if err := xml.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if v.Objects == nil {
		return fmt.Errorf("%s: %w", name, errNoObjects)
	}
	for _, o := range v.Objects {
		if err := s.add(name, Box{o.Box.X0, o.Box.Y0, o.Box.X1, o.Box.Y1, o.Name}); err != nil {
			return err
		}
	}
	return nil
}

func openXML(dir string) (*Set, error) {
	s := newSet("folder of ILSVRC or VOC XML files")
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(path.Ext(p), ".xml") {
			return err
		}
		data, err := regular.Read(p, regular.Small)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if err := s.addXML(filepath.ToSlash(rel), data); !errors.Is(err, errNoObjects) {
			return err
		}
		return nil // a picture of nothing
	})
	if err == nil && len(s.Boxes) == 0 {
		err = ErrUnknown
	}
	return s, err
}

// parseCOCO reads COCO's instances JSON.
func parseCOCO(data []byte) (*Set, error) {
	var c struct {
		Images []struct {
			ID   int64  `json:"id"`
			File string `json:"file_name"`
		} `json:"images"`
		Annotations []struct {
			Image    int64     `json:"image_id"`
			Category int64     `json:"category_id"`
			Box      []float64 `json:"bbox"`
			Crowd    int       `json:"iscrowd"`
		} `json:"annotations"`
		Categories []struct {
			ID   int64  `json:"id"`
			Name string `json:"name"`
		} `json:"categories"`
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&c); err != nil {
		return nil, fmt.Errorf("COCO JSON: %w", strict.Explain(err))
	}
	if c.Images == nil || c.Annotations == nil {
		return nil, errors.New("the JSON has no images and annotations, as COCO's has")
	}
	files, classes := map[int64]string{}, map[int64]string{}
	for _, im := range c.Images {
		files[im.ID] = im.File
	}
	for _, k := range c.Categories {
		classes[k.ID] = k.Name
	}
	s := newSet("COCO JSON")
	for i, a := range c.Annotations {
		name, ok := files[a.Image]
		if !ok || len(a.Box) != 4 {
			return nil, fmt.Errorf("COCO JSON: annotation %d has no image %d or no box of four numbers", i, a.Image)
		}
		if a.Crowd != 0 {
			continue // a box around many
		}
		b := Box{a.Box[0], a.Box[1], a.Box[0] + a.Box[2], a.Box[1] + a.Box[3], classes[a.Category]}
		if err := s.add(name, b); err != nil {
			return nil, err
		}
	}
	return s, nil
}
