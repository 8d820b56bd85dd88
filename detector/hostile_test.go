package detector

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"cutmix-eval/internal/npy"
	"cutmix-eval/scores"

	"gonum.org/v1/gonum/mat"
)

// knn is a detector with a state, its text as JSON values, and how to make a file of a text.
func knn(t *testing.T) (d *Detector, text map[string]any, file func(text any) []byte) {
	t.Helper()
	_, g := madeUp(3, 24)
	score, err := scores.Parse("knn_K3")
	if err != nil {
		t.Fatal(err)
	}
	d = detectorOf(t, score, g)
	d.FormatVersion = version
	data, err := json.Marshal(d)
	if err == nil {
		err = json.Unmarshal(data, &text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d, text, func(text any) []byte {
		data, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := d.archive(data).Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
}

// TestNothingMissing: a detector of which any field is missing or null is refused by the
// field's name, and one with more fields, too: nothing is taken as 0.
func TestNothingMissing(t *testing.T) {
	_, text, file := knn(t)
	if _, err := parse(bytes.NewReader(file(text)), int64(len(file(text)))); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, want ...string) {
		t.Helper()
		data := file(text)
		_, err := parse(bytes.NewReader(data), int64(len(data)))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "json") && !strings.Contains(err.Error(), textName) {
				t.Errorf("%s: %v, want %q", what, err, w)
			}
		}
	}
	var walk func(in map[string]any, at string)
	walk = func(in map[string]any, at string) {
		for key, v := range in {
			if inside, ok := v.(map[string]any); ok {
				walk(inside, at+key+".")
			}
			if key == "color" { // older versions have bgr in its place
				continue
			}
			delete(in, key)
			refused(at+key+" missing", `"`+strings.TrimPrefix(at, "recipe.")+key+`" is missing`)
			in[key] = nil
			refused(at+key+" null", `"`+strings.TrimPrefix(at, "recipe.")+key+`" is null`)
			in[key] = v
		}
		in["treshold"] = 3
		refused(at+"unknown", `"treshold" is unknown`)
		delete(in, "treshold")
	}
	walk(text, "")
	recipe := text["recipe"].(map[string]any)
	for _, mean := range []any{[]any{0.5, nil, 0.5}, []any{0.5}, []any{1, 2, 3, 4}, "x"} {
		old := recipe["mean"]
		recipe["mean"] = mean
		refused("mean", "is not three numbers")
		recipe["mean"] = old
	}
	for key, v := range map[string]any{"threshold": "high", "classes": 1.5, "features": strings.Repeat("9", 1000)} {
		old := text[key]
		text[key] = v
		refused(key, `its key "`+key+`" is`)
		text[key] = old
	}
	for key, want := range map[string]string{"classes": "number of classes is -1", "features": "number of features is -1", "format_version": "it is of format -1"} {
		old := text[key]
		text[key] = -1
		refused(key, want)
		text[key] = old
	}
}

// TestBounded: what does not belong to a detector is not unpacked, and arrays have the size that
// the text says.
func TestBounded(t *testing.T) {
	d, text, file := knn(t)
	zeros := make([]byte, 1<<20)
	with := func(name string, head []byte, mib int) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		in, err := zip.NewReader(bytes.NewReader(file(text)), int64(len(file(text))))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range in.File {
			if f.Name == name {
				continue
			}
			if err := z.Copy(f); err != nil {
				t.Fatal(err)
			}
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(head)
		}
		for range mib {
			if err == nil {
				_, err = w.Write(zeros)
			}
		}
		if err == nil {
			err = z.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	const mib = 40
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"another member":   {with("junk.txt", nil, mib), `it holds "junk.txt", which is no part of a detector`},
		"another array":    {with("state/mean.npy", npy.Header("f8", mib, 1<<17), mib), `"state/mean.npy", which is no part`},
		"a wide array":     {with("state/bank.npy", npy.Header("f8", mib, 1<<17), mib), "state/bank.npy: its shape [40 131072] does not fit"},
		"a flat array":     {with("state/bank.npy", npy.Header("f8", mib<<17), mib), "state/bank.npy: its shape [5242880] does not fit"},
		"a long text":      {with(textName, nil, mib), "detector.json is too large"},
		"no array":         {with("state/bank.npy", nil, mib), "state/bank.npy: it is not a .npy file"},
		"rows without end": {with("state/bank.npy", npy.Header("f8", 1<<21, 24), 0), "state/bank.npy: it has 0 bytes of values"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parse(bytes.NewReader(c.file), int64(len(c.file)))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
			t.Errorf("%s: %d bytes were made for it", what, n)
		}
	}
	d.State["bank"] = mat.NewDense(1, 24, nil) // one row where three are looked at
	back, err := parse(bytes.NewReader(file(text)), int64(len(file(text))))
	if err != nil {
		t.Fatal(err)
	}
	h, _ := madeUp(3, 24)
	if _, err := back.Fit(h); err == nil {
		t.Error("one row is enough for three neighbours")
	}
}

// TestDetectorIsFile: what is no file is refused at once.
func TestDetectorIsFile(t *testing.T) {
	for path, want := range map[string]string{t.TempDir(): "not a regular file", "/dev/null": "not a regular file"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("of no file: %v", err)
	}
}
