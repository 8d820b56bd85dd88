package results

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// about is what describes a study here.
type about struct {
	Score string `json:"score"`
	Seed  uint64 `json:"seed"`
}

// study writes shares of a study of two runs into folders, with all records of each share.
func study(t *testing.T, shards int) (dirs []string) {
	t.Helper()
	root := t.TempDir()
	for i := range shards {
		dir := filepath.Join(root, string(rune('a'+i)))
		dirs = append(dirs, dir)
		s, err := NewStudy("test-study", about{"msp of " + dir, 1 << 60})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"id", "far/noise"} {
			r := claimed(t, MemberDir(dir, name), manifest(), nil, Shard{i, shards})
			if err := fill(t, r, r.Missing(Shard{i, shards})); err != nil {
				t.Fatal(err)
			}
			s.Add(name, r)
		}
		if err := s.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

func TestStudy(t *testing.T) {
	dirs := study(t, 1)
	s, err := OpenStudy(false, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"id", "far/noise"}, s.Members); d != "" {
		t.Errorf("members:\n%s", d)
	}
	a, err := AboutStudy[about](s, "test-study")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(about{"msp of " + dirs[0], 1 << 60}, a); d != "" {
		t.Errorf("about:\n%s", d)
	}
	if _, err := AboutStudy[about](s, "classify"); err == nil || !strings.Contains(err.Error(), "one of test-study, not of classify") {
		t.Errorf("of another task: %v", err)
	}
	runs, err := s.Runs()
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, r := range runs {
		if n := len(contents(t, r)); n != samples {
			t.Errorf("run %d has %d records", i, n)
		}
	}
	again, err := s.Member("far/noise")
	if err != nil || again != runs[1] {
		t.Errorf("a member is opened twice: %v", err)
	}
	if _, err := s.Member("near"); err == nil || !strings.Contains(err.Error(), `no part "near"`) {
		t.Errorf("of a run that is not there: %v", err)
	}
	if task, err := TaskOf(dirs[0]); err != nil || task != "test-study" {
		t.Errorf("task %q, %v", task, err)
	}
}

// A run directory is a study of one.
func TestStudyOfOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := fill(t, create(t, dir, manifest(), nil), upTo(samples)); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStudy(false, dir)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.Runs()
	if err != nil || len(runs) != 1 || runs[0] != s.Run() {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	if s.Task != "test" || s.Dir() != dir || s.Members != nil {
		t.Errorf("task %s in %s with members %v", s.Task, s.Dir(), s.Members)
	}
	if got := contents(t, s.Run()); len(got) != samples {
		t.Errorf("%d records", len(got))
	}
}

// Shares of a study are joined in any order, and what is missing is said, unless some records
// will do.
func TestStudyShares(t *testing.T) {
	dirs := study(t, 3)
	for name, c := range map[string]struct {
		partial bool
		dirs    []string
		records int
		want    string
	}{
		"all":            {false, dirs, samples, ""},
		"another order":  {false, []string{dirs[2], dirs[0], dirs[1]}, samples, ""},
		"one is missing": {false, dirs[:2], 0, "shard 2/3 (32 images) is missing"},
		"some will do":   {true, dirs[:2], samples - 32, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenStudy(c.partial, c.dirs...)
			if err != nil {
				t.Fatal(err)
			}
			a, err := AboutStudy[about](s, "test-study")
			if err != nil || a.Score != "msp of "+dirs[0] {
				t.Errorf("about %+v, whatever the order; %v", a, err)
			}
			r, err := s.Member("far/noise")
			if c.want != "" {
				if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := len(contents(t, r)); n != c.records {
				t.Errorf("%d records, not %d", n, c.records)
			}
		})
	}
}

func TestStudyRefused(t *testing.T) {
	good := study(t, 1)[0]
	write := func(name, text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	text := func(f studyFile) string {
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, c := range map[string]struct {
		dirs []string
		want string
	}{
		"nothing":            {nil, "no run directory"},
		"no folder":          {[]string{filepath.Join(good, "none")}, "there is no such folder"},
		"an empty folder":    {[]string{t.TempDir()}, "holds no run"},
		"damaged":            {[]string{write(StudyName, "{")}, "it is damaged"},
		"no task":            {[]string{write(StudyName, text(studyFile{Format: studyFormat}))}, "names no task"},
		"a later format":     {[]string{write(StudyName, text(studyFile{Format: 9, Task: "x"}))}, "format 9, this program reads 1"},
		"a member outside":   {[]string{write(StudyName, text(studyFile{Format: studyFormat, Task: "x", Members: []string{"../y"}}))}, "outside of the folder"},
		"other members":      {[]string{good, write(StudyName, text(studyFile{Format: studyFormat, Task: "test-study", Members: []string{"id"}}))}, "different evaluations"},
		"a study and a run":  {[]string{good, MemberDir(good, "id")}, "shares of one are wanted"},
		"old, of ood":        {[]string{write("ood.json", "{}")}, "earlier version"},
		"old, of finetune":   {[]string{write("report.json", "{}")}, "earlier version"},
		"old and not ended":  {[]string{write("checkpoint.zip", "")}, "earlier version"},
		"a run and a folder": {[]string{MemberDir(good, "id"), t.TempDir()}, "holds no run"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenStudy(false, c.dirs...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// FuzzStudy: whatever lies in study.json, it is read or refused.
func FuzzStudy(f *testing.F) {
	f.Add([]byte(`{"format":1,"task":"ood","members":["id-test","far/x"],"about":{"score":"msp"}}`))
	f.Add([]byte(`{"format":1,"task":"ood","members":["..","/"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, StudyName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenStudy(true, dir)
		if err != nil {
			return
		}
		for _, m := range s.Members {
			if !filepath.IsLocal(filepath.FromSlash(m)) {
				t.Errorf("member %q", m)
			}
		}
		_, _ = s.Runs() // there are none
	})
}

// A file is no run directory.
func TestStudyOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.onnx")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStudy(false, path); err == nil || !strings.Contains(err.Error(), "is a file, no run directory") {
		t.Errorf("%v", err)
	}
}
