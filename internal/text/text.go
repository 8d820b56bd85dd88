// Package text holds what many places say in the same words.
package text

import (
	"fmt"
	"strings"
)

// Some lists names, the first few of them where there are more than most: "a, b and 3
// more".
func Some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
