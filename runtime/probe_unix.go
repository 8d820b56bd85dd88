//go:build !windows

package runtime

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The start of OrtApiBase, stable since the first release.
typedef struct {
	const void *(*get_api)(uint32_t version);
	const char *(*get_version_string)(void);
} api_base;

// probe_library writes the version of the library at path to out, or the
// loader's message, and returns 0 for a version. api is set where that is the minor
// version least of release 1 or a later one, and says whether the table of functions of
// that version is there; older libraries complain on stderr when asked for it.
static int probe_library(const char *path, unsigned least, char *out, size_t n, int *api) {
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
	const api_base *base = get();
	const char *version = base == NULL || base->get_version_string == NULL ? NULL : base->get_version_string();
	if (version == NULL) {
		strncpy(out, "it does not say its version, as ONNX Runtime does", n - 1);
		dlclose(h);
		return 1;
	}
	strncpy(out, version, n - 1);
	unsigned major = 0, minor = 0;
	if (sscanf(version, "%u.%u", &major, &minor) == 2 && major == 1 && minor >= least)
		*api = base->get_api != NULL && base->get_api(least) != NULL;
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

// probe loads the library at path for a moment and returns its version, and whether it gives the
// functions that are needed.
func probe(path string) (version string, api bool, err error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	const size = 1024
	out := (*C.char)(C.calloc(1, size))
	defer C.free(unsafe.Pointer(out))
	var has C.int
	if C.probe_library(p, MinimumMinor, out, size, &has) != 0 {
		return "", false, errors.New("cannot be loaded: " + C.GoString(out))
	}
	return C.GoString(out), has != 0, nil
}

// repairSignals keeps Ctrl-C working after a device library replaced handlers.
func repairSignals() { C.use_go_stack() }
