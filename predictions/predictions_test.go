package predictions

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/internal/npy"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

func array32(shape []int, v ...float32) []byte {
	out := npy.Header("f4", shape...)
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func array64(shape []int, v ...int64) []byte {
	out := npy.Header("i8", shape...)
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, uint64(x))
	}
	return out
}

func archive(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parquetOf[T any](t testing.TB, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestParse: the same two rows of scores in every form.
func TestParse(t *testing.T) {
	want := Table{N: 2, Classes: 3, Scores: []float32{1, 2, -3, 0.5, 0, 4}}
	scores := array32([]int{2, 3}, want.Scores...)
	type list struct {
		Path   string    `parquet:"path"`
		Label  int64     `parquet:"label"`
		Logits []float32 `parquet:"logits,list"`
	}
	type wide struct {
		Cat float64 `parquet:"cat"`
		Dog float64 `parquet:"dog"`
		Emu float64 `parquet:"emu"`
	}
	ids, names, labels := []string{"a.png", "b.png"}, []string{"cat", "dog", "emu"}, []string{"1", "2"}
	with := func(ids, names, labels []string) Table {
		out := want
		out.IDs, out.Names, out.Labels = ids, names, labels
		return out
	}
	hard := Table{N: 3, Classes: 3, Scores: []float32{0, 0, 1, 1, 0, 0, 0, 1, 0}, Hard: true}
	for name, c := range map[string]struct {
		data string
		want Table
	}{
		"npy":                                   {string(scores), want},
		"npz":                                   {string(archive(t, map[string][]byte{"logits.npy": scores, "labels.npy": array64([]int{2}, 1, 2)})), with(nil, nil, labels)},
		"npz, other names":                      {string(archive(t, map[string][]byte{"x.npy": scores, "seed.npy": array64([]int{1}, 7)})), want},
		"npy of classes":                        {string(array64([]int{3}, 2, 0, 1)), hard},
		"JSON of classes":                       {"[2, \n0, 1\n]\n", hard},
		"CSV of classes":                        {"2\n0\n1\n", hard},
		"JSON":                                  {"[[1,2,-3],[0.5,0,4]]", want},
		"JSON by image":                         {`{"b.png": [0.5,0,4], "a.png": [1,2,-3]}`, with(ids, nil, nil)},
		"CSV":                                   {"1,2,-3\n0.5,0,4\n", want},
		"CSV with a header":                     {"cat,dog,emu\n1,2,-3\n0.5,0,4\n", with(nil, names, nil)},
		"CSV with images":                       {"a.png,1,2,-3\nb.png,0.5,0,4\n", with(ids, nil, nil)},
		"CSV with all":                          {"path,label,cat,dog,emu\na.png,1,1,2,-3\nb.png,2,0.5,0,4\n", with(ids, names, labels)},
		"semicolons and a comment":              {"# from a service\nImage;cat;dog;emu\na.png;1;2;-3\nb.png;0.5;0;4\n", with(ids, names, nil)},
		"numbers of rows as pandas writes them": {",path,label,cat,dog,emu\n0,a.png,1,1,2,-3\n1,b.png,2,0.5,0,4\n", with(ids, names, labels)},
		"unnamed numbers of rows":               {"Unnamed: 0,cat,dog,emu\n0,1,2,-3\n1,0.5,0,4\n", with(nil, names, nil)},
		"spaces":                                {"1 2 -3\n0.5 0 4\n", want},
		"exponents":                             {"1e0,2E0,-3\n5e-1,0,4.0\n", want},
		"Parquet of lists":                      {string(parquetOf(t, []list{{"a.png", 1, []float32{1, 2, -3}}, {"b.png", 2, []float32{0.5, 0, 4}}})), with(ids, nil, labels)},
		"Parquet of columns":                    {string(parquetOf(t, []wide{{1, 2, -3}, {0.5, 0, 4}})), with(nil, names, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind == "" {
				t.Error("no kind is told")
			}
			got.Kind = ""
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestRefused: what cannot be scores is refused in one line that says what is wrong.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"three axes":                 {string(array32([]int{1, 2, 2}, 1, 2, 3, 4)), "samples x classes"},
		"half a class":               {string(array32([]int{2}, 1, 0.5)), "the number of a class"},
		"negative class":             {"[1, -1]", "the number of a class"},
		"a class of a million":       {"[" + strings.Repeat("1,", 5000) + "1000000]", "too many classes"},
		"NaN":                        {string(array32([]int{1, 2}, 1, float32(math.NaN()))), "finite"},
		"infinity in CSV":            {"1,inf\n2,3\n", "finite"},
		"beyond float32":             {"1,1e99\n2,3\n", "finite"},
		"no rows":                    {string(array32([]int{0, 3})), "no rows"},
		"uneven JSON":                {"[[1,2],[3]]", "row 2 has 1 scores, the first 2"},
		"uneven CSV":                 {"1,2\n3\n", "as many cells in every row"},
		"a word":                     {"1,2\n3,x\n", `line 2: "x" in column 2 is no score`},
		"a column of losses":         {"path,label,cat,dog,loss\na,0,1,2,0.3\n", `column 5 is called "loss"`},
		"a column of confidence":     {"path,label,Confidence,cat,dog\na,0,0.9,1,2\n", `column 3 is called "Confidence"`},
		"prediction and probability": {"path,label,prediction,probability\na,0,1,0.7\n", "which is no class"},
		"losses in Parquet": {string(parquetOf(t, []struct {
			Cat  float64 `parquet:"cat"`
			Loss float64 `parquet:"loss"`
		}{{1, 2}})), `"loss"`},
		"two columns of words": {"a,b,1,2\nc,d,3,4\n", "columns are images, labels"},
		"twice the same image": {"a,1,2\na,3,4\n", "rows 1 and 2 are of the same image"},
		"npz without scores":   {string(archive(t, map[string][]byte{"x.npy": array64([]int{1}, 1)})), "none of its arrays (x)"},
		"damaged Parquet":      {"PAR1 and nothing else PAR1", "damaged"},
		"damaged npy":          {"\x93NUMPY\x01\x00\x70\x00", "header"},
		"damaged zip":          {"PK\x03\x04", "zip"},
		"JSON of words":        {`["a"]`, "JSON"},
		"mixed JSON":           {`{"a": 1, "b": [1, 2]}`, "some of its images"},
		"text":                 {"hello\n", "no"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line", err, c.want)
			}
		})
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none.npy")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
	if _, err := Read(os.DevNull); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("%v", err)
	}
}

// FuzzParse: no bytes make it panic, and what it takes is a table.
func FuzzParse(f *testing.F) {
	f.Add(array32([]int{2, 2}, 1, 2, 3, 4))
	f.Add(array64([]int{3}, 2, 0, 1))
	f.Add([]byte("path,label,cat,dog\na,1,1,2\n"))
	f.Add([]byte(`{"a": [1, 2]}`))
	f.Add([]byte("[1,2]"))
	f.Add(archive(f, map[string][]byte{"logits.npy": array32([]int{1, 2}, 1, 2)}))
	f.Add(parquetOf(f, []struct {
		Logits []float32 `parquet:"logits,list"`
	}{{[]float32{1, 2}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse(data)
		if err != nil {
			return
		}
		if table.N < 1 || table.Classes < 1 || len(table.Scores) != table.N*table.Classes {
			t.Errorf("%d x %d with %d scores", table.N, table.Classes, len(table.Scores))
		}
	})
}
