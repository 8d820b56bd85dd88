//go:build !unix

package regular

import "testing"

// others are paths to what is no regular file, and what that is.
func others(_ *testing.T, dir string) map[string]string { return map[string]string{dir: "folder"} }
