// Package docs keeps the tables of docs/ that tests and help take from the same lists as the
// program: a test writes them, or fails where the page differs.
package docs

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update-compatibility", false, "write the tables of docs/ anew")

// Row is a row of a Markdown table. Bars within a cell must be escaped.
func Row(cells ...string) string { return "| " + strings.Join(cells, " | ") + " |\n" }

// Header is the first two lines of a Markdown table.
func Header(cells ...string) string {
	return Row(cells...) + "|" + strings.Repeat("---|", len(cells)) + "\n"
}

// Table checks that what stands on a page of docs/ between "<!-- NAME: …" and "<!-- end of NAME"
// is that table; with -update-compatibility it writes it there.
func Table(t *testing.T, page, name, table string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	file := filepath.Join(filepath.Dir(here), "..", "..", "docs", page)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+": written by a test -->\n", "<!-- end of "+name+" -->\n"
	before, rest, opened := strings.Cut(string(data), begin)
	old, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place for %s", page, name)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(old, table); d != "" {
		t.Errorf("%s of docs/%s is not what the tests say; run them with -update-compatibility (-page +tests):\n%s", name, page, d)
	}
}
