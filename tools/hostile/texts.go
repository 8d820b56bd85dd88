//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// strange are texts that have broken readers elsewhere.
func strange(rng *rand.Rand) string {
	switch rng.IntN(10) {
	case 0:
		return ""
	case 1:
		return strings.Repeat("x", 1<<(8+rng.IntN(13)))
	case 2:
		return "a\x00b"
	case 3:
		return "\xff\xfe\x80"
	case 4:
		return "../../../../etc/passwd"
	case 5:
		return "\x1b[31mred\x07"
	case 6:
		return "line\nbreak\r\n"
	case 7:
		return pick(rng, "NaN", "inf", "-inf", "null", "true", "0x10", "1_000", "1,5", "٣", "+1", " 1 ", "1e400")
	case 8:
		return "/dev/zero"
	}
	return pick(rng, extremes...)
}

// changeText changes a table or list: lines and fields.
func changeText(rng *rand.Rand, data []byte) ([]byte, string) {
	lines := strings.SplitAfter(string(data), "\n")
	at := rng.IntN(len(lines))
	line := lines[at]
	what := ""
	switch rng.IntN(9) {
	case 0:
		lines, what = slices.Delete(lines, at, at+1), "left out"
	case 1:
		n := pick(rng, 1, 2, 1000)
		lines, what = slices.Insert(lines, at, slices.Repeat([]string{line}, n)...), fmt.Sprintf("there %d times more", n)
	case 2, 3, 4:
		sep := pick(rng, ",", ",", " ", "\t")
		fields := strings.Split(strings.TrimRight(line, "\n"), sep)
		f, s := rng.IntN(len(fields)), strange(rng)
		fields[f] = s
		lines[at], what = strings.Join(fields, sep)+"\n", fmt.Sprintf("with the field %.30q", s)
	case 5:
		lines[at], what = line+line[:rng.IntN(len(line)+1)], "and half of it again"
	case 6:
		lines[at], what = pick(rng, "\"", "'", "#", "\ufeff", "\x00", ",,,,", ";")+line, "with a stray character"
	case 7:
		for i := range lines {
			lines[i] = strings.ReplaceAll(lines[i], "\n", "\r")
		}
		what = "and all others ended by CR"
	default:
		rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		what = "and all others in another order"
	}
	return []byte(strings.Join(lines, "")), fmt.Sprintf("line %d %s", at+1, what)
}

// node is a place in a JSON value: what is there, and how to put something else.
type node struct {
	path string
	set  func(any)
	drop func()
	key  string // its name in an object
	in   map[string]any
}

// nodes lists all places in a JSON value, in an order that does not change.
func nodes(v any, path string, set func(any), to *[]node) {
	*to = append(*to, node{path: path, set: set})
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			at := len(*to)
			nodes(v[k], path+"."+k, func(x any) { v[k] = x }, to)
			(*to)[at].drop, (*to)[at].key, (*to)[at].in = func() { delete(v, k) }, k, v
		}
	case []any:
		for i := range v {
			nodes(v[i], fmt.Sprintf("%s[%d]", path, i), func(x any) { v[i] = x }, to)
		}
	}
}

// changeJSON changes one value of a JSON text, or its form.
func changeJSON(rng *rand.Rand, data []byte) ([]byte, string) {
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return changeBytes(rng, data)
	}
	var all []node
	nodes(v, "", func(x any) { v = x }, &all)
	n := pick(rng, all...)
	what := "replaced"
	switch rng.IntN(9) {
	case 0:
		n.set(nil)
		what = "null"
	case 1, 2, 3:
		number := pick(rng, extremes...)
		n.set(json.Number(number))
		what = number
	case 4:
		s := strange(rng)
		n.set(s)
		what = fmt.Sprintf("%.30q", s)
	case 5:
		if n.drop != nil {
			n.drop()
			what = "left out"
		} else {
			n.set([]any{})
			what = "[]"
		}
	case 6:
		if n.in != nil {
			k := pick(rng, strings.ToUpper(n.key), n.key+"_", "x", "__proto__", strings.Repeat("k", 1<<16))
			n.in[k] = n.in[n.key]
			what = fmt.Sprintf("there as %.30q as well", k)
		} else {
			n.set(map[string]any{})
			what = "{}"
		}
	case 7:
		n.set(pick[any](rng, true, []any{}, map[string]any{}, []any{nil}, slices.Repeat([]any{1}, 1<<16)))
	default:
		deep := pick(rng, 100, 9000, 1<<20)
		n.set("DEEP")
		out, err := json.Marshal(v)
		if err != nil {
			return changeBytes(rng, data)
		}
		open, shut := "[", "]"
		if rng.IntN(2) == 0 {
			open, shut = `{"a":`, "}"
		}
		text := strings.Repeat(open, deep) + "1" + strings.Repeat(shut, deep)
		return bytes.Replace(out, []byte(`"DEEP"`), []byte(text), 1), fmt.Sprintf("%s is %d levels deep", n.path, deep)
	}
	out, err := json.Marshal(v)
	if err != nil { // a number that JSON has not
		return changeBytes(rng, data)
	}
	if rng.IntN(8) == 0 {
		return append(out, pick(rng, "{}", "x", "\x00", ",")...), fmt.Sprintf("%s is %s, and more follows", n.path, what)
	}
	return out, fmt.Sprintf("%.100s is %s", n.path, what)
}
