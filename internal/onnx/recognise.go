package onnx

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"cutmix-eval/internal/text"

	"google.golang.org/protobuf/encoding/protowire"
)

// What to do with models of other programs.
const (
	exportTorch = `with the network and its weights loaded in Python, write one with
  model.eval()
  torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "model.onnx", input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
(the size being that of the network's images)`
	exportKeras     = `load it in Python and call model.export("model.onnx", format="onnx") (Keras 3), or run python -m tf2onnx.convert --keras FILE --output model.onnx`
	exportSaved     = "run python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
	exportFrozen    = "run python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx"
	exportLite      = "run python -m tf2onnx.convert --tflite FILE --output model.onnx"
	exportPaddle    = "run paddle2onnx --model_dir FOLDER --model_filename FILE --params_filename PARAMETERS --save_file model.onnx"
	exportTensors   = "it holds weights without a network: run optimum-cli export onnx --model FOLDER OUT (Hugging Face), or load them into the network in PyTorch and call torch.onnx.export"
	takeSource      = "give the ONNX file that it was made from"
	exportElsewhere = "export the network that it was made from"
	again           = "download the file again"
	giveModel       = "give the .onnx file with --model"
)

// signatures are the first bytes of files that people give as models.
var signatures = []struct {
	at        int
	bytes     string
	what, how string
}{
	{0, "\x89HDF\r\n\x1a\n", "an HDF5 file (.h5, as Keras writes it)", exportKeras},
	{4, "TFL3", "a TensorFlow Lite model", exportLite},
	{4, "ORTM", "a model in ONNX Runtime's own format (.ort)", takeSource},
	{0, "ptrt", "a TensorRT engine, which runs on one kind of GPU only", takeSource},
	{0, "ftrt", "a TensorRT engine, which runs on one kind of GPU only", takeSource},
	{0, "\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch file (pickle, of torch.save before 1.6)", exportTorch},
	{0, "\x80\x02}", "a Python pickle, perhaps of PyTorch or scikit-learn", exportTorch},
	{0, "\x80\x02c", "a Python pickle, perhaps of PyTorch or scikit-learn", exportTorch},
	{0, "\x80\x03", "a Python pickle, perhaps of PyTorch or scikit-learn", exportTorch},
	{0, "\x80\x04\x95", "a Python pickle, perhaps of PyTorch or scikit-learn", exportTorch},
	{0, "\x80\x05\x95", "a Python pickle, perhaps of PyTorch or scikit-learn", exportTorch},
	{0, "GGUF", "a GGUF file", exportElsewhere},
	{0, "\x93NUMPY", "a NumPy array", exportElsewhere},
	{0, "7767517", "a network of ncnn", exportElsewhere},
	{0, "\x1f\x8b", "compressed with gzip", "unpack it first: gunzip FILE, or tar -xzf FILE of a .tar.gz"},
	{0, "\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first: unzstd FILE"},
	{0, "\xfd7zXZ\x00", "compressed with xz", "unpack it first: unxz FILE"},
	{0, "BZh", "compressed with bzip2", "unpack it first: bunzip2 FILE"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"},
	{0, "Rar!", "a RAR archive", "unpack it first"},
	{257, "ustar", "a tar archive", "unpack it first: tar -xf FILE"},
	{0, "\x89PNG\r\n\x1a\n", "a PNG image", "images are given with --data"},
	{0, "\xff\xd8\xff", "a JPEG image", "images are given with --data"},
	{0, "%PDF-", "a PDF document", again},
	{0, "\x7fELF", "a program or library", exportElsewhere},
	{0, "MZ\x90", "a program or library", exportElsewhere},
}

// Recognise says, by its contents, what a file is that is no ONNX model, and what to do. Both
// are empty where it may be one.
func Recognise(r io.ReaderAt, size int64) (what, do string) {
	if size == 0 {
		return "an empty file", again
	}
	head := make([]byte, min(size, 4096))
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", ""
	}
	head = head[:n]
	if len(bytes.Trim(head, "\x00")) == 0 {
		return "a file that begins with zero bytes only, as a download that was broken off leaves them", again
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return recogniseZip(r, size)
	}
	for _, s := range signatures {
		if len(head) > s.at && bytes.HasPrefix(head[s.at:], []byte(s.bytes)) && (s.at != 4 || head[2] == 0 && head[3] == 0) {
			return s.what, s.how
		}
	}
	if len(head) > 9 && head[8] == '{' { // a length, then JSON
		if n := binary.LittleEndian.Uint64(head); n > 1 && n < uint64(size) {
			return "a safetensors file", exportTensors
		}
	}
	if what, do := recogniseText(head, size); what != "" {
		return what, do
	}
	return recogniseMessage(r, size)
}

