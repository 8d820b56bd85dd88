package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"

	"github.com/google/go-cmp/cmp"
)

var updateCompatibility = flag.Bool("update-compatibility", false, "write docs/compatibility.md anew")

// trial is a command on files that people have, and what is right.
type trial struct {
	files string // in the shared folder, as the page names them
	about string
	args  string // $ stands for the shared folder, TMP for a folder of the trial's own
	model string // copied to TMP/net.onnx
	write string // name and contents of a file in TMP, after the first space
	code  int
	want  []string           // in what is printed, in any order
	not   []string           // what must not be there
	main  map[string]between // main numbers by name
	says  string             // the page's last column
	slow  bool               // takes more than two seconds
}

// between is a range that a number lies in; low is all of it where high is 0.
type between struct{ low, high float64 }

func exactly(v float64) between { return between{v, 0} }

// modelTrials are of classifiers from public repositories. The numbers are those of
// PyTorch, of the maker or of another program that reads the same pixels; see the
// README beside the files.
var modelTrials = []trial{
	{files: "vit_cifar10_pgd_2_3_16", about: "ViT, BatchNormalization in place of LayerNorm",
		args: "classify --model $/models/real/vit_cifar10_pgd_2_3_16.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2023,.1994,.2010",
		main: map[string]between{"top1": exactly(0.596)}, says: "top1 59.60 %, as published (59.78 on all of CIFAR-10)", slow: true},
	{files: "gtsrb_3_48_48_qconv", about: "binarised CNN of Keras, NHWC, 0..255",
		args: "classify --model $/models/real/gtsrb_3_48_48_qconv.onnx --data $/data/real/gtsrb-test860.tar --split test --resize 48x48 --crop none --range 0..255 --mean 0 --std 1",
		main: map[string]between{"top1": {0.9290, 0.9292}}, says: "top1 92.91 %", slow: true},
	{files: "gtsrb_3_48_48_qconv", about: "the same with assumed pixels (0..1, ImageNet statistics)",
		args: "classify --model $/models/real/gtsrb_3_48_48_qconv.onnx --data $/data/real/gtsrb-test860.tar --split test",
		want: []string{"--range 0..255"}, says: "a warning with the flags of better pixels", slow: true},
	{files: "tinycnn_fp32", about: "CNN",
		args: "classify --model $/models/real/tinycnn_fp32.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2470,.2435,.2616",
		main: map[string]between{"top1": exactly(0.729)}, says: "top1 72.90 %"},
	// Integer kernels round at other places from processor to processor.
	{files: "q_tinycnn_int8", about: "its QDQ int8 version",
		args: "classify --model $/models/real/q_tinycnn_int8.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2470,.2435,.2616",
		main: map[string]between{"top1": {0.72, 0.75}}, says: "top1 73.50 % (72 to 75 by processor; 63.80 with saturating products)"},
	{files: "q_goku_mobilenetv2_int8", about: "ImageNet MobileNetV2, dynamic int8",
		args: "classify --model $/models/real/q_goku_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar",
		want: []string{"image by image"}, main: map[string]between{"top1": {0.82, 0.84}}, says: "83 of 100, image by image: its scales are of the whole batch", slow: true},
	{files: "q_matias_mobilenetv2_int8", about: "ImageNet MobileNetV2, QDQ, output quantised too",
		args: "classify --model $/models/real/q_matias_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar",
		want: []string{"tie"}, main: map[string]between{"top1": {0.42, 0.52}, "top5": {0.93, 0.95}}, says: "top5 94 of 100; top1 with a warning about ties", slow: true},
	{files: "q_iict_mobilenetv2_int8", about: "untrained or broken",
		args: "classify --model $/models/real/q_iict_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar",
		want: []string{"near chance"}, main: map[string]between{"top1": exactly(0.01)}, says: "1 of 100, and a warning that this is near chance", slow: true},
	{files: "pcb_simplecnn_fp32", about: "grey patches of circuit boards, 7 classes",
		args: "models show $/models/real/pcb_simplecnn_fp32.onnx", want: []string{"grey", "64"}, says: "opens as one channel"},
	{files: "q_pcb_simplecnn_int8", about: "its int8 version",
		args: "models show $/models/real/q_pcb_simplecnn_int8.onnx", want: []string{"grey", "64"}, says: "opens as one channel"},
	{files: "omz_samplenet_cifar10", about: "LeNet of Caffe, BGR 0..255",
		args: "classify --model $/models/real/omz_samplenet_cifar10.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --color bgr --range 0..255 --mean 125.307,122.961,113.8575 --std 51.5865,50.847,51.255",
		main: map[string]between{"top1": exactly(0.679)}, says: "top1 67.90 % with its maker's flags"},
	{files: "omz_samplenet_cifar10", about: "the same as RGB",
		args: "classify --model $/models/real/omz_samplenet_cifar10.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --range 0..255 --mean 125.307,122.961,113.8575 --std 51.5865,50.847,51.255",
		main: map[string]between{"top1": exactly(0.561)}, want: []string{"--color bgr"}, says: "top1 56.10 %, and a warning with --color bgr"},
	{files: "ptf04_dogs_vs_cats", about: "Keras, one sigmoid",
		args: "classify --model $/models/real/ptf04_dogs_vs_cats.onnx --data $/data/real/ants-and-bees-200.tar --split val --resize 32x32 --crop none --range 0..1 --mean 0 --std 1",
		want: []string{"auroc", "accuracy"}, says: "binary numbers: accuracy, AUROC, NLL, Brier, operating points"},
	{files: "ptf04_fashion_mnist", about: "Keras, n x 28 x 28",
		args: "classify --model $/models/real/ptf04_fashion_mnist.onnx --data $/data/real/mnist-png.tar --range 0..1 --mean 0 --std 1",
		want: []string{"grey"}, main: map[string]between{"top1": {0, 0.3}}, says: "runs on grey images (digits are no clothes: near chance)"},
	{files: "burn_mnist", about: "PyTorch's MNIST CNN, LogSoftmax",
		args: "classify --model $/models/real/burn_mnist.onnx --data $/data/real/mnist-png.tar --mean .1307 --std .3081",
		main: map[string]between{"top1": {0.97, 1}}, says: "runs on grey images"},
	{files: "mnistfc_256x2", about: "fully connected, input 784 x 1",
		args: "classify --model $/models/real/mnistfc_256x2.onnx --data $/data/real/mnist-png.tar --range 0..1 --mean 0 --std 1",
		main: map[string]between{"top1": {0.9, 1}}, says: "runs on grey images"},
	{files: "winml_cifar10_imageclassifier", about: "CNN of a PyTorch tutorial",
		args: "classify --model $/models/real/winml_cifar10_imageclassifier.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .5,.5,.5 --std .5,.5,.5",
		main: map[string]between{"top1": exactly(0.644)}, says: "top1 64.40 %"},
	{files: "emx_kws_qoperator", about: "key words in sound",
		args: "classify --model $/models/real/emx_kws_qoperator.onnx", code: exitFailed, want: []string{"input"}, says: "refused: its input is no image"},
	{files: "refused/qonnx_mnist_tfc_1w1a", about: "operators of a library of its own",
		args: "classify --model $/models/real/refused/qonnx_mnist_tfc_1w1a.onnx", code: exitFailed, want: []string{"qonnx"}, says: "refused: the domain of the operators is named"},
	{files: "refused/vatsa_mobilenetv3_tinyvit", about: "weights in a file that is not there",
		args: "classify --model $/models/real/refused/vatsa_mobilenetv3_tinyvit.onnx", code: exitFailed, want: []string{".data"}, says: "refused: the missing file is named"},
}

