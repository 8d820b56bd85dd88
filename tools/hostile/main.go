//go:build unix

// Command hostile attacks the program with what may be given to it by mistake or malice, and
// counts what it bore: damaged, cut off and huge files of every format that it reads, things
// that are no files, flags beyond all bounds, full disks, and signals at any moment, after
// which the same command must give the result of a run that was left alone. Every case follows
// from a seed and its number alone, so that one that failed can be played again:
//
//	go run ./tools/hostile --minutes 2 --seed 1
//	go run ./tools/hostile --seed 1 --case 123
//
// It is run from the project's folder and exits with 1 if the program failed a case. As a
// superuser it runs the program as the user nobody.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	ort "cutmix-eval/runtime"
)

// options are the command's flags.
type options struct {
	minutes float64
	cases   int
	only    int
	seed    uint64
	summary string
	keep    bool
	workers int
	program string
}

func main() {
	var o options
	flag.Float64Var(&o.minutes, "minutes", 2, "begin cases for so long")
	flag.IntVar(&o.cases, "cases", 0, "at most so many cases; 0: as many as there is time for")
	flag.IntVar(&o.only, "case", -1, "play this case alone, and say what came of it")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the cases")
	flag.StringVar(&o.summary, "json", "", "file for a summary in JSON")
	flag.BoolVar(&o.keep, "keep", false, "keep the folders of the cases")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "cases at once")
	flag.StringVar(&o.program, "program", "", "cutmix-eval to attack (default: built from here)")
	flag.Parse()
	debug.SetMemoryLimit(128 << 20) // the peak of this process is the least that others seem to have
	failed, err := attack(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// attack plays the cases, prints what came of them and says whether the program failed any.
func attack(o options) (failed bool, err error) {
	work, err := os.MkdirTemp("", "hostile-")
	if err != nil {
		return false, err
	}
	if o.keep {
		fmt.Println("cases lie in", work)
	} else {
		defer os.RemoveAll(work)
	}
	if err := os.Chmod(work, 0o755); err != nil { // for a process without rights
		return false, err
	}
	g := &game{
		ground: ground{dir: filepath.Join(work, "ground"), program: filepath.Join(work, "cutmix-eval"), library: filepath.Join(work, "library", "libonnxruntime.so.1")},
		seed:   o.seed, work: filepath.Join(work, "cases"), limit: 30 * time.Second, memory: 768 << 20,
		calm: map[string]func() (calm, error){}, helps: map[string]func() ([]flagOf, error){},
	}
	if err := g.prepare(o.program); err != nil {
		return false, err
	}
	if o.only >= 0 {
		v, err := g.play(o.only, o.keep)
		if err != nil {
			return false, err
		}
		fmt.Printf("case %d, %s: %s\n%s\n%s\n%.1f s, %d MB\n", v.Case, v.Command, v.What, v.Line, v.said, v.Seconds, v.Peak>>20)
		for _, f := range v.Failures {
			fmt.Printf("%s: %s\n", f.Kind, f.Why)
		}
		return len(v.Failures) > 0, nil
	}
	verdicts, err := g.playAll(o)
	if err != nil {
		return false, err
	}
	return report(o, verdicts)
}

// prepare builds the program and lays the ground.
func (g *game) prepare(program string) error {
	for _, d := range []string{g.dir, g.work, filepath.Dir(g.library)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if program != "" {
		if err := copyFile(program, g.program); err != nil {
			return err
		}
	} else if out, err := exec.Command("go", "build", "-o", g.program, "./cmd/cutmix-eval").CombinedOutput(); err != nil {
		return fmt.Errorf("building the program: %w: %s", err, out)
	}
	library, err := ort.Ensure(context.Background(), "", nil)
	if err != nil {
		return err
	}
	if err := copyFile(library.Path, g.library); err != nil {
		return err
	}
	if err := os.Chmod(g.program, 0o755); err != nil {
		return err
	}
	if err := g.lay(); err != nil {
		return err
	}
	missing, err := g.unattacked("")
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("no command line to try flags on: %s", strings.Join(missing, ", "))
	}
	return err
}

// playAll plays one case after the other until there is no time left.
func (g *game) playAll(o options) ([]verdict, error) {
	var mu sync.Mutex
	var all []verdict
	var failed error
	next := 0
	end := time.Now().Add(time.Duration(o.minutes * float64(time.Minute)))
	var wg sync.WaitGroup
	for range max(1, o.workers) {
		wg.Go(func() {
			for {
				mu.Lock()
				number := next
				next++
				stop := failed != nil || o.cases > 0 && number >= o.cases || time.Now().After(end)
				mu.Unlock()
				if stop {
					return
				}
				v, err := g.play(number, o.keep)
				mu.Lock()
				all = append(all, v)
				if err != nil && failed == nil {
					failed = err
				}
				for _, f := range v.Failures {
					fmt.Printf("%s: %s: %s\n  %s\n  %s\n  again: go run ./tools/hostile --seed %d --case %d\n", v.Command, f.Kind, f.Why, v.What, v.Line, g.seed, number)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b verdict) int { return a.Case - b.Case })
	return all, failed
}

// count is what a command bore.
type count struct {
	Command string       `json:"command"`
	Cases   int          `json:"cases"`
	Held    int          `json:"held"`
	Failed  map[kind]int `json:"failed"`
	Slowest float64      `json:"slowest_seconds"`
	Peak    int64        `json:"peak_bytes"`
}

func (c *count) add(v verdict) {
	c.Cases++
	if len(v.Failures) == 0 {
		c.Held++
	}
	seen := map[kind]bool{}
	for _, f := range v.Failures {
		if !seen[f.Kind] {
			c.Failed[f.Kind]++
		}
		seen[f.Kind] = true
	}
	c.Slowest, c.Peak = max(c.Slowest, v.Seconds), max(c.Peak, v.Peak)
}

// report prints the counts by command.
func report(o options, verdicts []verdict) (failed bool, err error) {
	total := count{Command: "all", Failed: map[kind]int{}}
	by := map[string]*count{}
	var bad []verdict
	for _, v := range verdicts {
		if by[v.Command] == nil {
			by[v.Command] = &count{Command: v.Command, Failed: map[kind]int{}}
		}
		by[v.Command].add(v)
		total.add(v)
		if len(v.Failures) > 0 {
			bad = append(bad, v)
		}
	}
	var rows []count
	for _, c := range by {
		rows = append(rows, *c)
	}
	slices.SortFunc(rows, func(a, b count) int { return strings.Compare(a.Command, b.Command) })
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nCOMMAND\tCASES\tHELD")
	for _, k := range kinds {
		fmt.Fprint(t, "\t", strings.ToUpper(string(k)))
	}
	fmt.Fprintln(t, "\tSLOWEST\tPEAK")
	for _, c := range append(rows, total) {
		fmt.Fprintf(t, "%s\t%d\t%d", c.Command, c.Cases, c.Held)
		for _, k := range kinds {
			fmt.Fprintf(t, "\t%d", c.Failed[k])
		}
		fmt.Fprintf(t, "\t%.1f s\t%d MB\n", c.Slowest, c.Peak>>20)
	}
	if err := t.Flush(); err != nil {
		return false, err
	}
	if o.summary != "" {
		text, err := json.MarshalIndent(map[string]any{"seed": o.seed, "total": total, "commands": rows, "failures": bad}, "", "  ")
		if err == nil {
			err = os.WriteFile(o.summary, append(text, '\n'), 0o644)
		}
		if err != nil {
			return false, err
		}
	}
	return len(bad) > 0, nil
}
