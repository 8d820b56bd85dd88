package runtime

import (
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// probe loads the library at path and returns its version.
func probe(path string) (string, error) {
	dll, err := syscall.LoadDLL(path)
	if err != nil {
		return "", errors.New("cannot be loaded: " + err.Error())
	}
	defer dll.Release()
	get, err := dll.FindProc("OrtGetApiBase")
	if err != nil {
		return "", errors.New("it is a library, but not ONNX Runtime")
	}
	base, _, _ := get.Call()
	// OrtApiBase: GetApi, then GetVersionString.
	version := *(*uintptr)(unsafe.Pointer(base + unsafe.Sizeof(base)))
	s, _, _ := syscall.SyscallN(version)
	return windows.BytePtrToString((*byte)(unsafe.Pointer(s))), nil
}

func repairSignals() {}
