package bench

import (
	"fmt"
	"strconv"

	"cutmix-eval/report"
)

// Fill writes the task's part of a report.
func (res *Result) Fill(r *report.Report) {
	r.Task = "bench"
	r.Dataset.N = res.Images
	add := func(name string, v Series, unit string, higher bool, note string) {
		if len(v) == 0 {
			return
		}
		iv := v.Interval()
		r.Metrics = append(r.Metrics, report.Metric{Name: name, Value: v.Median(), Unit: unit, N: res.Images, Interval: &iv, HigherIsBetter: higher, Note: note})
	}
	add("end_to_end_ratio", res.Ratio, report.None, true, "end to end / model alone, within a round")
	for k, s := range res.stages() {
		add(s.name+"_images_per_s", s.Rate, report.PerSecond, true, s.what)
		add(s.name+"_cpu_ms", s.CPU, report.Milliseconds, false, "processor time of all threads per image")
		if k < 2 {
			r.Metrics[len(r.Metrics)-2].N, r.Metrics[len(r.Metrics)-1].N = res.Timed, res.Timed
		}
	}
	add("model_waiting", res.Waiting, report.Fraction, false, "of the time end to end")
	add("allocations", res.Allocations, report.None, false, "per image, in the steady state")
	add("allocated_bytes", res.AllocatedBytes, report.None, false, "per image, in the steady state")
	if res.PeakMemory > 0 {
		r.Metrics = append(r.Metrics, report.Metric{Name: "peak_memory_bytes", Value: float64(res.PeakMemory), Unit: report.None, N: res.Images, Note: "resident, of the whole process"})
	}
	if res.Bad > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d images could not be read (datasets check names them)", res.Bad))
	}
}

type namedStage struct {
	Stage
	name, what string
}

func (res *Result) stages() []namedStage {
	return []namedStage{
		{res.Decode, "decode", "read and decode, one thread"},
		{res.Resize, "resize", "resize, crop, normalise, one thread"},
		{res.Model, "model", "model alone"},
		{res.Whole, "end_to_end", "end to end"},
	}
}

// Table is the result for people.
func (res *Result) Table() report.Table {
	title := fmt.Sprintf("%d images a round", res.Images)
	if n := len(res.Ratio); n > 1 {
		title += fmt.Sprintf("; median of %d rounds and their range (a %.0f %% interval)", n, 100*res.Ratio.Interval().Level)
	}
	t := report.Table{
		Name: "bench", Title: title,
		Columns: []string{"", "images/s", "", "CPU ms/image", ""},
	}
	span := func(v Series, digits int) []string {
		iv := v.Interval()
		f := func(x float64) string { return strconv.FormatFloat(x, 'f', digits, 64) }
		return []string{f(v.Median()), f(iv.Low) + " to " + f(iv.High)}
	}
	for _, s := range res.stages() {
		t.Rows = append(t.Rows, append([]string{s.what}, append(span(s.Rate, 1), span(s.CPU, 2)...)...))
	}
	t.Rows = append(t.Rows, append([]string{"end to end / model alone"}, span(res.Ratio, 3)...))
	return t
}

// Notes is what the table does not hold, in one line.
func (res *Result) Notes() string {
	s := fmt.Sprintf("the model waited for images %.1f %% of the time", 100*res.Waiting.Median())
	if len(res.Allocations) > 0 {
		s += fmt.Sprintf("; %.1f allocations (%.0f bytes) per image", res.Allocations.Median(), res.AllocatedBytes.Median())
	}
	if res.PeakMemory > 0 {
		s += fmt.Sprintf("; peak memory %d MiB", res.PeakMemory>>20)
	}
	return s
}
