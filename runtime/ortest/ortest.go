// Package ortest gives tests the ONNX Runtime library, installing it where the
// program itself would.
package ortest

import (
	"context"
	"os"
	"testing"

	"cutmix-eval/runtime"
)

// Load finds or installs the library and loads it.
func Load(t testing.TB) runtime.Candidate {
	t.Helper()
	c, err := runtime.Ensure(context.Background(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// SoftwareVulkan points Vulkan at SwiftShader, which Debian's chromium package
// ships, and skips the test where that is not installed, unless
// CUTMIX_EVAL_NEED_WEBGPU is set.
func SoftwareVulkan(t testing.TB) {
	t.Helper()
	if os.Getenv("VK_ICD_FILENAMES") != "" {
		return
	}
	const icd = "/usr/lib/chromium/vk_swiftshader_icd.json"
	if _, err := os.Stat(icd); err != nil {
		if os.Getenv("CUTMIX_EVAL_NEED_WEBGPU") != "" {
			t.Fatalf("WebGPU must be tested here, but SwiftShader is missing: %v", err)
		}
		t.Skip("no Vulkan driver is named and SwiftShader (Debian: chromium) is not installed")
	}
	t.Setenv("VK_ICD_FILENAMES", icd)
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir()) // the loader complains without one
}
