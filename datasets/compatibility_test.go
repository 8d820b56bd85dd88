package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cutmix-eval/internal/docs"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/npy"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
)

// layout is a sample of data as people keep them, a row of docs/compatibility.md.
type layout struct {
	what    string // and the sample, as the page has them
	sample  string
	open    func(t *testing.T) (path string, o Options)
	outputs int    // of the model; 0: two, or as many as names
	names   string // of the model's classes, separated by commas; empty: none
	images  int    // with a label
	says    string // the page's last column
	// refused is the sentence, or its end, that Open or Align refuses it with.
	refused string
}

// model is the number of its outputs.
func (l layout) model() int {
	switch {
	case l.outputs > 0:
		return l.outputs
	case l.names != "":
		return strings.Count(l.names, ",") + 1
	}
	return 2
}

// answer is a picture of one colour, which says of which output it is right to be.
func answer(output int) string {
	m := image.NewNRGBA(image.Rect(0, 0, 4, 3))
	for i := range 12 {
		m.SetNRGBA(i%4, i/4, color.NRGBA{byte(output / 40), byte(output % 40 * 6), 7, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.String()
}

// answered is the output that a picture says.
func answered(pix []byte) int { return int(pix[0])*40 + int(pix[1])/6 }

// pixels are those of answer, n x h x w x 3 without a container.
func pixels(w, h int, planes bool, outputs ...int) string {
	var b bytes.Buffer
	for _, o := range outputs {
		c := []byte{byte(o / 40), byte(o % 40 * 6), 7}
		for i := range 3 * w * h {
			if planes {
				b.WriteByte(c[i/(w*h)])
			} else {
				b.WriteByte(c[i%3])
			}
		}
	}
	return b.String()
}

// folder, packed and file say how a sample is given.
func folder(f files, o Options) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) { return f.folder(t), o }
}

func packed(name string, pack func(t *testing.T) []byte) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) { return write(t, name, string(pack(t))), Options{} }
}

func inside(name string, make func(t *testing.T) files) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) { return filepath.Join(make(t).folder(t), name), Options{} }
}

// labelled is three pictures, of which the first two are of output 0, with a file of labels.
func labelled(name, text string) func(*testing.T) (string, Options) {
	return withLabels(files{"a.png": answer(0), "b.png": answer(0), "c.png": answer(1)}, name, text)
}

func withLabels(f files, name, text string) func(*testing.T) (string, Options) {
	return func(t *testing.T) (string, Options) { return f.folder(t), Options{Labels: write(t, name, text)} }
}

func utf16(e unicode.Endianness, s string) string {
	out, err := unicode.UTF16(e, unicode.UseBOM).NewEncoder().String(s)
	if err != nil {
		panic(err)
	}
	return out
}

var (
	pets = files{"dog/1.png": answer(1), "cat/2.png": answer(0), "cat/deep/3.png": answer(0)}
	// val.txt of Caffe's tools, outputs of the first images of ILSVRC 2012, and the devkit's
	// numbers of the same.
	ilsvrc = files{
		"ILSVRC2012_val_00000001.JPEG": answer(65), "ILSVRC2012_val_00000002.JPEG": answer(970), "ILSVRC2012_val_00000003.JPEG": answer(230),
		"ILSVRC2012_val_00000004.JPEG": answer(809), "ILSVRC2012_val_00000005.JPEG": answer(516), "ILSVRC2012_val_00000006.JPEG": answer(57),
	}
)

const (
	breeds = "id,breed\na,cat\nb,cat\nc,dog\n"
	dev    = "490\n361\n171\n822\n297\n482\n"
)

func shardOf(t *testing.T, f files) string { return string(f.tarBytes(t)) }

func hfRows(path string, output int, label int64) hfRow {
	return hfRow{Image: &hfImage{[]byte(answer(output)), &path}, Label: &label}
}

