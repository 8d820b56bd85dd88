package finetune

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/npy"
	"cutmix-eval/results"
)

func key() results.Key {
	return results.Key{Task: Name, Model: results.Model{SHA256: "ab", Output: "logits"}, Config: struct{}{}}
}

// TestSplit: shares by class, at least one that trains, equal content on one side, the same
// for a seed.
func TestSplit(t *testing.T) {
	var class []int
	var content []int64
	add := func(c, n int, of func(i int) int64) {
		for i := range n {
			class, content = append(class, c), append(content, of(i))
		}
	}
	next := int64(0)
	fresh := func(int) int64 { next++; return next }
	add(0, 100, fresh)
	add(1, 10, fresh)
	add(2, 1, fresh)
	add(3, 3, func(int) int64 { return -1 })                  // one picture, three times
	add(4, 40, func(i int) int64 { return -10 - int64(i/2) }) // every picture twice
	class, content = append(class, 1), append(content, 1)     // a picture of class 0, labelled 1, too
	train, held := split(class, content, 0.8, 7)
	if again, _ := split(class, content, 0.8, 7); !slices.Equal(train, again) {
		t.Error("the same seed gives another split")
	}
	if other, _ := split(class, content, 0.8, 8); slices.Equal(train, other) {
		t.Error("another seed gives the same split")
	}
	if all := append(slices.Clone(train), held...); len(all) != len(class) || len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(class) || !slices.IsSorted(train) || !slices.IsSorted(held) {
		t.Fatalf("%d and %d of %d", len(train), len(held), len(class))
	}
	side := map[int64]bool{}
	count := [5]int{}
	for _, i := range train {
		side[content[i]] = true
		count[class[i]]++
	}
	for _, i := range held {
		if side[content[i]] {
			t.Errorf("content %d is on both sides", content[i])
		}
	}
	if count[0] != 80 && count[0] != 81 || count[1] < 8 || count[1] > 9 || count[2] != 1 || count[3] != 3 || count[4] != 32 {
		t.Errorf("%v of the classes train", count)
	}
	if train, held := split([]int{0, 1}, []int64{1, 2}, 0.8, 0); len(train) != 2 || len(held) != 0 {
		t.Errorf("one image a class: %v, %v", train, held)
	}
}

// TestCheckpoint: what is wrong with one is said, with what to do.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	if s, err := load(dir, key(), 3); err != nil || len(s.history) != 0 {
		t.Fatalf("without one: %+v, %v", s, err)
	}
	want := state{history: []Epoch{{Epoch: 1, Best: true}}, at: []float64{1, 2, 3}, best: []float64{4, 5, 6}, optimizer: [][]float64{{1}, {7, 8, 9}, nil}}
	if err := save(dir, key(), want); err != nil {
		t.Fatal(err)
	}
	s, err := load(dir, key(), 3)
	if err != nil || !slices.Equal(s.at, want.at) || !slices.Equal(s.best, want.best) || len(s.optimizer) != 3 || s.optimizer[2] != nil || !slices.Equal(s.optimizer[1], want.optimizer[1]) {
		t.Fatalf("%+v, %v", s, err)
	}
	other := key()
	other.Model.SHA256 = "cd"
	if _, err := load(dir, other, 3); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("another model's: %v", err)
	}
	if _, err := load(dir, key(), 4); err == nil || !strings.Contains(err.Error(), "not 4") {
		t.Errorf("other parameters: %v", err)
	}
	if _, err := load(dir, other, 4); err == nil || !strings.Contains(err.Error(), "another one") {
		t.Errorf("another model's with other parameters: %v", err)
	}
	for name, bad := range map[string]state{
		"best epoch": {history: []Epoch{{Epoch: 1}}, at: want.at, best: want.best, optimizer: want.optimizer},
		"finite":     {history: want.history, at: want.at, best: want.best, optimizer: [][]float64{{math.NaN()}}},
	} {
		other := t.TempDir()
		if err := save(other, key(), bad); err != nil {
			t.Fatal(err)
		}
		if _, err := load(other, key(), 3); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(dir, checkpointName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(dir, key(), 3); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("half a file: %v", err)
	}
}

