package datasets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// Rows as Hugging Face's programs write them.
type (
	hfImage struct {
		Bytes []byte  `parquet:"bytes,optional"`
		Path  *string `parquet:"path,optional"`
	}
	hfRow struct {
		Image *hfImage `parquet:"image,optional"`
		Label *int64   `parquet:"label,optional"`
	}
	cifarRow struct {
		Img    hfImage `parquet:"img,optional"`
		Fine   int64   `parquet:"fine_label"`
		Coarse int64   `parquet:"coarse_label"`
	}
	bytesRow struct {
		Image []byte `parquet:"image"`
		Label string `parquet:"label"`
	}
	listRow struct {
		Image  hfImage `parquet:"image"`
		Labels []int64 `parquet:"labels"`
	}
	textRow struct {
		Text  string `parquet:"text"`
		Label int64  `parquet:"label"`
	}
)

func hf(path string, grey byte, label int64) hfRow {
	return hfRow{Image: &hfImage{[]byte(pngOf(grey)), &path}, Label: &label}
}

// features is the metadata that names the classes of a column.
func features(column string, names ...string) parquet.WriterOption {
	return parquet.KeyValueMetadata("huggingface", fmt.Sprintf(`{"info": {"features": {"image": {"_type": "Image"}, "img": {"_type": "Image"}, "x": [{"dtype": "int64"}], %q: {"names": ["%s"], "_type": "ClassLabel"}}}}`,
		column, strings.Join(names, `", "`)))
}

