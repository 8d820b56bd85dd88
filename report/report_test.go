package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/imageproc"
	"cutmix-eval/metrics"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example has everything a report can have.
func example() *Report {
	iv := metrics.Interval{Low: 0.8, High: 0.9, Level: 0.95, Method: "Wilson"}
	r := &Report{
		Head: Head{
			Task: "classify",
			Tool: Tool{Name: "cutmix-eval", Version: "1.2.3"},
			Model: Model{
				Name: "net", Path: "net.onnx", SHA256: strings.Repeat("ab", 32), Bytes: 10, Classes: 3, Output: "z", Activation: "Softmax",
				Training: "cutmix, beta 1",
			},
			Dataset: Dataset{
				Name: "data", Path: "/data", Format: "folders", Recognised: "folder: 3 class folders", N: 12345, Bad: 2, Classes: 3,
				Labels: "in order", Fingerprint: "f00", Notes: []string{"a note"},
			},
			Preprocessing: Preprocessing{
				Recipe: imageproc.Standard(), Summary: "resize 8", Source: "flags", Decoder: "built-in", Fingerprint: "beef",
			},
			Runtime: Runtime{
				ORT: "1.30.0", Device: "cuda", Threads: 2, Workers: 3, Batch: 4, Placement: map[string]int{"CUDAExecutionProvider": 7},
				PlacementText: ", 7 nodes on CUDA", FixedBatch: "fixed at 1",
			},
			Config:  Config{Seed: 7, Split: "val", Task: map[string]any{"bins": 15.0}},
			Options: "limit 12345",
			Published: []Number{
				{Name: "top1", At: Keys{KeyDataset.Is("ImageNet"), KeySource.Is("a paper")}, Value: 0.9, Unit: Fraction, Better: Higher},
			},
		},
		Timing:    &Timing{Wall: 2, ImagesPerSecond: 6172, Model: 1.5, ModelWaiting: 0.1},
		BadImages: []BadImage{{"x/1.png", "broken"}, {"x/2.png", "empty, \"really\""}},
		Histograms: []Histogram{{
			At: Keys{KeySet.Is("near"), KeyScore.Is("msp")}, Low: 1, High: 2,
			Parts: []Population{{Name: "id", Counts: []int{3, 4}, Below: 1}},
		}},
	}
	r.AddMain(Number{Name: "top1", Value: 0.85, Unit: Fraction, N: 12345, Interval: &iv, Better: Higher})
	r.AddMain(Number{Name: "nll", Value: 0.5, Unit: Nats, N: 12345, Better: Lower, Note: "nats"})
	r.AddMain(Number{Name: "other", Value: 3, N: 99, Interval: &metrics.Interval{Low: 2, High: 4, Level: 0.95, Method: "bootstrap"}})
	r.AddMain(Share("top1", 30, 40, Higher, KeySet.Is("near")))
	list := List{By: KeyClass}
	for i := range 25 { // more than text shows
		list.Numbers = append(list.Numbers, r.Add(Share("top1", i, 30, Higher, KeyClass.Is(fmt.Sprintf("class %02d", i)))))
	}
	a := r.Add(Share("error", 1, 4, Lower, KeyCorruption.Is("fog")))
	d := r.Add(Number{
		Name: "error_difference", At: Keys{KeyCorruption.Is("fog"), KeyRun.Is("b")}, Value: -0.125, Unit: Fraction, N: 4, Better: Lower,
		Interval: &metrics.Interval{Low: -0.25, High: -0.00001, Level: 0.95, Method: "paired bootstrap"},
		Test:     &Test{Name: "McNemar, exact", P: 0.02},
	})
	Holm(a, d, nil)
	r.Show(list)
	r.ShowPublished()
	r.Show(
		View{Title: "a view", Columns: []string{"", "error", "", "difference", "p"}, Rows: [][]Cell{
			Row(Word("fog"), a.Bare(), a.Range(), d.Difference().Marked(" *"), d.PValue()),
			{},
			Row(Word("猫 ねこ, wide"), a.Full(), Cell{}, d.Points(), a.PValue()),
		}},
		Table{
			Name: "confused", Title: "most confused",
			Columns: []Column{{"class", ""}, {"taken_for", "taken for"}, {"n", "images"}, {"share", "share"}},
			Rows: [][]Cell{
				Row(Word("a|b"), Word("<c>"), Int(3), Plain(0.25, Fraction).Full()),
				Row(Word("line\nbreak"), Cell{}, Int(0), Plain(1e-7, None).General()),
			},
		},
		Table{Name: "aside", Title: "not in text", Columns: Columns("x"), Rows: [][]Cell{Row(Word("y"))}, Aside: true},
		Prose{[]string{"A sentence.", "Another one."}},
	)
	r.Warn("a warning")
	return r
}

