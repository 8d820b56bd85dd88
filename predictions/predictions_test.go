package predictions

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
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

// array8 is an array of texts of so many characters at most.
func array8(each int, v ...string) []byte {
	out := npy.Header(fmt.Sprintf("S%d", each), len(v))
	for _, x := range v {
		out = append(append(out, x...), make([]byte, each-len(x))...)
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
	type image struct {
		Bytes []byte `parquet:"bytes"`
		Path  string `parquet:"path"`
	}
	type hub struct {
		Index    int64     `parquet:"__index_level_0__"`
		Image    image     `parquet:"image"`
		Label    int32     `parquet:"label"`
		Features []float32 `parquet:"features,list"`
		Scores   []float64 `parquet:"scores,list"`
	}
	ids, names, labels := []string{"a.png", "b.png"}, []string{"cat", "dog", "emu"}, []string{"1", "2"}
	swapped := Table{N: 2, Classes: 3, Scores: []float32{0.5, 0, 4, 1, 2, -3}, IDs: []string{"b.png", "a.png"}}
	with := func(ids, names, labels []string) Table {
		out := want
		out.IDs, out.Names, out.Labels = ids, names, labels
		return out
	}
	utf16 := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			b.WriteString(string([]byte{c, 0}))
		}
		return b.String()
	}
	const all = "path,label,cat,dog,emu\na.png,1,1,2,-3\nb.png,2,0.5,0,4\n"
	for name, c := range map[string]struct {
		data string
		want Table
	}{
		"npy":                        {string(scores), want},
		"npy with axes of a map":     {string(array32([]int{2, 3, 1, 1}, want.Scores...)), want},
		"npz":                        {string(archive(t, map[string][]byte{"logits.npy": scores, "labels.npy": array64([]int{2}, 1, 2)})), with(nil, nil, labels)},
		"npz, other names":           {string(archive(t, map[string][]byte{"x.npy": scores, "seed.npy": array64([]int{1}, 7)})), want},
		"npz with names":             {string(archive(t, map[string][]byte{"probs.npy": scores, "files.npy": array8(5, "a.png", "b.png"), "classes.npy": array8(3, "cat", "dog", "emu"), "y.npy": array64([]int{2}, 1, 2)})), with(ids, names, labels)},
		"npz, as numpy numbers them": {string(archive(t, map[string][]byte{"arr_0.npy": scores, "arr_1.npy": array64([]int{2}, 1, 2), "arr_2.npy": array8(5, "a.png", "b.png")})), with(ids, nil, labels)},

		"JSON":                      {"[[1,2,-3],[0.5,0,4]]", want},
		"JSON by image":             {`{"b.png": [0.5,0,4], "a.png": [1,2,-3]}`, swapped},
		"JSON by image and class":   {`{"a.png": {"cat": 1, "dog": 2, "emu": -3}, "b.png": {"emu": 4, "cat": 0.5, "dog": 0}}`, with(ids, names, nil)},
		"JSON records":              {`[{"image": "a.png", "label": 1, "scores": [1,2,-3]}, {"scores": [0.5,0,4], "label": 2, "image": "b.png"}]`, with(ids, nil, labels)},
		"JSON records of fields":    {`[{"image": "a.png", "label": 1, "cat": 1, "dog": 2, "emu": -3}, {"emu": 4, "cat": 0.5, "dog": 0, "image": "b.png", "label": 2}]`, with(ids, names, labels)},
		"JSON records of classes":   {`[{"file": "a.png", "probs": {"cat": 1, "dog": 2, "emu": -3}}, {"file": "b.png", "probs": {"emu": 4, "cat": 0.5, "dog": 0}}]`, with(ids, names, nil)},
		"JSON records in an object": {`{"model": "x", "results": [{"image": "a.png", "scores": [1,2,-3]}, {"image": "b.png", "scores": [0.5,0,4]}]}`, with(ids, nil, nil)},
		"JSON Lines":                {"{\"image\": \"a.png\", \"scores\": [1,2,-3]}\n{\"image\": \"b.png\", \"scores\": [0.5,0,4]}\n", with(ids, nil, nil)},
		"JSON Lines of lists":       {"[1,2,-3]\n[0.5,0,4]\n", want},
		"JSON lists by name":        {`{"logits": [[1,2,-3],[0.5,0,4]], "labels": [1,2], "images": ["a.png","b.png"]}`, with(ids, nil, labels)},
		"JSON of pandas":            {`{"image":{"0":"a.png","1":"b.png"},"cat":{"0":1,"1":0.5},"dog":{"0":2,"1":0},"emu":{"0":-3,"1":4}}`, with(ids, names, nil)},
		"JSON of pandas, split":     {`{"columns":["image","cat","dog","emu"],"index":[0,1],"data":[["a.png",1,2,-3],["b.png",0.5,0,4]]}`, with(ids, names, nil)},
		"JSON of a pipeline":        {`[[{"label":"cat","score":1},{"label":"dog","score":2},{"label":"emu","score":-3}],[{"label":"emu","score":4},{"label":"cat","score":0.5},{"label":"dog","score":0}]]`, with(nil, names, nil)},
		"JSON records by image":     {`{"a.png": {"label": 1, "scores": [1,2,-3]}, "b.png": {"label": 2, "scores": [0.5,0,4]}}`, with(ids, nil, labels)},
		"JSON of images in folders": {`{"x/a.png": [1,2,-3], "x/b.png": [0.5,0,4]}`, with([]string{"x/a.png", "x/b.png"}, nil, nil)},

		"CSV":                      {"1,2,-3\n0.5,0,4\n", want},
		"CSV with a header":        {"cat,dog,emu\n1,2,-3\n0.5,0,4\n", with(nil, names, nil)},
		"CSV with images":          {"a.png,1,2,-3\nb.png,0.5,0,4\n", with(ids, nil, nil)},
		"CSV with all":             {all, with(ids, names, labels)},
		"byte order mark":          {"\ufeff" + all, with(ids, names, labels)},
		"old Mac":                  {strings.ReplaceAll(all, "\n", "\r"), with(ids, names, labels)},
		"DOS":                      {strings.ReplaceAll(all, "\n", "\r\n"), with(ids, names, labels)},
		"UTF-16":                   {"\xff\xfe" + utf16(all), with(ids, names, labels)},
		"UTF-16 without a mark":    {utf16(all), with(ids, names, labels)},
		"quoted":                   {"\"path\",\"label\",\"cat\",\"dog\",\"emu\"\n\"a.png\",\"1\",\"1\",\"2\",\"-3\"\n\"b.png\",2,0.5,0,4\n", with(ids, names, labels)},
		"bars":                     {strings.ReplaceAll(all, ",", "|"), with(ids, names, labels)},
		"tabs":                     {strings.ReplaceAll(all, ",", "\t"), with(ids, names, labels)},
		"decimal commas":           {"image;cat;dog;emu\na.png;1,0;2;-3\nb.png;0,5;0;4\n", with(ids, names, nil)},
		"semicolons and a comment": {"# from a service\nImage;cat;dog;emu\na.png;1;2;-3\nb.png;0.5;0;4\n", with(ids, names, nil)},
		"spaces":                   {"1 2 -3\n0.5 0 4\n", want},
		"spaces in columns":        {"1.0   2 -3\n0.5   0  4\n", want},
		"exponents":                {"1e0,2E0,-3\n5e-1,0,4.0\n", want},
		"Windows":                  {"image,cat,dog,emu\nC:\\val\\a.png,1,2,-3\nC:\\val\\b.png,0.5,0,4\n", with([]string{"C:/val/a.png", "C:/val/b.png"}, names, nil)},

		"numbers of rows as pandas writes them": {",path,label,cat,dog,emu\n0,a.png,1,1,2,-3\n1,b.png,2,0.5,0,4\n", with(ids, names, labels)},
		"numbers of rows, with tabs":            {"\tpath\tcat\tdog\temu\n0\ta.png\t1\t2\t-3\n1\tb.png\t0.5\t0\t4\n", with(ids, names, nil)},
		"unnamed numbers of rows":               {"Unnamed: 0,cat,dog,emu\n0,1,2,-3\n1,0.5,0,4\n", with(nil, names, nil)},
		"pandas without names":                  {"0,1,2\n1,2,-3\n0.5,0,4\n", want},
		"pandas with numbers of rows":           {",0,1,2\n0,1,2,-3\n1,0.5,0,4\n", want},
		"rows that were shuffled":               {",0,1,2\n1,0.5,0,4\n0,1,2,-3\n", want},
		"rows that were shuffled, with images":  {",image,0,1,2\n1,b.png,0.5,0,4\n0,a.png,1,2,-3\n", swapped},
		"id, image and label":                   {"id,image,label,cat,dog,emu\n7,a.png,1,1,2,-3\n9,b.png,2,0.5,0,4\n", with(ids, names, labels)},
		"images last":                           {"cat,dog,emu,label,file\n1,2,-3,1,a.png\n0.5,0,4,2,b.png\n", with(ids, names, labels)},
		"numbers of images":                     {"id,cat,dog,emu\n17,1,2,-3\n4,0.5,0,4\n", with([]string{"17", "4"}, names, nil)},
		"numbers of classes":                    {"image,0,1,2\na.png,1,2,-3\nb.png,0.5,0,4\n", with(ids, nil, nil)},
		"numbers of classes, out of order":      {"image,2,0,1\na.png,-3,1,2\nb.png,4,0.5,0\n", with(ids, nil, nil)},
		"numbers of classes after a new word":   {"photograph,2,0,1\na.png,-3,1,2\nb.png,4,0.5,0\n", with(ids, nil, nil)},
		"numbers of classes, from 1":            {"image,3,1,2\na.png,-3,1,2\nb.png,4,0.5,0\n", with(ids, []string{"1", "2", "3"}, nil)},
		"prob_":                                 {"image,prob_cat,prob_dog,prob_emu\na.png,1,2,-3\nb.png,0.5,0,4\n", with(ids, names, nil)},
		"score_, and what is beside":            {"image,true_label,pred_label,score_cat,confidence,score_dog,score_emu,loss\na.png,1,dog,1,2,2,-3,7\nb.png,2,emu,0.5,4,0,4,7\n", with(ids, names, labels)},
		"logit_, by number":                     {"image,logit_1,logit_0,logit_2\na.png,2,1,-3\nb.png,0,0.5,4\n", with(ids, nil, nil)},
		"p_class_":                              {"image,P_class_cat,P_class_dog,P_class_emu\na.png,1,2,-3\nb.png,0.5,0,4\n", with(ids, names, nil)},

		"Parquet of lists":   {string(parquetOf(t, []list{{"a.png", 1, []float32{1, 2, -3}}, {"b.png", 2, []float32{0.5, 0, 4}}})), with(ids, nil, labels)},
		"Parquet of columns": {string(parquetOf(t, []wide{{1, 2, -3}, {0.5, 0, 4}})), with(nil, names, nil)},
		"Parquet of a hub":   {string(parquetOf(t, []hub{{5, image{nil, "a.png"}, 1, []float32{9}, []float64{1, 2, -3}}, {3, image{nil, "b.png"}, 2, []float32{8}, []float64{0.5, 0, 4}}})), with(ids, nil, labels)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind == "" {
				t.Error("no kind is told")
			}
			got.Kind, got.Headers, got.Notes = "", nil, nil
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestClassesAlone: files of one predicted class per row, by number or name, or of one score.
func TestClassesAlone(t *testing.T) {
	ids := []string{"a.png", "b.png", "c.png"}
	numbers := Table{N: 3, Classes: 3, Scores: []float32{0, 0, 1, 1, 0, 0, 0, 1, 0}, Hard: true}
	names := Table{N: 3, Classes: 2, Scores: []float32{0, 1, 1, 0, 0, 1}, Names: []string{"cat", "dog"}, Hard: true}
	one := Table{N: 3, Classes: 1, Scores: []float32{0.5, 1, 0}}
	with := func(t Table, ids, labels []string) Table {
		t.IDs, t.Labels = ids, labels
		return t
	}
	type row struct {
		Image string `parquet:"image"`
		Pred  string `parquet:"prediction"`
	}
	for name, c := range map[string]struct {
		data string
		want Table
	}{
		"npy":                     {string(array64([]int{3}, 2, 0, 1)), numbers},
		"npy in a column":         {string(array64([]int{3, 1}, 2, 0, 1)), numbers},
		"npy as floats":           {string(array32([]int{3}, 2, 0, 1)), numbers},
		"npy of names":            {string(array8(3, "dog", "cat", "dog")), names},
		"npy of one-hot rows":     {string(array32([]int{3, 3}, 0, 0, 1, 1, 0, 0, 0, 1, 0)), numbers},
		"npz":                     {string(archive(t, map[string][]byte{"preds.npy": array64([]int{3}, 2, 0, 1), "labels.npy": array64([]int{3}, 2, 0, 0)})), with(numbers, nil, []string{"2", "0", "0"})},
		"JSON":                    {"[2, \n0, 1\n]\n", numbers},
		"JSON by image":           {`{"a.png": 2, "b.png": 0, "c.png": 1}`, with(numbers, ids, nil)},
		"JSON of names by image":  {`{"a.png": "dog", "b.png": "cat", "c.png": "dog"}`, with(names, ids, nil)},
		"JSON of names":           {`["dog", "cat", "dog"]`, names},
		"JSON records":            {`[{"image": "a.png", "prediction": "dog"}, {"image": "b.png", "prediction": "cat"}, {"image": "c.png", "prediction": "dog"}]`, with(names, ids, nil)},
		"CSV":                     {"2\n0\n1\n", numbers},
		"CSV with a header":       {"pred\n2.0\n0.0\n1.0\n", numbers},
		"CSV with images":         {"a.png,2\nb.png,0\nc.png,1\n", with(numbers, ids, nil)},
		"CSV of names":            {"dog\ncat\ndog\n", names},
		"CSV of names and images": {"a.png,dog\nb.png,cat\nc.png,dog\n", with(names, ids, nil)},
		"CSV with all":            {"image,label,prediction\na.png,dog,dog\nb.png,dog,cat\nc.png,dog,dog\n", with(names, ids, []string{"dog", "dog", "dog"})},
		"names beside numbers":    {"image,label,prediction,class,predicted\na.png,1,1,dog,dog\nb.png,1,0,dog,cat\nc.png,1,1,dog,dog\n", with(names, ids, []string{"dog", "dog", "dog"})},
		"with a confidence":       {"image,prediction,confidence\na.png,dog,0.9\nb.png,cat,0.8\nc.png,dog,0.7\n", with(names, ids, nil)},
		"with some number":        {"image,prediction,checksum\na.png,dog,17\nb.png,cat,4\nc.png,dog,25\n", with(names, ids, nil)},
		"rows out of order":       {",prediction\n1,0\n0,2\n2,1\n", numbers},
		"Parquet":                 {string(parquetOf(t, []row{{"a.png", "dog"}, {"b.png", "cat"}, {"c.png", "dog"}})), with(names, ids, nil)},
		"one score":               {string(array32([]int{3}, 0.5, 1, 0)), one},
		"one score in CSV":        {"image,probability\na.png,0.5\nb.png,1\nc.png,0\n", with(one, ids, nil)},
		"one score by image":      {`{"a.png": 0.5, "b.png": 1, "c.png": 0}`, with(one, ids, nil)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			got.Kind, got.Headers, got.Notes = "", nil, nil
			if got.Classes == 1 {
				got.Names = nil
			}
			if d := cmp.Diff(c.want, *got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestNotes: what is passed over is named.
func TestNotes(t *testing.T) {
	got, err := Parse([]byte("id,image,split,prob_cat,prob_dog\n0,a.png,val,1,2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"columns of the predictions are passed over: id, split"}; !slices.Equal(got.Notes, want) {
		t.Errorf("%q, want %q", got.Notes, want)
	}
	if want := []string{"prob_cat", "prob_dog"}; !slices.Equal(got.Headers, want) {
		t.Errorf("headers %q, want %q", got.Headers, want)
	}
}

// TestScale: what scores are is found out from what they look like, and said.
func TestScale(t *testing.T) {
	log := func(v ...float64) (out []float32) {
		for _, x := range v {
			out = append(out, float32(math.Log(x)))
		}
		return out
	}
	for name, c := range map[string]struct {
		scores        []float32
		probabilities bool
		what, doubt   string
	}{
		"logits":                 {[]float32{-1, 2, 3, 0.5, 0, 4}, false, "logits", ""},
		"positive logits":        {[]float32{1, 2, 3, 0.5, 0, 4}, false, "logits", ""},
		"probabilities":          {[]float32{0.2, 0.3, 0.5, 0, 1, 0}, true, "probabilities", ""},
		"rounded probabilities":  {[]float32{0.33, 0.33, 0.33, 0.67, 0.17, 0.17}, true, "probabilities", ""},
		"percent":                {[]float32{20, 30, 50, 0.4, 99.5, 0.1}, true, "probabilities in percent", ""},
		"log-probabilities":      {log(0.2, 0.3, 0.5, 0.01, 0.98, 0.01), false, "log-probabilities", ""},
		"each through a Sigmoid": {[]float32{0.2, 0.9, 0.9, 0.1, 0.1, 0.1}, false, "logits", "0.3 to 2"},
		"negative, and sum to 1": {[]float32{-1, 1, 1, -2, 2, 1}, false, "logits", ""},
		"one row far from a sum": {[]float32{0.2, 0.3, 0.5, 0.2, 0.3, 0.4}, false, "logits", "sum to 0.9 to 1"},
	} {
		table := &Table{N: 2, Classes: 3, Scores: c.scores}
		s := table.Scale()
		if s.Probabilities != c.probabilities || s.What != c.what || s.Why == "" || (s.Doubt == "") != (c.doubt == "") || !strings.Contains(s.Doubt, c.doubt) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	table := &Table{N: 1, Classes: 2, Scores: []float32{-1, 2}, IDs: []string{"a.png"}}
	if _, err := table.As(true); err == nil || !strings.Contains(err.Error(), "row 1 (a.png) has the score -1 for class 0, which is no probability") {
		t.Errorf("%v", err)
	}
	table.Scores = []float32{0.25, 0.75}
	if s, err := table.As(false); err != nil || s.Probabilities || !strings.Contains(s.Doubt, "look like probabilities") {
		t.Errorf("%+v %v", s, err)
	}
	if s, err := table.As(true); err != nil || !s.Probabilities || s.Doubt != "" {
		t.Errorf("%+v %v", s, err)
	}
}

// TestRefused: what cannot be scores is refused in one line that says what is wrong.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"three axes":                 {string(array32([]int{2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8)), "samples x classes"},
		"a class of a million":       {"[" + strings.Repeat("1,", 5000) + "1000000]", "too many classes"},
		"NaN":                        {string(array32([]int{1, 2}, 1, float32(math.NaN()))), "row 1 has the score NaN for class 1"},
		"NaN in CSV":                 {"image,cat,dog\na.png,1,2\nb.png,nan,3\n", "line 3 (b.png): the score in column 2 (cat) is nan; scores must be finite"},
		"nothing in CSV":             {"image,cat,dog\na.png,1,2\nb.png,,3\n", "line 3 (b.png): the score in column 2 (cat) is missing"},
		"infinity in CSV":            {"1,inf\n2,3\n", "line 1: the score in column 2 is inf"},
		"beyond float32":             {"1,1e99\n2,3\n", "finite numbers of 32 bits"},
		"NaN in JSON":                {`[{"image": "a.png", "scores": [1, 2]}, {"image": "NaN.png", "scores": [-Infinity, 2]}]`, "row 2 (NaN.png): the score in column 2 (0) is NaN"},
		"null in JSON":               {"[[1, null]]", "row 1: the score in column 2 is NaN"},
		"no rows":                    {string(array32([]int{0, 3})), "no rows"},
		"a header alone":             {"image,cat,dog\n", "no rows"},
		"uneven JSON":                {"[[1,2],[3]]", "row 2 has 1 scores, the first 2"},
		"uneven CSV":                 {"1,2\n3\n", "as many cells in every row"},
		"a word":                     {"1,2\n3,x\n", `line 2: "x" in column 2 is no score`},
		"a word further down":        {strings.Repeat("1,2\n", 200) + "3,x\n", `line 201: "x" in column 2 is no score`},
		"a column of losses":         {"path,label,cat,dog,loss\na,0,1,2,0.3\n", `column 5 is called "loss"`},
		"a column of confidence":     {"path,label,Confidence,cat,dog\na,0,0.9,1,2\n", `column 3 is called "Confidence"`},
		"a column of predictions":    {"path,prediction,cat,dog\na,0,1,2\n", `column 2 is called "prediction"`},
		"labels and nothing":         {"path,label\na.png,0\n", `it has labels (column "label") and no scores`},
		"a label without a name":     {"a,3,0.5,0.25,0.25\nb,1,0.5,0.25,0.25\nc,0,0.1,0.25,0.65\n", "column 1 of its scores has whole numbers alone"},
		"a class twice":              {"image,cat,dog,cat\na,1,2,3\n", `columns 2 and 4 are both called "cat"`},
		"numbers and names":          {"image,prediction\n" + manyRows(150) + "x.png,cat\n", `predicts "cat", and others numbers of classes`},
		"some classes of a pipeline": {`[[{"label":"cat","score":1},{"label":"dog","score":2}],[{"label":"emu","score":4},{"label":"cat","score":0.5}]]`, "scores of all classes"},
		"columns or images":          {`{"cat":{"0":1,"1":0.5},"dog":{"0":2,"1":0}}`, "orient"},
		"the same image twice":       {`{"a.png": [1,2], "a.png": [3,4]}`, `"a.png" twice`},
		"JSON that is cut off":       {`[[1,2],[3,`, "damaged near byte"},
		"losses in Parquet": {string(parquetOf(t, []struct {
			Cat  float64 `parquet:"cat"`
			Loss float64 `parquet:"loss"`
		}{{1, 2}})), `"loss"`},
		"NaN in Parquet": {string(parquetOf(t, []struct {
			Image string  `parquet:"image"`
			Cat   float64 `parquet:"cat"`
			Dog   float64 `parquet:"dog"`
		}{{"a.png", 1, 2}, {"b.png", 1, math.NaN()}})), "row 2 (b.png): the score in column 3 (dog) is NaN"},
		"two columns of words": {"a,b,1,2\nc,d,3,4\n", "columns 1 and 2 are words"},
		"twice the same image": {"a,1,2\na,3,4\n", "rows 1 and 2 are of the same image"},
		"npz without scores":   {string(archive(t, map[string][]byte{"x.npy": array64([]int{1}, 1)})), "none of its arrays (x)"},
		"damaged Parquet":      {"PAR1 and nothing else PAR1", "damaged"},
		"damaged npy":          {"\x93NUMPY\x01\x00\x70\x00", "header"},
		"damaged zip":          {"PK\x03\x04", "zip"},
		"PyTorch":              {string(archive(t, map[string][]byte{"scores/data.pkl": nil})), "PyTorch"},
		"spreadsheet":          {string(archive(t, map[string][]byte{"xl/workbook.xml": nil})), "save it as CSV"},
		"pickle":               {"\x80\x04\x95", "pickle"},
		"HDF5":                 {"\x89HDF\r\n\x1a\n", "HDF5"},
		"bytes":                {"\x00\x00\x00\x01\x02\x00\x00\x00", "not read"},
		"mixed JSON":           {`{"a": 1, "b": [1, 2]}`, "some of its images"},
		"lists of the best":    {`[{"image": "a.png", "top5": [3, 1, 2], "top5_prob": [0.5, 0.3, 0.1]}]`, "no"},
		"a list of the best":   {`[{"image": "a.png", "top5_probability": [0.5, 0.3, 0.1]}]`, "no"},
		"a Parquet list of the best": {string(parquetOf(t, []struct {
			Image string    `parquet:"image"`
			Top   []float32 `parquet:"top5_probability,list"`
		}{{"a.png", []float32{0.5, 0.3}}})), "none of its columns holds scores"},
		"prose": {"hello there\nthis is a text\n", "as many cells"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line; %+v", err, c.want, got)
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

// TestGzip: a packed file is read, and a damaged one refused.
func TestGzip(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte("a.png,1,2\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "scores.csv.gz")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path); err != nil || got.Name != "scores" || got.N != 1 || got.Classes != 2 {
		t.Errorf("%+v %v", got, err)
	}
	if err := os.WriteFile(path, b.Bytes()[:b.Len()-6], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "gzip is damaged") {
		t.Errorf("%v", err)
	}
}

// manyRows are rows of images and class 0.
func manyRows(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%03d.png,0\n", i)
	}
	return b.String()
}

// FuzzParse: no bytes make it panic, and what it takes is a table.
func FuzzParse(f *testing.F) {
	f.Add(array32([]int{2, 2}, 1, 2, 3, 4))
	f.Add(array64([]int{3}, 2, 0, 1))
	f.Add([]byte("path,label,cat,dog\na,1,1,2\n"))
	f.Add([]byte(`{"a": [1, 2]}`))
	f.Add([]byte("[1,2]"))
	f.Add([]byte(`[{"image": "a", "scores": [1, NaN]}]`))
	f.Add([]byte(`{"image":{"0":"a"},"cat":{"0":1}}`))
	f.Add([]byte(`[[{"label":"cat","score":1}]]`))
	f.Add([]byte(",image,prob_1,prob_0\n1,a.png,1,2\n0,b.png,1,2\n"))
	f.Add(array8(3, "cat", "dog"))
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
