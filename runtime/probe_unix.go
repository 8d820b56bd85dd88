//go:build !windows

package runtime

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The start of OrtApiBase, stable since the first release.
typedef struct {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version_string)(void);
} api_base;

// probe_library writes the version of the library at path to out, or the
// loader's message, and returns 0 for a version.
static int probe_library(const char *path, char *out, size_t n) {
	void *h = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (h == NULL) {
		strncpy(out, dlerror(), n - 1);
		return 1;
	}
	const api_base *(*get)(void) = (const api_base *(*)(void))dlsym(h, "OrtGetApiBase");
	if (get == NULL) {
		strncpy(out, "it is a shared library, but not ONNX Runtime", n - 1);
		dlclose(h);
		return 1;
	}
	strncpy(out, get()->get_version_string(), n - 1);
	dlclose(h);
	return 0;
}

// use_go_stack sets SA_ONSTACK on every handler that lacks it. Device libraries
// install handlers without it, and the Go runtime ends the program when a signal
// then arrives.
static void use_go_stack(void) {
	for (int s = 1; s < 65; s++) {
		struct sigaction a;
		if (sigaction(s, NULL, &a) != 0) continue;
		if (a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN || (a.sa_flags & SA_ONSTACK)) continue;
		a.sa_flags |= SA_ONSTACK;
		sigaction(s, &a, NULL);
	}
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// probe loads the library at path for a moment and returns its version.
func probe(path string) (string, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	const size = 1024
	out := (*C.char)(C.calloc(1, size))
	defer C.free(unsafe.Pointer(out))
	if C.probe_library(p, out, size) != 0 {
		return "", errors.New("cannot be loaded: " + C.GoString(out))
	}
	return C.GoString(out), nil
}

// repairSignals keeps Ctrl-C working after a device library replaced handlers.
func repairSignals() { C.use_go_stack() }
