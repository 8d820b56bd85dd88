//go:build unix

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestJudge: every kind of failure is seen, and what is right is not taken for one.
func TestJudge(t *testing.T) {
	good := expectation{codes: []int{0, 1}, memory: 100 << 20}
	for name, c := range map[string]struct {
		o    outcome
		want expectation
		kind kind
	}{
		"done":                 {outcome{out: "ok"}, good, ""},
		"refused":              {outcome{code: 1, err: "note\ncutmix-eval: the file \"x\" is cut off\n"}, good, ""},
		"a panic":              {outcome{code: 2, err: "panic: index out of range\n\ngoroutine 1 [running]:\n"}, good, crash},
		"no memory":            {outcome{code: 2, err: "fatal error: runtime: cannot allocate memory\n"}, good, crash},
		"a signal":             {outcome{code: -1, signal: syscall.SIGBUS}, good, crash},
		"late":                 {outcome{code: -1, signal: syscall.SIGKILL, late: true}, good, hang},
		"another code":         {outcome{code: 3, err: "cutmix-eval: 1 image is bad\n"}, good, code},
		"too much":             {outcome{peak: 200 << 20}, good, memory},
		"raw":                  {outcome{code: 1, err: "cutmix-eval: strconv.Atoi: parsing \"x\"\n"}, good, words},
		"json":                 {outcome{code: 1, err: "cutmix-eval: x: json: cannot unmarshal\n"}, good, words},
		"a file's name":        {outcome{code: 1, err: "cutmix-eval: study.json: it is cut off\n"}, good, ""},
		"no sentence":          {outcome{code: 1, err: "oops\n"}, good, words},
		"two":                  {outcome{code: 1, err: "cutmix-eval: a\ncutmix-eval: b\n"}, good, words},
		"an error and 0":       {outcome{err: "cutmix-eval: a\n"}, good, words},
		"long":                 {outcome{code: 1, err: "cutmix-eval: " + strings.Repeat("x", 10_000) + "\n"}, good, words},
		"escapes":              {outcome{code: 1, err: "cutmix-eval: \x1b[31m\n"}, good, words},
		"a bar":                {outcome{code: 1, err: "\r 10 %\r 20 %\ncutmix-eval: it is cut off\n"}, good, ""},
		"no JSON":              {outcome{out: "{"}, expectation{codes: []int{0}, json: true}, result},
		"another result":       {outcome{out: "a 2\n"}, expectation{codes: []int{0}, same: "a 1\n", differ: "x"}, result},
		"the same":             {outcome{out: "a 1\n"}, expectation{codes: []int{0}, same: "a 1\n", differ: "x"}, ""},
		"refused, not another": {outcome{code: 1, err: "cutmix-eval: damaged\n"}, expectation{codes: []int{0, 1}, same: "a 1\n", differ: "x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(c.o, c.want)
			if c.kind == "" && len(got) > 0 || c.kind != "" && (len(got) != 1 || got[0].Kind != c.kind) {
				t.Errorf("%v, want %q", got, c.kind)
			}
		})
	}
}

// TestProcess: real processes that end in every way.
func TestProcess(t *testing.T) {
	for _, c := range []struct {
		script string
		signal syscall.Signal
		code   int
		ended  syscall.Signal
		late   bool
	}{
		{"echo out; echo err >&2", 0, 0, 0, false},
		{"exit 3", 0, 3, 0, false},
		{"kill -SEGV $$", 0, -1, syscall.SIGSEGV, false},
		{"exec sleep 60", 0, -1, syscall.SIGKILL, true},
		{"exec sleep 60", syscall.SIGTERM, -1, syscall.SIGTERM, false},
		{"trap 'exit 130' INT; while :; do sleep 0.01; done", syscall.SIGINT, 130, 0, false},
	} {
		t.Run(c.script, func(t *testing.T) {
			p := process{program: "/bin/sh", args: []string{"-c", c.script}, dir: "/", limit: 2 * time.Second, signal: c.signal, after: 300 * time.Millisecond}
			o, err := p.run()
			if err != nil || o.code != c.code || o.signal != c.ended || o.late != c.late {
				t.Errorf("%+v %v", o, err)
			}
			if c.code == 0 && (o.out != "out\n" || o.err != "err\n") {
				t.Errorf("%q %q", o.out, o.err)
			}
			if o.peak < 100<<10 {
				t.Errorf("a process with %d bytes", o.peak)
			}
		})
	}
}

