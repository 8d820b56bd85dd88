//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// flagOf is a flag of a command, as its help has it.
type flagOf struct {
	name, typ string // typ is the word after the name: N, FILE …; empty for a switch
}

var flagLine = regexp.MustCompile(`^\s+(?:-\w, )?--([a-z-]+)(?: (\S+(?: SHARE)?))?(?:\s{2,}|\s*$)`)

// flagsIn reads a help text.
func flagsIn(help string) []flagOf {
	var out []flagOf
	for line := range strings.Lines(help) {
		if m := flagLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil && m[1] != "help" {
			out = append(out, flagOf{m[1], m[2]})
		}
	}
	return out
}

// written are flags that name what the program writes; they are never given a path outside the
// case's folder.
var written = []string{"out", "run", "detector", "masks"}

// value draws a hostile value of a flag; dir is the case's folder.
func (f flagOf) value(rng *rand.Rand, dir string) (text, what string, err error) {
	numbers := append([]string{"", "NaN", "inf", "-inf", "1e9", "0x10", "1_000", "٣", "+1", "1,5", "10000", "1000000"}, extremes...)
	number := func() string { return pick(rng, numbers...) }
	several := func(sep string, n int) string {
		var all []string
		for range n {
			all = append(all, number())
		}
		return strings.Join(all, sep)
	}
	switch f.typ {
	case "N", "X", "P":
		return number(), "", nil
	case "SIZE":
		return pick(rng, number(), several("x", 2), several("x", 3), "none", "x", "1x", "99999x1"), "", nil
	case "A,B,C", "R,G,B", "LOW,HIGH":
		return pick(rng, number(), several(",", 2), several(",", 3), several(",", 4)), "", nil
	case "I/N":
		return pick(rng, "auto", "/", several("/", 2), several("/", 2), "auto/"+number()), "", nil
	case "tpr=SHARE":
		return pick(rng, number(), "tpr="+number(), "fpr=0.5", "tpr"), "", nil
	case "FILE", "PATH", "FOLDER", "RUN":
		path := filepath.Join(dir, "given")
		what, err := wrong(rng, path, f.typ == "FOLDER" || f.typ == "RUN")
		return "given", what, err
	}
	s := strange(rng)
	s = strings.ReplaceAll(s[:min(len(s), 100_000)], "\x00", "")
	if slices.Contains(written, f.name) {
		s = strings.NewReplacer("/", "", "..", "").Replace(s)
	}
	return s, "", nil
}

// flags plays a case of hostile values of flags.
func (g *game) flags(rng *rand.Rand, dir string) (verdict, error) {
	t := pick(rng, templates.flags...)
	v := verdict{Command: t.command, Line: t.line}
	all, err := once(g, g.helps, t.command, func() ([]flagOf, error) {
		o, err := g.process(dir, append(strings.Fields(t.command), "--help")).run()
		return flagsIn(o.out), err
	})
	if err != nil {
		return v, err
	}
	args := place(t.line, g.ground, g.path)
	for range 1 + rng.IntN(2) {
		if len(all) == 0 {
			break
		}
		f := pick(rng, all...)
		text, what, err := f.value(rng, dir)
		if err != nil {
			continue // what a second flag names is there already
		}
		arg := "--" + f.name + "=" + text
		if f.typ == "" {
			arg = "--" + f.name
		}
		args = append(args, arg)
		v.What = strings.TrimSpace(fmt.Sprintf("%s %.60q %s", v.What, arg, what))
	}
	if rng.IntN(12) == 0 || len(all) == 0 {
		extra := pick(rng, "--no-such-flag", "stray", "-x", "--", "--help=7", "--model", strings.Repeat("x", 1000))
		args = append(args, extra)
		v.What = strings.TrimSpace(fmt.Sprintf("%s %.40q", v.What, extra))
	}
	if err := hand(dir); err != nil {
		return v, err
	}
	_, err = v.take(g.process(dir, args), expectation{codes: []int{codeDone, codeFailed, codeUsage, codeBadImages}, memory: g.memory})
	return v, err
}

// unattacked are commands of the program that no template has: a new one must get some.
func (g *game) unattacked(command string) ([]string, error) {
	o, err := g.process(g.dir, append(strings.Fields(command), "--help")).run()
	if err != nil {
		return nil, err
	}
	_, list, some := strings.Cut(o.out, "\nAvailable Commands:\n")
	known := func(t template) bool { return t.command == command }
	var out []string
	if command != "" && strings.Contains(o.out, command+" [flags]") && !strings.Contains(o.out, "\n  "+program+" "+command+" [command]\n") && !slices.ContainsFunc(templates.flags, known) {
		out = append(out, command)
	}
	if !some {
		return out, nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		name := strings.Fields(line)[0]
		if name == "help" || name == "completion" {
			continue
		}
		more, err := g.unattacked(strings.TrimSpace(command + " " + name))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

const program = "cutmix-eval"
