package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
)

// Study is an evaluation that one report is made of: a run, or several in folders of one.
// A folder of several runs holds study.json, which says of which task the study is, names
// its members and keeps what the report needs beside their records; a run directory is a
// study of one.
type Study struct {
	Task    string
	About   json.RawMessage
	Members []string // names of the runs, which are their folders; nil for a study of one run

	dirs    []string
	runs    map[string]*Run
	partial bool
}

// StudyName is the file that makes a folder a study.
const StudyName = "study.json"

// studyFormat is raised when a reader of study.json would have to change.
const studyFormat = 1

// studyFile is study.json.
type studyFile struct {
	Format  int             `json:"format"`
	Task    string          `json:"task"`
	Members []string        `json:"members"`
	About   json.RawMessage `json:"about"`
}

// MemberDir is the folder of a member of the study in dir.
func MemberDir(dir, name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }

// StudyOf is the study of one run that is open.
func StudyOf(r *Run) *Study {
	return &Study{Task: r.Manifest.Key.Task, About: r.Manifest.About, dirs: r.dirs, runs: map[string]*Run{"": r}}
}

// NewStudy is a study whose runs are added to it. Save keeps it.
func NewStudy(task string, about any) (*Study, error) {
	text, err := json.Marshal(about)
	return &Study{Task: task, About: text, Members: []string{}, runs: map[string]*Run{}}, err
}

// Add adds a run that is open; the study does not close it.
func (s *Study) Add(name string, r *Run) {
	s.Members, s.runs[name] = append(s.Members, name), r
}

// Save writes what describes the study into dir, where its members are.
func (s *Study) Save(dir string) error {
	text, err := json.MarshalIndent(studyFile{studyFormat, s.Task, s.Members, s.About}, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", StudyName, err)
	}
	s.dirs = []string{dir}
	if err := atomicfile.Clean(dir, StudyName); err != nil {
		return fmt.Errorf("writing %s: %w", StudyName, err)
	}
	return atomicfile.Save(filepath.Join(dir, StudyName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// ErrOldStudy is wrapped where a folder of several runs was written by a version before
// studies.
var ErrOldStudy = errors.New("it was written by an earlier version of this program, whose evaluations of several runs this one cannot read: " +
	"evaluate again into another folder")

// TaskOf is the task of the run or study in dir; "" where there is neither.
func TaskOf(dir string) (task string, err error) {
	f, err := readStudy(dir)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return f.Task, err
	}
	m, err := readManifest(dir)
	if err == nil {
		return m.Key.Task, nil
	}
	if errors.Is(err, ErrNoRun) || errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return "", err
}

func readStudy(dir string) (studyFile, error) {
	var f studyFile
	path := filepath.Join(dir, StudyName)
	text, err := regular.Read(path, regular.Small)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("reading %s: %w; it is damaged, so run the same command again", path, strict.Explain(err))
	}
	if f.Format != studyFormat {
		return f, fmt.Errorf("%s has format %d, this program reads %d", path, f.Format, studyFormat)
	}
	for _, name := range f.Members {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return f, fmt.Errorf("%s names the member %q, which lies outside of the folder", path, name)
		}
	}
	if f.Task == "" {
		return f, fmt.Errorf("%s names no task; it is damaged, so run the same command again", path)
	}
	f.About = compact(f.About)
	return f, nil
}

// OpenStudy opens a study for reading: one folder, or several with shares of it, in any
// order. Unless partial, all records of a run must be there when it is asked for.
func OpenStudy(partial bool, dirs ...string) (*Study, error) {
	if len(dirs) == 0 {
		return nil, errors.New("no run directory is named")
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && !info.IsDir() {
			return nil, fmt.Errorf("%q is a file, no run directory: give the folder that --out named", dir)
		}
	}
	f, err := readStudy(dirs[0])
	if errors.Is(err, os.ErrNotExist) {
		return openOne(partial, dirs...)
	}
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs[1:] {
		g, err := readStudy(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%q holds an evaluation of %s, and %q none: shares of one are wanted", dirs[0], f.Task, dir)
		}
		if err != nil {
			return nil, err
		}
		if g.Task != f.Task || !slices.Equal(g.Members, f.Members) {
			return nil, fmt.Errorf("%q and %q hold different evaluations: %s of %v, and %s of %v", dirs[0], dir, f.Task, f.Members, g.Task, g.Members)
		}
		// What describes it may differ in paths; one is taken, whatever the order.
		if bytes.Compare(g.About, f.About) < 0 {
			f.About = g.About
		}
	}
	return &Study{Task: f.Task, About: f.About, Members: f.Members, dirs: dirs, runs: map[string]*Run{}, partial: partial}, nil
}