// recogniseZip looks at the names in a zip archive.
func recogniseZip(r io.ReaderAt, size int64) (what, do string) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return "a damaged zip archive", again
	}
	has := func(match func(name string) bool) bool {
		return slices.ContainsFunc(z.File, func(f *zip.File) bool { return match(f.Name) })
	}
	ends := func(suffix string) func(string) bool {
		return func(name string) bool { return strings.HasSuffix(name, suffix) }
	}
	switch {
	case has(ends("/data.pkl")) && has(func(n string) bool { return strings.Contains(n, "/code/") }):
		return "a TorchScript program", "export the network that it was traced from, " + exportTorch
	case has(ends("serialized_exported_program.json")), has(ends("archive_format")):
		return "a program of torch.export (.pt2)", `load it with torch.export.load and call torch.onnx.export(program, dynamo=True).save("model.onnx")`
	case has(ends("/data.pkl")):
		return "a PyTorch file (of torch.save)", exportTorch
	case has(ends("model.weights.h5")):
		return "a Keras model (.keras)", exportKeras
	case has(ends("saved_model.pb")):
		return "a zip archive with a TensorFlow SavedModel", "unpack it, then " + exportSaved
	case has(ends(".mlmodel")), has(ends("coremldata.bin")):
		return "a zip archive with a Core ML model", exportElsewhere
	}
	var names []string
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".onnx") {
			names = append(names, fmt.Sprintf("%q", f.Name))
		}
	}
	if len(names) > 0 {
		return "a zip archive", "unpack it and give what is inside: " + text.Some(names, 3)
	}
	if len(z.File) > 0 && !has(func(n string) bool { return !strings.HasSuffix(n, ".npy") }) {
		return "a file of NumPy arrays (.npz)", exportElsewhere
	}
	return "a zip archive without an .onnx file", exportElsewhere
}

// recogniseText knows text files: pointers, pages, descriptions of networks.
func recogniseText(head []byte, size int64) (what, do string) {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) { // UTF-16
		return "a text file", giveModel
	}
	s := strings.TrimPrefix(string(head), "\ufeff")
	trimmed := strings.TrimSpace(s)
	switch {
	case latin1(head):
		return "a text file", giveModel
	case !printable(s, size > int64(len(head))):
		return "", ""
	}
	lower := strings.ToLower(trimmed)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(lower, w) })
	}
	switch {
	case strings.HasPrefix(trimmed, "version https://git-lfs.github.com/spec/"):
		is := "the pointer that Git LFS keeps in place of a file"
		for line := range strings.Lines(trimmed) {
			if n, ok := strings.CutPrefix(line, "size "); ok {
				is += " of " + strings.TrimSpace(n) + " bytes"
			}
		}
		return is, "run git lfs pull in the repository, or download the file itself"
	case has("/annex/objects/"):
		return "the pointer that git-annex keeps in place of a file", "run git annex get FILE in the repository"
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"), strings.HasPrefix(lower, "<head"):
		return "an HTML page", "a link to a page was downloaded in place of the file (on GitHub take \"raw\", on Hugging Face \"resolve\" in place of \"blob\")"
	case strings.HasPrefix(lower, "<") && has("<net ", "<layers>"):
		return "a model of OpenVINO (.xml)", takeSource
	case strings.HasPrefix(lower, "<"):
		return "an XML file, perhaps the message of a server", again
	case strings.HasPrefix(lower, "{") && has(`"magic":"pir"`, `"magic": "pir"`):
		return "a PaddlePaddle program", exportPaddle
	case strings.HasPrefix(lower, "{") && has(`"modeltopology"`, `"weightsmanifest"`):
		return "a model of TensorFlow.js", exportElsewhere
	case strings.HasPrefix(lower, "{") && has(`"class_name"`):
		return "the description of a Keras network, without its weights", exportKeras
	case strings.HasPrefix(lower, "{"), strings.HasPrefix(lower, "["):
		return "a JSON file", giveModel
	case strings.HasPrefix(lower, "ir_version"):
		return "an ONNX model in text form", `write it as bytes: onnx.save(onnx.load("FILE", format="textproto"), "model.onnx")`
	}
	return "a text file", giveModel
}

// printable says whether text is UTF-8 without control characters; cut says that it may end
// within a letter.
func printable(s string, cut bool) bool {
	for i, r := range s {
		if r == utf8.RuneError && !(cut && i > len(s)-utf8.UTFMax) || r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			return false
		}
	}
	return true
}

// latin1 says whether bytes that are no UTF-8 are text of some older encoding: nearly all of them
// are printable ASCII, and there are no control characters.
func latin1(b []byte) bool {
	if utf8.Valid(b) || len(b) < 16 {
		return false
	}
	other := 0
	for _, c := range b {
		switch {
		case c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f':
			return false
		case c >= 0x7f:
			other++
		}
	}
	return 4*other < len(b)
}