// read is a command on a picture with a file beside the model.
func read(about, model, file, want, says string) trial {
	c := trial{
		files: "preprocessing-json", about: about, model: "cases/preprocessing-json/" + model, write: file, want: []string{want}, says: says,
		args: "classify --model TMP/net.onnx --data $/cases/preprocessing-json/images --labels $/cases/preprocessing-json/labels.csv",
	}
	if strings.HasPrefix(says, "refused") {
		c.code = exitFailed
	}
	return c
}

// breeds is a table of labels under a header; the tenth breed may have no image.
func breeds(header string, n int) string {
	var b strings.Builder
	b.WriteString("table.csv " + header + "\n")
	for i, breed := range strings.Fields("beagle boxer chow cocker dingo eskimo husky poodle pug whippet")[:n] {
		for k := range 2 {
			fmt.Fprintf(&b, "img_%d%d,%s\n", k, i, breed)
		}
	}
	return b.String()
}

const timm = `"crop_pct":0.9,"interpolation":"bicubic","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]`

const unresized = " --mean 0,0,0 --std 1,1,1 --resize none --crop none"

// caseTrials are of small inputs rebuilt after public reports.
var caseTrials = []trial{
	{files: "resize-hw", about: "`--resize 32x32` on a picture of 120 x 90",
		args: "classify --model $/cases/resize-hw/reader32.onnx --data $/cases/resize-hw/im --labels $/cases/resize-hw/l.csv --mean 0,0,0 --std 1,1,1 --resize 32x32 --crop none",
		want: []string{"resize squash 32 "}, says: "both sides become 32"},
	// The model's limit between its classes lies within the dogs' pixels: NumPy, with Pillow's
	// pixels, gives 50 %, too.
	{files: "hf-folder", about: "Hugging Face's `config.json` and `preprocessor_config.json` beside the model",
		args: "classify --model $/cases/hf-folder/model.onnx --data $/cases/hf-folder/images.tar",
		want: []string{"mean 0.5,0.5,0.5", "squash", "preprocessor_config.json", "by the class names in the model"}, main: map[string]between{"top1": exactly(0.5)}, says: "matched by name, squash, mean 0.5"},
	{files: "aux-output-first", about: "two outputs, the first an auxiliary classifier",
		args: "classify --model $/cases/aux-output-first/aux80.onnx --data $/cases/aux-output-first/images.tar" + unresized,
		want: []string{"class scores are read from output"}, main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, and the choice is named"},
	{files: "one-logit", about: "one logit, two classes",
		args: "classify --model $/cases/one-logit/one_logit.onnx --data $/cases/one-logit/two.tar" + unresized,
		want: []string{"accuracy", "auroc", "nll", "brier"}, says: "accuracy at 0.5, AUROC, NLL, operating points"},
	{files: "batchnorm-training", about: "BatchNormalization in training mode",
		args: "classify --model $/cases/batchnorm-training/model.onnx --data $/cases/batchnorm-training/images.tar" + unresized,
		want: []string{"training mode"}, main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, with the statistics in the file and a loud warning"},
	{files: "dynamic-quant-batch", about: "DynamicQuantizeLinear over the whole batch",
		args: "classify --model $/cases/dynamic-quant-batch/model.onnx --data $/cases/dynamic-quant-batch/images.tar" + unresized,
		want: []string{"image by image"}, main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, image by image"},
	{files: "dynamic-quant-batch", about: "the same, `--batch 7`",
		args: "classify --batch 7 --model $/cases/dynamic-quant-batch/model.onnx --data $/cases/dynamic-quant-batch/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
	{files: "int8-saturation", about: "products of int8 weights that saturate without VNNI",
		args: "classify --model $/cases/int8-saturation/u8s8.onnx --data $/cases/int8-saturation/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1), "nll": {0.08575, 0.08585}}, says: "top1 100 %, NLL 0.0858"},
	{files: "int8-saturation", about: "the same weights as uint8",
		args: "classify --model $/cases/int8-saturation/u8u8.onnx --data $/cases/int8-saturation/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1), "nll": {0.08575, 0.08585}}, says: "top1 100 %, NLL 0.0858"},
	{files: "quantised-softmax", about: "Softmax with quantising nodes behind it",
		args: "classify --model $/cases/quantised-softmax/qsm1000.onnx --data $/cases/quantised-softmax/images --labels $/cases/quantised-softmax/labels.csv" + unresized,
		main: map[string]between{"nll": {4.8765, 4.8775}}, says: "the logits before it: NLL 4.877"},
	{files: "gif-small-first-frame", about: "a GIF whose first frame is smaller than its canvas",
		args: "classify --model $/cases/gif-small-first-frame/reader24.onnx --data $/cases/gif-small-first-frame/images --labels $/cases/gif-small-first-frame/labels.csv --range 0..255" + unresized,
		says: "Pillow's pixels (a test of the decoder compares them)"},
	{files: "timm-class-order", about: "37 classes in timm's order, without regard to case",
		args: "classify --model $/cases/timm-class-order/pets.onnx --data $/cases/timm-class-order/pets.tar" + unresized,
		want: []string{"--class-order natural", "100.00 %"}, says: "a warning with the order that fits, and its flag"},
	{files: "timm-class-order", about: "the same, with that flag",
		args: "classify --class-order natural --model $/cases/timm-class-order/pets.onnx --data $/cases/timm-class-order/pets.tar" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
	{files: "class-names-underscore", about: "\"cat one\" in the model, `cat_one` in the data",
		args: "classify --model $/cases/class-names-underscore/model.onnx --data $/cases/class-names-underscore/images.tar" + unresized,
		want: []string{"by the class names"}, main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, by name"},
	{files: "numeric-class-names", about: "classes called 0, 90, 180, 270",
		args: "classify --model $/cases/numeric-class-names/model.onnx --data $/cases/numeric-class-names/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, in torchvision's order, which is told"},
	read("timm's `config.json`", "reader32.onnx", `net.json {"architecture":"resnet50","num_classes":1000,"pretrained_cfg":{"input_size":[3,32,32],`+timm+`}}`,
		"resize 35 bicubic, crop 32, RGB 0..1, mean 0.5,0.5,0.5", "resize 35 bicubic, crop 32, mean and std 0.5"),
	read("Hugging Face's `preprocessor_config.json` of a ViT", "reader32.onnx", `net.json {"do_normalize":true,"do_resize":true,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"size":{"height":32,"width":32},"resample":3,"rescale_factor":0.00392156862745098}`,
		"resize squash 32 bicubic, RGB 0..1, mean 0.5,0.5,0.5", "squash 32 bicubic, mean and std 0.5"),
	read("a misspelt key", "reader32.onnx", `net.json {"means":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`, `"means"`, "refused: the key is named"),
	read("timm, 32 x 48", "reader32x48.onnx", `net.json {"input_size":[3,32,48],`+timm+`}`, "resize cover 35x53 bilinear, crop 32x48", "the aspect ratio is kept, bilinear as timm then takes it, crop 32 x 48"),
	read("timm, `test_input_size`", "symbolic.onnx", `net.json {"input_size":[3,24,24],"test_input_size":[3,32,32],"test_crop_pct":1.0,`+timm+`}`,
		"resize 32 bicubic, crop 32", "resize 32, crop 32"),
	{files: "csv-header-as-class", about: "a table with the header `id,breed`", write: breeds("id,breed", 10),
		args: "classify --model $/cases/csv-header-as-class/model.onnx --data $/cases/csv-header-as-class/images --labels TMP/table.csv" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
	{files: "csv-header-as-class", about: "the same without the tenth breed", write: breeds("id,breed", 9), code: exitFailed,
		args: "classify --model $/cases/csv-header-as-class/model.onnx --data $/cases/csv-header-as-class/images --labels TMP/table.csv" + unresized,
		want: []string{"9 classes", "10 outputs"}, says: "refused: nothing says which outputs the nine are"},
	{files: "files-without-extension", about: "PNG files without extension, named in a table",
		args: "classify --model $/cases/files-without-extension/model.onnx --data $/cases/files-without-extension/images --labels $/cases/files-without-extension/labels.csv" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
	{files: "files-without-extension", about: "the same in a list",
		args: "classify --model $/cases/files-without-extension/model.onnx --data $/cases/files-without-extension/list.txt --data-root $/cases/files-without-extension/images" + unresized,
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
}

func (c trial) run(t *testing.T) {
	if c.slow {
		long.Skip(t, "a real model on hundreds of images takes seconds")
	}
	root := golden.Path(t, "README.md")
	tmp := t.TempDir()
	args := strings.NewReplacer("$", filepath.Dir(root), "TMP", tmp).Replace(c.args)
	if c.model != "" {
		copyTo(t, filepath.Join(filepath.Dir(root), c.model), filepath.Join(tmp, "net.onnx"))
	}
	if name, text, ok := strings.Cut(c.write, " "); ok {
		if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fields := strings.Fields(args)
	if fields[0] != "models" {
		fields = append(fields, "--bootstrap", "0", "--quiet")
	}
	code, out, errs := command(t, fields...)
	if code != c.code {
		t.Fatalf("exit code %d, want %d: %s", code, c.code, errs)
	}
	mentions(t, out+errs, c.want...)
	for _, text := range c.not {
		if strings.Contains(out+errs, text) {
			t.Errorf("it says %q:\n%s%s", text, out, errs)
		}
	}
	if c.code == exitFailed && strings.Count(errs, "\n") != 1 {
		t.Errorf("it is refused in more than one line:\n%s", errs)
	}
	if len(c.main) == 0 {
		return
	}
	r := reportOf(t, fields...)
	for name, want := range c.main {
		got := numberOf(t, r, name).Value
		if want.high == 0 {
			want.high = want.low
		}
		// Numbers of the references have four digits.
		if got < want.low-5e-5 || got > want.high+5e-5 {
			t.Errorf("%s is %v, want %v to %v", name, got, want.low, want.high)
		}
	}
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRealModels: classifiers from public repositories give the right number, or are refused in
// a sentence.
func TestRealModels(t *testing.T) {
	for _, c := range modelTrials {
		t.Run(c.files+" "+c.about, c.run)
	}
}

// TestCases: inputs that gave wrong numbers to people give the right ones.
func TestCases(t *testing.T) {
	for _, c := range caseTrials {
		t.Run(c.files+" "+c.about, c.run)
	}
}

// compatibilityFile is the page whose tables are those above.
const compatibilityFile = "../../docs/compatibility.md"

// tables are the trials as the page shows them.
func tables(of []trial) string {
	var b strings.Builder
	b.WriteString("| file | what it is | command | what the program does |\n|---|---|---|---|\n")
	for _, c := range of {
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", c.files, c.about, short(c.args), c.says)
	}
	return b.String()
}

var folders = regexp.MustCompile(`\$/(?:[\w.-]+/)*`)

// short is a command as a person types it, in the folder of the files.
func short(args string) string {
	return strings.ReplaceAll(folders.ReplaceAllString(args, ""), "TMP/", "")
}

// TestCompatibilityPage: the page's tables are those of the tests.
func TestCompatibilityPage(t *testing.T) {
	page, err := os.ReadFile(compatibilityFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for name, list := range map[string][]trial{"models": modelTrials, "cases": caseTrials} {
		begin, end := "<!-- "+name+": written by TestCompatibilityPage -->\n", "<!-- end of "+name+" -->\n"
		before, rest, ok := strings.Cut(text, begin)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("the page has no place for %s", name)
		}
		text = before + begin + tables(list) + end + after
	}
	if *updateCompatibility {
		if err := os.WriteFile(compatibilityFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(page), text); d != "" {
		t.Errorf("the page is not what the tests say; run it with -update-compatibility (-page +tests):\n%s", d)
	}
}