// openOne opens a study of one run.
func openOne(partial bool, dirs ...string) (*Study, error) {
	for _, old := range []string{"ood.json", "report.json", "checkpoint.zip"} {
		if _, err := os.Stat(filepath.Join(dirs[0], old)); err == nil && !IsRun(dirs[0]) {
			return nil, fmt.Errorf("folder %q: %w", dirs[0], ErrOldStudy)
		}
	}
	r, err := Open(dirs...)
	if err != nil {
		return nil, err
	}
	s := StudyOf(r)
	s.partial = partial
	return s, s.complete(r)
}

// complete says what is missing of a run, unless some records will do.
func (s *Study) complete(r *Run) error {
	if err := r.Complete(); err != nil && !(s.partial && errors.Is(err, ErrIncomplete)) {
		return err
	}
	return nil
}

// Dir is the first of the study's folders; "" for one that is not kept.
func (s *Study) Dir() string {
	if len(s.dirs) == 0 {
		return ""
	}
	return s.dirs[0]
}

// Dirs are all of the study's folders: with shares of it, where there are several.
func (s *Study) Dirs() []string { return s.dirs }

// Run is the run of a study of one.
func (s *Study) Run() *Run { return s.runs[""] }

// Member opens a run of the study, once.
func (s *Study) Member(name string) (*Run, error) {
	if r, ok := s.runs[name]; ok {
		return r, nil
	}
	if !slices.Contains(s.Members, name) {
		return nil, fmt.Errorf("the evaluation in %q has no part %q", s.Dir(), name)
	}
	r, err := Open(s.memberDirs(name)...)
	if err == nil {
		err = s.complete(r)
	}
	if err != nil {
		return nil, err
	}
	s.runs[name] = r
	return r, nil
}

// Study opens a member that is a study itself.
func (s *Study) Study(name string) (*Study, error) {
	return OpenStudy(s.partial, s.memberDirs(name)...)
}

func (s *Study) memberDirs(name string) []string {
	var at []string
	for _, dir := range s.dirs {
		at = append(at, MemberDir(dir, name))
	}
	return at
}

// Runs are all runs of the study, and of studies that are members of it, in the order of the
// members.
func (s *Study) Runs() ([]*Run, error) {
	if s.Members == nil {
		return []*Run{s.Run()}, nil
	}
	var out []*Run
	for _, name := range s.Members {
		if _, err := os.Stat(filepath.Join(MemberDir(s.Dir(), name), StudyName)); err == nil && s.runs[name] == nil {
			part, err := s.Study(name)
			if err != nil {
				return nil, err
			}
			runs, err := part.Runs()
			if err != nil {
				return nil, err
			}
			out = append(out, runs...)
			continue
		}
		r, err := s.Member(name)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// AboutStudy reads what describes a study of a task.
func AboutStudy[T any](s *Study, task string) (T, error) {
	var about T
	if s.Task != task {
		return about, fmt.Errorf("the run is one of %s, not of %s", s.Task, task)
	}
	d := json.NewDecoder(bytes.NewReader(s.About))
	d.UseNumber() // seeds have more digits than a float64
	if err := d.Decode(&about); err != nil {
		return about, fmt.Errorf("reading what describes the run: %w", strict.Explain(err))
	}
	return about, valid(about)
}

// Missing counts the records that are not there.
func (s *Study) Missing() (int, error) {
	runs, err := s.Runs()
	n := 0
	for _, r := range runs {
		n += len(r.Missing(Shard{}))
	}
	return n, err
}
