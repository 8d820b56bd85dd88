// Package cache says where the program keeps what it downloads, and whether it
// may download at all.
package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Environment variables.
const (
	EnvDir     = "CUTMIX_EVAL_CACHE"   // replaces the user cache directory
	EnvOffline = "CUTMIX_EVAL_OFFLINE" // 1 forbids every download
)

// Dir is the program's cache directory; it need not exist.
func Dir() (string, error) {
	if d := os.Getenv(EnvDir); d != "" {
		return filepath.Abs(d)
	}
	d, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache directory: %w; set %s", err, EnvDir)
	}
	return filepath.Join(d, "cutmix-eval"), nil
}

// Offline says whether downloads are forbidden.
func Offline() bool {
	v := os.Getenv(EnvOffline)
	return v != "" && v != "0"
}
