//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// verdict is what came of one case.
type verdict struct {
	Case     int       `json:"case"`
	Command  string    `json:"command"`
	Line     string    `json:"line"`
	What     string    `json:"what"` // is hostile
	Failures []failure `json:"failures,omitempty"`
	Seconds  float64   `json:"seconds"`
	Peak     int64     `json:"peak_bytes"`

	said string // exit code and sentence
}

// game is the attacks of one seed.
type game struct {
	ground
	seed   uint64
	work   string
	limit  time.Duration // of a process
	memory int64

	mu    sync.Mutex
	calm  map[string]func() (calm, error) // what undisturbed runs gave, by what was run
	helps map[string]func() ([]flagOf, error)
}

// once keeps what f gives under a name.
func once[T any](g *game, all map[string]func() (T, error), name string, f func() (T, error)) (T, error) {
	g.mu.Lock()
	if all[name] == nil {
		all[name] = sync.OnceValues(f)
	}
	get := all[name]
	g.mu.Unlock()
	return get()
}

// random is the generator of a case.
func (g *game) random(number int) *rand.Rand { return rand.New(rand.NewPCG(g.seed, uint64(number))) }

// folder makes the working folder of a case.
func (g *game) folder(name string) (string, error) {
	dir := filepath.Join(g.work, name)
	for _, d := range []string{"tmp", "cache"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// process is a call of the program in a case's folder.
func (g *game) process(dir string, args []string) process {
	limit := g.limit
	if len(args) > 0 && args[0] == "demo" { // it tunes two heads
		limit *= 4
	}
	return process{program: g.program, args: args, dir: dir, env: g.env(dir), limit: limit}
}

// play plays a case. Its folder stays where keep says so.
func (g *game) play(number int, keep bool) (verdict, error) {
	rng := g.random(number)
	dir, err := g.folder(fmt.Sprint("case-", number))
	if err != nil {
		return verdict{}, err
	}
	if !keep {
		defer os.RemoveAll(dir)
	}
	var v verdict
	switch n := number % 20; {
	case n == 0:
		v, err = g.blows(rng, dir)
	case n < 6:
		v, err = g.flags(rng, dir)
	case n == 6:
		v, err = g.surroundings(rng, dir)
	default:
		v, err = g.inputs(rng, dir)
	}
	v.Case = number
	if err != nil {
		err = fmt.Errorf("case %d: %w", number, err)
	}
	return v, err
}

// take runs a process, judges it and adds to a verdict.
func (v *verdict) take(p process, want expectation) (outcome, error) {
	o, err := p.run()
	if err != nil {
		return o, err
	}
	v.Seconds += o.took.Seconds()
	v.Peak = max(v.Peak, o.peak)
	v.Failures = append(v.Failures, judge(o, want)...)
	v.said = fmt.Sprintf("exit %d %s", o.code, sentence(o.err))
	return o, nil
}

// place replaces the inputs of a line, each by what at gives for its name.
func place(line string, g ground, at func(name string) string) []string {
	var args []string
	for _, word := range strings.Fields(strings.ReplaceAll(line, "GROUND", g.dir)) {
		name, ok := strings.CutPrefix(word, "{")
		if !ok {
			args = append(args, word)
			continue
		}
		name = strings.TrimSuffix(name, "}")
		name, only := strings.CutPrefix(name, "+")
		if to := at(name); !only {
			args = append(args, to)
		}
	}
	return args
}

// inputs plays a case of a hostile input.
func (g *game) inputs(rng *rand.Rand, dir string) (verdict, error) {
	t := pick(rng, templates.files...)
	names := regexp.MustCompile(`\{\+?([^}]+)\}`).FindAllStringSubmatch(t.line, -1)
	victim := pick(rng, names...)
	v := verdict{Command: t.command, Line: t.line}
	if err := g.lend(victim[1], dir); err != nil {
		return v, err
	}
	var s spoiled
	var err error
	if at := filepath.Join(dir, path.Base(victim[1])); victim[1] == "library" {
		s, err = g.spoilLibrary(rng, at)
	} else {
		s, err = spoil(rng, at)
	}
	if err == nil {
		err = hand(dir)
	}
	if err != nil {
		return v, err
	}
	v.What = s.what
	args := place(t.line, g.ground, func(name string) string {
		if name == victim[1] {
			return path.Base(name)
		}
		return g.path(name)
	})
	want := expectation{codes: []int{codeDone, codeFailed, codeBadImages}, memory: g.memory, json: strings.Contains(t.line, "--format json")}
	switch {
	case strings.HasPrefix(t.command, "models "):
		want.codes = append(want.codes, codeNotPinned)
	case s.kind && !strings.Contains(t.line, "--out "+victim[0]) && !strings.Contains(t.line, "--run "+victim[0]):
		want.codes = []int{codeFailed}
	}
	want.codes = append(want.codes, t.codes...)
	if t.kept != nil && t.kept.MatchString(s.file) {
		whole, err := once(g, g.calm, t.line, func() (calm, error) { return g.undisturbed(t, victim[1]) })
		if err != nil {
			return v, err
		}
		want.same, want.differ = whole.out, "another result than with sound records"
	}
	_, err = v.take(g.process(dir, args), want)
	return v, err
}

// lend copies an input of the ground into a case's folder.
func (g *game) lend(name, dir string) error {
	if name == "library" {
		return nil
	}
	return copyTree(g.path(name), filepath.Join(dir, path.Base(name)))
}

// spoilLibrary puts something at a path that is no library of ONNX Runtime, or only a part of it.
func (g *game) spoilLibrary(rng *rand.Rand, at string) (spoiled, error) {
	if rng.IntN(2) == 0 {
		what, err := wrong(rng, at, false)
		return spoiled{what: "library is " + what}, err
	}
	data, err := os.ReadFile(g.library)
	if err != nil {
		return spoiled{}, err
	}
	n := pick(rng, 0, 1, 64, 4096, 1<<20, len(data)/2, len(data)-1)
	return spoiled{what: fmt.Sprintf("library: cut off after %d of %d bytes", n, len(data))}, os.WriteFile(at, data[:n], 0o755)
}

// calm is what an undisturbed run gave.
type calm struct {
	out   string
	took  time.Duration
	files map[string]string // contents, by path
}

// undisturbed runs a template on what it would be changed from.
func (g *game) undisturbed(t template, victim string) (calm, error) {
	dir, err := os.MkdirTemp(g.work, "calm-")
	if err != nil {
		return calm{}, err
	}
	defer os.RemoveAll(dir)
	_, err = g.folder(filepath.Base(dir))
	if err == nil {
		err = g.lend(victim, dir)
	}
	if err == nil {
		err = hand(dir)
	}
	if err != nil {
		return calm{}, err
	}
	o, err := g.process(dir, place(t.line, g.ground, func(name string) string {
		if name == victim {
			return path.Base(name)
		}
		return g.path(name)
	})).run()
	if err == nil && o.code != codeDone {
		err = errors.New(o.err)
	}
	if err != nil {
		return calm{}, fmt.Errorf("%s without anything hostile: exit %d: %w", t.line, o.code, err)
	}
	return calm{out: o.out, took: o.took}, nil
}

// surroundings plays a case of a hostile environment.
func (g *game) surroundings(rng *rand.Rand, dir string) (verdict, error) {
	t := pick(rng, templates.flags...)
	v := verdict{Command: t.command, Line: t.line}
	p := g.process(dir, place(t.line, g.ground, g.path))
	want := expectation{codes: []int{codeDone, codeFailed}, memory: g.memory}
	switch rng.IntN(6) {
	case 0, 1:
		v.What = "standard output is a full disk"
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			v.What = "nothing: there is no /dev/full here"
			break
		}
		defer full.Close()
		p.stdout = full
		want.codes = []int{codeFailed}
	case 2:
		v.What = "the folder for temporary files is not there"
		p.env = append(p.env, "TMPDIR="+filepath.Join(dir, "none"))
	case 3:
		v.What = "there is no home and no cache"
		p.env = append(p.env, "HOME=", "XDG_CACHE_HOME=", "CUTMIX_EVAL_CACHE=")
	case 4:
		v.What = "the cache is a file"
		p.env = append(p.env, "CUTMIX_EVAL_CACHE=/dev/null")
	default:
		id, count := pick(rng, extremes...), pick(rng, extremes...)
		v.What = fmt.Sprintf("array job %s of %s", id, count)
		if strings.Contains(t.line, "--out new ") {
			p.args = append(p.args, "--shard", "auto")
		}
		p.env = append(p.env, "SLURM_ARRAY_TASK_ID="+id, "SLURM_ARRAY_TASK_MIN=0", "SLURM_ARRAY_TASK_COUNT="+count)
		want.codes = append(want.codes, codeUsage)
	}
	if err := hand(dir); err != nil {
		return v, err
	}
	_, err := v.take(p, want)
	return v, err
}
