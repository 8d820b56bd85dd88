package boxes_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/png"
	"math"
	"os"
	"slices"
	"testing"

	"cutmix-eval/boxes"
	"cutmix-eval/cam"
	"cutmix-eval/internal/golden"
	"cutmix-eval/metrics"
)

const side = 224

type image struct {
	ID, File, Kind, Name string
	Index                int
	W                    int      `json:"image_w"`
	H                    int      `json:"image_h"`
	Boxes                [][4]int `json:"boxes_x0y0x1y1"`
}

type contours struct {
	Boxes [][][4]int
	Best  []float64 `json:"best_iou"`
}

type paper struct {
	Box     *[4]int
	Area    int
	Best    float64 `json:"best_iou"`
	Correct bool
}

type expectedMap struct {
	ID         string
	SHA256     string   `json:"u8_sha256"`
	GT         [][4]int `json:"gt_boxes_224"`
	Thresholds []float64
	Largest    contours         `json:"largest_contour"`
	All        contours         `json:"all_contours"`
	Paper      map[string]paper `json:"cutmix_paper_0.15"`
}

func box(v [4]int) boxes.Box { return boxes.Box{X0: v[0], Y0: v[1], X1: v[2], Y1: v[3]} }

// maps brings every map of the golden set to 224 x 224.
func maps(t *testing.T) (images []image, out [][]float64) {
	t.Helper()
	golden.JSON(t, &images, "golden", "wsol", "boxes.json")
	files := map[string]golden.Array{}
	for _, im := range images {
		a, ok := files[im.File]
		if !ok {
			a = golden.NPY(t, "golden", "wsol", im.File)
			files[im.File] = a
		}
		h, w := a.Shape[1], a.Shape[2]
		out = append(out, cam.WSOL.Apply(a.F64[im.Index*h*w:(im.Index+1)*h*w], h, w, side, side))
	}
	return images, out
}

// TestMapsAndBoxes: the maps' bytes, every box at every listed threshold, and the
// overlaps, as OpenCV and wsolevaluation have them.
func TestMapsAndBoxes(t *testing.T) {
	images, all := maps(t)
	var want []expectedMap
	golden.JSON(t, &want, "golden", "wsol", "expected_maps.json")
	if len(want) != 114 || len(images) != 114 {
		t.Fatalf("%d maps", len(want))
	}
	var tr boxes.Tracer
	pixels, checked := 0, 0
	for i, w := range want {
		if w.ID != images[i].ID {
			t.Fatalf("map %d is %s, not %s", i, images[i].ID, w.ID)
		}
		u8 := cam.Bytes(all[i])
		sum := sha256.Sum256(u8)
		if hex.EncodeToString(sum[:]) != w.SHA256 {
			t.Errorf("%s (%s): the map's bytes differ", w.ID, images[i].Name)
			continue
		}
		pixels += len(u8)
		var truth []boxes.Box
		window := boxes.Window{W: side, H: side, FrameW: side, FrameH: side}
		for k, b := range w.GT {
			truth = append(truth, box(b))
			v := images[i].Boxes[k]
			placed, ok := window.Place(float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3]), images[i].W, images[i].H)
			if !ok || placed != box(b) {
				t.Errorf("%s: box %v of a %d x %d picture at %v, want %v", w.ID, v, images[i].W, images[i].H, placed, b)
			}
		}
		levels := map[int][]int{} // indices of thresholds
		for k, th := range w.Thresholds {
			l := int(th * float64(slices.Max(u8)))
			levels[l] = append(levels[l], k)
		}
		tr.Each(u8, side, side, func(level int, c []boxes.Contour) {
			for _, k := range levels[level] {
				largest, every := []boxes.Box{{}}, []boxes.Box{{}}
				if len(c) > 0 {
					largest, every = []boxes.Box{boxes.Largest(c).Box}, nil
					for _, x := range c {
						every = append(every, x.Box)
					}
				}
				compare(t, fmt.Sprintf("%s (%s) largest at %v", w.ID, images[i].Name, w.Thresholds[k]), largest, w.Largest.Boxes[k], truth, w.Largest.Best[k])
				compare(t, fmt.Sprintf("%s (%s) all at %v", w.ID, images[i].Name, w.Thresholds[k]), every, w.All.Boxes[k], truth, w.All.Best[k])
				checked++
			}
		})
		top := slices.Max(all[i])
		p := w.Paper["conn8"]
		b, n, ok := boxes.Region(all[i], side, side, 0.15*top)
		if ok != (p.Box != nil) || ok && (b != box(*p.Box) || n != p.Area) {
			t.Errorf("%s (%s): region %v of %d pixels, want %+v", w.ID, images[i].Name, b, n, p)
		}
		if ok && (boxes.Best(b, truth) != p.Best || (p.Best > 0.5) != p.Correct) {
			t.Errorf("%s: overlap %v, want %v", w.ID, boxes.Best(b, truth), p.Best)
		}
	}
	t.Logf("%d map bytes equal; boxes at %d thresholds equal", pixels, checked)
	if checked != 114*6 {
		t.Errorf("%d thresholds checked", checked)
	}
}

