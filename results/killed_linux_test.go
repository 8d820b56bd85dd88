package results

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"cutmix-eval/internal/atomicfile"
)

// TestKilled: the temporary run of a process that was killed is removed by the next one; that of
// a process that is alive stays.
func TestKilled(t *testing.T) {
	if os.Getenv("CUTMIX_EVAL_TEST_KILLED") != "" {
		r, err := Temporary(manifest(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString(r.dirs[0] + "\n")
		select {} // until it is killed
	}
	t.Setenv("TMPDIR", t.TempDir())
	mine, err := Temporary(manifest(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
	cmd.Env = append(os.Environ(), "CUTMIX_EVAL_TEST_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // its folder is there
		t.Fatal(err)
	}
	folders := func() int {
		found, _ := filepath.Glob(filepath.Join(os.TempDir(), temporaryName+"*"))
		return len(found)
	}
	next := func() {
		t.Helper()
		r, err := Temporary(manifest(), nil)
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if next(); folders() != 2 {
		t.Errorf("%d folders, with two processes alive", folders())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if next(); folders() != 1 {
		t.Errorf("%d folders, with one process alive", folders())
	}
	if _, err := os.Stat(mine.dirs[0]); err != nil {
		t.Error("the run of a process that is alive is gone")
	}
}

// TestHalfWritten: what a killed process left of manifest and selection is removed by the next
// claim, and nothing else.
func TestHalfWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_ = create(t, dir, manifest(), nil).Close()
	half := filepath.Join(dir, atomicfile.Temporary+manifestName+"-123")
	other := filepath.Join(dir, atomicfile.Temporary+"notes-123")
	for _, f := range []string{half, other} {
		if err := os.WriteFile(f, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_ = claimed(t, dir, manifest(), nil, Shard{}).Close()
	if _, err := os.Stat(half); err == nil {
		t.Error("a manifest that is not whole stays")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("a file of another is removed")
	}
}