func TestGolden(t *testing.T) {
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) {
			var b bytes.Buffer
			if err := example().Write(&b, f); err != nil {
				t.Fatal(err)
			}
			golden(t, "report."+string(f), b.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; go test ./report -update writes it anew):\n%s", name, diff)
	}
}

// What is written as JSON is read back the same, but for what only people see.
func TestJSONRoundTrip(t *testing.T) {
	var b bytes.Buffer
	if err := example().Write(&b, JSON); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := example()
	want.Runtime.PlacementText, want.Main, want.Sections = "", nil, []Section{
		Table{Name: "confused", Title: "most confused", Columns: Columns("class", "taken_for", "n", "share"), Rows: [][]Cell{
			Row(Word("a|b"), Word("<c>"), Plain(3, None).General(), Plain(0.25, None).General()),
			Row(Word("line\nbreak"), Cell{}, Plain(0, None).General(), Plain(1e-7, None).General()),
		}},
		Table{Name: "aside", Title: "not in text", Columns: Columns("x"), Rows: [][]Cell{Row(Word("y"))}},
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"schema_version": 1}`), &got); err == nil {
		t.Error("a report of version 1 is read")
	}
}

// A head that was kept by the first version of reports is read.
func TestOldHead(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "report-v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Head
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := Head{
		Tool: Tool{Name: "cutmix-eval", Version: "0.1.0-dev"},
		Model: Model{
			Name: "scenes-cutmix", SHA256: "350205a2ea92", Bytes: 703390, Classes: 10, Output: "logits", Training: "cutmix, beta 1",
		},
		Dataset: Dataset{
			Name: "scenes:test", Path: "scenes", Format: "scenes", Recognised: "the embedded scenes, test split", Classes: 10,
			Labels: "in order", Fingerprint: "cc6c",
		},
		Preprocessing: Preprocessing{
			Recipe: imageproc.Standard(), Summary: "resize 256", Source: "models.lock", Decoder: "built-in", Fingerprint: "fc84",
		},
		Config:  Config{Limit: 20, Seed: 3, Task: map[string]any{"bins": 15.0}},
		Options: "limit 20 (seed 3)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNotFinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	fog := KeyCorruption.Is("fog")
	for _, c := range []struct {
		name    string
		add     Number
		want    *Number // nil: left out
		warning string
	}{
		{"value", Number{Name: "nll", At: Keys{fog}, Value: nan}, nil, "nll fog is not finite (NaN) and is left out"},
		{
			"interval", Number{Name: "temperature", Value: 3, Interval: &metrics.Interval{Low: 0.25, High: inf}},
			&Number{Name: "temperature", Value: 3, Better: Neither}, "the interval of temperature is not finite (0.25 to +Inf) and is left out",
		},
		{
			"p-value", Number{Name: "top1_difference", Value: 3, Better: Higher, Test: &Test{P: nan}},
			&Number{Name: "top1_difference", Value: 3, Better: Higher}, "the p-value of top1_difference is not finite and is left out",
		},
		{"share of nothing", Share("top1", 0, 0, Higher), nil, "top1 is not finite (NaN) and is left out"},
		{
			"adjusted p-value", Number{Name: "d", Value: 3, Test: &Test{P: 0.5}},
			&Number{Name: "d", Value: 3, Better: Neither, Test: &Test{P: 0.5, PAdjusted: 0.5}}, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Report{}
			got := r.AddMain(c.add)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			want := &Report{}
			if c.want != nil {
				want.Numbers, want.Main = []*Number{c.want}, []*Number{c.want}
			}
			if c.warning != "" {
				want.Warnings = []string{c.warning}
			}
			if diff := cmp.Diff(want, r); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, f := range Formats() { // a finished run never loses its report
				if err := r.Write(&bytes.Buffer{}, f); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
		})
	}
}

func TestUnknownKey(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(&Report{}).Add(Number{Name: "top1", At: Keys{KeyName("colour").Is("red")}})
}

func TestFind(t *testing.T) {
	r := &Report{}
	near, msp := KeySet.Is("near"), KeyScore.Is("msp")
	whole := r.Add(Number{Name: "auroc", Value: 1})
	both := r.Add(Number{Name: "auroc", At: Keys{near, msp}, Value: 2})
	for _, c := range []struct {
		name string
		at   Keys
		want *Number
	}{
		{"auroc", nil, whole}, {"auroc", Keys{msp, near}, both}, {"auroc", Keys{near}, nil}, {"auroc", Keys{near, near}, nil}, {"aupr", nil, nil},
	} {
		if got := r.Find(c.name, c.at...); got != c.want {
			t.Errorf("%s %v: %v, want %v", c.name, c.at, got, c.want)
		}
	}
}

func TestHolm(t *testing.T) {
	a, b := &Number{Test: &Test{P: 0.02}}, &Number{Test: &Test{P: 0.04}}
	Holm(a, nil, &Number{}, b)
	if a.Test.PAdjusted != 0.04 || b.Test.PAdjusted != 0.04 || !a.Test.Shown() || (*Test)(nil).Shown() {
		t.Errorf("%v, %v", a.Test, b.Test)
	}
}

func TestCells(t *testing.T) {
	share := &Number{
		Value: 0.9163, Unit: Fraction, N: 2000, Interval: &metrics.Interval{Low: -0.00001, High: 0.9274},
		Test: &Test{P: 0.00012, PAdjusted: 0.00024},
	}
	minus, nothing, tiny := &Number{Value: -0.0133, Unit: Fraction}, &Number{Value: -0.00004, Unit: Fraction}, &Number{Value: 0.00004}
	for name, c := range map[string]struct {
		cell  Cell
		want  string
		exact any
	}{
		"full":                       {share.Full(), "91.63 %", 0.9163},
		"bare":                       {share.Bare(), "91.63", 0.9163},
		"range":                      {share.Range(), "0.00 to 92.74", [2]float64{-0.00001, 0.9274}},
		"no range":                   {minus.Range(), "", nil},
		"signed":                     {share.Signed(), "+91.63", 0.9163},
		"points":                     {minus.Points(), "-1.33 points", -0.0133},
		"difference":                 {share.Difference().Marked(" *"), "+91.63 (0.00 to 92.74) *", 0.9163},
		"difference without a range": {minus.Difference(), "-1.33", -0.0133},
		"rounds to nothing":          {nothing.Signed(), "0.00", -0.00004},
		"nothing":                    {nothing.Full(), "0.00 %", -0.00004},
		"tiny":                       {tiny.Signed(), "0.0000", 0.00004},
		"p":                          {share.PValue(), "0.00024", 0.00024},
		"no p":                       {minus.PValue(), "", nil},
		"count":                      {share.Count(), "2000", 2000},
		"digits":                     {Plain(12.345, Milliseconds).Bare().To(1), "12.3", 12.345},
		"percent with digits":        {Plain(0.12345, Fraction).Full().To(1), "12.3 %", 0.12345},
		"general":                    {Plain(1e-5, None).General(), "1e-05", 1e-5},
		"general with digits":        {Plain(0.123456, None).General().To(2), "0.12", 0.123456},
		"not finite":                 {Plain(math.Inf(1), None).Full(), "+Inf", nil},
		"number that was left out":   {(*Number)(nil).Difference().Marked(" *"), "", nil},
		"word":                       {Word("w"), "w", "w"},
		"integer":                    {Int(7), "7", 7},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.cell.String(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if got := c.cell.exact(); got != c.exact {
				t.Errorf("exactly %v, want %v", got, c.exact)
			}
		})
	}
}

// The main numbers of one head on one set: the keys go without saying, and programs find the
// numbers by name.
func TestMainAt(t *testing.T) {
	at := Keys{KeySet.Is("test"), KeyHead.Is("tuned")}
	r := &Report{Head: Head{Task: "finetune"}, MainAt: at}
	r.Main = append(r.Main, r.Add(Share("top1", 1, 2, Higher, at...)))
	r.Add(Share("top1", 0, 2, Higher, KeySet.Is("test"), KeyHead.Is("before")))
	var b bytes.Buffer
	if err := r.Write(&b, Text); err != nil || !strings.Contains(b.String(), "\n  top1  50.00 %  9.45 to 90.55  Wilson\n") {
		t.Errorf("%v:\n%s", err, b.String())
	}
	if diff := cmp.Diff(map[string]float64{"top1": 0.5}, r.metrics()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHeadless(t *testing.T) {
	r := &Report{Head: Head{Model: Model{Name: "net"}, Dataset: Dataset{Notes: []string{"a note"}}}, Headless: true}
	r.Show(Prose{[]string{"first"}}, View{Title: "second", Rows: [][]Cell{Row(Word("x"), Word("y"))}})
	r.Warn("third")
	var b bytes.Buffer
	if err := r.Write(&b, Text); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "first\n\nsecond\n  x  y\n\nwarning: third\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTableAlone(t *testing.T) {
	table := Table{Name: "verdicts", Columns: []Column{{"id", "id"}, {"score", "the score"}}, Rows: [][]Cell{
		Row(Word("a,b"), Plain(0.123456789, None).Bare()), Row(Word("c"), Cell{}),
	}}
	for f, want := range map[Format]string{
		Text:     "  id   the score\n  a,b  0.1235\n  c\n",
		CSV:      "id,score\n\"a,b\",0.123456789\nc,\n",
		Markdown: "| id  | the score |\n|-----|-----------|\n| a,b | 0.1235    |\n| c   |           |\n",
	} {
		t.Run(string(f), func(t *testing.T) {
			var b bytes.Buffer
			if err := table.Write(&b, f); err != nil || b.String() != want {
				t.Errorf("%v: %q, want %q", err, b.String(), want)
			}
		})
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		better      Better
		title, name string // of the first row
	}{
		{Higher, "by class: the 20 worst of 21", "c00"}, {Lower, "by class: the 20 worst of 21", "c20"},
		{Neither, "by class: the 20 first of 21", "c05"},
	} {
		t.Run(string(c.better), func(t *testing.T) {
			l := List{By: KeyClass, Numbers: []*Number{nil}}
			for i := range 21 {
				at := (i + 5) % 21
				key := KeyClass.Is(fmt.Sprintf("c%02d", at))
				l.Numbers = append(l.Numbers, &Number{Name: "x", At: Keys{key}, Value: float64(at), Better: c.better})
			}
			title, rows := l.listed()
			if title != c.title || len(rows) != 20 || rows[0][0] != c.name {
				t.Errorf("%s, %d rows, first %v", title, len(rows), rows[0])
			}
		})
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(string(f)); err != nil || got != f {
			t.Errorf("%s: %v %v", f, got, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil {
		t.Error("xml: no error")
	}
}

// The documentation names every key.
func TestKeysAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range KeyNames() {
		if !strings.Contains(string(doc), "| `"+string(k)+"` |") {
			t.Errorf("docs/report.md has no key %s", k)
		}
	}
}
