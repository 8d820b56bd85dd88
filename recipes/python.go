package recipes

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// errPython is of text that is no Python literal.
var errPython = errors.New("it is not a literal of Python")

// pythonJSON turns the text of a Python literal, as str() of a dict writes it, into JSON: dicts with
// numbers or texts as keys, lists, tuples, texts, numbers, True, False and None.
func pythonJSON(s string) ([]byte, error) {
	p := &python{rest: s}
	v, err := p.value(0)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = errPython
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

type python struct{ rest string }

// next skips blanks and takes c, where it is there.
func (p *python) next(c string) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	rest, ok := strings.CutPrefix(p.rest, c)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *python) value(depth int) (any, error) {
	const deepest = 16
	if depth > deepest {
		return nil, errPython
	}
	switch {
	case p.next("{"):
		return p.dict(depth)
	case p.next("["):
		return p.list(depth, "]")
	case p.next("("):
		return p.list(depth, ")")
	case p.next("True"):
		return true, nil
	case p.next("False"):
		return false, nil
	case p.next("None"):
		return nil, nil
	case p.next("'"):
		return p.text('\'')
	case p.next(`"`):
		return p.text('"')
	}
	n := 0
	for n < len(p.rest) && strings.IndexByte("0123456789+-.eE", p.rest[n]) >= 0 {
		n++
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	if i, err := strconv.ParseInt(word, 10, 64); err == nil {
		return i, nil
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil {
		return f, nil
	}
	return nil, errPython
}

func (p *python) list(depth int, end string) (any, error) {
	out := []any{}
	for !p.next(end) {
		if len(out) > 0 && !p.next(",") {
			return nil, errPython
		}
		if p.next(end) {
			break // a comma before the end
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (p *python) dict(depth int) (any, error) {
	out := map[string]any{}
	for first := true; !p.next("}"); first = false {
		if !first && !p.next(",") {
			return nil, errPython
		}
		if p.next("}") {
			break
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		var name string
		switch key := key.(type) {
		case string:
			name = key
		case int64:
			name = strconv.FormatInt(key, 10)
		default:
			return nil, errPython
		}
		if !p.next(":") {
			return nil, errPython
		}
		if out[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *python) text(quote byte) (any, error) {
	var b strings.Builder
	for p.rest != "" {
		c := p.rest[0]
		switch {
		case c == quote:
			p.rest = p.rest[1:]
			return b.String(), nil
		case c == '\\' && len(p.rest) > 1 && (p.rest[1] == '\'' || p.rest[1] == '"'):
			b.WriteByte(p.rest[1]) // UnquoteChar takes the quote that is its own only
			p.rest = p.rest[2:]
		default:
			r, _, rest, err := strconv.UnquoteChar(p.rest, 0)
			if err != nil {
				return nil, errPython
			}
			b.WriteRune(r) // \xe9 is a character in Python, not a byte
			p.rest = rest
		}
	}
	return nil, errPython
}
