// Package cutmixeval carries the project's models.lock.
package cutmixeval

import _ "embed"

// ModelsLock is the contents of models.lock: what models the project knows, with
// checksums, recipes and published numbers. Package model/lock reads it.
//
//go:embed models.lock
var ModelsLock []byte
