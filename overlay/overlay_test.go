package overlay

import (
	"bytes"
	"flag"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/imageproc"
)

var update = flag.Bool("update", false, "write the golden picture anew")

// TestSheet draws a sheet of one picture and compares it with the golden one, which was
// looked at by eye.
func TestSheet(t *testing.T) {
	sc := scenes.Generate(scenes.Test, 7)
	b := boxes.Box{X0: sc.Box.Min.X, Y0: sc.Box.Min.Y, X1: sc.Box.Max.X - 1, Y1: sc.Box.Max.Y - 1}
	picture := Picture(imageproc.Image{W: scenes.Size, H: scenes.Size, Pix: sc.Pixels}, cam.Centre(scenes.Size, scenes.Size), []boxes.Box{b},
		[]boxes.Box{{X0: 8, Y0: 8, X1: 55, Y1: 55}})
	sheet := Sheet([]*image.RGBA{picture, picture}, []string{"one", "a title that is much longer than its picture is wide"})
	var got bytes.Buffer
	if err := png.Encode(&got, sheet); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "sheet.png")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if want.Bounds() != sheet.Bounds() {
		t.Fatalf("%v, want %v", sheet.Bounds(), want.Bounds())
	}
	for y := range sheet.Rect.Dy() {
		for x := range sheet.Rect.Dx() {
			r, g, bl, _ := want.At(x, y).RGBA()
			c := sheet.RGBAAt(x, y)
			if uint32(c.R) != r>>8 || uint32(c.G) != g>>8 || uint32(c.B) != bl>>8 {
				t.Fatalf("pixel %d, %d is %v", x, y, c)
			}
		}
	}
}