// TestChanges: the same generator gives the same bytes, and nearly always others than there were.
func TestChanges(t *testing.T) {
	picture := textured(32)
	inputs := map[string][]byte{
		"a.json": []byte(`{"a": [1, 2, {"b": null}], "c": "x"}`), "a.csv": []byte("a,b\n1,2\n3,4\n"), "a.png": picture, "a.npy": npyOf("f4", make([]byte, 16), 2, 2),
		"a.zip": zipped([]member{{name: "x.json", data: []byte("{}")}, {name: "y.png", data: picture}}), "a.tar": tarred([]member{{name: "x/1.png", data: picture}, {name: "y/2.png", data: picture}}),
		"a.tar.gz": gzipped(tarred([]member{{name: "x/1.png", data: picture}})), "a.xml": vocOf(picture0()), "a.onnx": {0x08, 0x07, 0x12, 0x03, 'a', 'b', 'c', 0x3a, 0x02, 0x08, 0x01}, "a.bin": picture,
	}
	table, err := parquetOf([]scoreRow{{"a", 1, []float32{1, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	inputs["a.parquet"] = table
	for name, data := range inputs {
		t.Run(name, func(t *testing.T) {
			whole := bytes.Clone(data)
			differ, said := 0, map[string]bool{}
			for seed := range uint64(300) {
				a, what := changeFor(name)(rand.New(rand.NewPCG(seed, 1)), data)
				b, again := changeFor(name)(rand.New(rand.NewPCG(seed, 1)), data)
				if !bytes.Equal(a, b) || what != again {
					t.Fatalf("seed %d: %s, then %s", seed, what, again)
				}
				if !bytes.Equal(data, whole) {
					t.Fatalf("seed %d: the input itself is changed: %s", seed, what)
				}
				said[what] = true
				if !bytes.Equal(a, data) {
					differ++
				}
			}
			if differ < 200 || len(said) < 20 {
				t.Errorf("%d of 300 differ, in %d ways", differ, len(said))
			}
		})
	}
}

func picture0() picture { return picture{class: "cat", name: "1"} }

// TestFlagsIn reads what help texts have.
func TestFlagsIn(t *testing.T) {
	help := `Usage:
  x [flags]

Flags:
      --model FILE           ONNX file, or the
                             scenes-cutmix)
      --exif BOOL[=true]     apply
      --mean A,B,C           mean of
      --threshold-at tpr=SHARE   find
      --restrict             let only
  -h, --help                 help for x
`
	want := []flagOf{{"model", "FILE"}, {"exif", "BOOL[=true]"}, {"mean", "A,B,C"}, {"threshold-at", "tpr=SHARE"}, {"restrict", ""}}
	if got := flagsIn(help); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestWritten: nothing that the program is told to write lies outside of a case's folder.
func TestWritten(t *testing.T) {
	for _, f := range []flagOf{{"out", "FOLDER"}, {"out", "FILE"}, {"run", "FOLDER"}, {"detector", "FILE"}, {"masks", "FOLDER"}, {"out", "NAME"}} {
		for seed := range uint64(200) {
			text, _, err := f.value(rand.New(rand.NewPCG(seed, 1)), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if text != "" && !filepath.IsLocal(text) {
				t.Errorf("%s %q", f.name, text)
			}
		}
	}
}

// TestTemplates: their inputs are named as the ground has them, and every one is of a known format or
// a folder.
func TestTemplates(t *testing.T) {
	for _, tm := range templates.files {
		if !inputs.MatchString(tm.line) || !strings.HasPrefix(tm.line, tm.command+" ") {
			t.Errorf("%s | %s has no input or is another command", tm.command, tm.line)
		}
	}
	for _, tm := range templates.flags {
		if inputs.MatchString(tm.line) || !strings.HasPrefix(tm.line+" ", tm.command+" ") {
			t.Errorf("%s | %s", tm.command, tm.line)
		}
	}
	if got := fmt.Sprint(place("a {b.csv} {+c} GROUND/d", ground{dir: "/g"}, func(n string) string { return "/x/" + n })); got != "[a /x/b.csv /g/d]" {
		t.Error(got)
	}
}