// recogniseMessage knows other programs' protocol buffers by their fields.
func recogniseMessage(r io.ReaderAt, size int64) (what, do string) {
	const most = 64 // fields to look at
	types := map[protowire.Number]protowire.Type{}
	var first []byte // of the first field that is bytes
	buf := make([]byte, 32)
	for at, k := int64(0), 0; at < size && k < most; k++ {
		n, err := r.ReadAt(buf, at)
		if n == 0 && err != nil {
			break
		}
		num, typ, length := protowire.ConsumeTag(buf[:n])
		if length < 0 {
			return "", ""
		}
		if _, seen := types[num]; !seen {
			types[num] = typ
		}
		at += int64(length)
		switch rest := buf[length:n]; typ {
		case protowire.BytesType:
			v, m := protowire.ConsumeVarint(rest)
			if m < 0 || v > uint64(size-at) {
				return "", ""
			}
			at += int64(m)
			if first == nil {
				first = make([]byte, min(v, 1<<16))
				if _, err := r.ReadAt(first, at); err != nil && err != io.EOF {
					return "", ""
				}
			}
			at += int64(v)
		default:
			m := protowire.ConsumeFieldValue(num, typ, rest)
			if m < 0 {
				return "", ""
			}
			at += int64(m)
		}
	}
	is := func(num protowire.Number, typ protowire.Type) bool {
		t, ok := types[num]
		return ok && t == typ
	}
	only := func(nums ...protowire.Number) bool {
		for num := range types {
			if !slices.Contains(nums, num) {
				return false
			}
		}
		return true
	}
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(first, []byte(w)) })
	}
	const bytesType, varint = protowire.BytesType, protowire.VarintType
	switch {
	case is(modelGraph, bytesType): // ONNX
	case is(1, varint) && is(2, bytesType) && slices.ContainsFunc(coreML, func(n protowire.Number) bool { return is(n, bytesType) }):
		return "a Core ML model (.mlmodel)", exportElsewhere
	case is(1, varint) && is(2, bytesType) && only(1, 2) && bytes.HasPrefix(first, []byte("\n")):
		return "the graph of a TensorFlow SavedModel (saved_model.pb)", exportSaved
	case is(1, bytesType) && bytes.HasPrefix(first, []byte{0x08, 0, 0x10}):
		return "a PaddlePaddle program (.pdmodel)", exportPaddle
	case is(1, bytesType) && only(1, 2, 3, 4, 5) && has("Placeholder", "Const", "Conv2D", "VarHandleOp"):
		return "a TensorFlow graph (frozen .pb)", exportFrozen
	case is(1, bytesType) && is(100, bytesType):
		return "a network of Caffe (.caffemodel)", exportElsewhere
	}
	return "", ""
}

// coreML are the fields of a Core ML model, of which one holds the network (Model.proto).
var coreML = []protowire.Number{200, 201, 202, 300, 301, 302, 303, 304, 400, 401, 402, 403, 404, 500, 501, 502, 555, 556, 560, 600, 601, 602, 603, 604, 606, 607, 609, 610, 900, 2000, 2001, 2002, 2003, 2004, 2005, 2006, 3000}

// recogniseFolder says what a folder is that was given as a model.
func recogniseFolder(dir string) (what, do string) {
	var found []string
	for _, pattern := range []string{"*.onnx", filepath.Join("onnx", "*.onnx")} {
		m, err := filepath.Glob(filepath.Join(globbed(dir), pattern))
		if err == nil {
			found = append(found, m...)
		}
	}
	there := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool {
			_, err := os.Stat(filepath.Join(dir, n))
			return err == nil
		})
	}
	switch {
	case len(found) == 1:
		return "a folder", fmt.Sprintf("give the file in it: %q", found[0])
	case len(found) > 1:
		for i, f := range found {
			found[i] = fmt.Sprintf("%q", f)
		}
		return "a folder", "give one of the files in it: " + text.Some(found, 5)
	case there("saved_model.pb"):
		return "a TensorFlow SavedModel", exportSaved
	case there("model.safetensors", "pytorch_model.bin"):
		return "a folder with a model of Hugging Face Transformers", "run optimum-cli export onnx --model FOLDER OUT"
	case there("inference.pdmodel", "inference.json", "model.pdmodel", "__model__"):
		return "a folder with a PaddlePaddle program", exportPaddle
	case there("data.pkl"):
		return "an unpacked PyTorch file", exportTorch
	case there("Manifest.json"):
		return "a Core ML package", exportElsewhere
	}
	return "a folder without an .onnx file", "give the file"
}

// globbed is a path that filepath.Glob takes literally.
func globbed(path string) string {
	if filepath.Separator == '\\' {
		return path // there is no way to escape there
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
