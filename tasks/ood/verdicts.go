package ood

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"slices"
	"strconv"

	"cutmix-eval/report"
)

// WriteVerdicts writes what a detector says of images: a table, in CSV with all digits, or
// JSON with the detector beside them.
func WriteVerdicts(w io.Writer, d *Detector, verdicts []Verdict, format report.Format) error {
	t := verdictTable(verdicts, format == report.CSV)
	switch format {
	case report.JSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			SchemaVersion int       `json:"schema_version"`
			Task          string    `json:"task"`
			Detector      *Detector `json:"detector"`
			Images        []Verdict `json:"images"`
		}{report.SchemaVersion, Name + " apply", d, verdicts})
	case report.CSV:
		c := csv.NewWriter(w)
		return c.WriteAll(slices.Insert(t.Rows, 0, t.Columns))
	case report.Markdown:
		return t.Markdown(w)
	}
	return t.Write(w)
}

// verdictTable has a row for each image; numbers are exact, or rounded for people.
func verdictTable(verdicts []Verdict, exact bool) report.Table {
	t := report.Table{Columns: []string{"id", "verdict", "score", "prediction", "class", "confidence", "error"}}
	for _, v := range verdicts {
		if v.Error != "" {
			t.Rows = append(t.Rows, []string{v.ID, "", "", "", "", "", v.Error})
			continue
		}
		verdict := "reject"
		if v.Accept {
			verdict = "accept"
		}
		score, confidence := strconv.FormatFloat(v.Score, 'f', 4, 64), report.Percent(v.Confidence)+" %"
		if exact {
			score, confidence = strconv.FormatFloat(v.Score, 'g', -1, 64), strconv.FormatFloat(v.Confidence, 'g', -1, 64)
		}
		t.Rows = append(t.Rows, []string{v.ID, verdict, score, strconv.Itoa(v.Prediction), v.Class, confidence, ""})
	}
	return t
}
