package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// TestDidYouMean: the nearest word within two letters, and within half of what was typed.
func TestDidYouMean(t *testing.T) {
	for _, c := range []struct {
		typed, want string
		words       []string
	}{
		{"clasify", "classify", []string{"bench", "classify"}},
		{"shwo", "show", []string{"show", "fetch"}},
		{"cubic", "bicubic", []string{"box", "bicubic"}},
		{"gradcam+", "gradcam", []string{"cam", "gradcam", "gradcam++"}}, // the first of two as near
		{"xyz", "", []string{"cam", "fem"}},
		{"blur", "", []string{"defocus_blur"}},
		{"", "", []string{"a", "ab"}},
	} {
		want := ""
		if c.want != "" {
			want = "; did you mean --" + c.want + "?"
		}
		if got := didYouMean(c.typed, "--", c.words); got != want {
			t.Errorf("%q: %q, want %q", c.typed, got, want)
		}
	}
}

// TestChoiceHelp: the words are declared once; help and completion have them all, with their
// remarks, and the value is typed.
func TestChoiceHelp(t *testing.T) {
	type fit string
	one, some, on := fit("squash"), []fit{"squash"}, false
	cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
	choice(cmd, &one, "fit", "how", "shorter\tkeeps the ratio", "squash", "none")
	choices(cmd, &some, "fits", "ways", fit("shorter"), "squash")
	choose(cmd, &on, "color", "rgb", "order", meaning[bool]{"rgb", false}, meaning[bool]{"bgr", true})
	usage := cmd.Flags().FlagUsages()
	for _, want := range []string{
		"--fit NAME     how: shorter (keeps the ratio), squash or none (default squash)\n",
		"--fits NAMES   ways, several with commas: shorter or squash (default squash)\n",
		"--color NAME   order: rgb or bgr (default rgb)\n",
	} {
		if !strings.Contains(usage, want) {
			t.Errorf("no %q in\n%s", want, usage)
		}
	}
	complete := func(flag, typed string) []string {
		f, ok := cmd.GetFlagCompletionFunc(flag)
		if !ok {
			t.Fatalf("--%s has no completion", flag)
		}
		words, _ := f(cmd, nil, typed)
		return words
	}
	for _, c := range []struct {
		flag, typed string
		want        []string
	}{
		{"fit", "", []string{"shorter\tkeeps the ratio", "squash", "none"}},
		{"fits", "", []string{"shorter", "squash"}},
		{"fits", "squash,s", []string{"squash,shorter", "squash,squash"}},
	} {
		if d := cmp.Diff(c.want, complete(c.flag, c.typed)); d != "" {
			t.Errorf("completion of --%s %s: %s", c.flag, c.typed, d)
		}
	}
	if err := cmd.Flags().Parse(strings.Fields("--fit shorter --fits shorter --fits squash,shorter --color bgr")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]fit{"shorter", "squash", "shorter"}, some); one != "shorter" || d != "" || !on {
		t.Errorf("%q %v %s", one, on, d)
	}
}

// TestNoList: an empty text is the empty list, not the default.
func TestNoList(t *testing.T) {
	some := []string{"object"}
	set := several(&some, func(s string) ([]string, error) { return []string{s}, nil })
	if err := set(""); err != nil || some == nil || len(some) != 0 {
		t.Errorf("%v %v", some, err)
	}
}
