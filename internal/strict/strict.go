// Package strict reads JSON files that people write, where a misspelt key must not pass.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Decode reads one JSON value into v: unknown keys and anything behind it are errors.
func Decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind the end of its JSON")
	}
	return nil
}