// TestEarlierVersion: what an earlier version wrote, whose keys had other names, is refused in a sentence.
func TestEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := (npy.Archive{Texts: map[string][]byte{textName: []byte(`{"version": 1, "history": [{"epoch": 1, "rate": 0.1, "best": true}]}`)}}).Write(&b); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{checkpointName: b.Bytes(), searchName: []byte(`{"key": {}, "trials": [{"lr": 0.1}]}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := load(dir, key(), 3)
	if err == nil || !strings.Contains(err.Error(), "of version 1, and this program reads 2") {
		t.Errorf("checkpoint: %v", err)
	}
	tu := &tuning{options: Options{Dir: dir}, key: key()}
	if _, err := tu.loadSearch(); err == nil || !strings.Contains(err.Error(), "this program reads 2; begin anew with --restart") {
		t.Errorf("search: %v", err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	dir := f.TempDir()
	for _, s := range []state{
		{history: []Epoch{{Epoch: 1, Best: true}}, at: []float64{1, 2, 3}, best: []float64{4, 5, 6}, optimizer: [][]float64{{7, 8, 9}}},
		{history: []Epoch{{Epoch: 1, Best: true}}, at: []float64{1}, best: []float64{4}, optimizer: [][]float64{{1}, {}, {}}},
	} {
		if err := save(dir, key(), s); err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, checkpointName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	var b bytes.Buffer
	if err := (npy.Archive{Texts: map[string][]byte{textName: []byte(`{"version":1}`)}}).Write(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		_, s, err := parseCheckpoint(bytes.NewReader(data), int64(len(data)), 3)
		if err == nil && (len(s.at) != 3 || len(s.best) != 3 || len(s.history) == 0) {
			t.Errorf("%+v", s)
		}
	})
}

// TestSuiteFile: what a suite must have.
func TestSuiteFile(t *testing.T) {
	good := `{"models": [{"name": "a", "model": "a.onnx"}, {"name": "b b", "model": "b.onnx", "output": "y", "recipe": "imagenet"}], "data": [{"name": "x", "train": "x"}, {"name": "y", "train": "y", "val": "v", "test": "t", "labels": "l.csv", "limit": 100}]}`
	s, err := parseSuite([]byte(good))
	if err != nil || len(s.Models) != 2 || s.Models[1].Output != "y" || s.Data[1].Limit != 100 || s.Data[1].Labels != "l.csv" {
		t.Fatalf("%+v, %v", s, err)
	}
	for bad, want := range map[string]string{
		``:                                       "not JSON",
		`{}`:                                     "no models or no data",
		good + "{}":                              "behind the end",
		strings.Replace(good, `"b b"`, `"a"`, 1): "twice",
		strings.Replace(good, `"b b"`, `"A"`, 1): "twice",
		strings.Replace(good, `"b b"`, `"../b"`, 1):             "letters",
		strings.Replace(good, `"b.onnx"`, `""`, 1):              "no file",
		strings.Replace(good, `"train": "y"`, `"train": ""`, 1): "no training images",
		strings.Replace(good, `100`, `-1`, 1):                   "limit",
		strings.Replace(good, `"test"`, `"tset"`, 1):            "tset",
	} {
		if _, err := parseSuite([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", bad, err, want)
		}
	}
	if _, err := ReadSuite(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func FuzzSuite(f *testing.F) {
	f.Add([]byte(`{"models": [{"name": "a", "model": "a.onnx"}], "data": [{"name": "x", "train": "x", "limit": 3}]}`))
	f.Add([]byte(`{"models": [{"name": "..", "model": "a"}], "data": [{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSuite(data)
		if err != nil {
			return
		}
		for _, m := range s.Models {
			if name := "d-" + m.Name + ".onnx"; filepath.Base(name) != name {
				t.Errorf("the name %q leaves the folder", m.Name)
			}
		}
	})
}

// TestConfigValidate: what makes no sense is said.
func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for want, edit := range map[string]func(*Config){
		"alpha":            func(c *Config) { c.Mix.Alpha = 0 },
		"mixing \"x\"":     func(c *Config) { c.Mix.Method = "x" },
		"probability":      func(c *Config) { c.Mix.Prob = nan },
		"boxes":            func(c *Config) { c.Mix.Box = "round" },
		"mixed images":     func(c *Config) { c.Mix.Labels = "some" },
		"cut-out":          func(c *Config) { c.Mix.Length = 2 },
		"flip":             func(c *Config) { c.Augment.Flip = -1 },
		"of the area":      func(c *Config) { c.Augment.Scale = [2]float64{0.9, 0.5} },
		"as wide as high":  func(c *Config) { c.Augment.Ratio = [2]float64{0, 1} },
		"hidden layer":     func(c *Config) { c.Hidden = -1 },
		"dropout":          func(c *Config) { c.Dropout = 1 },
		"epochs":           func(c *Config) { c.Epochs = 0 },
		"optimizer":        func(c *Config) { c.Optimizer = "lamb" },
		"learning rate":    func(c *Config) { c.Rate = nan },
		"smoothing":        func(c *Config) { c.Smoothing = 1 },
		"patience":         func(c *Config) { c.Patience = -1 },
		"--mix none":       func(c *Config) { c.Optimizer = LBFGSName },
		"one linear layer": func(c *Config) { c.Optimizer, c.Mix.Method, c.Hidden = LBFGSName, None, 3 },
		"no hidden layer":  func(c *Config) { c.Keep, c.Hidden = true, 3 },
		"--select last":    func(c *Config) { c.Patience, c.Last = 1, true },
		"schedule":         func(c *Config) { c.Schedule.Kind = "poly" },
		"warm-up":          func(c *Config) { c.Schedule.Warmup = 1 },
		"training share":   func(c *Config) { c.Split = 1 },
		"neighbours":       func(c *Config) { c.Neighbours = 0 },
		"weight decay":     func(c *Config) { c.Probe = -1 },
		"bins":             func(c *Config) { c.Bins = 1 },
		"replicates":       func(c *Config) { c.Replicates = 10 },
		"several labels":   func(c *Config) { c.Multi, c.Keep = "x", true },
		"no one-hot":       func(c *Config) { c.Multi, c.Mix.Labels = "x", "one-hot" },
	} {
		c := DefaultConfig()
		edit(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