func parquetBytes[R any](t testing.TB, rows []R, o ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[R](&b, o...)
	for i := range rows { // pages end between writes
		if _, err := w.Write(rows[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestParquet(t *testing.T) {
	two := []hfRow{hf("b/1.png", 1, 1), hf("a/2.png", 2, 0)}
	same := []hfRow{hf("image.png", 3, 0), hf("image.png", 4, 1), hf("image.png", 5, -1)}
	names := features("label", "dog", "cat")
	whole := parquetBytes(t, two, names)
	hostile := func(footer string) string {
		return "PAR1" + footer + string(binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))) + "PAR1"
	}
	for _, c := range []struct {
		name           string
		data           files
		o              Options
		labels         string
		want           string // samples
		classes        string
		why, note, err string
	}{
		{name: "one file", data: files{"x.parquet": whole}, want: "b/1.png=cat a/2.png=dog", classes: "dog cat", why: "class names of the metadata"},
		{name: "paths twice", data: files{"test-00000-of-00001.parquet": parquetBytes(t, same, names)}, want: "test/row-000000=dog test/row-000001=cat test/row-000002=-", classes: "dog cat"},
		{name: "without names", data: files{"x.parquet": parquetBytes(t, two)}, want: "b/1.png=1 a/2.png=0", classes: "0 1"},
		{name: "CIFAR-100", data: files{"x.parquet": parquetBytes(t, []cifarRow{{hfImage{[]byte(pngOf(1)), nil}, 2, 0}}, features("fine_label", "apple", "bear", "cup"))}, want: "row-000000=cup", classes: "apple bear cup"},
		{name: "bytes and texts", data: files{"x.parquet": parquetBytes(t, []bytesRow{{[]byte(pngOf(1)), "dog"}, {[]byte(pngOf(2)), "cat"}})}, want: "row-000000=dog row-000001=cat", classes: "cat dog"},
		{name: "shards", data: files{
			"data/train-00000-of-00001.parquet": parquetBytes(t, same, names), "data/validation-00000-of-00002-a1b2.parquet": parquetBytes(t, two[:1], names),
			"data/validation-00001-of-00002-a1b2.parquet": parquetBytes(t, two[1:], names), "README.md": "x",
		}, want: "b/1.png=cat a/2.png=dog", why: `split "validation" of train, validation`},
		{name: "split", data: files{"data/train-00000-of-00001.parquet": parquetBytes(t, same, names), "data/validation-00000-of-00001.parquet": whole}, o: Options{Split: "train"}, want: "train/row-000000=dog train/row-000001=cat train/row-000002=-"},
		{name: "split by kind", data: files{"data/train-00000-of-00001.parquet": parquetBytes(t, same, names), "data/validation-00000-of-00001.parquet": whole}, o: Options{Split: "val"}, want: "b/1.png=cat a/2.png=dog"},
		{name: "split folders", data: files{"d/train/0000.parquet": parquetBytes(t, same, names), "d/test/0000.parquet": whole}, want: "b/1.png=cat a/2.png=dog"},
		{name: "a part is missing", data: files{"data/test-00001-of-00003.parquet": whole, "data/train-00000-of-00001.parquet": whole}, want: "b/1.png=cat a/2.png=dog", note: "only 1 of the 3 parts"},
		{name: "labels of a file", data: files{"x.parquet": whole}, labels: "1.png,7\n2.png,9\n", want: "b/1.png=7 a/2.png=9", classes: "7 9"},
		{name: "class map", data: files{"x.parquet": whole}, labels: "dog 1\ncat 0\n", want: "b/1.png=cat a/2.png=dog"},
		{name: "no such split", data: files{"data/train-00000-of-00001.parquet": whole}, o: Options{Split: "dev"}, err: `no split "dev", only train`},
		{name: "label beyond the names", data: files{"x.parquet": parquetBytes(t, []hfRow{hf("1.png", 1, 2)}, names)}, err: "label 2"},
		{name: "lists of labels", data: files{"x.parquet": parquetBytes(t, []listRow{{hfImage{}, []int64{1, 2}}})}, err: "lists"},
		{name: "no images", data: files{"x.parquet": parquetBytes(t, []textRow{{"a", 1}})}, err: "its columns are"},
		{name: "two data sets", data: files{"a.parquet": whole, "b.parquet": parquetBytes(t, two)}, err: "not parts of one data set"},
		{name: "cut", data: files{"x.parquet": whole[:len(whole)-9]}, err: "cut off"},
		{name: "short", data: files{"x.parquet": "PAR1"}, err: "cut off"},
		{name: "footer of lists without end", data: files{"x.parquet": hostile("\x15\x02\x29\xfc\xff\xff\xff\xff\x07")}, err: "footer is damaged"},
		{name: "encrypted", data: files{"x.parquet": whole[:len(whole)-1] + "E"}, err: "encrypted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.data.folder(t)
			if _, ok := c.data["x.parquet"]; ok {
				path = filepath.Join(path, "x.parquet")
			}
			if _, ok := c.data["test-00000-of-00001.parquet"]; ok {
				path = filepath.Join(path, "test-00000-of-00001.parquet")
			}
			if c.labels != "" {
				c.o.Labels = write(t, "labels.txt", c.labels)
			}
			d, err := Open(path, c.o)
			if err != nil {
				if c.err == "" || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			defer d.Close()
			if diff := cmp.Diff(c.want, describe(d)); diff != "" || c.err != "" {
				t.Errorf("samples (-want +got): %s", diff)
			}
			if got := strings.Join(d.Classes, " "); c.classes != "" && got != c.classes {
				t.Errorf("classes %s, want %s", got, c.classes)
			}
			if !strings.Contains(d.Why, c.why) || !strings.Contains(strings.Join(d.Notes, "\n"), c.note) {
				t.Errorf("%s (%v), want %q and %q in it", d.Why, d.Notes, c.why, c.note)
			}
			for i := range d.Samples {
				if _, err := d.Loader().Load(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestParquetPages: pictures of many pages and row groups are the right ones in whichever order
// they are read, by several goroutines, with an index of pages and without, and little is kept.
func TestParquetPages(t *testing.T) {
	const n = 1000
	rows := make([]hfRow, n)
	for i := range rows {
		label := int64(i % 7)
		rows[i] = hfRow{Image: &hfImage{Bytes: fmt.Appendf(nil, "%d:%s", i, strings.Repeat("x", i%300))}, Label: &label}
	}
	rows[500].Image.Bytes = nil
	for _, c := range []struct {
		name string
		o    []parquet.WriterOption
	}{
		{"pages and groups", []parquet.WriterOption{parquet.PageBufferSize(2000), parquet.MaxRowsPerRowGroup(130), parquet.Compression(&parquet.Snappy)}},
		{"one group", []parquet.WriterOption{parquet.PageBufferSize(2000), parquet.DataPageVersion(1)}},
		{"zstd", []parquet.WriterOption{parquet.PageBufferSize(5000), parquet.MaxRowsPerRowGroup(400), parquet.Compression(&parquet.Zstd)}},
	} {
		for _, indexed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, index %v", c.name, indexed), func(t *testing.T) {
				d, err := Open(write(t, "x.parquet", parquetBytes(t, rows, c.o...)), Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer d.Close()
				src := d.src.(*parquetSource)
				if !indexed {
					for _, s := range src.shards {
						for _, g := range s.t.Metadata().RowGroups {
							for i := range g.Columns {
								g.Columns[i].OffsetIndexOffset = 0
							}
						}
					}
				}
				check := func(i int) {
					data, _, err := src.read(i, nil)
					if i == 500 {
						if err == nil || !strings.Contains(err.Error(), "no bytes") {
							t.Errorf("row 500: %v", err)
						}
						return
					}
					if want := string(rows[i].Image.Bytes); err != nil || string(data) != want {
						t.Errorf("row %d: %q, %v; want %q", i, data, err, want)
					}
				}
				var group sync.WaitGroup
				for k := range 4 {
					group.Go(func() {
						for i := k; i < n; i += 4 {
							check(i)
						}
					})
				}
				group.Wait()
				for _, i := range []int{999, 0, 500, 499, 501, 129, 130, 131, 7, 998} {
					check(i)
				}
				if len(src.cursors) > keptCursors {
					t.Errorf("%d cursors are open", len(src.cursors))
				}
			})
		}
	}
}

// TestParquetKept: what is kept of pages has a bound.
func TestParquetKept(t *testing.T) {
	const size, page, keep = 1000, 10_000, 100_000
	rows := make([]bytesRow, 1000)
	for i := range rows {
		rows[i] = bytesRow{bytes.Repeat([]byte{byte(i)}, size), "x"}
	}
	d, err := Open(write(t, "x.parquet", parquetBytes(t, rows, parquet.PageBufferSize(page))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	src := d.src.(*parquetSource)
	src.keep = keep
	for i := range rows {
		if data, _, err := src.read(i, nil); err != nil || len(data) != size || data[0] != byte(i) {
			t.Fatalf("row %d: %v", i, err)
		}
		sum := 0
		for _, p := range src.pages {
			sum += p.bytes
		}
		if sum != src.bytes || sum > keep+2*page {
			t.Fatalf("%d bytes are kept, %d counted", sum, src.bytes)
		}
	}
	if len(src.pages) < keptPages {
		t.Errorf("%d pages are kept", len(src.pages))
	}
}

// The fingerprint changes with the sizes of pictures, and with nothing else of their bytes.
func TestParquetFingerprint(t *testing.T) {
	print := func(text string) string {
		d, err := Open(write(t, "x.parquet", parquetBytes(t, []bytesRow{{[]byte(text), "x"}})), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Fingerprint()
	}
	first, again, longer := print("abcd"), print("abcd"), print("abcdabcdabcd")
	if first != again || first == longer {
		t.Error("the fingerprint does not follow the sizes")
	}
}

func TestDistinct(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "crane (1)", "crane (2)"}, distinct([]string{"a", "crane", "crane"})); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, c := range ImageNet() {
		names = append(names, strings.TrimSuffix(strings.ReplaceAll(c.Name, "_", " "), " bird")+", and more")
	}
	if got := distinct(names); got[134] != "n02012849" || got[517] != "n03126707" { // both are called crane
		t.Errorf("%s, %s", got[134], got[517])
	}
}

func FuzzParquet(f *testing.F) {
	f.Add([]byte(parquetBytes(f, []hfRow{hf("1.png", 1, 0), hf("2.png", 2, 1)}, features("label", "dog", "cat"))))
	f.Add([]byte(parquetBytes(f, []bytesRow{{[]byte(pngOf(1)), "dog"}}, parquet.Compression(&parquet.Snappy))))
	path := filepath.Join(f.TempDir(), "f.parquet")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		openAndLoad(t, path)
	})
}
