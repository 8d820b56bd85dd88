// Package strict reads JSON files that people write, where a misspelt key must not pass, and
// says what is wrong with JSON in words for people.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"cutmix-eval/internal/text"
)

// Decode reads one JSON value into v: unknown keys and anything behind it are errors.
func Decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return Explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the end of its JSON")
	}
	return nil
}

// Whole is Decode for files that programs write: every key of the struct v must be there and not
// null, those of structs inside as well, but for those that are left out when empty.
func Whole(data []byte, v any) error {
	if err := Decode(data, v); err != nil {
		return err
	}
	return present(data, reflect.TypeOf(v), "")
}

// present looks for the keys of a struct type in a JSON object, which stands at a key of its own.
func present(data []byte, of reflect.Type, at string) error {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return nil // it looks after itself
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(data, &has); err != nil {
		return Explain(err)
	}
	for i := range of.NumField() {
		key, options, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if key == "" || key == "-" || strings.Contains(options, "omit") {
			continue
		}
		raw, ok := has[key]
		if err := there(at+key, raw, ok); err != nil {
			return err
		}
		if err := present(raw, of.Field(i).Type, at+key+"."); err != nil {
			return err
		}
	}
	return nil
}

func there(key string, raw json.RawMessage, ok bool) error {
	switch {
	case !ok:
		return fmt.Errorf("its key %q is missing", key)
	case string(raw) == "null":
		return fmt.Errorf("its key %q is null", key)
	}
	return nil
}

// Explain says in words what package json found wrong. Other errors stay as they are.
func Explain(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var outside *json.MarshalerError
	var value *json.UnsupportedValueError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		what, _, _ := strings.Cut(kind.Value, " ") // "number 1e99": its digits may be very many
		of := kinds[kind.Type.Kind()]
		if of == "" {
			of = "something else"
		}
		if what == "number" && of == "a whole number" {
			what = "number with a fraction, or out of range"
		}
		if kind.Field == "" {
			return fmt.Errorf("its JSON is %s where %s belongs (before byte %d)", article(what), of, kind.Offset)
		}
		return fmt.Errorf("its key %q is %s where %s belongs", kind.Field, article(what), of)
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not JSON: %s (at byte %d)", syntax.Error(), syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is not JSON: it ends too early")
	case errors.As(err, &outside):
		return Explain(outside.Unwrap())
	case errors.As(err, &value):
		return fmt.Errorf("a number is %s, which JSON cannot hold", value.Str)
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("its key %s is unknown", text.Bounded(key))
	}
	return err
}

// kinds are what values of Go are called in JSON.
var kinds = map[reflect.Kind]string{
	reflect.Bool: "true or false", reflect.String: "text", reflect.Slice: "a list", reflect.Array: "a list", reflect.Map: "an object",
	reflect.Struct: "an object", reflect.Float32: "a number", reflect.Float64: "a number",
	reflect.Int: "a whole number", reflect.Int32: "a whole number", reflect.Int64: "a whole number", reflect.Uint64: "a whole number", reflect.Uint8: "a whole number",
}

// article names a kind of JSON value as package json does, with its article.
func article(kind string) string {
	switch kind {
	case "string":
		return "text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "a " + kind
}