func compare(t *testing.T, what string, got []boxes.Box, want [][4]int, truth []boxes.Box, best float64) {
	t.Helper()
	less := func(a, b boxes.Box) int {
		return slices.Compare([]int{a.X0, a.Y0, a.X1, a.Y1}, []int{b.X0, b.Y0, b.X1, b.Y1})
	}
	var w []boxes.Box
	for _, v := range want {
		w = append(w, box(v))
	}
	slices.SortFunc(w, less)
	got = slices.Clone(got)
	slices.SortFunc(got, less)
	if !slices.Equal(got, w) {
		t.Errorf("%s: boxes %v, want %v", what, got, w)
		return
	}
	iou := 0.0
	for _, b := range got {
		iou = max(iou, boxes.Best(b, truth))
	}
	if iou != best {
		t.Errorf("%s: overlap %v, want %v", what, iou, best)
	}
}

// sweeps are the best overlaps by level of every map, for the largest contour and
// for all.
func sweeps(all [][]float64, truth func(i int) []boxes.Box) (largest, every [][]float32) {
	var tr boxes.Tracer
	for i, m := range all {
		l, e := make([]float32, boxes.Levels), make([]float32, boxes.Levels)
		tr.Sweep(cam.Bytes(m), side, side, truth(i), l, e)
		largest, every = append(largest, l), append(every, e)
	}
	return largest, every
}

