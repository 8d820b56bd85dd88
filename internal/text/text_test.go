package text

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSome(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"a"}, "a"},
		{[]string{"a", "b"}, "a, b"},
		{[]string{"a", "b", "c"}, "a, b and 1 more"},
		{[]string{"a", "b", "c", "d", "e"}, "a, b and 3 more"},
	} {
		if got := Some(c.names, 2); got != c.want {
			t.Errorf("%q: %q, want %q", c.names, got, c.want)
		}
	}
}

func TestShortened(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	for s, want := range map[string]string{
		"": "", "a sentence of words": "a sentence of words",
		"it says \"" + long + "\", no number": "it says \"" + strings.Repeat("é", 99) + "... (2097155 bytes) no number",
	} {
		if got := Shortened(s); got != want {
			t.Errorf("%.300q, want %.300q", got, want)
		}
	}
	if got := Bounded(long); len(got) > 300 || !utf8.ValidString(got) {
		t.Errorf("%q", got)
	}
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain, ü and 木": "plain, ü and 木", "\x1b[31mred\a": `\x1b[31mred\a`, "a\nb\x00": `a\nb\x00`, "\xff\u0085": `\xff\u0085`,
	} {
		if got := Visible(in); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

func TestEnded(t *testing.T) {
	other := errors.New("another")
	if got := Ended(fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)); got.Error() != "it ends too early" {
		t.Error(got)
	}
	if got := Ended(other); got != other {
		t.Error(got)
	}
}
