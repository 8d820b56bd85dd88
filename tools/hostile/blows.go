//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// struck is a command that is killed at any moment and must then end right, with the result of
// a run that was left alone.
type struck struct {
	command, line string
	result        string // a command that prints the result; empty: the command itself does
	files         string // that must be equal too: a pattern
	once          bool   // what is done is not done again
}

var strucks = []struck{
	{"classify", "classify --data scenes:val --limit 400 --save logits,features --out new --bootstrap 100 --format json --quiet", "report new --format json --quiet", "", false},
	{"classify", "classify --data GROUND/archive.tar.gz --out new --bootstrap 100 --format json --quiet", "", "", false},
	{"localize", "localize --limit 150 --out new --overlays 4 --bootstrap 100 --format json --quiet", "report new --format json --quiet", "new/overlays/*", false},
	{"ood", "ood --limit 60 --val scenes:val --train scenes:val --train-limit 60 --ood noise:gaussian --ood-limit 30 --score msp,energy,mds --out new --format json --quiet", "report new --format json --quiet", "", false},
	{"ood", "ood --limit 40 --val scenes:val --train scenes:val --train-limit 60 --ood noise:gaussian --ood-limit 30 --score knn_K3 --threshold-at tpr=0.95 --detector new.detector --quiet", "", "new.detector", false},
	{"corruption", "corruption --limit 20 --corruption fog,frost,jpeg_compression --severity 1,5 --out new --format json --quiet", "report new --format json --quiet", "", false},
	{"finetune", "finetune --train GROUND/pictures --val GROUND/val --test GROUND/val --epochs 4 --batch-size 8 --knn 2 --bootstrap 100 --out new.onnx --run new.run --quiet", "report new.run --format json --quiet", "new.onnx", false},
	{"datasets corrupt", "datasets corrupt GROUND/pictures --out new --corruption fog,motion_blur --severity 1,3 --recipe raw --quiet", "", "new/*/*/*/*", false},
	{"datasets export", "datasets export scenes --split val --limit 200 --out new --masks newmasks --quiet", "", "new*/*/*", true},
	{"models add", "models add new GROUND/model.onnx", "models list", "cache/models.lock", false},
	{"report", "report GROUND/run --bootstrap 2000 --format json --quiet", "", "", false},
	{"compare", "compare GROUND/run GROUND/other --bootstrap 2000 --format json --quiet", "", "", false},
}

// earliest is when a process certainly minds signals; before, a signal ends it as it would any.
const earliest = 300 * time.Millisecond

// blows plays a case of random kills.
func (g *game) blows(rng *rand.Rand, dir string) (verdict, error) {
	s := pick(rng, strucks...)
	v := verdict{Command: s.command, Line: s.line}
	whole, err := once(g, g.calm, s.line, func() (calm, error) { return g.whole(s) })
	if err == nil {
		err = hand(dir)
	}
	if err != nil {
		return v, err
	}
	args := place(s.line, g.ground, g.path)
	done := false
	for range 1 + rng.IntN(3) {
		p := g.process(dir, args)
		p.signal = pick(rng, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		p.after = time.Duration(rng.Int64N(int64(whole.took) + 1))
		v.What += fmt.Sprintf("%s after %d ms; ", p.signal, p.after.Milliseconds())
		o, err := p.run()
		if err != nil {
			return v, err
		}
		v.Seconds += o.took.Seconds()
		v.Peak = max(v.Peak, o.peak)
		v.said = fmt.Sprintf("exit %d %s", o.code, sentence(o.err))
		if o.signal == p.signal && (p.signal == syscall.SIGKILL || p.after < earliest) {
			continue
		}
		if o.stopping > stopsWithin {
			v.Failures = append(v.Failures, failure{hang, fmt.Sprintf("it ended %.1f s after %s", o.stopping.Seconds(), p.signal)})
		}
		v.Failures = append(v.Failures, judge(o, expectation{codes: []int{codeDone, codeInterrupted}, memory: g.memory})...)
		if done = s.once && o.code == codeDone; done {
			break
		}
	}
	v.What = strings.TrimSuffix(v.What, "; ")
	if !done {
		want := expectation{codes: []int{codeDone}, memory: g.memory}
		if s.result == "" && s.files == "" {
			want.same, want.differ = whole.out, "another result than of an undisturbed run"
		}
		if _, err := v.take(g.process(dir, args), want); err != nil {
			return v, err
		}
	}
	got, err := g.resultOf(s, dir, "")
	if err != nil {
		v.Failures = append(v.Failures, failure{result, err.Error()})
		return v, nil
	}
	if s.result != "" && got.out != whole.out {
		v.Failures = append(v.Failures, failure{result, "another result than of an undisturbed run: " + difference(whole.out, got.out)})
	}
	for _, name := range slices.Sorted(maps.Keys(whole.files)) {
		if got.files[name] != whole.files[name] {
			v.Failures = append(v.Failures, failure{result, name + " is another file than of an undisturbed run"})
			break
		}
	}
	if len(got.files) != len(whole.files) {
		v.Failures = append(v.Failures, failure{result, fmt.Sprintf("%d files, and not %d", len(got.files), len(whole.files))})
	}
	left, err := leftovers(dir)
	if len(left) > 0 {
		v.Failures = append(v.Failures, failure{result, fmt.Sprintf("left behind: %.300s", strings.Join(left, ", "))})
	}
	return v, err
}

// whole is what a command gives that is left alone.
func (g *game) whole(s struck) (calm, error) {
	dir, err := os.MkdirTemp(g.work, "calm-")
	if err != nil {
		return calm{}, err
	}
	defer os.RemoveAll(dir)
	if _, err = g.folder(filepath.Base(dir)); err == nil {
		err = hand(dir)
	}
	if err != nil {
		return calm{}, err
	}
	o, err := g.process(dir, place(s.line, g.ground, g.path)).run()
	if err != nil || o.code != codeDone {
		return calm{}, fmt.Errorf("%s: exit %d: %s %w", s.line, o.code, o.err, err)
	}
	c, err := g.resultOf(s, dir, o.out)
	c.took = o.took
	return c, err
}

// resultOf is the result that a command left in a folder.
func (g *game) resultOf(s struck, dir, printed string) (calm, error) {
	c := calm{out: printed, files: map[string]string{}}
	if s.result != "" {
		o, err := g.process(dir, strings.Fields(s.result)).run()
		if err != nil || o.code != codeDone {
			return c, fmt.Errorf("%s: exit %d: %s", s.result, o.code, sentence(o.err))
		}
		c.out = strings.ReplaceAll(o.out, dir, "DIR")
	}
	if s.files == "" {
		return c, nil
	}
	names, err := filepath.Glob(filepath.Join(dir, s.files))
	if err != nil {
		return c, err
	}
	for _, n := range names {
		text, err := os.ReadFile(n)
		if err != nil {
			continue // a folder
		}
		c.files[strings.TrimPrefix(n, dir)] = strings.ReplaceAll(string(text), dir, "DIR")
	}
	return c, nil
}

// leftovers are temporary files in a case's folder.
func leftovers(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel := strings.TrimPrefix(p, dir+string(filepath.Separator))
		if rel == "tmp/.ses" || strings.HasPrefix(rel, "tmp/mat-debug-") { // of the ONNX Runtime library
			return nil
		}
		if strings.HasPrefix(d.Name(), ".tmp-") || strings.HasPrefix(rel, "tmp"+string(filepath.Separator)) {
			out = append(out, rel)
			if d.IsDir() {
				return filepath.SkipDir
			}
		}
		return nil
	})
	return out, err
}
