package datasets

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Files that may not be read are failures of the storage, and folders are refused, whoever runs
// the test: a superuser's thread looks at files as a user without rights.
func TestPermissions(t *testing.T) {
	root := files{"x/1.png": pngOf(1), "x/2.png": pngOf(2), "y/3.png": pngOf(3), "closed/4.png": pngOf(4)}.folder(t)
	if os.Getuid() == 0 {
		for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		runtime.LockOSThread() // the thread ends with the test: it is not unlocked
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer unix.Setfsuid(0)
	}
	change := func(mode os.FileMode, names ...string) {
		if os.Getuid() == 0 {
			unix.Setfsuid(0)
			defer unix.Setfsuid(65534)
		}
		for _, name := range names {
			if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	change(0o644, "x/1.png", "y/3.png", "closed/4.png")
	change(0, "x/2.png", "closed")
	defer change(0o755, "closed")
	if _, err := Open(root, Options{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "folder closed") {
		t.Errorf("with a closed folder: %v", err)
	}
	change(0o755, "closed")
	d, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got := describe(d); got != "closed/4.png=closed x/1.png=x x/2.png=x y/3.png=y" {
		t.Errorf("%s", got)
	}
	l := d.Loader()
	var storage *StorageError
	if _, err := l.Load(2); !errors.Is(err, fs.ErrPermission) || !errors.As(err, &storage) {
		t.Errorf("%v", err)
	}
	if img, err := l.Load(1); err != nil || img.Pix[0] != 1 {
		t.Errorf("after a bad image: %v %v", img, err)
	}
	change(0, "x", "y")
	defer change(0o755, "x", "y")
	if _, err := Open(filepath.Join(root, "x"), Options{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}
