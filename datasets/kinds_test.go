package datasets

import (
	"strings"
	"testing"

	"cutmix-eval/internal/docs"
)

// TestKindsPage: docs/data.md has the list that help has.
func TestKindsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(docs.Header("what", "recognised by", "class order"))
	for _, k := range Kinds() {
		b.WriteString(docs.Row(k.What, k.By, k.Order))
	}
	docs.Table(t, "data.md", "kinds", b.String())
}
