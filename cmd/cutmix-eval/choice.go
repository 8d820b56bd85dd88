package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	wording "cutmix-eval/internal/text"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// value is the value of a flag: set reads what was typed. A wrong value is refused while the
// command line is parsed, so that of several the first is named.
type value struct {
	text string // the default, later what was typed last
	kind string // what help calls the value
	set  func(string) error
}

func (v *value) String() string { return v.text }
func (v *value) Type() string   { return v.kind }

func (v *value) Set(s string) error {
	if err := v.set(s); err != nil {
		return err
	}
	v.text = s
	return nil
}

// refusal says what is wrong with a value. It reads on from the flag's name, as in
// --limit "10%" is not a whole number.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, a ...any) error { return refusal(fmt.Sprintf(format, a...)) }

// declare adds a flag with this default.
func declare(cmd *cobra.Command, name, kind, initial, usage string, set func(string) error) {
	cmd.Flags().Var(&value{initial, kind, set}, name, usage)
}

// into sets what a flag is for.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*to = v
		}
		return err
	}
}

// intoNew is into for what is nil unless the flag is given.
func intoNew[T any](to **T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*to = &v
		}
		return err
	}
}

// text adds a flag that takes any text.
func text(cmd *cobra.Command, to *string, name, kind, usage string) {
	declare(cmd, name, kind, *to, usage, into(to, func(s string) (string, error) { return s, nil }))
}

// count adds a flag that takes a whole number, 0 or more.
func count(cmd *cobra.Command, to *int, name, usage string) {
	declare(cmd, name, "N", strconv.Itoa(*to), usage, into(to, wholeNumber))
}

// countTo adds a flag that takes a whole number from 0 to most.
func countTo(cmd *cobra.Command, to *int, most int, name, usage string) {
	declare(cmd, name, "N", strconv.Itoa(*to), usage, into(to, func(s string) (int, error) { return within(s, 0, most) }))
}

// number adds a flag that takes a finite number.
func number(cmd *cobra.Command, to *float64, name, usage string) {
	declare(cmd, name, "X", strconv.FormatFloat(*to, 'g', -1, 64), usage, into(to, finite))
}

// texts adds a flag that takes several texts, separated by commas.
func texts(cmd *cobra.Command, to *[]string, name, kind, usage string) {
	declare(cmd, name, kind, strings.Join(*to, ","), usage, several(to, func(s string) ([]string, error) { return []string{s}, nil }))
}

// meaning is a word that a flag takes, and what it stands for. A remark may follow the word
// after a tab; help and completion show it.
type meaning[T any] struct {
	word string
	is   T
}

// choose adds a flag that takes one of some words: its check, its help and its completion.
// initial is the word that is shown as the default.
func choose[T any](cmd *cobra.Command, to *T, name, initial, usage string, of ...meaning[T]) {
	var words []string
	for _, m := range of {
		words = append(words, m.word)
	}
	declare(cmd, name, "NAME", initial, usage+": "+either(words), into(to, func(s string) (v T, err error) {
		k, err := one(s, words)
		if err == nil {
			v = of[k].is
		}
		return v, err
	}))
	complete(cmd, name, words...)
}

// choice is choose where the words are the values.
func choice[T ~string](cmd *cobra.Command, to *T, name, usage string, words ...T) {
	var of []meaning[T]
	for _, w := range words {
		word, _, _ := strings.Cut(string(w), "\t")
		of = append(of, meaning[T]{string(w), T(word)})
	}
	choose(cmd, to, name, string(*to), usage, of...)
}

// choices adds a flag that takes several of some words, separated by commas.
func choices[T ~string](cmd *cobra.Command, to *[]T, name, usage string, words ...T) {
	all := plain(words)
	parse := func(s string) ([]T, error) {
		_, err := one(s, all)
		return []T{T(s)}, err
	}
	declare(cmd, name, "NAMES", strings.Join(plain(*to), ","), usage+", several with commas: "+either(all), several(to, parse))
	completeSeveral(cmd, name, all...)
}

func plain[T ~string](words []T) []string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

// several sets a list from what is separated by commas, each item as parse reads it. A flag
// that is given again adds to the list; an empty text is the empty list.
func several[T any](to *[]T, parse func(string) ([]T, error)) func(string) error {
	given := false
	return func(s string) error {
		all := []T{}
		for item := range strings.SplitSeq(s, ",") {
			if s == "" {
				break
			}
			v, err := parse(strings.TrimSpace(item))
			if err != nil {
				return err
			}
			all = append(all, v...)
		}
		if given {
			all = append(*to, all...)
		}
		*to, given = all, true
		return nil
	}
}

