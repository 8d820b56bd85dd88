package runtime

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLibraryRefused: what is no whole library of ONNX Runtime is refused in one sentence. A
// loader would end the program, or wait for ever, at some of them.
func TestLibraryRefused(t *testing.T) {
	onlyUnix(t)
	dir := t.TempDir()
	t.Chdir(dir)
	fakeLibrary(t, "good.so", "1.30.0")
	data, err := os.ReadFile("good.so")
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"half.so": len(data) / 2, "head.so": 100, "two.so": 2, "empty.so": 0, "page.so": 4096, "short.so": len(data) - 1} {
		if err := os.WriteFile(name, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo("pipe.so", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("text.so", []byte("this is no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	compile(t, "null-table.so", `const void *OrtGetApiBase(void) { return 0; }`)
	compile(t, "null-functions.so", `static void *base[2]; const void *OrtGetApiBase(void) { return base; }`)
	compile(t, "null-version.so", `
static const char *version(void) { return 0; }
static const void *api(unsigned v) { return 0; }
static struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }`)
	compile(t, "null-api.so", `
static const char *version(void) { return "1.30.0"; }
static const void *api(unsigned v) { return 0; }
static struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }`)
	compile(t, "other.so", `int f(void) { return 0; }`)
	for name, want := range map[string]string{
		"half.so": "it is cut off", "head.so": "it is cut off", "two.so": "it is cut off", "empty.so": "it is cut off", "page.so": "it is cut off", "short.so": "it is cut off",
		"pipe.so": "it is not a regular file", "/dev/null": "it is not a regular file", "text.so": "cannot be loaded",
		"null-table.so": "does not say its version", "null-functions.so": "does not say its version", "null-version.so": "does not say its version",
		"null-api.so": "does not give its functions of API version 24", "other.so": "not ONNX Runtime",
	} {
		done := make(chan error, 1)
		go func() { _, err := Find(name); done <- err }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--ort-lib") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s keeps the program waiting", name)
		}
	}
	if c, err := Find("good.so"); err != nil || c.Path != "./good.so" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestBareName: a library that is named without a folder is the one in this folder, not one of
// that name that the system knows.
func TestBareName(t *testing.T) {
	onlyUnix(t)
	here := t.TempDir()
	t.Chdir(here)
	fakeLibrary(t, filepath.Join(here, "libonnxruntime.so"), "1.30.0")
	for _, given := range []string{"libonnxruntime.so", "./libonnxruntime.so", ".", here} {
		c, err := Find(given)
		if err != nil || c.Version != "1.30.0" || !strings.Contains(c.Path, "/") {
			t.Errorf("%s: %+v, %v", given, c, err)
		}
	}
	// libc.so.6 is in the system's folders, and not here.
	if err := os.Rename("libonnxruntime.so", "libc.so.6"); err != nil {
		t.Fatal(err)
	}
	if c, err := Find("libc.so.6"); err != nil || c.Version != "1.30.0" {
		t.Errorf("%+v, %v: the system's was opened", c, err)
	}
}
