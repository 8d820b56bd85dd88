package strict

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

type inside struct {
	Rate float64 `json:"rate"`
}

type file struct {
	N     int      `json:"n"`
	Names []string `json:"names"`
	On    bool     `json:"on,omitempty"`
	In    inside   `json:"in"`
	Own   string   `json:"-"`
}

func TestWhole(t *testing.T) {
	for text, want := range map[string]string{
		`{"n": 1, "names": ["a"], "in": {"rate": 0.5}}`:           "",
		`{"n": 1, "names": [], "on": true, "in": {"rate": 1e-3}}`: "",
		`{"n": 1, "names": [], "in": {}}`:                         `its key "in.rate" is missing`,
		`{"n": null, "names": [], "in": {"rate": 1}}`:             `its key "n" is null`,
		`{"n": 1, "names": [], "in": {"rate": 1}, "nn": 2}`:       `its key "nn" is unknown`,
		`{"n": 1, "names": [], "in": {"rate": 1}} {}`:             "something behind the end",
		`{"n": "one", "names": [], "in": {"rate": 1}}`:            `its key "n" is text where a whole number belongs`,
		`{"n": 1.5, "names": [], "in": {"rate": 1}}`:              `its key "n" is a number with a fraction, or out of range where a whole number belongs`,
		`{"n": 1, "names": {}, "in": {"rate": 1}}`:                `its key "names" is an object where a list belongs`,
		`{"n": 1, "names": [], "in": {"rate": []}}`:               `its key "in.rate" is a list where a number belongs`,
		`[1]`:        "its JSON is a list where an object belongs (before byte 1)",
		`{"n": 1,,}`: "it is not JSON: invalid character ',' looking for beginning of object key string (at byte 9)",
		`{"n": 1`:    "it is not JSON: it ends too early",
		``:           "it is not JSON: it ends too early",
		`{"` + strings.Repeat("x", 1<<20) + `": 1}`: "xxx... (1048578 bytes) is unknown",
	} {
		var f file
		err := Whole([]byte(text), &f)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %.300v, want %q", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "json:") || strings.Contains(err.Error(), "Go ") || len(err.Error()) > 400) {
			t.Errorf("%.80s: raw: %.300v", text, err)
		}
	}
}

// refusing is a value that is written as no JSON.
type refusing struct{}

func (refusing) MarshalJSON() ([]byte, error) { return nil, errRefused }

var errRefused = errors.New("refused")

// TestExplainMarshal: that a value was being written is not said.
func TestExplainMarshal(t *testing.T) {
	_, err := json.Marshal(refusing{})
	if err = Explain(err); err == nil || strings.Contains(err.Error(), "MarshalJSON") {
		t.Error(err)
	}
	_, err = json.Marshal(map[string]any{"x": math.NaN()})
	if err = Explain(err); err == nil || err.Error() != "a number is NaN, which JSON cannot hold" {
		t.Error(err)
	}
	if Explain(nil) != nil {
		t.Error("no error became one")
	}
}
