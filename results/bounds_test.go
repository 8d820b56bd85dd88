package results

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEditedManifest: numbers and names that no run has are refused by what they say, before
// anything is made of them.
func TestEditedManifest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := fill(t, create(t, dir, manifest(), nil), upTo(samples)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, manifestName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	array := func(name string, width int) func(m map[string]any) {
		return func(m map[string]any) { m["arrays"] = []any{map[string]any{"name": name, "width": width}} }
	}
	set := func(v any, keys ...string) func(m map[string]any) {
		return func(m map[string]any) {
			for _, k := range keys[:len(keys)-1] {
				m = m[k].(map[string]any)
			}
			m[keys[len(keys)-1]] = v
		}
	}
	for name, c := range map[string]struct {
		edit func(map[string]any)
		want string
	}{
		"many images":     {set(1<<40, "key", "data", "n"), "says that there are 1099511627776 images"},
		"large parts":     {set(1<<40, "key", "part_size"), "a part has 1099511627776 images"},
		"no images":       {set(nil, "key", "data", "n"), "lacks task, data or part size"},
		"a text":          {set("many", "key", "data", "n"), `its key "key.data.n" is text where a whole number belongs`},
		"beyond integers": {set(json.Number("99999999999999999999"), "key", "part_size"), "out of range where a whole number belongs"},
		"many outputs":    {set(1<<40, "outputs"), "there are 1099511627776 outputs, and 3 logits"},
		"minus outputs":   {set(-1, "outputs"), "has -1 outputs"},
		"wide":            {array("features", 1<<40), "its array features has 1099511627776 values per image"},
		"no width":        {array("features", 0), "its array features has 0 values per image"},
		"elsewhere":       {array("../../secret", 3), `names an array "../../secret"`},
		"no name":         {array("", 3), `names an array ""`},
		"a long name":     {array(strings.Repeat("X", 1<<20), 3), `XXX... (1048576 bytes)`},
		"other logits":    {func(m map[string]any) { array("logits", 3)(m); m["outputs"] = 4 }, "there are 4 outputs, and 3 logits per image"},
	} {
		var m map[string]any
		if err := json.Unmarshal(good, &m); err != nil {
			t.Fatal(err)
		}
		c.edit(m)
		text, err := json.Marshal(m)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), manifestName) || len(err.Error()) > 600 {
			t.Errorf("%s: %.600v, want %q", name, err, c.want)
		}
	}
}

// TestManyShares: the name of a lock does not make the program count to it.
func TestManyShares(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := fill(t, create(t, dir, manifest(), nil), upTo(3)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, locksName, "shard-0-of-1099511627776"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(); err == nil || !strings.Contains(err.Error(), "parts ") {
		t.Errorf("%v", err)
	}
	if _, err := ParseShard("0/1099511627776", nil); err == nil || !strings.Contains(err.Error(), "one of more than 65536") {
		t.Errorf("%v", err)
	}
}
