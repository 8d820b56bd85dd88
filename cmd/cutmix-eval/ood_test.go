package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/report"
)

// TestOODCommand: numbers and conventions reach the report, a run that is there gives
// the same one, and what makes no sense is refused.
func TestOODCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	args := []string{"ood", "--limit", "100", "--ood-limit", "80", "--train-limit", "300", "--score", "msp,energy,react,mds", "--format", "json", "--out", dir}
	code, out, errs := command(t, args...)
	if code != exitDone {
		t.Fatalf("%d %s", code, errs)
	}
	code, again, errs := command(t, args...)
	if code != exitDone || again != out || !strings.Contains(errs, "all 300 images are in") {
		t.Errorf("%d %s\n%s\n%s", code, errs, again, out)
	}
	var r report.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, g := range r.Groups {
		seen[g.Kind+" "+g.Name] = true
		for _, m := range g.Metrics {
			if !(m.Value >= 0 && m.Value <= 1) {
				t.Errorf("%s %s: %+v", g.Kind, g.Name, m)
			}
			if m.Name == "auroc" && strings.HasPrefix(g.Kind, "ood ") && (m.N != 180 || m.Interval == nil || m.Interval.Low > m.Value || m.Interval.High < m.Value) {
				t.Errorf("%s %s: %+v", g.Kind, g.Name, m)
			}
		}
	}
	for _, want := range []string{"ood unseen msp", "ood texture react_p90", "ood noise mds", "far mean energy"} {
		if !seen[want] {
			t.Errorf("no %q in %v", want, seen)
		}
	}
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"no OOD set is named; give --ood", exitUsage, []string{"--data", "x"}},
		{`score "mps" is not one of msp, `, exitUsage, []string{"--score", "mps"}},
		{`two sets are called "noise-blobs"`, exitUsage, []string{"--ood", "noise:blobs", "--ood", "far:noise:blobs"}},
		{`noise "pink" is not one of`, exitFailed, []string{"--ood", "noise:pink"}},
		{`set gone: opening data "no/such/gone"`, exitFailed, []string{"--ood", "far:no/such/gone"}},
		{"cannot be below 0", exitUsage, []string{"--ood-limit", "-1"}},
	} {
		code, _, errs := command(t, append([]string{"ood", "--limit", "20"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d: %s", c.args, code, errs)
		}
	}
}
