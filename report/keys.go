package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// KeyName is the name of a key: what distinguishes a number from others of its name. The names are fixed.
type KeyName string

// The names of keys. docs/report.md has them too.
const (
	KeySet        KeyName = "set"        // images of a role: an OOD set, val, test
	KeyGroup      KeyName = "group"      // sets that a mean is over: near, far, all
	KeyView       KeyName = "view"       // what counts as in-distribution: full-spectrum, where shifted images do
	KeyScore      KeyName = "score"      // OOD score, with its parameters
	KeyCorruption KeyName = "corruption" // name of a corruption
	KeySeverity   KeyName = "severity"   // of a corruption, 1 to 5
	KeyExperiment KeyName = "experiment" // occlusion or mixture of two images
	KeyLevel      KeyName = "level"      // of an experiment, 0 to 1
	KeyClass      KeyName = "class"      // class of the label
	KeyPredicted  KeyName = "predicted"  // class of the prediction
	KeySize       KeyName = "size"       // of the picture: a range of its shorter side in pixels
	KeyConfidence KeyName = "confidence" // a range of the prediction's probability, percent
	KeyObject     KeyName = "object"     // a range of the share of the frame that the object takes, percent
	KeyFloor      KeyName = "floor"      // localization that looks at no image
	KeyHead       KeyName = "head"       // head of a network: tuned, before, …
	KeyRun        KeyName = "run"        // run that is compared
	KeyPair       KeyName = "pair"       // of runs, of which the number is the difference: B - A
	KeyModel      KeyName = "model"      // where a report has several
	KeyDataset    KeyName = "dataset"    // where a report has several
	KeySource     KeyName = "source"     // who published a number
	KeyPoint      KeyName = "point"      // operating point of a binary classifier
	KeyStage      KeyName = "stage"      // of the work: decode, resize, model, end_to_end
	KeyPixels     KeyName = "pixels"     // preprocessing that was tried: what it changes
)

// KeyNames lists all names of keys.
func KeyNames() []KeyName {
	return []KeyName{
		KeySet, KeyGroup, KeyView, KeyScore, KeyCorruption, KeySeverity, KeyExperiment, KeyLevel, KeyClass, KeyPredicted, KeySize,
		KeyConfidence, KeyObject, KeyFloor, KeyHead, KeyRun, KeyPair, KeyModel, KeyDataset, KeySource, KeyPoint, KeyStage, KeyPixels,
	}
}

// Is is the key of that name and value.
func (k KeyName) Is(value string) Key { return Key{Name: k, Value: value} }

// Key says what a number is of.
type Key struct {
	Name  KeyName
	Value string
}

// Keys are all that a number is of, each name once. JSON has them as an object, in order.
type Keys []Key

// Get is the value of a key, empty where there is none.
func (k Keys) Get(name KeyName) string {
	for _, key := range k {
		if key.Name == name {
			return key.Value
		}
	}
	return ""
}

// And returns the keys with more behind them.
func (k Keys) And(more ...Key) Keys { return slices.Concat(k, more) }

// Same says whether both have the same keys, in any order.
func (k Keys) Same(other Keys) bool {
	return len(k) == len(other) && !slices.ContainsFunc(k, func(key Key) bool { return !slices.Contains(other, key) })
}

// MarshalJSON writes an object.
func (k Keys) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, key := range k {
		if i > 0 {
			b = append(b, ',')
		}
		for j, s := range []string{string(key.Name), key.Value} {
			text, err := marshal(s)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b = append(b, ':')
			}
			b = append(b, text...)
		}
	}
	return append(b, '}'), nil
}

// UnmarshalJSON reads an object of strings and keeps its order.
func (k *Keys) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("keys are no object: %s", data)
	}
	*k = nil
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value string
		if err := d.Decode(&value); err != nil {
			return err
		}
		*k = append(*k, Key{KeyName(name.(string)), value})
	}
	return nil
}
