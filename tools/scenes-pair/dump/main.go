// Command dump writes the built-in scenes as NumPy arrays, for train.py.
//
//	go run ./tools/scenes-pair/dump --out DIR [split ...]
//
// For each split (all of them if none is named) it writes into DIR
//
//	SPLIT-images.npy  uint8 (N, 64, 64, 3), rows, columns, red green blue
//	SPLIT-labels.npy  int32 (N,), 0 to 9, or -1 where there is no label
//	SPLIT-boxes.npy   int32 (N, 4), x0 y0 x1 y1 in pixels, x1 and y1 exclusive
//
// and classes.json, the class names of train, val and test in label order.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"cutmix-eval/datasets/scenes"
)

func main() {
	out := flag.String("out", "", "folder to write to (required)")
	flag.Parse()
	if *out == "" {
		fmt.Fprintln(os.Stderr, "usage: dump --out DIR [split ...]")
		os.Exit(2)
	}
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "dump:", err)
		os.Exit(1)
	}
}

func run(dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	splits := scenes.Splits()
	if len(names) > 0 {
		splits = splits[:0]
		for _, name := range names {
			s, err := scenes.ParseSplit(name)
			if err != nil {
				return err
			}
			splits = append(splits, s)
		}
	}
	classes, err := json.Marshal(scenes.Classes(scenes.Train))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "classes.json"), append(classes, '\n'), 0o644); err != nil {
		return err
	}
	for _, s := range splits {
		if err := dump(dir, s); err != nil {
			return fmt.Errorf("writing split %q: %w", s, err)
		}
	}
	return nil
}

func dump(dir string, s scenes.Split) error {
	n := scenes.Len(s)
	labels, boxes := make([]int32, 0, n), make([]int32, 0, 4*n)
	images := make([]byte, 0, n*scenes.Size*scenes.Size*3)
	var sc scenes.Scene
	for i := range n {
		scenes.GenerateInto(s, i, &sc)
		images = append(images, sc.Pixels...)
		labels = append(labels, int32(sc.Label))
		b := sc.Box
		boxes = append(boxes, int32(b.Min.X), int32(b.Min.Y), int32(b.Max.X), int32(b.Max.Y))
	}
	for _, a := range []struct {
		name, dtype, shape string
		data               any
	}{
		{"images", "|u1", fmt.Sprintf("(%d, %d, %d, 3)", n, scenes.Size, scenes.Size), images},
		{"labels", "<i4", fmt.Sprintf("(%d,)", n), labels},
		{"boxes", "<i4", fmt.Sprintf("(%d, 4)", n), boxes},
	} {
		if err := writeNPY(filepath.Join(dir, fmt.Sprintf("%s-%s.npy", s, a.name)), a.dtype, a.shape, a.data); err != nil {
			return err
		}
	}
	return nil
}

// writeNPY writes data in NumPy's format 1.0, C order.
func writeNPY(path, dtype, shape string, data any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", dtype, shape)
	const prefix = 10 // magic, version, header length
	for (prefix+len(header)+1)%64 != 0 {
		header += " "
	}
	header += "\n"
	w := bufio.NewWriter(f)
	w.WriteString("\x93NUMPY\x01\x00")
	w.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(header))))
	w.WriteString(header)
	if err := binary.Write(w, binary.LittleEndian, data); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
