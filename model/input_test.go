package model

import (
	"strings"
	"testing"

	"cutmix-eval/imageproc"

	"github.com/google/go-cmp/cmp"
)

func TestInputs(t *testing.T) {
	const nchw, nhwc = imageproc.NCHW, imageproc.NHWC
	type input struct {
		Layout         imageproc.Layout
		Channels, H, W int
		Sample         []int64
		Batch          int
		NoBatch        bool
		Recipe         string
	}
	grey := "grey 0..1, mean 0, std 1"
	colours := "RGB 0..1, mean 0.485,0.456,0.406, std 0.229,0.224,0.225"
	bytes := "RGB 0..255, mean 0,0,0, std 1,1,1"
	for name, want := range map[string]input{
		"float32-nchw":       {nchw, 3, 4, 6, []int64{3, 4, 6}, 0, false, colours},
		"float16-nchw":       {nchw, 3, 4, 6, []int64{3, 4, 6}, 0, false, colours},
		"float64-nhwc":       {nhwc, 3, 4, 6, []int64{4, 6, 3}, 0, false, colours},
		"uint8-nhwc":         {nhwc, 3, 4, 6, []int64{4, 6, 3}, 0, false, bytes},
		"int8-nchw-grey":     {nchw, 1, 4, 6, []int64{1, 4, 6}, 0, false, "grey 0..255, mean 128, std 1"},
		"int32-nhwc-grey":    {nhwc, 1, 4, 6, []int64{4, 6, 1}, 0, false, "grey 0..255, mean 0, std 1"},
		"plane":              {nchw, 1, 6, 5, []int64{6, 5}, 0, false, grey},
		"uint8-plane-batch1": {nchw, 1, 6, 5, []int64{6, 5}, 1, false, "grey 0..255, mean 0, std 1"},
		"flat":               {nchw, 1, 6, 6, []int64{36}, 0, false, grey},
		"flat-column":        {nchw, 1, 6, 6, []int64{36, 1}, 1, false, grey},
		"flat-row":           {nchw, 1, 6, 6, []int64{1, 36}, 0, false, grey},
		"flat-four-axes":     {nchw, 1, 6, 6, []int64{1, 36, 1}, 0, false, grey},
		"flat-colour":        {nchw, 3, 6, 6, []int64{108}, 0, false, colours},
		"flat-colour-keras":  {nhwc, 3, 6, 6, []int64{108}, 0, false, colours},
		"no-batch-vector":    {nchw, 1, 6, 6, []int64{36}, 0, true, grey},
		"no-batch-column":    {nchw, 1, 6, 6, []int64{36, 1}, 0, true, grey},
		"no-batch-plane":     {nchw, 1, 6, 6, []int64{6, 6}, 0, true, grey},
		"no-batch-chw":       {nchw, 3, 4, 6, []int64{3, 4, 6}, 0, true, colours},
		"no-batch-hwc":       {nhwc, 3, 4, 6, []int64{4, 6, 3}, 0, true, bytes},
		"no-batch-hwc-grey":  {nhwc, 1, 4, 6, []int64{4, 6, 1}, 0, true, grey},
		"open-grey":          {nchw, 1, 0, 0, []int64{1, 9, 8}, 0, false, grey},
		"open-nhwc":          {nhwc, 3, 0, 0, []int64{9, 8, 3}, 0, false, colours},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Open("testdata/inputs/"+name+".onnx", "")
			if err != nil {
				t.Fatal(err)
			}
			size := imageproc.Size{H: m.H, W: m.W}
			if size == (imageproc.Size{}) {
				size = imageproc.Size{H: 9, W: 8}
			}
			sample, err := m.SampleShape(size)
			if err != nil {
				t.Fatal(err)
			}
			r, _, err := m.Recipe(nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(r.String(), ", "+want.Recipe+", "+string(want.Layout)) {
				t.Errorf("recipe %s, want %s", r, want.Recipe)
			}
			if note, err := m.CheckPixels(r); note != "" || err != nil {
				t.Errorf("the default recipe does not fit: %q, %v", note, err)
			}
			got := input{m.Layout, m.Channels, m.H, m.W, sample, m.Batch, m.NoBatch, want.Recipe}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestInputsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"4-channels":      `"image" (float32, n x 4 x 6 x 6) cannot be given an image: it has 4 channels`,
		"2-channels-nhwc": "it has 2 channels",
		"12-bands":        "it has 12 channels",
		"audio":           "its 1960 values are those of no square image",
		"open-flat":       "its size is open",
		"points":          "its three axes are neither",
		"five-axes":       "it has 5 axes",
		"int64":           "int64 is for numbers such as token ids",
		"bool":            "images are float32",
		"token-ids":       "the graph looks its values up in a table",
		"second-scalar":   `"scale" (float32, a scalar)`,
		"second-ids":      `"ids" (int64, n x 77)`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open("testdata/inputs/refused-"+name+".onnx", "")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// An input of whole numbers takes what can be rounded to it without losing the picture.
func TestPixelsOfWholeNumbers(t *testing.T) {
	m, err := Open("testdata/inputs/int8-nchw-grey.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name           string
		span           int
		mean, std      float32
		note, mustHave string
	}{
		{"as it is", 255, 128, 1, "", ""},
		{"one step beyond an end", 255, 127, 1, "", ""},
		{"quantised by its maker: 0..1, zero -128, scale 1/255", 1, 128.0 / 255, 1.0 / 255, "", ""},
		{"two pixels a step", 255, 128, 2, "was rounded", ""},
		{"normalised", 1, 0.5, 0.25, "", "makes only 5 different values"},
		{"unsigned", 255, 0, 1, "", "makes values beyond it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _, err := m.Recipe(nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Range, r.Mean, r.Std = c.span, [3]float32{c.mean, c.mean, c.mean}, [3]float32{c.std, c.std, c.std}
			note, err := m.CheckPixels(r)
			if (err == nil) != (c.mustHave == "") || err != nil && !strings.Contains(err.Error(), c.mustHave) {
				t.Errorf("%v, want %q", err, c.mustHave)
			}
			if (note == "") != (c.note == "") || !strings.Contains(note, c.note) {
				t.Errorf("note %q, want %q", note, c.note)
			}
		})
	}
	r := imageproc.Standard()
	if _, err := m.CheckPixels(r); err == nil || !strings.Contains(err.Error(), "makes three channels, and input") {
		t.Errorf("colours for a grey input: %v", err)
	}
}

func TestFlatOrder(t *testing.T) {
	m, err := Open("testdata/inputs/flat-colour.onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	for layout, want := range map[imageproc.Layout]string{imageproc.NCHW: "as PyTorch flattens", imageproc.NHWC: "as Keras flattens"} {
		if got := m.FlatOrder(layout); !strings.Contains(got, want) {
			t.Errorf("%s: %q", layout, got)
		}
	}
}
