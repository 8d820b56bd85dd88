package onnx

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// zipped is a zip archive of empty files.
func zipped(t testing.TB, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range names {
		if _, err := z.Create(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fields encodes fields of bytes, or of 1 as a number where the text is empty.
func fields(pairs ...any) string {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		num, text := protowire.Number(pairs[i].(int)), pairs[i+1].(string)
		if text == "" {
			b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), 1)
		} else {
			b = appendString(b, num, text)
		}
	}
	return string(b)
}

// foreign are beginnings of files of other programs: signatures as their formats define them,
// protocol buffers by their fields.
func foreign(t testing.TB) map[string]struct{ data, what, do string } {
	return map[string]struct{ data, what, do string }{
		"empty":             {"", "an empty file", "download"},
		"git lfs":           {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102400\n", "Git LFS keeps in place of a file of 102400 bytes", "git lfs pull"},
		"git-annex":         {"/annex/objects/SHA256E-s3--ab.onnx\n", "git-annex", "git annex get"},
		"torch.save":        {zipped(t, "archive/data.pkl", "archive/data/0", "archive/version"), "a PyTorch file", "torch.onnx.export(model"},
		"TorchScript":       {zipped(t, "net/data.pkl", "net/code/__torch__/net.py", "net/constants.pkl"), "TorchScript", "torch.onnx.export(model"},
		"torch.export":      {zipped(t, "serialized_exported_program.json", "version"), "torch.export", "torch.export.load"},
		"old torch.save":    {"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch", "torch.onnx.export(model"},
		"pickle":            {"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}.", "pickle", "torch.onnx.export"},
		"HDF5":              {"\x89HDF\r\n\x1a\n\x00\x00", "HDF5", "tf2onnx.convert --keras"},
		"keras":             {zipped(t, "metadata.json", "config.json", "model.weights.h5"), "Keras model", "model.export"},
		"TensorFlow Lite":   {"\x1c\x00\x00\x00TFL3\x14\x00", "TensorFlow Lite", "--tflite"},
		"ORT format":        {"\x24\x00\x00\x00ORTM\x00\x00", "ONNX Runtime's own format", "ONNX file that it was made from"},
		"TensorRT":          {"ptrt\x00\x00\x00\x00", "TensorRT engine", "made from"},
		"safetensors":       {"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}        \x00\x00", "safetensors", "optimum-cli"},
		"OpenVINO":          {"<?xml version=\"1.0\"?>\n<net name=\"x\" version=\"11\">\n\t<layers>", "OpenVINO", "made from"},
		"XML":               {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML", "download"},
		"HTML":              {"\n<!DOCTYPE html>\n<html lang=\"en\"><head>", "an HTML page", "raw"},
		"JSON":              {`{"message": "Not Found"}`, "a JSON file", "--model"},
		"PaddlePaddle JSON": {`{"base_code":{"magic":"pir","version":1}}`, "PaddlePaddle", "paddle2onnx"},
		"text":              {"package main\n", "a text file", "--model"},
		"zeros":             {strings.Repeat("\x00", 100), "zero bytes", "download"},
		"blanks":            {" \n\n", "a text file", "--model"},
		"text of Latin-1":   {"na\xefve caf\xe9 and nothing more\n", "a text file", "--model"},
		"text of UTF-16":    {"\xff\xfeh\x00i\x00", "a text file", "--model"},
		"gzip":              {"\x1f\x8b\x08\x00", "gzip", "gunzip"},
		"zip of a model":    {zipped(t, "readme.txt", "deep/net.onnx"), "a zip archive", `"deep/net.onnx"`},
		"zip of others":     {zipped(t, "a.txt"), "without an .onnx file", "made from"},
		"npz":               {zipped(t, "a.npy", "b.npy"), "NumPy", "made from"},
		"broken zip":        {"PK\x03\x04 and nothing", "a damaged zip", "download"},
		"tar":               {strings.Repeat("\x00", 257) + "ustar\x0000", "a tar archive", "tar -xf"},
		"PNG":               {"\x89PNG\r\n\x1a\n\x00\x00", "a PNG image", "--data"},
		"SavedModel":        {fields(1, "", 2, fields(1, fields(1, "serve"), 2, "graph")), "SavedModel", "--saved-model"},
		"frozen TensorFlow": {fields(1, fields(1, "x", 2, "Placeholder"), 1, fields(1, "w", 2, "Const"), 4, fields(1, "")), "TensorFlow graph", "--graphdef"},
		"Core ML":           {fields(1, "", 2, fields(1, fields(1, "image")), 500, "network"), "Core ML", "export the network"},
		"PaddlePaddle":      {fields(1, "\x08\x00\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00", 4, "v"), "PaddlePaddle", "paddle2onnx"},
		"Caffe":             {fields(1, "CaffeNet", 100, fields(1, "data")), "Caffe", "export the network"},
	}
}

func TestRecognise(t *testing.T) {
	for name, c := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			if err := os.WriteFile(path, []byte(c.data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Read(path)
			var wrong *WrongFileError
			if !errors.As(err, &wrong) || !strings.Contains(wrong.What, c.what) || !strings.Contains(wrong.Do, c.do) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q and %q", err, c.what, c.do)
			}
		})
	}
}

