package runtime

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// probe loads the library at path and returns its version, and whether it gives the functions
// that are needed.
func probe(path string) (version string, api bool, err error) {
	dll, err := syscall.LoadDLL(path)
	if err != nil {
		return "", false, errors.New("cannot be loaded: " + err.Error())
	}
	defer dll.Release()
	get, err := dll.FindProc("OrtGetApiBase")
	if err != nil {
		return "", false, errors.New("it is a library, but not ONNX Runtime")
	}
	base, _, _ := get.Call()
	silent := errors.New("it does not say its version, as ONNX Runtime does")
	if base == 0 {
		return "", false, silent
	}
	// OrtApiBase: GetApi, then GetVersionString.
	table := (*[2]uintptr)(unsafe.Pointer(base))
	if table[1] == 0 {
		return "", false, silent
	}
	s, _, _ := syscall.SyscallN(table[1])
	if s == 0 {
		return "", false, silent
	}
	version = windows.BytePtrToString((*byte)(unsafe.Pointer(s)))
	if n := numbers(version); table[0] != 0 && len(n) > 1 && n[0] == 1 && n[1] >= MinimumMinor {
		functions, _, _ := syscall.SyscallN(table[0], MinimumMinor)
		api = functions != 0
	}
	return version, api, nil
}

func repairSignals() {}
