package text

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// wide is a text as UTF-16.
func wide(s string, big bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		hi, lo := byte(u>>8), byte(u)
		if !big {
			hi, lo = lo, hi
		}
		b.WriteByte(hi)
		b.WriteByte(lo)
	}
	return b.String()
}

// TestUTF8: one table, as spreadsheets and old programs save it.
func TestUTF8(t *testing.T) {
	const want = "image,kätzchen,dog\na.png,0.25,0.75\n"
	dos := strings.ReplaceAll(want, "\n", "\r\n")
	for name, data := range map[string]string{
		"plain": want, "mark": "\ufeff" + want, "DOS": dos, "old Mac": strings.ReplaceAll(want, "\n", "\r"),
		"UTF-16":            wide("\ufeff"+dos, false),
		"UTF-16, big":       wide("\ufeff"+want, true),
		"UTF-16, no mark":   wide(dos, false),
		"no mark, big":      wide(want, true),
		"mark and old Macs": "\ufeff" + strings.ReplaceAll(want, "\n", "\r"),
	} {
		if got, err := UTF8([]byte(data)); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for _, short := range []string{"", "a", "ab", "1", "a\n"} {
		if got, err := UTF8([]byte(short)); err != nil || string(got) != short {
			t.Errorf("%q: %q %v", short, got, err)
		}
	}
}