// Models are not taken for anything else, whichever of their fields comes first.
func TestRecogniseLeavesModels(t *testing.T) {
	graph := fields(1, fields(1, "x", 2, "y", 4, "Relu"), 2, "g", 11, fields(1, "x"), 12, fields(1, "y"))
	for name, data := range map[string]string{
		"usual":          fields(1, "", 2, "pytorch", 3, "2.5", 7, graph, 8, fields(2, "")),
		"producer first": fields(2, "pytorch", 7, graph, 1, "", 8, fields(2, "")),
		"graph first":    fields(7, graph, 1, ""),
		"metadata first": fields(14, fields(1, "classes", 2, "a,b"), 1, "", 7, graph),
		"domain first":   fields(4, "TFL3", 1, "", 7, graph),
	} {
		if what, do := Recognise(strings.NewReader(data), int64(len(data))); what != "" {
			t.Errorf("%s: %q, %q", name, what, do)
		}
		if _, err := Parse([]byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	files, err := filepath.Glob("../../*/testdata/*.onnx")
	more, err2 := filepath.Glob("../../model/testdata/*/*.onnx")
	if files = append(files, more...); err != nil || err2 != nil || len(files) < 20 {
		t.Fatalf("%d models, %v, %v", len(files), err, err2)
	}
	for _, f := range files {
		if _, err := Read(f); err != nil {
			t.Error(err)
		}
	}
}

func TestRecogniseFolder(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"one model":    {[]string{"net[1].onnx", "labels.txt"}, "net[1].onnx"},
		"of optimum":   {[]string{"config.json", "onnx/model.onnx"}, "model.onnx"},
		"two models":   {[]string{"a.onnx", "b.onnx"}, "give one of the files"},
		"SavedModel":   {[]string{"saved_model.pb", "variables/x"}, "--saved-model"},
		"Transformers": {[]string{"config.json", "model.safetensors"}, "optimum-cli"},
		"PaddlePaddle": {[]string{"inference.pdmodel"}, "paddle2onnx"},
		"nothing":      {[]string{"a.png"}, "without an .onnx file"},
	} {
		dir := filepath.Join(t.TempDir(), "a [folder]")
		for _, f := range c.files {
			p := filepath.Join(dir, filepath.FromSlash(f))
			if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestCutOff(t *testing.T) {
	data, err := os.ReadFile("../../runtime/testdata/linear.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) {
		if _, err := Parse(data[:n]); n == len(data)/2 && err == nil || err != nil && !strings.Contains(err.Error(), "only the beginning of one") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Whatever the bytes, the error is a sentence of this program, and says what to do.
func TestMalformed(t *testing.T) {
	data, err := os.ReadFile("../../runtime/testdata/linear.onnx")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"zeros at the end": append(bytes.Clone(data), make([]byte, 100)...), "zeros in place of the rest": append(bytes.Clone(data[:len(data)/2]), make([]byte, len(data)/2)...)}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		b := make([]byte, 1+rng.IntN(3000))
		for k := range b {
			b[k] = byte(rng.Uint32())
		}
		files[fmt.Sprintf("noise %d", i)] = b
		c := bytes.Clone(data)
		c[rng.IntN(len(c))] = byte(rng.Uint32())
		files[fmt.Sprintf("one byte changed %d", i)] = c
	}
	failed := 0
	for name, b := range files {
		_, err := Parse(b)
		if err == nil {
			continue
		}
		if failed++; strings.Contains(err.Error(), "proto") || !strings.Contains(err.Error(), "download") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if failed < 250 {
		t.Errorf("%d of %d cannot be read", failed, len(files))
	}
}

func FuzzRecognise(f *testing.F) {
	for _, c := range foreign(f) {
		f.Add([]byte(c.data))
	}
	long := binary.LittleEndian.AppendUint64(nil, 1<<63)
	f.Add(append(long, '{'))
	f.Fuzz(func(t *testing.T, data []byte) {
		what, do := Recognise(bytes.NewReader(data), int64(len(data)))
		if (what == "") != (do == "") {
			t.Errorf("%q, %q", what, do)
		}
		// What begins as models do, with the IR version, and can be parsed is none of the others.
		if m, err := Parse(data); err == nil && data[0] == 0x08 && m.IR > 0 && what != "" {
			t.Errorf("a model of %d nodes is taken for %q", len(m.Graph.Nodes), what)
		}
	})
}
