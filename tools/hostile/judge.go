//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// kind is how the program failed an attack.
type kind string

// The kinds, in the order of the table.
const (
	crash  kind = "crash"  // a panic, or a signal that it was not sent
	hang   kind = "hang"   // it did not end in time, or not in time after a signal
	code   kind = "code"   // an exit code that is not the one documented for this
	memory kind = "memory" // more than its bound
	words  kind = "words"  // an error that is no plain sentence
	result kind = "result" // another result than that of an undisturbed run, or files left behind
)

var kinds = []kind{crash, hang, code, memory, words, result}

// failure is one thing that went wrong in a case.
type failure struct {
	Kind kind   `json:"kind"`
	Why  string `json:"why"`
}

// The exit codes that cmd/cutmix-eval documents.
const (
	codeDone        = 0
	codeFailed      = 1
	codeUsage       = 2
	codeBadImages   = 3
	codeNotPinned   = 4
	codeInterrupted = 130
)

// raw are words of the inside that no sentence for a person has.
var raw = []string{
	"panic", "runtime error", "goroutine", "strconv", "proto:", "proto2", "cgo", "MarshalJSON", "UnmarshalJSON", "invalid argument",
	" json: ", "Go struct", "Go value", "reflect.", "nil pointer", "interface conversion", "index out of range", "slice bounds",
	"out of memory", "bad_alloc", "std::", "onnxruntime::", "(anonymous", ".go:", ".cc:", ".cpp:", "%!", "<nil>", "SIGSEGV", "SIGBUS",
	"unexpected EOF", ": EOF", "pflag", "cobra", "parquet-go", "divide by zero",
}

// Bounds of what a command may take.
const (
	stopsWithin  = 3 * time.Second // after SIGINT or SIGTERM; one second is promised, on a machine that does nothing else
	longestError = 4000            // bytes of an error's sentence
)

// expectation is what may come of a case.
type expectation struct {
	codes  []int // exit codes that are right
	memory int64 // bytes
	json   bool  // standard output is JSON, where the program is done
	same   string
	differ string // what makes a result other than same wrong; empty where results may differ
}

// judge compares an outcome with what was expected.
func judge(o outcome, want expectation) []failure {
	var out []failure
	add := func(k kind, format string, args ...any) { out = append(out, failure{k, fmt.Sprintf(format, args...)}) }
	switch {
	case o.late:
		add(hang, "not done after %.0f s", o.took.Seconds())
		return out
	case strings.Contains(o.err, "\ngoroutine ") || strings.HasPrefix(o.err, "panic:") || strings.Contains(o.err, "fatal error: "):
		at := max(strings.Index(o.err, "panic:"), strings.Index(o.err, "fatal error: "), 0)
		add(crash, "%s", firstLine(o.err[at:]))
		return out
	case o.signal != 0:
		add(crash, "ended by %s; %s", o.signal, lastLine(o.err))
		return out
	}
	if want.memory > 0 && o.peak > want.memory {
		add(memory, "%d MB, more than %d MB", o.peak>>20, want.memory>>20)
	}
	if !slices.Contains(want.codes, o.code) {
		add(code, "exit %d, not one of %v: %s", o.code, want.codes, cmpOr(sentence(o.err), lastLine(o.out)))
	}
	if why := unsaid(o); why != "" {
		add(words, "%s", why)
	}
	if o.code == codeDone || o.code == codeBadImages {
		if want.json && !json.Valid([]byte(o.out)) && len(o.out) < captured {
			add(result, "what is printed is not JSON: %.80q", o.out)
		}
		if o.code == codeDone && want.differ != "" && o.out != want.same {
			add(result, "%s: %s", want.differ, difference(want.same, o.out))
		}
	}
	return out
}

// unsaid says what is wrong with the words of an error, if anything is.
func unsaid(o outcome) string {
	var said []string
	for line := range strings.Lines(o.err) {
		if strings.HasPrefix(line, "cutmix-eval: ") {
			said = append(said, strings.TrimSuffix(line, "\n"))
		}
	}
	switch {
	case o.code != codeDone && len(said) != 1:
		return fmt.Sprintf("exit %d with %d sentences: %.200q", o.code, len(said), o.err)
	case o.code == codeDone && len(said) > 0:
		return "an error, and exit 0: " + said[0]
	}
	for line := range strings.Lines(o.err) {
		line = strings.TrimSuffix(line, "\n")
		line = line[strings.LastIndexByte(line, '\r')+1:] // what a progress bar leaves
		for _, w := range raw {
			if strings.Contains(line, w) {
				return fmt.Sprintf("%q in: %.300s", w, line)
			}
		}
		if len(line) > longestError {
			return fmt.Sprintf("%d bytes in one line: %.100q…", len(line), line)
		}
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }) {
			return fmt.Sprintf("control characters in: %.300q", line)
		}
	}
	return ""
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// sentence is the error of a command.
func sentence(errs string) string {
	for line := range strings.Lines(errs) {
		if strings.HasPrefix(line, "cutmix-eval: ") {
			return strings.TrimSpace(line)
		}
	}
	return lastLine(errs)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return fmt.Sprintf("%.300s", line)
}

func lastLine(s string) string {
	s = strings.TrimRight(s, "\n")
	return fmt.Sprintf("%.300s", s[strings.LastIndexByte(s, '\n')+1:])
}

// difference is the first place where two texts differ.
func difference(want, got string) string {
	w, g := []byte(want), []byte(got)
	n := 0
	for n < min(len(w), len(g)) && w[n] == g[n] {
		n++
	}
	from := bytes.LastIndexByte(w[:n], '\n') + 1
	return fmt.Sprintf("%.120q and not %.120q", g[min(from, len(g)):], w[min(from, len(w)):])
}
