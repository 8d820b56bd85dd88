package model

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/linear"
	"cutmix-eval/models"
	"cutmix-eval/runtime/ortest"

	"github.com/google/go-cmp/cmp"
)

// parenthesis is the fingerprint of a head.
var parenthesis = regexp.MustCompile(` \([0-9a-f]+\)`)

// edit is an edit that a test makes.
type edit struct {
	name  string
	apply func(*Model) (*Model, error)
}

func enlargeBy(times int) edit {
	return edit{fmt.Sprintf("enlarge %d", times), func(m *Model) (*Model, error) { return m.Enlarge(times) }}
}

var free = edit{"free", func(m *Model) (*Model, error) {
	f, ok, err := m.FreeBatch()
	if err == nil && !ok {
		err = fmt.Errorf("its batch is open")
	}
	return f, err
}}

// tap makes the feature map an output.
var tap = edit{"tap", func(m *Model) (*Model, error) {
	h, err := m.Head()
	if err != nil {
		return nil, err
	}
	return m.Tap(h.FeatureMap)
}}

// head puts in a head of 3 classes with a hidden layer of 5.
var head = edit{"head", func(m *Model) (*Model, error) {
	h, err := m.Head()
	if err != nil {
		return nil, err
	}
	layer := func(in, out int) linear.Layer {
		l := linear.Layer{In: in, Out: out, Weight: make([]float32, in*out), Bias: make([]float32, out)}
		for i := range l.Weight {
			l.Weight[i] = float32(i%7-3) / 8
		}
		for i := range l.Bias {
			l.Bias[i] = float32(i) / 4
		}
		return l
	}
	return m.ReplaceHead(h, []linear.Layer{layer(h.Features, 5), layer(5, 3)}, []string{"a", "b", "c"}, nil)
}}

func apply(t *testing.T, m *Model, edits []edit) *Model {
	t.Helper()
	for _, e := range edits {
		var err error
		if m, err = e.apply(m); err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
	}
	return m
}

// Edits made in any order give the same numbers, and leave the model they are made on
// as it is.
func TestEditsCompose(t *testing.T) {
	ortest.Load(t)
	for _, c := range []struct {
		model  string
		orders [][]edit
		batch  int    // of the edited model
		words  string // of the edits that change scores, without their fingerprints
	}{
		{"resnet-fixed", [][]edit{{enlargeBy(1), free}, {free, enlargeBy(1)}}, 0, "enlarge 1"},
		{"resnet-fixed", [][]edit{
			{enlargeBy(1), free, tap}, {enlargeBy(1), tap, free}, {free, tap, enlargeBy(1)}, {tap, enlargeBy(1), free},
		}, 0, "enlarge 1"},
		{"resnet-fixed", [][]edit{{head, free}, {free, head}, {tap, head, free}}, 0, "head of 3 classes"},
		{"resnet-fixed", [][]edit{{head, tap}, {tap, head}}, 2, "head of 3 classes"},
		{"resnet", [][]edit{{head, tap}, {tap, head}}, 0, "head of 3 classes"},
		{"resnet", [][]edit{{head, enlargeBy(1)}, {head, tap, enlargeBy(1)}}, 0, "head of 3 classes, enlarge 1"},
		{"resnet", [][]edit{{enlargeBy(1), head}, {enlargeBy(1), tap, head}}, 0, "enlarge 1, head of 3 classes"},
		{"scenes-base", [][]edit{{enlargeBy(2), tap}, {enlargeBy(1), enlargeBy(1), tap}, {tap, enlargeBy(2)}}, 0, ""},
	} {
		var want [][][]float32
		var wantMap []int64
		for i, order := range c.orders {
			var names []string
			for _, e := range order {
				names = append(names, e.name)
			}
			t.Run(c.model+": "+strings.Join(names, ", "), func(t *testing.T) {
				m := openTest(t, c.model)
				before := slices.Clone(m.Data())
				e := apply(t, m, order)
				if !bytes.Equal(before, m.Data()) || m.Edits() != "" {
					t.Error("the model that was edited is another one")
				}
				if e.SHA256 != m.SHA256 || e.Batch != c.batch {
					t.Errorf("sha256 %.8s, batch %d; want %.8s, %d", e.SHA256, e.Batch, m.SHA256, c.batch)
				}
				if words := parenthesis.ReplaceAllString(e.Edits(), ""); c.words != "" && words != c.words {
					t.Errorf("edits %q, want %q", words, c.words)
				}
				if d := cmp.Diff(facts(m), facts(openTest(t, c.model))); d != "" {
					t.Errorf("facts of the model that was edited (-want +got):\n%s", d)
				}
				// The edits in memory and those of the file are the same model.
				again, err := FromBytes(e.Name, e.Data(), e.Output)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(facts(e), facts(again)); d != "" {
					t.Errorf("edited in memory and read from the file (-memory +file):\n%s", d)
				}
				h, err := e.Head()
				if err != nil {
					t.Fatal(err)
				}
				s, got := run(t, e, 4, 6, e.Logits, h.FeatureMap)
				if i == 0 {
					want, wantMap = got, s.Outputs[1].Shape
					return
				}
				if d := cmp.Diff(wantMap, s.Outputs[1].Shape); d != "" {
					t.Errorf("map (-want +got):\n%s", d)
				}
				for k := range want {
					for n := range want[k] {
						for j, v := range want[k][n] {
							// The graphs compute the same operations in the same order.
							if w := got[k][n][j]; math.Float32bits(v) != math.Float32bits(w) {
								t.Fatalf("tensor %d of image %d: value %d is %v, want %v", k, n, j, w, v)
							}
						}
					}
				}
			})
		}
	}
}