// one is the place of s among words.
func one(s string, words []string) (int, error) {
	var names []string
	for k, w := range words {
		word, _, _ := strings.Cut(w, "\t")
		if word == s {
			return k, nil
		}
		names = append(names, word)
	}
	return 0, refuse("%q is not one of %s%s", s, strings.Join(names, ", "), didYouMean(s, "", names))
}

// either lists words for a sentence: a, b (a remark) or c.
func either(words []string) string {
	var b strings.Builder
	for k, w := range words {
		switch {
		case k > 0 && k == len(words)-1:
			b.WriteString(" or ")
		case k > 0:
			b.WriteString(", ")
		}
		word, remark, ok := strings.Cut(w, "\t")
		b.WriteString(word)
		if ok {
			b.WriteString(" (" + remark + ")")
		}
	}
	return b.String()
}

// complete offers words to the shell.
func complete(cmd *cobra.Command, flag string, words ...string) {
	register(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeSeveral offers words behind those that are typed already.
func completeSeveral(cmd *cobra.Command, flag string, words ...string) {
	register(cmd, flag, func(_ *cobra.Command, _ []string, typed string) (out []string, _ cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		for _, w := range words {
			out = append(out, before+w)
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

func register(cmd *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // there is no such flag, or it has one already
	}
}

func wholeNumber(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, refuse("%s is out of range", wording.Bounded(s))
	case err != nil:
		return 0, refuse("%q is not a whole number", wording.Bounded(s))
	case n < 0:
		return 0, refuse("%d is below 0", n)
	}
	return n, nil
}

// within reads a whole number from low to high.
func within(s string, low, high int) (int, error) {
	n, err := wholeNumber(s)
	if err == nil && (n < low || n > high) {
		err = refuse("%d is not one of %d to %d", n, low, high)
	}
	return n, err
}

func seed(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, refuse("%q is not a whole number from 0 to %d", s, uint64(math.MaxUint64))
	}
	return n, nil
}

func finite(s string) (float64, error) { return finiteOf(s, 64) }

// finiteOf reads a number of 32 or 64 bits.
func finiteOf(s string, bits int) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), bits)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, refuse("%q is not a number", s)
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, refuse("%q is not a finite number", s)
	}
	return v, nil
}

// triple reads a number for each channel: "0.485,0.456,0.406", or one for all of them.
func triple(s string) (v [3]float32, err error) {
	parts := strings.Split(s, ",")
	if len(parts) == 1 {
		parts = []string{s, s, s}
	}
	if len(parts) != len(v) {
		return v, refuse("%q is not three numbers separated by commas, or one", s)
	}
	for i, p := range parts {
		x, err := finiteOf(p, 32)
		if err != nil {
			return v, err
		}
		v[i] = float32(x)
	}
	return v, nil
}

// positive is triple for numbers that are divided by.
func positive(s string) ([3]float32, error) {
	v, err := triple(s)
	for _, x := range v {
		if err == nil && !(x > 0) {
			err = refuse("%v is not above 0", x)
		}
	}
	return v, err
}

// span reads LOW,HIGH.
func span(s string) (v [2]float64, err error) {
	low, high, ok := strings.Cut(s, ",")
	for k, p := range []string{low, high} {
		if v[k], err = finite(p); err != nil || !ok {
			return v, refuse("%q is not two numbers LOW,HIGH", s)
		}
	}
	return v, nil
}

// flagError says in one sentence what pflag finds wrong with a command line.
func flagError(cmd *cobra.Command, err error) error {
	var wrong *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &wrong):
		flag, cause := wrong.GetFlag(), wrong.Unwrap()
		if flag.Value.Type() == "bool" {
			cause = refuse("takes true or false, not %q", wrong.GetValue())
		}
		switch {
		case errors.As(cause, new(refusal)):
			return fmt.Errorf("--%s %w", flag.Name, cause)
		case strings.HasPrefix(cause.Error(), flag.Name+" "): // device "x" is ...
			return fmt.Errorf("--%w", cause)
		}
		return fmt.Errorf("--%s: %w", flag.Name, cause)
	case errors.As(err, &unknown):
		name, dashes := unknown.GetSpecifiedName(), "--"
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			name, dashes = short, "-"
		}
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("unknown flag %s%s%s", dashes, name, didYouMean(name, "--", names))
	case errors.As(err, &missing):
		return fmt.Errorf("--%s needs a value", missing.GetSpecifiedName())
	}
	return err
}

// didYouMean ends a sentence about s with the word that it was probably meant to be.
func didYouMean(s, dashes string, words []string) string {
	near := wording.Nearest(s, words)
	if near == "" {
		return ""
	}
	return "; did you mean " + dashes + near + "?"
}

// probability reads a number above 0 and below 1.
func probability(s string) (float64, error) {
	v, err := finite(s)
	if err == nil && !(v > 0 && v < 1) {
		err = refuse("%v is not above 0 and below 1", v)
	}
	return v, err
}