// layouts are rows of the page. To add one, add a line.
var layouts = []layout{
	{what: "class folders", sample: "`cat/2.png` `dog/1.png`", open: folder(pets, Options{}), images: 3, says: "names sorted by bytes: cat 0, dog 1"},
	{what: "class folders, capitals", sample: "`Zebra/1.png` `ant/2.png`", open: folder(files{"Zebra/1.png": answer(0), "ant/2.png": answer(1)}, Options{}), images: 2, says: "Zebra 0, ant 1, as torchvision"},
	{what: "class folders, capitals, `--class-order natural`", sample: "the same", open: folder(files{"Zebra/1.png": answer(1), "ant/2.png": answer(0)}, Options{Order: NaturalOrder}), images: 2, says: "ant 0, Zebra 1, as timm"},
	{what: "class folders, an empty one", sample: "`cat/1.png` `dog/` `emu/2.png`", names: "cat,dog,emu", images: 2, says: "cat 0, emu 2",
		open: func(t *testing.T) (string, Options) {
			return files{"cat/1.png": answer(0), "dog/.keep": "", "emu/2.png": answer(2)}.folder(t), Options{}
		}},
	{what: "class folders, other spelling than the model's", sample: "`cat_one/1.png`, the model says Dog One, Cat One", names: "Dog One,Cat One", images: 2, says: "by name",
		open: folder(files{"cat_one/1.png": answer(1), "dog-one/2.png": answer(0)}, Options{})},
	{what: "class folders that are numbers", outputs: 10, sample: "`0/` `1/` `2/` … `10/`: output numbers", images: 3, says: "label = number", open: folder(files{"0/1.png": answer(0), "2/1.png": answer(2), "9/1.png": answer(9)}, Options{})},
	{what: "class folders that are numbers, from 1 to N", outputs: 10, sample: "`1/` … `10/`", images: 10, says: "label = number - 1", open: func(t *testing.T) (string, Options) {
		f := files{}
		for i := range 10 {
			f[fmt.Sprintf("%d/x.png", i+1)] = answer(i)
		}
		return f.folder(t), Options{}
	}},
	{what: "ImageNet, synset folders", outputs: 1000, sample: "`n01440764/` `n01443537/` `n15075141/`", images: 3, says: "outputs 0, 1, 999",
		open: folder(files{"n01440764/1.JPEG": answer(0), "n01443537/1.JPEG": answer(1), "n15075141/1.JPEG": answer(999)}, Options{})},
	{what: "files named as images or not", sample: "PNG contents in `x.jpg` and `y`", images: 2, says: "by their contents", open: folder(files{"cat/x.jpg": answer(0), "dog/y": answer(1)}, Options{})},
	{what: "tar", sample: "of class folders", open: packed("d.tar", func(t *testing.T) []byte { return pets.tarBytes(t) }), images: 3, says: "read in place"},
	{what: "tar.gz", sample: "the same", images: 3, says: "unpacked first", open: packed("d.tar.gz", func(t *testing.T) []byte { return gzipped(pets.tarBytes(t)) })},
	{what: "tar.zst", sample: "the same", images: 3, says: "unpacked first", open: packed("d.tar.zst", func(t *testing.T) []byte {
		var b bytes.Buffer
		w, _ := zstd.NewWriter(&b)
		_, _ = w.Write(pets.tarBytes(t))
		_ = w.Close()
		return b.Bytes()
	})},
	{what: "tar.bz2", sample: "as Python's tarfile and bz2 wrote it", images: 2, says: "unpacked first", open: packed("d.tar.bz2", func(*testing.T) []byte {
		b, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWZEFCXAAAMb//v3SDBBFBf+oNuFUgGyB30BQISFNAAFAABgAQAAICDAA2EEqUZNAAABoABoADTIZPSPKHNMTJk0YTBMTTAJgEMEYEYAqoVNPU9NTQGgNNqaaBpoGhtI0ekAaHpnkxNx/Iq5AjQ6ms9VpZQELSKHvXJp05V9snG20zSQhBneyW8jYIkV5FOpcDsTIbSK6tqeW3dzX2qwRQUIkFSSCTQwXllLCuNFYYU6d8JMT8Y2NUkii60y4qZHyoZEyt5yZS4P84hpg/eyBlmEm+SESRkkkdsJHdRANCxUR9OK1Ivjb4pbCBAfxdyRThQkJEFCXAA==")
		if err != nil {
			panic(err)
		}
		return b
	})},
	{what: "zip", sample: "the same", images: 3, says: "read in place", open: packed("d.zip", func(t *testing.T) []byte { return pets.zipBytes(t, zip.Deflate) })},
	{what: "splits", sample: "`train/cat/` `val/cat/` `test/cat/`", images: 2, says: "val, or what `--split` says",
		open: folder(files{"train/cat/1.png": answer(9), "train/dog/1.png": answer(9), "val/cat/1.png": answer(0), "val/dog/1.png": answer(1), "test/cat/1.png": answer(9)}, Options{})},
	{what: "splits of other names", sample: "`training_set/` `test_set/`, `--split test`", images: 2, says: "test_set",
		open: folder(files{"training_set/cat/1.png": answer(9), "test_set/cat/1.png": answer(0), "test_set/dog/1.png": answer(1)}, Options{Split: "test"})},
	{what: "splits called dev", sample: "`dev/` `train/`", images: 2, says: "dev counts as val",
		open: folder(files{"dev/cat/1.png": answer(0), "dev/dog/1.png": answer(1), "train/cat/1.png": answer(9)}, Options{})},
	{what: "a split among other folders", sample: "`test/cat/` `test/dog/` `samples/`", images: 2, says: "test",
		open: folder(files{"test/cat/1.png": answer(0), "test/dog/1.png": answer(1), "samples/1.png": answer(9)}, Options{})},
	{what: "Hugging Face's Parquet, numbers of classes", sample: "`image` {bytes, path}, `label`, names dog, cat in the schema", names: "dog,cat", images: 2, says: "by the schema's names",
		open: packed("x.parquet", func(t *testing.T) []byte {
			return []byte(parquetBytes(t, []hfRow{hfRows("1.png", 1, 1), hfRows("2.png", 0, 0)}, features("label", "dog", "cat")))
		})},
	{what: "the same in shards with splits", sample: "`data/train-00000-of-00001.parquet`, `data/validation-0000*-of-00002.parquet`", names: "dog,cat", images: 2, says: "the shards of validation",
		open: inside("", func(t *testing.T) files {
			one := func(output int) string {
				return parquetBytes(t, []hfRow{hfRows("x.png", output, int64(output))}, features("label", "dog", "cat"))
			}
			return files{"data/train-00000-of-00001.parquet": one(9), "data/validation-00000-of-00002.parquet": one(0), "data/validation-00001-of-00002.parquet": one(1)}
		})},
	{what: "Parquet with texts as labels", sample: "`image` bytes, `label` cat, dog", images: 2, says: "names sorted",
		open: packed("x.parquet", func(t *testing.T) []byte {
			return []byte(parquetBytes(t, []bytesRow{{[]byte(answer(1)), "dog"}, {[]byte(answer(0)), "cat"}}))
		})},
	{what: "webdataset with .cls numbers", sample: "`x.png` `x.cls`: 1", images: 2, says: "outputs by number",
		open: packed("d.tar", func(t *testing.T) []byte {
			return files{"x.png": answer(1), "x.cls": "1\n", "y.png": answer(0), "y.cls": "0"}.tarBytes(t)
		})},
	{what: "webdataset shards, JSON labels", sample: "`val-{000..001}.tar`, `x.json`: {\"label\": 1}", images: 2, says: "all shards of the pattern",
		open: inside("val-{000..001}.tar", func(t *testing.T) files {
			return files{
				"val-000.tar": shardOf(t, files{"x.png": answer(1), "x.json": `{"label": 1}`}), "val-001.tar": shardOf(t, files{"y.png": answer(0), "y.json": `{"label": 0}`}),
				"val-002.tar": shardOf(t, files{"z.png": answer(9), "z.json": `{"label": 0}`}),
			}
		})},
	{what: "webdataset with names of classes", sample: "`classnames.txt` beside the shards", names: "ant,bee", images: 2, says: "by name",
		open: inside("", func(t *testing.T) files {
			return files{"classnames.txt": "bee\nant\n", "0.tar": shardOf(t, files{"x.png": answer(0), "x.cls": "1", "y.png": answer(1), "y.cls": "0"})}
		})},
	{what: "image list", sample: "`cat/1.png 0`", images: 2, says: "numbers", open: inside("list.txt", func(*testing.T) files {
		return files{"list.txt": "im/1.png 1\nim/2.png 0\n", "im/1.png": answer(1), "im/2.png": answer(0)}
	})},
	{what: "image list with a header", sample: "`file_name,label`", images: 2, says: "names sorted", open: inside("list.csv", func(*testing.T) files {
		return files{"list.csv": "file_name,label\nim/1.png,dog\nim/2.png,cat\n", "im/1.png": answer(1), "im/2.png": answer(0)}
	})},
	{what: "numpy pictures and labels, numbers", outputs: 10, sample: "`x_data.npy` (n x h x w x 3), `x_labels.npy`", images: 3, says: "labels beside the pictures", open: inside("x_data.npy", func(*testing.T) files {
		return files{"x_data.npy": string(npy.Header("u1", 3, 4, 5, 3)) + pixels(5, 4, false, 3, 0, 7), "x_labels.npy": npyOf("i4", []int{3}, 3, 0, 7)}
	})},
	{what: "numpy archive of several splits", sample: "`train_images`, `test_images`, `test_labels` … in `x.npz`, as MedMNIST's, `--split test`", outputs: 10, images: 3, says: "the arrays of test",
		open: func(t *testing.T) (string, Options) {
			image := func(outputs ...int) string {
				return string(npy.Header("u1", len(outputs), 4, 5, 3)) + pixels(5, 4, false, outputs...)
			}
			return write(t, "x.npz", string(files{
				"train_images.npy": image(9), "train_labels.npy": npyOf("u1", []int{1, 1}, 0),
				"test_images.npy": image(3, 0, 7), "test_labels.npy": npyOf("u1", []int{3, 1}, 3, 0, 7),
			}.zipBytes(t, zip.Deflate))), Options{Split: "test"}
		}},
	{what: "folder of numpy arrays", sample: "`x_test.npy` `y_test.npy`", outputs: 10, images: 2, says: "labels by name", open: inside("", func(*testing.T) files {
		return files{"x_test.npy": string(npy.Header("u1", 2, 4, 5, 3)) + pixels(5, 4, false, 8, 1), "y_test.npy": npyOf("i8", []int{2}, 8, 1)}
	})},
	{what: "CIFAR-10, binary version", outputs: 10, sample: "`test_batch.bin`", images: 2, says: "CIFAR's order", open: inside("", func(*testing.T) files {
		return files{"cifar-10-batches-bin/test_batch.bin": "\x03" + pixels(32, 32, true, 3) + "\x09" + pixels(32, 32, true, 9)}
	})},
	{what: "CIFAR-100, binary version", outputs: 100, sample: "`test.bin`", images: 2, says: "fine labels", open: inside("", func(*testing.T) files {
		return files{"cifar-100-binary/test.bin": "\x01\x63" + pixels(32, 32, true, 99) + "\x00\x2a" + pixels(32, 32, true, 42)}
	})},
	{what: "Tiny-ImageNet's validation part", sample: "`val/images/val_0.JPEG`, `val/val_annotations.txt`, `wnids.txt` unsorted", names: "n1,n2,n3", images: 2, says: "synsets sorted, those of `wnids.txt` too",
		open: folder(files{"wnids.txt": "n3\nn1\nn2\n", "val/images/val_0.JPEG": answer(2), "val/images/val_1.JPEG": answer(0), "val/val_annotations.txt": "val_0.JPEG\tn3\t0\t0\t9\t9\nval_1.JPEG\tn1\t0\t0\t9\t9\n"}, Options{})},
	{what: "ImageNet's validation pictures, the devkit's ground truth", outputs: 1000, sample: "`ILSVRC2012_validation_ground_truth.txt`: 490, 361 …", images: 6, says: "outputs 65, 970 …, as Caffe's `val.txt`", open: withLabels(ilsvrc, "truth.txt", dev)},
	{what: "ImageNet's validation pictures, Kaggle's table", outputs: 1000, sample: "`ImageId,PredictionString`", images: 2, says: "the synset", open: withLabels(files{"ILSVRC2012_val_00000001.JPEG": answer(65), "ILSVRC2012_val_00000002.JPEG": answer(970)},
		"LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00000001,n01751748 111 108 230 366 \nILSVRC2012_val_00000002,n09193705 1 2 3 4 n09193705 5 6 7 8 \n")},
	{what: "ImageNet's validation pictures, Caffe's `val.txt`", outputs: 1000, sample: "`ILSVRC2012_val_00000001.JPEG 65`", images: 2, says: "output numbers", open: withLabels(files{"ILSVRC2012_val_00000001.JPEG": answer(65), "ILSVRC2012_val_00000002.JPEG": answer(970)},
		"val.txt", "ILSVRC2012_val_00000001.JPEG 65\nILSVRC2012_val_00000002.JPEG 970\n")},
	{what: "table, unknown header", sample: "`id,breed` then `a,cat`", open: labelled("l.csv", breeds), images: 3, says: "names sorted"},
	{what: "table without a header", sample: "`a.png,cat`", open: labelled("l.csv", "a.png,cat\nb.png,cat\nc.png,dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table, label first", sample: "`breed,picture` then `cat,a.png`", open: labelled("l.csv", "breed,picture\ncat,a.png\ncat,b.png\ndog,c.png\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table with tabs", sample: "TSV", open: labelled("l.tsv", strings.ReplaceAll(breeds, ",", "\t")), images: 3, says: "cat 0, dog 1"},
	{what: "table with semicolons", sample: "`Bild;Rasse`", open: labelled("l.csv", "Bild;Rasse\na.png;cat\nb.png;cat\nc.png;dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table with bars", sample: "`a.png\\|cat`", open: labelled("l.txt", "a.png|cat\nb.png|cat\nc.png|dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table with spaces", sample: "`a.png cat`", open: labelled("l.txt", "a.png cat\nb.png cat\nc.png dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table of several columns", sample: "`nr,picture,breed of dog,weight`", open: labelled("l.csv", "nr,picture,breed of dog,weight\n1,a.png,cat,3\n2,b.png,cat,4\n3,c.png,dog,9\n"), images: 3, says: "the column called label, class, breed or the like"},
	{what: "table, one column per class", sample: "`image,cat,dog` then `a,1,0`", open: labelled("l.csv", "image,cat,dog\na,1,0\nb,1.0,0.0\nc,0,1\n"), images: 3, says: "the column with 1"},
	{what: "table with quotes", sample: "`\"a.png\",\"cat\"`", open: labelled("l.csv", "\"id\",\"breed\"\n\"a.png\",\"cat\"\n\"b.png\",\"cat\"\n\"c.png\",\"dog\"\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table with comments", sample: "`# made by hand`", open: labelled("l.csv", "# made by hand\n"+breeds), images: 3, says: "passed over"},
	{what: "table in UTF-16", sample: "as spreadsheets write it", open: labelled("l.csv", utf16(unicode.LittleEndian, strings.ReplaceAll(breeds, "\n", "\r\n"))), images: 3, says: "cat 0, dog 1"},
	{what: "table in UTF-16, big-endian", sample: "of other systems", open: labelled("l.csv", utf16(unicode.BigEndian, breeds)), images: 3, says: "cat 0, dog 1"},
	{what: "table with a byte order mark", sample: "UTF-8 of Excel", open: labelled("l.csv", "\xef\xbb\xbf"+breeds), images: 3, says: "cat 0, dog 1"},
	{what: "table with old line ends", sample: "CR alone", open: labelled("l.csv", strings.ReplaceAll(breeds, "\n", "\r")), images: 3, says: "cat 0, dog 1"},
	{what: "table, labels are numbers", sample: "`a,0`", open: labelled("l.csv", "path,label\na,0\nb,0\nc,1\n"), images: 3, says: "output numbers"},
	{what: "table, labels are numbers written otherwise", sample: "`a,0.0` `b,00` `c,1e0`", open: labelled("l.csv", "path,label\na,0.0\nb,00\nc,1e0\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table without a header, several columns", sample: "`0,a.png,cat`, of which one alone can be labels", open: labelled("l.csv", "0,a.png,cat\n1,b.png,cat\n2,c.png,dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table, True and False per class", sample: "`image,cat,dog` then `a,True,False`", open: labelled("l.csv", "image,cat,dog\na,True,False\nb,True,False\nc,False,True\n"), images: 3, says: "in the order of the columns"},
	{what: "table with Windows paths", sample: "`C:\\data\\a.png,cat`", open: labelled("l.csv", "C:\\data\\a.png,cat\nC:\\data\\b.png,cat\nC:\\data\\c.png,dog\n"), images: 3, says: "cat 0, dog 1"},
	{what: "table of records in JSON", sample: "`[{\"image\": \"a.png\", \"label\": \"cat\"}]`", open: labelled("l.json", `[{"image": "a.png", "label": "cat"}, {"image": "b.png", "label": "cat"}, {"image": "c.png", "label": "dog"}]`), images: 3, says: "cat 0, dog 1"},
	{what: "images and labels in JSON", sample: "`{\"a.png\": 0}`", open: labelled("l.json", `{"a.png": 0, "b.png": 0, "c.png": 1}`), images: 3, says: "output numbers"},
	{what: "lines of records", sample: "`metadata.jsonl`: `{\"file_name\": \"a.png\", \"label\": 0}`", open: folder(files{"a.png": answer(0), "b.png": answer(0), "c.png": answer(1),
		"metadata.jsonl": "{\"file_name\": \"a.png\", \"label\": 0}\n{\"file_name\": \"b.png\", \"label\": 0}\n{\"file_name\": \"c.png\", \"label\": 1}\n"}, Options{}), images: 3, says: "found among the images"},
	{what: "labels alone under a header", sample: "`label` then `cat` `cat` `dog`", open: labelled("l.csv", "label\ncat\ncat\ndog\n"), images: 3, says: "in the order of the names, which is noted"},
	{what: "labels alone, numbers from 0", sample: "one per line, in the order of the names", open: labelled("l.txt", "0\n0\n1\n"), images: 3, says: "cat 0, dog 1"},
	{what: "labels alone, names", sample: "`cat` `cat` `dog`", open: labelled("l.txt", "cat\ncat\ndog\n"), images: 3, says: "names sorted"},
	{what: "labels in numpy's format", sample: "`y.npy`", open: labelled("y.npy", npyOf("u1", []int{3}, 0, 0, 1)), images: 3, says: "the same as numbers alone"},
	{what: "class map, lines", sample: "`dog 0` `cat 1`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.txt", "dog 0\ncat 1\n"), images: 2, says: "dog 0, cat 1"},
	{what: "class map, number first", sample: "`0 dog`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.txt", "0 dog\n1 cat\n"), images: 2, says: "dog 0, cat 1"},
	{what: "class map with a header", sample: "`name,id`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.csv", "name,id\ndog,0\ncat,1\n"), images: 2, says: "dog 0, cat 1"},
	{what: "class map in JSON", sample: "`{\"dog\": 0, \"cat\": 1}`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.json", `{"dog": 0, "cat": 1}`), images: 2, says: "dog 0, cat 1"},
	{what: "class map in JSON by number", sample: "`{\"0\": [\"n1\", \"dog\"]}`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.json", `{"0": ["n1", "dog"], "1": ["n2", "cat"]}`), images: 2, says: "dog 0, cat 1"},
	{what: "list of classes in output order", sample: "`dog` `cat`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.txt", "dog\ncat\n"), images: 2, says: "dog 0, cat 1"},
	{what: "output numbers in the order of the folders", sample: "`1` `0`, as timm's `imagenet_a_indices.txt`", open: withLabels(files{"dog/1.png": answer(0), "cat/2.png": answer(1)}, "m.txt", "1\n0\n"), images: 2, says: "dog 0, cat 1"},
}

// refusals are rows of the page's last table. To add one, add a line.
var refusals = []layout{
	{what: "no images", sample: "an empty folder", open: folder(files{}, Options{}), refused: "it holds no images (folder: 0 images in one folder, without labels)"},
	{what: "archives in a folder", sample: "`a.rar`", open: folder(files{"a.rar": "Rar!"}, Options{}), refused: "it holds no images, but archives (a.rar): give one of them, or unpack it"},
	{what: "a tar within a tar", sample: "", open: packed("d.tar", func(t *testing.T) []byte { return files{"in.tar": shardOf(t, pets)}.tarBytes(t) }), refused: "it holds no images, but archives (in.tar), which are not read within another one: unpack it and give the folder"},
	{what: "a tar that is cut off", sample: "", open: packed("d.tar", func(t *testing.T) []byte { b := pets.tarBytes(t); return b[:len(b)-1024-600] }), refused: "the tar file is cut off after 2 members; copy it again"},
	{what: "a tar with a member that is larger than the file", sample: "`../x.jpg` of 10^13 bytes", open: packed("d.tar", func(t *testing.T) []byte {
		var b bytes.Buffer
		b.Write(files{"a/1.png": answer(0)}.tarBytes(t)[:1024]) // without the end
		_ = tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "../x.jpg", Size: 1e13, Mode: 0o644})
		return append(b.Bytes(), make([]byte, 1024)...)
	}), refused: "the tar file is cut off: ../x.jpg should have 10000000000000 bytes, 1024 are left"},
	{what: "CIFAR, Python version", sample: "`data_batch_1`, `batches.meta`", open: folder(files{"data_batch_1": "\x80\x02}", "batches.meta": "\x80\x02}"}, Options{}), refused: "it is CIFAR's Python version (pickle files); use the binary version or a folder of images"},
	{what: "a pickle file", sample: "`cifar.pkl`", open: packed("x.pkl", func(*testing.T) []byte { return []byte("\x80\x04\x95\x00\x00\x00\x00}") }), refused: pickled},
	{what: "MNIST's idx format", sample: "`t10k-images-idx3-ubyte`", open: packed("t10k-images-idx3-ubyte", func(*testing.T) []byte { return []byte("\x00\x00\x08\x03\x00\x00\x00\x01") }), refused: "it holds pictures in MNIST's idx format; save them with numpy.save as bytes (uint8) of the shape n x height x width, and the labels beside them"},
	{what: "the same, compressed", sample: "`t10k-images-idx3-ubyte.gz`", open: packed("t10k-images-idx3-ubyte.gz", func(*testing.T) []byte { return gzipped([]byte("\x00\x00\x08\x03\x00\x00\x00\x01")) }), refused: "it is compressed, and what is in it is no tar file; unpack it first (gunzip)"},
	{what: "HDF5", sample: "`x.h5`", open: packed("x.h5", func(*testing.T) []byte { return []byte("\x89HDF\r\n\x1a\n\x00\x00") }), refused: "it is an HDF5 file; save pictures and labels with numpy.save, or write the pictures into class folders"},
	{what: "MATLAB", sample: "`x.mat`", open: packed("x.mat", func(*testing.T) []byte { return []byte("MATLAB 5.0 MAT-file, \x00\x00") }), refused: "it is a file of MATLAB; save pictures and labels with numpy.save, or write the pictures into class folders"},
	{what: "Arrow", sample: "`x.arrow` of Hugging Face's `save_to_disk`", open: packed("x.arrow", func(*testing.T) []byte { return []byte("\xff\xff\xff\xff\x00\x00") }), refused: "it is an Arrow stream; save the table as Parquet (to_parquet of Hugging Face's datasets)"},
	{what: "a text that is no list", sample: "`notes.txt`", open: packed("notes.txt", func(*testing.T) []byte { return []byte("hello world\n") }), refused: "it is a text file, but its lines do not begin with the paths of images; if they are names without an extension, give the images' folder with --data-root"},
	{what: "numpy pictures whose channels may be first or last", sample: "n x 3 x 3 x 3", open: packed("x.npy", func(*testing.T) []byte { return []byte(npyOf("u1", []int{1, 3, 3, 3}, make([]float64, 27)...)) }), refused: "its shape [1 3 3 3] does not tell whether the channels come first or last; save pictures as bytes (uint8) of the shape n x height x width x 3"},
	{what: "a split that is not there", sample: "`--split holdout`", open: folder(pets, Options{Split: "holdout"}), refused: "there is no split \"holdout\": it has no folder of that name"},
	{what: "webdataset, two images to a label", sample: "`1.left.png` `1.right.png` `1.cls`, `--data-format webdataset`", open: func(t *testing.T) (string, Options) {
		return files{"1.left.png": answer(0), "1.right.png": answer(0), "1.cls": "1"}.tar(t), Options{Format: WebDataset}
	}, refused: "sample 1 has several images (1.right.png, 1.left.png), so which one is meant is unclear"},
	{what: "a label that is no whole number", sample: "`b,1.5`", open: labelled("l.csv", "path,label\na,0\nb,1.5\nc,1\n"), refused: "line 3: label 1.5 is no whole number; labels are numbers of classes or their names"},
	{what: "a row without a label", sample: "`b,`", open: labelled("l.csv", "path,label\na,cat\nb,\nc,dog\n"), refused: "line 3 (b) has no label"},
	{what: "a label that stands for none", sample: "`b,NaN`", open: labelled("l.csv", "path,label\na,0\nb,NaN\nc,1\n"), refused: "line 3 (b) has the label \"NaN\", which stands for none; leave the image out, or give its class"},
	{what: "several columns without a header, two of which can be labels", sample: "`a.png,train,cat`", open: labelled("l.csv", "a.png,train,cat\nb.png,train,cat\nc.png,val,dog\n"), refused: "it has no header, and its columns 2, 3 could each be the labels (line 1: a.png, train, cat); say which it is with --label-column N"},
	{what: "one image with two labels", sample: "`a,cat` `a,dog`", open: labelled("l.csv", "path,label\na,cat\na,dog\nc,dog\n"), refused: "image a has two labels, cat (line 2) and dog (line 3)"},
	{what: "a table whose label column is unclear", sample: "`nr,picture,what,weight`", open: labelled("l.csv", "nr,picture,what,weight\n1,a.png,cat,3.5\n2,b.png,cat,4\n3,c.png,dog,9\n"), refused: "which of its columns holds the labels? They are nr, picture, what, weight; say it with --label-column NAME, or call that one label"},
	{what: "one column per class, two of them 1", sample: "`b,1,1`", open: labelled("l.csv", "image,cat,dog\na,1,0\nb,1,1\nc,0,1\n"), refused: "line 3 has several labels; give the table with --multi-label"},
	{what: "numbers alone that do not begin at 0", sample: "`1` `1` `2`", open: labelled("l.txt", "1\n1\n2\n"), refused: "its numbers start above 0 and the images are not ILSVRC's, so what they count is unclear; write \"path,output\" lines, with outputs from 0"},
	{what: "a class map with a class twice", sample: "`{\"dog\": 0, \"cat\": 1, \"dog\": 1}`", open: withLabels(pets, "m.json", `{"dog": 0, "cat": 1, "dog": 1}`), refused: `key "dog" occurs twice`},
	{what: "labels of other images", sample: "`z.png,cat`", open: labelled("l.csv", "z.png,cat\ny.png,dog\n"), refused: "it names neither images nor class folders of the data"},
	{what: "classes that the model calls otherwise", sample: "cat, dog; the model says ant, bee", names: "ant,bee", open: folder(pets, Options{}), refused: "the model calls its classes otherwise"},
	{what: "fewer classes than outputs", sample: "cat, dog; three outputs", outputs: 3, open: folder(pets, Options{}), refused: "nothing says which outputs are meant; give a class map with --labels (lines of \"class output\")"},
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

// aligned opens a sample and finds the output of each of its images.
func (l layout) aligned(t *testing.T) (*Dataset, Alignment, error) {
	path, o := l.open(t)
	d, err := Open(path, o)
	if err != nil {
		return nil, Alignment{}, err
	}
	t.Cleanup(func() { _ = d.Close() })
	var names []string
	if l.names != "" {
		names = strings.Split(l.names, ",")
	}
	a, err := d.Align(l.model(), names)
	return d, a, err
}

// TestKeptData: every image of data as people keep them has the output that its pixels say.
func TestKeptData(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.what, func(t *testing.T) {
			d, a, err := l.aligned(t)
			if err != nil {
				t.Fatal(err)
			}
			loader, n := d.Loader(), 0
			for i, s := range d.Samples {
				im, err := loader.Load(i)
				if err != nil || s.Label < 0 {
					t.Fatalf("%s: label %d, %v", s.ID, s.Label, err)
				}
				if want := answered(im.Pix); a.Output[s.Label] != want {
					t.Errorf("%s: output %d, want %d (%s; %s)", s.ID, a.Output[s.Label], want, d.Why, a.How)
				}
				n++
			}
			if n != l.images || n == 0 {
				t.Errorf("%d images, want %d (%s)", n, l.images, d.Why)
			}
		})
	}
}

