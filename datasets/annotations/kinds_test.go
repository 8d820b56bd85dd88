package annotations

import (
	"strings"
	"testing"

	"cutmix-eval/internal/docs"
)

// TestKindsPage: docs/localize.md has the list that help and errors have.
func TestKindsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(docs.Header("format", "recognised by"))
	for _, k := range Kinds() {
		b.WriteString(docs.Row(k.What, k.By))
	}
	docs.Table(t, "localize.md", "boxes", b.String())
}
