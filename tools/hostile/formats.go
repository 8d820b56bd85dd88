//go:build unix

package main

import (
	"bytes"
	"cutmix-eval/internal/npy"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

type hfImage struct {
	Bytes []byte `parquet:"bytes,optional"`
	Path  string `parquet:"path,optional"`
}

type hfRow struct {
	Image hfImage `parquet:"image,optional"`
	Label int64   `parquet:"label,optional"`
}

type scoreRow struct {
	Image  string    `parquet:"image"`
	Label  int64     `parquet:"label"`
	Logits []float32 `parquet:"logits,list"`
}

func parquetOf[T any](rows []T) ([]byte, error) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if _, err := w.Write(rows); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func npyOf(kind string, values []byte, shape ...int) []byte {
	return append(npy.Header(kind, shape...), values...)
}

func appendFloat(b []byte, v float64) []byte { return appendInt(b, int(math.Float64bits(v))) }

func appendInt(b []byte, v int) []byte {
	for i := range 8 {
		b = append(b, byte(uint64(v)>>(8*i)))
	}
	return b
}

func asJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // these are our own values
	}
	return data
}

func cocoOf(all []picture) any {
	type named map[string]any
	var images, annotations, categories []named
	for i, p := range all {
		images = append(images, named{"id": i, "file_name": p.class + "/" + p.name + ".png", "width": 64, "height": 64})
		annotations = append(annotations, named{"id": i, "image_id": i, "category_id": p.label, "bbox": []int{8, 8, 30 + i%8, 30}, "area": 900, "iscrowd": 0})
	}
	for i := range 10 {
		categories = append(categories, named{"id": i, "name": fmt.Sprint("c", i)})
	}
	return named{"images": images, "annotations": annotations, "categories": categories}
}

func vocOf(p picture) []byte {
	return fmt.Appendf(nil, `<annotation><filename>%s.png</filename><size><width>64</width><height>64</height><depth>3</depth></size>`+
		`<object><name>%s</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>40</xmax><ymax>41</ymax></bndbox></object></annotation>`, p.name, p.class)
}

// textured is a picture that takes some bytes.
func textured(side int) []byte {
	im := image.NewGray(image.Rect(0, 0, side, side))
	for i := range im.Pix {
		im.Pix[i] = byte(i*i>>7 ^ i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// otherFormats are pictures that are no PNG files, in class folders.
func otherFormats(all []picture) map[string][]byte {
	out := map[string][]byte{}
	for i, p := range all {
		var b bytes.Buffer
		var err error
		ext := ""
		switch i % 5 {
		case 0:
			ext, err = "jpg", jpeg.Encode(&b, p.image, nil)
		case 1:
			ext, err = "gif", gif.Encode(&b, p.image, nil)
		case 2:
			ext, err = "bmp", bmp.Encode(&b, p.image)
		case 3:
			ext, err = "tif", tiff.Encode(&b, p.image, &tiff.Options{Compression: tiff.Deflate})
		default:
			grey := image.NewPaletted(p.image.Bounds(), []color.Color{color.Black, color.White})
			ext, err = "png", png.Encode(&b, grey)
		}
		if err != nil {
			panic(err)
		}
		out["mixed/"+p.class+"/"+p.name+"."+ext] = b.Bytes()
	}
	return out
}