// TestRefusedData: what is not read is refused in one sentence.
func TestRefusedData(t *testing.T) {
	for _, l := range refusals {
		t.Run(l.what, func(t *testing.T) {
			_, _, err := l.aligned(t)
			if err == nil || !strings.Contains(err.Error(), l.refused) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q", err, l.refused)
			}
		})
	}
}

// TestLabelsWrittenAsFloats: 10.0 is 10, not a text that sorts before 2.0.
func TestLabelsWrittenAsFloats(t *testing.T) {
	var of [2][]int
	for i, name := range []string{"r12_int.csv", "r12_float.csv"} {
		table := golden.Path(t, "cases", "attacks", name)
		text, err := readText(table)
		if err != nil {
			t.Fatal(err)
		}
		f := files{}
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
			image, label, _ := strings.Cut(line, ",")
			var v float64
			if _, err := fmt.Sscan(label, &v); err != nil {
				t.Fatal(err)
			}
			f[image] = answer(int(v))
		}
		d, err := Open(f.folder(t), Options{Labels: table})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		a, err := d.Align(12, nil)
		if err != nil {
			t.Fatal(err)
		}
		loader := d.Loader()
		for k, s := range d.Samples {
			im, err := loader.Load(k)
			if err != nil || a.Output[s.Label] != answered(im.Pix) {
				t.Fatalf("%s of %s: output %d, %v", s.ID, name, a.Output[s.Label], err)
			}
			of[i] = append(of[i], a.Output[s.Label])
		}
	}
	if len(of[0]) != 600 || !slices.Equal(of[0], of[1]) {
		t.Errorf("%d and %d labels, or they differ", len(of[0]), len(of[1]))
	}
}

// TestCompatibilityPage: the tables of data on the page are those of these tests.
func TestCompatibilityPage(t *testing.T) {
	table := func(last string, of []layout, cell func(layout) string) string {
		var b strings.Builder
		b.WriteString(docs.Header("what", "sample", last))
		for _, l := range of {
			b.WriteString(docs.Row(l.what, l.sample, cell(l)))
		}
		return b.String()
	}
	docs.Table(t, "compatibility.md", "layouts", table("what the program does", layouts, func(l layout) string { return l.says }))
	docs.Table(t, "proof.md", "data", fmt.Sprintf(`- Data: %d samples of layouts, containers and tables of labels, made by the tests, whose pictures carry the number of their right class in
  their pixels; all images of all samples get that class. %d kinds of data that are not read, or labels that do not fit, are refused in a sentence.
`, len(layouts), len(refusals)))
	docs.Table(t, "compatibility.md", "refusals", table("the sentence", refusals, func(l layout) string { return l.refused }))
}
