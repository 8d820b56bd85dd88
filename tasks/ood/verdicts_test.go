package ood

import (
	"encoding/json"
	"strings"
	"testing"

	"cutmix-eval/detector"
	"cutmix-eval/report"

	"github.com/google/go-cmp/cmp"
)

// TestWriteVerdicts: the four renderings hold the same; CSV has all digits.
func TestWriteVerdicts(t *testing.T) {
	verdicts := []Verdict{
		{ID: "a.png", Accept: true, Score: 1.23456789, Prediction: 3, Class: "cat, tabby", Confidence: 0.98765},
		{ID: "b.png", Score: -2, Prediction: 0, Confidence: 0.5},
		{ID: "c.png", Error: "no picture"},
	}
	written := func(f report.Format) string {
		t.Helper()
		var b strings.Builder
		if err := WriteVerdicts(&b, &detector.Detector{Score: "energy", Threshold: 1}, verdicts, f); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for f, want := range map[report.Format]string{
		report.Text: `  id     verdict  score    prediction  class       confidence  error
  a.png  accept   1.2346   3           cat, tabby  98.77 %
  b.png  reject   -2.0000  0                       50.00 %
  c.png                                                        no picture
`,
		report.CSV: `id,verdict,score,prediction,class,confidence,error
a.png,accept,1.23456789,3,"cat, tabby",0.98765,
b.png,reject,-2,0,,0.5,
c.png,,,,,,no picture
`,
	} {
		if d := cmp.Diff(want, written(f)); d != "" {
			t.Errorf("%s: %s", f, d)
		}
	}
	md := written(report.Markdown)
	if row := "| a.png | accept  | 1.2346  | 3          | cat, tabby | 98.77 %    |            |"; !strings.Contains(md, row) {
		t.Errorf("no %s in\n%s", row, md)
	}
	var read struct {
		Task     string
		Detector struct{ Score string }
		Images   []Verdict
	}
	if err := json.Unmarshal([]byte(written(report.JSON)), &read); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(verdicts, read.Images); d != "" || read.Task != "ood apply" || read.Detector.Score != "energy" {
		t.Errorf("%+v %s", read, d)
	}
}
