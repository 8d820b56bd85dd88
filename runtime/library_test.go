package runtime

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"

	cachedir "cutmix-eval/internal/cache"
	"cutmix-eval/internal/pin"
)

// isolate hides every place where a library could be found.
func isolate(t *testing.T) (cache string) {
	t.Helper()
	cache = t.TempDir()
	t.Setenv(cachedir.EnvDir, cache)
	for _, env := range []string{EnvLibrary, cachedir.EnvOffline, "ONNXRUNTIME_SHARED_LIBRARY_PATH", "ORT_LIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"} {
		t.Setenv(env, "")
	}
	if _, err := Find(""); err == nil {
		t.Skip("a library is installed in a system folder")
	}
	return cache
}

// fakeLibrary compiles a shared library that says it is ONNX Runtime of that
// version.
func fakeLibrary(t *testing.T, path, version string) {
	t.Helper()
	compile(t, path, `
static const char *version(void) { return "`+version+`"; }
static const void *api(unsigned v) { return "functions"; }
static struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { api, version };
const void *OrtGetApiBase(void) { return &base; }
`)
}

// compile makes a shared library of a text in C.
func compile(t *testing.T, path, code string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "fake.c")
	if err := os.WriteFile(src, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", path, src).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func onlyUnix(t *testing.T) {
	t.Helper()
	if goruntime.GOOS != "linux" {
		t.Skip("file names of Linux")
	}
}

func TestSearchOrder(t *testing.T) {
	onlyUnix(t)
	cache := isolate(t)
	dir := t.TempDir()
	fakeLibrary(t, filepath.Join(dir, "libonnxruntime.so.1.9.0"), "1.99.0")
	fakeLibrary(t, filepath.Join(dir, "libonnxruntime.so.1.24.0"), "1.24.0")
	fakeLibrary(t, filepath.Join(dir, "old.so"), "1.18.1")
	inCache := filepath.Join(cache, "onnxruntime", PinnedVersion+"-"+goruntime.GOOS+"-"+goruntime.GOARCH)
	if err := os.MkdirAll(inCache, 0o755); err != nil {
		t.Fatal(err)
	}
	fakeLibrary(t, filepath.Join(inCache, "libonnxruntime.so.1"), "1.30.0")

	if c, err := Find(""); err != nil || c.Source != "user cache" || c.Version != "1.30.0" {
		t.Errorf("%+v %v, want the one in the cache", c, err)
	}
	// A directory: its newest library by number, not by letter.
	t.Setenv("ORT_LIB_PATH", dir)
	if c, err := Find(""); err != nil || c.Source != "ORT_LIB_PATH" || c.Version != "1.24.0" {
		t.Errorf("%+v %v, want 1.24.0 from ORT_LIB_PATH", c, err)
	}
	t.Setenv(EnvLibrary, filepath.Join(dir, "libonnxruntime.so.1.9.0"))
	if c, err := Find(""); err != nil || c.Source != EnvLibrary || c.Version != "1.99.0" {
		t.Errorf("%+v %v, want 1.99.0 from %s", c, err, EnvLibrary)
	}
	// What the user names must work; there is no silent move to the next place.
	for path, say := range map[string]string{
		filepath.Join(dir, "old.so"): "1.18.1 is too old: 1.24 or newer is needed",
		filepath.Join(dir, "absent"): "does not exist",
		t.TempDir():                  "no ONNX Runtime library here",
		os.Args[0]:                   "cannot be loaded",
	} {
		_, err := Find(path)
		if err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), "--ort-lib") {
			t.Errorf("%s: %v, want %q", path, err, say)
		}
	}
	usable := 0
	for _, c := range Search(filepath.Join(dir, "old.so")) {
		if c.Usable() {
			usable++
		} else if c.Problem == "" {
			t.Errorf("%+v is not usable and says no reason", c)
		}
	}
	if usable != 3 {
		t.Errorf("%d usable places, want 3", usable)
	}
}

func TestOffline(t *testing.T) {
	cache := isolate(t)
	t.Setenv(cachedir.EnvOffline, "1")
	_, err := Ensure(context.Background(), "", nil)
	if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), cachedir.EnvOffline) || !strings.Contains(err.Error(), EnvLibrary) {
		t.Errorf("%v", err)
	}
	empty(t, cache)
}

func TestNoNPM(t *testing.T) {
	cache := isolate(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Install(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), "npm") || !strings.Contains(err.Error(), "--ort-lib") {
		t.Errorf("%v", err)
	}
	empty(t, cache)
}

// TestInstallRefuses lets a fake npm deliver a package of other contents, and
// fail: nothing may stay in the cache.
func TestInstallRefuses(t *testing.T) {
	onlyUnix(t)
	for name, script := range map[string]string{
		"tampered": `while [ "$1" != --pack-destination ]; do shift; done; echo no library > "$2/onnxruntime-node-` + PinnedVersion + `.tgz"`,
		"failing":  `echo "npm error network is unreachable" >&2; exit 1`,
	} {
		t.Run(name, func(t *testing.T) {
			cache := isolate(t)
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			_, err := Install(context.Background(), func(int64, int64) {})
			var mismatch *pin.MismatchError
			if name == "tampered" && !errors.As(err, &mismatch) {
				t.Errorf("%v, want a mismatch", err)
			}
			if name == "failing" && (err == nil || !strings.Contains(err.Error(), "network is unreachable")) {
				t.Errorf("%v, want npm's reason", err)
			}
			empty(t, cache)
		})
	}
}

// empty fails if any file lies under dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s was left in the cache", p)
		}
		return nil
	})
}

func TestUnpack(t *testing.T) {
	body := []byte("the library")
	sum := sha256.Sum256(body)
	files := []pinnedFile{{"lib.so", hex.EncodeToString(sum[:])}}
	tgz := filepath.Join(t.TempDir(), "p.tgz")
	f, err := os.Create(tgz)
	if err != nil {
		t.Fatal(err)
	}
	gz := gzip.NewWriter(f)
	tw := tar.NewWriter(gz)
	for _, name := range []string{"package/other", "package/bin/napi-v6/here/lib.so"} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(body)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{tw, gz, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(tgz)
	if err != nil {
		t.Fatal(err)
	}
	h := sha512.Sum512(data)
	integrity := base64.StdEncoding.EncodeToString(h[:])
	out := filepath.Join(t.TempDir(), "out")
	if err := unpack(tgz, integrity, "here", files, out); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "lib.so")); err != nil || string(got) != string(body) {
		t.Errorf("%q %v", got, err)
	}
	if err := unpack(tgz, integrity, "elsewhere", files, t.TempDir()); err == nil {
		t.Error("a package without the file: no error")
	}
	files[0].sha256 = strings.Repeat("0", 64)
	var mismatch *pin.MismatchError
	if err := unpack(tgz, integrity, "here", files, filepath.Join(t.TempDir(), "o")); !errors.As(err, &mismatch) {
		t.Errorf("a file of another checksum: %v", err)
	}
}

func TestParseDevice(t *testing.T) {
	for _, s := range []string{"cpu", "cuda", "cuda:3", "tensorrt:1", "webgpu", "coreml", "directml", "openvino"} {
		d, err := ParseDevice(s)
		if err != nil || d.String() != s {
			t.Errorf("%s: %v %v", s, d, err)
		}
	}
	for _, s := range []string{"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:1", "webgpu:0", "CUDA"} {
		if _, err := ParseDevice(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}
