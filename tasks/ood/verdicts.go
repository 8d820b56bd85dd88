package ood

import (
	"encoding/json"
	"io"

	"cutmix-eval/detector"
	"cutmix-eval/report"
)

// Verdict is what a detector says of one image.
type Verdict struct {
	ID         string  `json:"id"`
	Accept     bool    `json:"accept"`
	Score      float64 `json:"score"`
	Prediction int     `json:"prediction"` // model output
	Class      string  `json:"class,omitempty"`
	Confidence float64 `json:"confidence"`
	Error      string  `json:"error,omitempty"` // why there is none; nothing else is then known
}

// WriteVerdicts writes what a detector says of images: a table, in CSV with all digits, or
// JSON with the detector beside them.
func WriteVerdicts(w io.Writer, d *detector.Detector, verdicts []Verdict, format report.Format) error {
	if format == report.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			SchemaVersion int                `json:"schema_version"`
			Task          string             `json:"task"`
			Detector      *detector.Detector `json:"detector"`
			Images        []Verdict          `json:"images"`
		}{report.SchemaVersion, Name + " apply", d, verdicts})
	}
	t := report.Table{Columns: report.Columns("id", "verdict", "score", "prediction", "class", "confidence", "error")}
	for _, v := range verdicts {
		row := report.Row(report.Word(v.ID), report.Cell{}, report.Cell{}, report.Cell{}, report.Cell{}, report.Cell{}, report.Word(v.Error))
		if v.Error == "" {
			row[1] = report.Word("reject")
			if v.Accept {
				row[1] = report.Word("accept")
			}
			row[2], row[3] = report.Plain(v.Score, report.None).Full(), report.Int(v.Prediction)
			row[4], row[5] = report.Word(v.Class), report.Plain(v.Confidence, report.Fraction).Full()
		}
		t.Rows = append(t.Rows, row)
	}
	return t.Write(w, format)
}
