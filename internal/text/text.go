// Package text holds what many places say in the same words.
package text

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shortened is a message in which no word is longer than a message repeats.
func Shortened(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	words := strings.Split(s, " ")
	for i, w := range words {
		if len(w) > 4*maxQuoted { // paths are shorter
			words[i] = Bounded(w)
		}
	}
	return strings.Join(words, " ")
}

// Some lists names, the first few of them where there are more than most: "a, b and 3
// more".
func Some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Ended is an error of reading, in words where it is the end of what was read.
func Ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}

// Visible is s with control characters and bytes that are no text written as Go writes them: a
// message with them could change what a terminal shows.
func Visible(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsControl(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// maxQuoted is how many bytes of something that was read a message repeats.
const maxQuoted = 200

// Bounded is s as a message repeats it: the beginning alone where it is very long.
func Bounded(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:end], len(s))
}
