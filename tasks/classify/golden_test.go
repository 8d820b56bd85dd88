package classify

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/evaluation/evaltest"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
)

// TestCIFARGolden is the whole way from JPEG files in a tar to predictions,
// against PyTorch's on 10,000 images, or on some of them.
func TestCIFARGolden(t *testing.T) {
	m, d := evaltest.Shared(t, []string{"models", "resnet20-cifar10.onnx"}, []string{"data", "cifar10-jpeg-test.tar"},
		evaltest.Scaled(1, imageproc.ImageNetMean, imageproc.ImageNetStd))
	size := imageproc.Size{H: 32, W: 32}
	m.Changes.Resize, m.Changes.Crop = &size, &size
	d.Limit = long.Or(0, 1000)
	classifier, im := evaltest.Files(t, m, d, evaluation.DefaultRunning())
	c := DefaultConfig()
	c.Replicates, c.Doctor = 0, false
	j, err := Open(t.Context(), classifier, im, c, evaluation.Store{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	res, err := tasks.Do(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := res.Report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var records []Record
	if err := results.Each(t.Context(), j.Pass.Run, nil, func(rec *Record, _ [][]float32) error {
		records = append(records, *rec)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(golden.Path(t, "golden", "classify", "cifar10-test-resnet20.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows = rows[1:]
	if len(rows) != 10000 || len(records) != long.Or(10000, 1000) {
		t.Fatalf("%d rows, %d records", len(rows), len(records))
	}
	flips, tops := 0, 0
	for _, rec := range records {
		row := rows[rec.Index]
		if rec.ID != "test/"+row[0] || strconv.Itoa(int(rec.Label)) != row[1] || rec.Status != results.OK {
			t.Fatalf("row %d: %+v, want %v", rec.Index, rec, row[:2])
		}
		if strconv.Itoa(int(rec.Prediction)) != row[2] {
			flips++
		}
		var top []string
		for _, o := range rec.Top {
			top = append(top, strconv.Itoa(int(o)))
		}
		if strings.Join(top, " ") != row[3] {
			tops++
		}
	}
	t.Logf("top-1 %.4f; %d predictions and %d top-5 lists differ from PyTorch's", r.Find("top1").Value, flips, tops)
	if flips != 0 || tops != 0 {
		t.Errorf("%d of %d predictions and %d top-5 lists differ", flips, len(records), tops)
	}
	if d.Limit > 0 {
		return // the numbers are those of all images
	}
	var want struct {
		Metrics struct {
			Top1, Top5, NLL, Brier float64
			ECE                    float64 `json:"ece15"`
			MCE                    float64 `json:"mce15"`
		}
	}
	golden.JSON(t, &want, "golden", "classify", "cifar10-test-resnet20.json")
	for _, c := range []struct {
		name      string
		want, tol float64
	}{
		{"top1", want.Metrics.Top1, 0},
		{"top5", want.Metrics.Top5, 0},
		// Logits differ by up to 2e-5 through the order of float32 sums.
		{"nll", want.Metrics.NLL, 1e-5},
		{"brier", want.Metrics.Brier, 1e-5},
		{"ece", want.Metrics.ECE, 1e-5},
		{"max_calibration_error", want.Metrics.MCE, 1e-3}, // one image may cross a bin's edge
	} {
		if got := r.Find(c.name).Value; math.Abs(got-c.want) > c.tol {
			t.Errorf("%s = %v, want %v", c.name, got, c.want)
		}
	}
}