// facts are what a model says of itself, in words that go-cmp can compare.
func facts(m *Model) map[string]any {
	return map[string]any{
		"input": m.Input, "type": m.InputType, "layout": m.Layout, "size": [2]int{m.H, m.W}, "batch": m.Batch,
		"output": m.Output, "logits": m.Logits, "activation": m.Activation, "classes": m.Classes, "names": m.ClassNames,
		"meta": m.file.Meta, "outputs": onnx.Names(m.file.Graph.Outputs), "inputs": onnx.Names(m.file.Graph.Inputs),
		"nodes": len(m.file.Graph.Nodes), "weights": len(m.file.Graph.Initializers),
	}
}

func openTest(t *testing.T, name string) *Model {
	t.Helper()
	if data, ok := models.Bytes(name); ok {
		m, err := FromBytes(name, data, "")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, err := Open("testdata/heads/"+name+".onnx", "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A file is read once and parsed once, whatever is asked of the model; a replaced head is
// parsed once more, for what is written must be read back.
func TestReadAndParsedOnce(t *testing.T) {
	reads, parses := onnx.Counts()
	count := func(wantReads, wantParses int64) {
		t.Helper()
		r, p := onnx.Counts()
		if r-reads != wantReads || p-parses != wantParses {
			t.Errorf("%d reads and %d parses, want %d and %d", r-reads, p-parses, wantReads, wantParses)
		}
	}
	m := openTest(t, "resnet-fixed")
	count(1, 1)
	first, err := m.Head()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.Head(); err != nil || again != first {
		t.Errorf("the head was looked for again: %v", err)
	}
	e := apply(t, m, []edit{enlargeBy(1), free, tap})
	_, _ = e.Data(), e.File()
	if _, err := e.Head(); err != nil {
		t.Fatal(err)
	}
	count(1, 1)
	_, _ = apply(t, m, []edit{head}).Data(), m.Data()
	count(1, 2)
}

func TestTap(t *testing.T) {
	m := openTest(t, "resnet")
	if _, err := m.Tap("nothing"); err == nil || !strings.Contains(err.Error(), `model "resnet": it has no tensor "nothing"`) {
		t.Errorf("%v", err)
	}
	e, err := m.Tap(m.Logits)
	if err != nil || onnx.Names(e.file.Graph.Outputs) != onnx.Names(m.file.Graph.Outputs) {
		t.Errorf("an output that is there: %v", err)
	}
}
