package bench

import (
	"fmt"

	"cutmix-eval/report"
)

// report is what was measured, as a report that begins with head.
func (res *measured) report(head report.Head) *report.Report {
	r := &report.Report{Head: head, Headless: true}
	r.Dataset.N = res.images
	ratio := r.Add(res.ratio.number("end_to_end_ratio", report.None, res.images, report.Higher).
		Noted("end to end / model alone, within a round"))
	v := report.View{Title: fmt.Sprintf("%d images per round", res.images), Columns: []string{"", "images/s", "", "CPU ms/image", ""}}
	if n := len(res.ratio); n > 1 {
		v.Title += fmt.Sprintf("; median of %d rounds and their range (a %.0f %% interval)", n, 100*res.ratio.interval().Level)
	}
	for _, s := range []struct {
		stage
		name, what string
		n          int
	}{
		{res.decode, "decode", "read and decode, one thread", res.timed},
		{res.resize, "resize", "resize, crop, normalise, one thread", res.timed},
		{res.model, "model", "model alone", res.images},
		{res.whole, "end_to_end", "end to end", res.images},
	} {
		key := report.KeyStage.Is(s.name)
		rate := r.Add(s.rate.number("images_per_s", report.PerSecond, s.n, report.Higher, key).Noted(s.what))
		cpu := r.Add(s.cpu.number("cpu_ms", report.Milliseconds, s.n, report.Lower, key).Noted("processor time of all threads per image"))
		v.Rows = append(v.Rows, report.Row(report.Word(s.what), rate.Bare().To(1), rate.Range().To(1), cpu.Bare().To(2), cpu.Range().To(2)))
	}
	v.Rows = append(v.Rows, report.Row(report.Word("end to end / model alone"), ratio.Bare().To(3), ratio.Range().To(3)))
	waiting := r.Add(res.waiting.number("model_waiting", report.Fraction, res.images, report.Lower).Noted("of the time end to end"))
	more := fmt.Sprintf("the model waited for images %s %% of the time", waiting.Bare().To(1))
	if len(res.allocations) > 0 {
		per := "per image, in the steady state"
		count := r.Add(res.allocations.number("allocations", report.None, res.images, report.Lower).Noted(per))
		r.Add(res.allocatedBytes.number("allocated_bytes", report.None, res.images, report.Lower).Noted(per))
		more += fmt.Sprintf("; %s allocations (%.0f bytes) per image", count.Bare().To(1), res.allocatedBytes.median())
	}
	if res.peakMemory > 0 {
		r.Add(report.Number{
			Name: "peak_memory_bytes", Value: float64(res.peakMemory), N: res.images, Better: report.Lower, Note: "resident, of the whole process",
		})
		more += fmt.Sprintf("; peak memory %d MiB", res.peakMemory>>20)
	}
	if res.bad > 0 {
		r.Warn("%d images could not be read (datasets check names them)", res.bad)
	}
	what := fmt.Sprintf("%s on %s, %s", r.Model.Name, r.Dataset.Name, r.Runtime)
	r.Show(report.Prose{Lines: []string{what}}, v, report.Prose{Lines: []string{more}})
	return r
}

// number is the median of the rounds and their range.
func (s series) number(name string, unit report.Unit, n int, better report.Better, at ...report.Key) report.Number {
	iv := s.interval()
	return report.Number{Name: name, At: at, Value: s.median(), Unit: unit, N: n, Interval: &iv, Better: better}
}