// TestMaxBoxAcc: the number of right images at every threshold, MaxBoxAcc and
// MaxBoxAccV2 with their thresholds, exactly.
func TestMaxBoxAcc(t *testing.T) {
	images, all := maps(t)
	type curve struct {
		Best  float64 `json:"best_accuracy_percent"`
		First float64 `json:"first_best_threshold"`
		Right []int   `json:"num_correct_per_threshold"`
	}
	var want struct {
		Groups map[string]map[string]json.RawMessage
	}
	golden.JSON(t, &want, "golden", "wsol", "expected_metrics.json")
	var maps224 []expectedMap
	golden.JSON(t, &maps224, "golden", "wsol", "expected_maps.json")
	truth := func(i int) []boxes.Box {
		var out []boxes.Box
		for _, b := range maps224[i].GT {
			out = append(out, box(b))
		}
		return out
	}
	largest, every := sweeps(all, truth)
	number := func(group, name string) float64 {
		var v float64
		if err := json.Unmarshal(want.Groups[group][name], &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	curves := 0
	for _, group := range []string{"all", "real", "syn14", "syn224"} {
		var at []int
		for i, im := range images {
			if group == "all" || im.Kind == group {
				at = append(at, i)
			}
		}
		for _, interval := range []float64{0.01, 0.001} {
			for name, overlaps := range map[string][][]float32{"largest_contour": largest, "all_contours": every} {
				var w map[string]json.RawMessage
				if err := json.Unmarshal(want.Groups[group][fmt.Sprintf("interval_%v_%s", interval, name)], &w); err != nil {
					t.Fatal(err)
				}
				s := metrics.NewSweep(len(at), interval, func(i int) []float32 { return overlaps[at[i]] })
				for d, iou := range []string{"iou_30", "iou_50", "iou_70"} {
					var c curve
					if err := json.Unmarshal(w[iou], &c); err != nil {
						t.Fatal(err)
					}
					if c.Right != nil && !slices.Equal(s.Right(d, nil), c.Right) {
						t.Errorf("%s %s %s: right %v, want %v", group, name, iou, s.Right(d, nil), c.Right)
					}
					// Shares are of small integers; percent costs a rounding.
					if acc, th := s.Best(d, nil); math.Abs(100*acc-c.Best) > 1e-9 || th != c.First {
						t.Errorf("%s %s %s: %v at %v, want %v at %v", group, name, iou, acc, th, c.Best, c.First)
					}
					curves++
				}
				suffix := ""
				if interval == 0.001 {
					suffix = "_interval_0.001"
				}
				if name == "largest_contour" {
					if acc, _ := s.Best(1, nil); math.Abs(100*acc-number(group, "MaxBoxAcc"+suffix)) > 1e-9 {
						t.Errorf("%s MaxBoxAcc %v", group, acc)
					}
				} else if v := s.MaxBoxAccV2(nil); math.Abs(100*v-number(group, "MaxBoxAccV2"+suffix)) > 1e-9 {
					t.Errorf("%s MaxBoxAccV2 %v", group, v)
				}
			}
		}
		right := 0
		for _, i := range at {
			if b, _, ok := boxes.Region(all[i], side, side, 0.15*slices.Max(all[i])); ok && boxes.Best(b, truth(i)) > 0.5 {
				right++
			}
		}
		if acc := 100 * float64(right) / float64(len(at)); math.Abs(acc-number(group, "cutmix_paper_gtknown_accuracy_percent_conn8")) > 1e-9 {
			t.Errorf("%s: paper's accuracy %v", group, acc)
		}
	}
	if curves != 4*2*2*3 {
		t.Errorf("%d curves", curves)
	}
}

// TestPxAP: histograms and area as wsolevaluation's MaskEvaluator has them.
func TestPxAP(t *testing.T) {
	a := golden.NPY(t, "golden", "wsol", "pxap", "maps14.npy")
	var want struct {
		Images []struct {
			ID     string
			Index  int
			Masks  []string
			Ignore string
		}
		Expected map[string]struct {
			PxAP     float64   `json:"pxap_percent"`
			Positive []float64 `json:"hist_positive"`
			Negative []float64 `json:"hist_negative"`
		}
	}
	golden.JSON(t, &want, "golden", "wsol", "pxap", "expected.json")
	h, w := a.Shape[1], a.Shape[2]
	for name, e := range want.Expected {
		var interval float64
		if _, err := fmt.Sscanf(name, "interval_%g", &interval); err != nil {
			t.Fatal(err)
		}
		bins := metrics.PixelBins(interval)
		pos, neg := make([]float64, bins), make([]float64, bins)
		for _, im := range want.Images {
			m := cam.WSOL.Apply(a.F64[im.Index*h*w:(im.Index+1)*h*w], h, w, side, side)
			var masks []boxes.Mask
			for _, f := range im.Masks {
				masks = append(masks, readMask(t, f))
			}
			truth := boxes.Truth(boxes.Window{W: side, H: side, FrameW: side, FrameH: side}, masks, []boxes.Mask{readMask(t, im.Ignore)})
			th := metrics.Thresholds(interval)
			for i, v := range m {
				switch truth[i] {
				case boxes.Object:
					pos[metrics.PixelBin(th, v)]++
				case boxes.Background:
					neg[metrics.PixelBin(th, v)]++
				}
			}
		}
		if got := 100 * metrics.PxAP(pos, neg); math.Abs(got-e.PxAP) > 1e-9 { // sums of a thousand quotients
			t.Errorf("%s: PxAP %v, want %v", name, got, e.PxAP)
		}
		if e.Positive != nil && (!slices.Equal(pos, e.Positive[:bins]) || !slices.Equal(neg, e.Negative[:bins])) {
			t.Errorf("%s: histograms differ:\n%v\n%v", name, pos, e.Positive)
		}
	}
}

func readMask(t *testing.T, name string) boxes.Mask {
	t.Helper()
	f, err := os.Open(golden.Path(t, "golden", "wsol", "pxap", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return boxes.MaskOf(m)
}
