// Package runtime runs ONNX models through ONNX Runtime: it finds or installs
// the shared library, starts the device that was asked for, and runs batches
// whose tensors were allocated once. It is the only package that knows the C
// wrapper.
package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cutmix-eval/internal/text"

	ort "github.com/yalue/onnxruntime_go"
)

// MinimumMinor is the oldest usable release 1.x of ONNX Runtime: the wrapper
// asks for C API version 24, which came with 1.24.
const MinimumMinor = 24

// EnvLibrary names the library file or its directory.
const EnvLibrary = "CUTMIX_EVAL_ORT_LIB"

// Candidate is a place where the library was looked for.
type Candidate struct {
	Source  string // why this place: flag, variable, kind of folder
	Path    string // the library file, or the place where none was
	Version string // "1.30.0", empty when it could not be loaded
	Problem string // why it cannot be used; empty when it can
}

// Usable says whether the candidate can be loaded.
func (c Candidate) Usable() bool { return c.Problem == "" }

// place is a file or directory to look at. An explicit one must hold.
type place struct {
	source, path string
	explicit     bool
}

func places(flag string) []place {
	var out []place
	if flag != "" {
		out = append(out, place{"--ort-lib", flag, true})
	}
	for _, env := range []string{EnvLibrary, "ONNXRUNTIME_SHARED_LIBRARY_PATH", "ORT_LIB_PATH"} {
		if p := os.Getenv(env); p != "" {
			out = append(out, place{env, p, true})
		}
	}
	if exe, err := os.Executable(); err == nil {
		out = append(out, place{"beside the program", filepath.Dir(exe), false})
	}
	if dir, err := installDir(); err == nil {
		out = append(out, place{"user cache", dir, false})
	}
	for _, dir := range systemDirs() {
		out = append(out, place{"system", dir, false})
	}
	for _, dir := range pythonDirs() {
		out = append(out, place{"Python package", dir, false})
	}
	return out
}

func systemDirs() []string {
	switch goruntime.GOOS {
	case "darwin":
		return []string{"/usr/local/lib", "/opt/homebrew/lib", "/opt/onnxruntime/lib"}
	case "windows":
		return nil // System32 holds an old copy that belongs to Windows
	}
	dirs := []string{"/usr/local/lib", "/usr/lib", "/usr/lib64", "/opt/onnxruntime/lib"}
	more, _ := filepath.Glob("/usr/lib/*-linux-gnu")
	return append(dirs, more...)
}

func pythonDirs() []string {
	var roots []string
	for _, env := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if p := os.Getenv(env); p != "" {
			roots = append(roots, p)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".local"))
	}
	var out []string
	for _, r := range append(roots, "/usr/local", "/usr") {
		for _, pattern := range []string{"lib/python3*/site-packages", "lib/python3*/dist-packages", "Lib/site-packages"} {
			m, _ := filepath.Glob(filepath.Join(r, pattern, "onnxruntime", "capi"))
			out = append(out, m...)
		}
	}
	return out
}

// libraryIn returns the library file at path: path itself, or the newest in
// that directory; "" if there is none.
func libraryIn(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if !info.IsDir() {
		return path
	}
	pattern := map[string]string{"darwin": "libonnxruntime*.dylib", "windows": "onnxruntime.dll"}[goruntime.GOOS]
	if pattern == "" {
		pattern = "libonnxruntime.so*"
	}
	found, _ := filepath.Glob(filepath.Join(path, pattern))
	found = slices.DeleteFunc(found, func(p string) bool { return strings.Contains(filepath.Base(p), "providers") })
	if len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(a, b string) int {
		return slices.Compare(numbers(filepath.Base(a)), numbers(filepath.Base(b)))
	})
}

// numbers are the runs of digits in s, for comparing versions.
func numbers(s string) []int {
	var out []int
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(f)
		if err != nil {
			n = 0
		}
		out = append(out, n)
	}
	return out
}

// Search looks at every place in order and reports what it finds. flag is the
// value of --ort-lib, or empty.
func Search(flag string) []Candidate {
	var out []Candidate
	for _, p := range places(flag) {
		out = append(out, inspect(p))
	}
	return out
}

func inspect(p place) Candidate {
	c := Candidate{Source: p.source, Path: p.path}
	file := libraryIn(p.path)
	if file == "" {
		c.Problem = "no ONNX Runtime library here"
		if _, err := os.Stat(p.path); err != nil {
			c.Problem = "does not exist"
		}
		return c
	}
	c.Path = located(file)
	if c.Problem = loadable(c.Path); c.Problem != "" {
		return c
	}
	version, api, err := probe(c.Path)
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	c.Version = version
	switch n := numbers(version); {
	case len(n) < 2 || n[0] != 1 || n[1] < MinimumMinor:
		c.Problem = fmt.Sprintf("ONNX Runtime %s is too old: 1.%d or newer is needed", text.Bounded(version), MinimumMinor)
	case !api:
		c.Problem = fmt.Sprintf("ONNX Runtime %s does not give its functions of API version %d, as it should: install another build", text.Bounded(version), MinimumMinor)
	}
	return c
}

// ErrNoLibrary is wrapped when no usable library is found.
var ErrNoLibrary = errors.New("no usable ONNX Runtime library")

// Find returns the first usable library. A place that the user named (flag or
// environment variable) must be usable: there is no silent move to the next.
func Find(flag string) (Candidate, error) {
	for _, p := range places(flag) {
		c := inspect(p)
		if c.Usable() {
			return c, nil
		}
		if p.explicit {
			return c, fmt.Errorf("ONNX Runtime library %s (from %s): %s", c.Path, c.Source, c.Problem)
		}
	}
	return Candidate{}, fmt.Errorf("%w in the usual places", ErrNoLibrary)
}

// Progress is called with how many of total bytes have arrived.
type Progress func(done, total int64)

// Ensure finds a library, installs the pinned one into the user cache if there
// is none, and loads it.
func Ensure(ctx context.Context, flag string, progress Progress) (Candidate, error) {
	c, err := Find(flag)
	if errors.Is(err, ErrNoLibrary) {
		c, err = Install(ctx, progress)
	}
	if err != nil {
		return c, err
	}
	return c, Load(c)
}

// env is the process's one ONNX Runtime environment. It lives until the process
// ends: the library cannot be unloaded safely while threads of it may run.
var env struct {
	sync.Mutex
	loaded Candidate
}

// Load makes a library the one that sessions use. A process can load only one;
// loading the same again is fine.
func Load(c Candidate) error {
	env.Lock()
	defer env.Unlock()
	if env.loaded.Path != "" {
		if env.loaded.Path != c.Path {
			return fmt.Errorf("loading ONNX Runtime %s: this process already uses %s", c.Path, env.loaded.Path)
		}
		return nil
	}
	ort.SetSharedLibraryPath(c.Path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
		return fmt.Errorf("loading ONNX Runtime %s: %w", c.Path, clean(err))
	}
	env.loaded = c
	return nil
}

// Loaded returns the library in use; its Path is empty before Load.
func Loaded() Candidate {
	env.Lock()
	defer env.Unlock()
	return env.loaded
}
