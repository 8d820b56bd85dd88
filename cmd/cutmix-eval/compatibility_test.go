package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cutmix-eval/internal/docs"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
)

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

// modelTrials are of classifiers from public repositories. The numbers were computed from the
// same images without this program and without ONNX Runtime: pixels by Pillow and NumPy, the
// graph's nodes one by one by PyTorch (integer products in float64, which is exact). They
// agree with what the README beside the files says; where it has none, they stand alone.
var modelTrials = []trial{
	{files: "vit_cifar10_pgd_2_3_16", about: "ViT, BatchNormalization in place of LayerNorm",
		args: "classify --model $/models/real/vit_cifar10_pgd_2_3_16.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2023,.1994,.2010",
		main: map[string]between{"top1": exactly(0.596), "top5": exactly(0.943)}, says: "top1 59.60 %, as published (59.78 on all of CIFAR-10)", slow: true},
	{files: "gtsrb_3_48_48_qconv", about: "binarised CNN of Keras, NHWC, 0..255",
		args: "classify --model $/models/real/gtsrb_3_48_48_qconv.onnx --data $/data/real/gtsrb-test860.tar --split test --resize 48x48 --crop none --range 0..255 --mean 0 --std 1",
		main: map[string]between{"top1": exactly(799. / 860), "top5": exactly(850. / 860)}, says: "top1 92.91 %", slow: true},
	{files: "gtsrb_3_48_48_qconv", about: "the same with assumed pixels (0..1, ImageNet statistics)",
		args: "classify --model $/models/real/gtsrb_3_48_48_qconv.onnx --data $/data/real/gtsrb-test860.tar --split test",
		main: map[string]between{"top1": exactly(98. / 860)}, want: []string{"--range 0..255"}, says: "top1 11.40 %, and a warning with the flags of better pixels", slow: true},
	{files: "tinycnn_fp32", about: "CNN",
		args: "classify --model $/models/real/tinycnn_fp32.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2470,.2435,.2616",
		main: map[string]between{"top1": exactly(0.729), "top5": exactly(0.986)}, says: "top1 72.90 %"},
	// Exact integer arithmetic gives 73.50 %; kernels round their float steps at other places from
	// processor to processor.
	{files: "q_tinycnn_int8", about: "its QDQ int8 version",
		args: "classify --model $/models/real/q_tinycnn_int8.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .4914,.4822,.4465 --std .2470,.2435,.2616",
		want: []string{"integer kernels"}, main: map[string]between{"top1": {0.724, 0.746}}, says: "top1 73.50 % (72 to 75 by processor; 63.80 with saturating products)"},
	{files: "q_goku_mobilenetv2_int8", about: "ImageNet MobileNetV2, dynamic int8",
		args: "classify --model $/models/real/q_goku_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar --doctor=false",
		want: []string{"runs image by image"}, main: map[string]between{"top1": {0.82, 0.84}, "top5": {0.95, 0.97}}, says: "83 of 100, image by image: its scales are of the whole batch", slow: true},
	{files: "q_matias_mobilenetv2_int8", about: "ImageNet MobileNetV2, QDQ, output quantised too",
		args: "classify --model $/models/real/q_matias_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar",
		want: []string{"of 100 images several classes share the largest score", "different values, as those of a quantised or binarised network"}, main: map[string]between{"top1": {0.42, 0.52}, "top5": {0.93, 0.95}}, says: "top5 94 of 100; top1 with a warning: by ties it lies anywhere between 24 and 92", slow: true},
	{files: "q_iict_mobilenetv2_int8", about: "untrained or broken",
		args: "classify --model $/models/real/q_iict_mobilenetv2_int8.onnx --data $/data/imagenet-samples-100.tar --doctor=false",
		want: []string{"near chance", "hardly tells the classes apart"}, main: map[string]between{"top1": exactly(0.01)}, says: "1 of 100, and a warning that this is near chance", slow: true},
	{files: "pcb_simplecnn_fp32", about: "grey patches of circuit boards, 7 classes",
		args: "models show $/models/real/pcb_simplecnn_fp32.onnx", want: []string{"grey images of 64 x 64 pixels", "7 classes"}, says: "opens as one channel"},
	{files: "pcb_simplecnn_fp32", about: "the same on digits 0 to 6, enlarged", write: digits(),
		args: "classify --model $/models/real/pcb_simplecnn_fp32.onnx --data $/data/real/mnist-png.tar --labels TMP/digits.csv",
		main: map[string]between{"top1": exactly(100. / 700), "top5": exactly(499. / 700), "nll": exactly(8.8908)}, want: []string{"near chance"}, says: "PyTorch's numbers on grey images (chance: digits are no circuit boards), and a warning"},
	{files: "q_pcb_simplecnn_int8", about: "its int8 version",
		args: "classify --model $/models/real/q_pcb_simplecnn_int8.onnx --data $/data/real/mnist-png.tar --labels TMP/digits.csv", write: digits(),
		main: map[string]between{"top1": {0.14, 0.15}, "top5": {0.70, 0.72}, "nll": {8.9, 9}}, want: []string{"near chance"}, says: "the same within its rounding"},
	{files: "omz_samplenet_cifar10", about: "LeNet of Caffe, BGR 0..255",
		args: "classify --model $/models/real/omz_samplenet_cifar10.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --color bgr --range 0..255 --mean 125.307,122.961,113.8575 --std 51.5865,50.847,51.255",
		main: map[string]between{"top1": exactly(0.679)}, says: "top1 67.90 % with its maker's flags"},
	{files: "omz_samplenet_cifar10", about: "the same as RGB",
		args: "classify --model $/models/real/omz_samplenet_cifar10.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --range 0..255 --mean 125.307,122.961,113.8575 --std 51.5865,50.847,51.255",
		main: map[string]between{"top1": exactly(0.561)}, want: []string{"--color bgr --range 0..255 --mean 113.8575,122.961,125.307"}, says: "top1 56.10 %, and a warning with --color bgr"},
	{files: "omz_samplenet_cifar10", about: "BGR, with mean and std in this order too, as the warning says",
		args: "classify --model $/models/real/omz_samplenet_cifar10.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --color bgr --range 0..255 --mean 113.8575,122.961,125.307 --std 51.255,50.847,51.5865",
		main: map[string]between{"top1": exactly(0.702)}, says: "top1 70.20 %"},
	{files: "ptf04_dogs_vs_cats", about: "Keras, one sigmoid",
		args: "classify --model $/models/real/ptf04_dogs_vs_cats.onnx --data $/data/real/ants-and-bees-200.tar --split val --resize 32x32 --crop none --range 0..1 --mean 0 --std 1",
		main: map[string]between{"accuracy": exactly(37. / 70), "auroc": exactly(0.5151), "nll": exactly(0.8447), "brier": exactly(0.2973)}, want: []string{"operating points"}, says: "binary numbers: accuracy, AUROC, NLL, Brier, operating points"},
	{files: "ptf04_dogs_vs_cats", about: "what can be done with it",
		args: "models show $/models/real/ptf04_dogs_vs_cats.onnx",
		want: []string{"128 features -> one output", "localize     no: it gives one score per image", "ood          no: it has one output", "finetune     yes"}, says: "says that localize and ood need several outputs"},
	{files: "ptf04_fashion_mnist", about: "Keras, n x 28 x 28",
		args: "classify --model $/models/real/ptf04_fashion_mnist.onnx --data $/data/real/mnist-png.tar --range 0..1 --mean 0 --std 1",
		want: []string{"grey"}, main: map[string]between{"top1": exactly(0.099), "top5": exactly(0.537)}, says: "top1 9.90 % on grey images (digits are no clothes: near chance)"},
	{files: "burn_mnist", about: "PyTorch's MNIST CNN, LogSoftmax",
		args: "classify --model $/models/real/burn_mnist.onnx --data $/data/real/mnist-png.tar --mean .1307 --std .3081",
		main: map[string]between{"top1": exactly(0.996), "nll": exactly(0.0126)}, says: "top1 99.60 %, NLL 0.0126"},
	{files: "mnistfc_256x2", about: "fully connected, input 784 x 1",
		args: "classify --model $/models/real/mnistfc_256x2.onnx --data $/data/real/mnist-png.tar --range 0..1 --mean 0 --std 1",
		main: map[string]between{"top1": exactly(0.991), "top5": exactly(0.998)}, says: "top1 99.10 %"},
	{files: "winml_cifar10_imageclassifier", about: "CNN of a PyTorch tutorial",
		args: "classify --model $/models/real/winml_cifar10_imageclassifier.onnx --data $/data/cifar10-jpeg-test.tar --limit 1000 --mean .5,.5,.5 --std .5,.5,.5",
		main: map[string]between{"top1": exactly(0.644), "top5": exactly(0.962)}, says: "top1 64.40 %"},
	{files: "winml_cifar10_imageclassifier", about: "what can be done with it",
		args: "models show $/models/real/winml_cifar10_imageclassifier.onnx",
		want: []string{"localize     eigencam, scorecam, fem\n", "not cam, gradcam", "Flatten lies between it and the head: give --mix cutmix"}, says: "names the maps that it can have, and why no others"},
	{files: "emx_kws_qoperator", about: "key words in sound",
		args: "classify --model $/models/real/emx_kws_qoperator.onnx", code: exitFailed, want: []string{"its 1960 values are those of no square image"}, says: "refused: its input is no image"},
	{files: "refused/qonnx_mnist_tfc_1w1a", about: "operators of a library of its own",
		args: "classify --model $/models/real/refused/qonnx_mnist_tfc_1w1a.onnx", code: exitFailed, want: []string{`BipolarQuant of "onnx.brevitas"`, "export the network with standard ONNX operators"}, says: "refused: the domain of the operators is named"},
	{files: "refused/vatsa_mobilenetv3_tinyvit", about: "weights in a file that is not there",
		args: "classify --model $/models/real/refused/vatsa_mobilenetv3_tinyvit.onnx", code: exitFailed, want: []string{`"mobilenetv3_tinyvit.onnx.data" is not in`, "copy it there"}, says: "refused: the missing file is named"},
}

// read is a command on a picture with a file beside the model, whose outputs are the pixels it is
// given. nll is of Pillow's and NumPy's pixels, resized as the maker of the file does.
func read(about, model, file, want string, nll float64, says string) trial {
	c := trial{
		files: "preprocessing-json", about: about, model: "cases/preprocessing-json/" + model, write: file, want: []string{want}, says: says,
		args: "classify --model TMP/net.onnx --data $/cases/preprocessing-json/images --labels $/cases/preprocessing-json/labels.csv",
	}
	if strings.HasPrefix(says, "refused") {
		c.code = exitFailed
	} else {
		c.main = map[string]between{"nll": exactly(nll)}
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
		want: []string{"resize squash 32 "}, main: map[string]between{"nll": exactly(8.1499)}, says: "both sides become 32"},
	{files: "resize-hw", about: "the same without `--crop none`",
		args: "classify --model $/cases/resize-hw/reader32.onnx --data $/cases/resize-hw/im --labels $/cases/resize-hw/l.csv --mean 0,0,0 --std 1,1,1 --resize 32x32",
		want: []string{"resize squash 32 "}, main: map[string]between{"nll": exactly(8.1499)}, says: "the same pixels"},
	{files: "resize-hw", about: "`--resize 32x48` for a model of 32 x 32", code: exitFailed,
		args: "classify --model $/cases/resize-hw/reader32.onnx --data $/cases/resize-hw/im --labels $/cases/resize-hw/l.csv --mean 0,0,0 --std 1,1,1 --resize 32x48 --crop none",
		want: []string{"32"}, says: "refused: the sizes differ"},
	// The case asks for 100 % and for the file's mean and std of 0.5, and cannot have both. Its model
	// tells the classes apart by whether the mean of the samples is above 0.5. That is halfway
	// between its cats (63 of 255) and dogs (191 of 255) where samples are 0..1, but with mean and
	// std of 0.5 dogs are at 0.498, and all are cats. NumPy on Pillow's pixels gives 50 % and NLL
	// 2.422 with the file, as here, and 100 % without it. Logits are near 500, so that float32
	// leaves three digits of the NLL.
	{files: "hf-folder", about: "Hugging Face's `config.json` and `preprocessor_config.json` beside the model",
		args: "classify --model $/cases/hf-folder/model.onnx --data $/cases/hf-folder/images.tar",
		want: []string{"mean 0.5,0.5,0.5", "squash", "preprocessor_config.json", "by the class names in the model"}, main: map[string]between{"top1": exactly(0.5), "nll": {2.42, 2.424}}, says: "matched by name, squash, mean 0.5; 50 % is right, as the model was made for samples of 0..1"},
	{files: "hf-folder", about: "the same with samples of 0..1",
		args: "classify --model $/cases/hf-folder/model.onnx --data $/cases/hf-folder/images.tar --mean 0 --std 1",
		main: map[string]between{"top1": exactly(1)}, says: "top1 100 %"},
	{files: "aux-output-first", about: "two outputs, the first an auxiliary classifier",
		args: "classify --model $/cases/aux-output-first/aux80.onnx --data $/cases/aux-output-first/images.tar" + unresized,
		want: []string{"class scores are read from output"}, main: map[string]between{"top1": exactly(1)}, says: "top1 100 %, and the choice is named"},
	{files: "aux-output-first", about: "the same, `--output aux_logits`",
		args: "classify --output aux_logits --model $/cases/aux-output-first/aux80.onnx --data $/cases/aux-output-first/images.tar" + unresized,
		main: map[string]between{"top1": exactly(0.8)}, says: "top1 80 %, of the auxiliary classifier"},
	{files: "one-logit", about: "one logit, two classes",
		args: "classify --model $/cases/one-logit/one_logit.onnx --data $/cases/one-logit/two.tar" + unresized,
		main: map[string]between{"accuracy": exactly(1), "auroc": exactly(1), "nll": exactly(0.0066), "brier": {0, 0.0001}}, want: []string{"operating points"}, says: "accuracy at 0.5, AUROC, NLL, operating points"},
	{files: "batchnorm-training", about: "BatchNormalization in training mode",
		args: "classify --model $/cases/batchnorm-training/model.onnx --data $/cases/batchnorm-training/images.tar" + unresized,
		want: []string{"training mode"}, main: map[string]between{"top1": exactly(1), "nll": exactly(0.0858)}, says: "top1 100 %, with the statistics in the file and a loud warning"},
	{files: "dynamic-quant-batch", about: "DynamicQuantizeLinear over the whole batch",
		args: "classify --model $/cases/dynamic-quant-batch/model.onnx --data $/cases/dynamic-quant-batch/images.tar" + unresized,
		want: []string{"image by image"}, main: map[string]between{"top1": exactly(1), "nll": exactly(0.2321)}, says: "top1 100 %, NLL 0.2321, image by image"},
	{files: "dynamic-quant-batch", about: "the same, `--batch 7`",
		args: "classify --batch 7 --model $/cases/dynamic-quant-batch/model.onnx --data $/cases/dynamic-quant-batch/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1), "nll": exactly(0.2321)}, says: "the same"},
	{files: "int8-saturation", about: "products of int8 weights that saturate without VNNI",
		args: "classify --model $/cases/int8-saturation/u8s8.onnx --data $/cases/int8-saturation/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1), "nll": {0.08575, 0.08585}}, says: "top1 100 %, NLL 0.0858"},
	{files: "int8-saturation", about: "the same weights as uint8",
		args: "classify --model $/cases/int8-saturation/u8u8.onnx --data $/cases/int8-saturation/images.tar" + unresized,
		main: map[string]between{"top1": exactly(1), "nll": {0.08575, 0.08585}}, says: "top1 100 %, NLL 0.0858"},
	{files: "quantised-softmax", about: "Softmax with quantising nodes behind it",
		args: "classify --model $/cases/quantised-softmax/qsm1000.onnx --data $/cases/quantised-softmax/images --labels $/cases/quantised-softmax/labels.csv" + unresized,
		main: map[string]between{"nll": exactly(4.8772), "top1": exactly(0.75)}, says: "the logits before it: NLL 4.8772"},
	{files: "quantised-softmax", about: "the same network without them",
		args: "classify --model $/cases/quantised-softmax/sm1000.onnx --data $/cases/quantised-softmax/images --labels $/cases/quantised-softmax/labels.csv" + unresized,
		main: map[string]between{"nll": exactly(4.8772), "top1": exactly(0.75), "temperature": {1.985, 1.995}}, says: "NLL 4.8772, temperature 1.99"},
	{files: "gif-small-first-frame", about: "a GIF whose first frame is smaller than its canvas",
		args: "classify --model $/cases/gif-small-first-frame/reader24.onnx --data $/cases/gif-small-first-frame/images --labels $/cases/gif-small-first-frame/labels.csv --range 0..255" + unresized,
		main: map[string]between{"nll": exactly(136.0487)}, says: "Pillow's pixels"},
	{files: "timm-class-order", about: "37 classes in timm's order, without regard to case",
		args: "classify --model $/cases/timm-class-order/pets.onnx --data $/cases/timm-class-order/pets.tar" + unresized,
		want: []string{"--class-order natural", "100.00 %"}, main: map[string]between{"top1": exactly(24. / 222)}, says: "10.81 %, and a warning with the order that fits, and its flag"},
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
		"resize 35 bicubic, crop 32, RGB 0..1, mean 0.5,0.5,0.5", 8.3712, "resize 35 bicubic, crop 32, mean and std 0.5"),
	read("Hugging Face's `preprocessor_config.json` of a ViT", "reader32.onnx", `net.json {"do_normalize":true,"do_resize":true,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"size":{"height":32,"width":32},"resample":3,"rescale_factor":0.00392156862745098}`,
		"resize squash 32 bicubic, RGB 0..1, mean 0.5,0.5,0.5", 8.3360, "squash 32 bicubic, mean and std 0.5"),
	read("a misspelt key", "reader32.onnx", `net.json {"means":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`, `"means"`, 0, "refused: the key is named"),
	read("timm, 32 x 48", "reader32x48.onnx", `net.json {"input_size":[3,32,48],`+timm+`}`, "resize cover 35x53 bilinear, crop 32x48", 8.5313, "the aspect ratio is kept, bilinear as timm then takes it, crop 32 x 48"),
	read("timm, `test_input_size`", "symbolic.onnx", `net.json {"input_size":[3,24,24],"test_input_size":[3,32,32],"test_crop_pct":1.0,`+timm+`}`,
		"resize 32 bicubic, crop 32", 1.0778, "resize 32, crop 32"),
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

// attackTrials are of hostile files, and of what people write by mistake.
var attackTrials = []trial{
	attack("bigbatch.onnx", "a batch of 1,000,000 in the file", exitFailed, "export the model with an open batch axis", "refused: it would take more than 2 GiB"),
	attack("hugebatch.onnx", "a batch of 2^40 in the file", exitFailed, "export the model with an open batch axis", "refused: it would take more than 2 GiB"),
	attack("zerobatch.onnx", "a batch of 0 in the file", exitFailed, "has a batch axis of size 0", "refused"),
	attack("ir99.onnx", "a format newer than the library", exitFailed, "IR version 99", "refused: the version is named"),
	attack("extlink.onnx", "weights in a file that is not there", exitFailed, `"link.bin" is not in`, "refused: the file is named"),
	attack("metamean.onnx", "metadata with mean nan and std 0", exitFailed, `key "mean" is "nan,nan,nan"`, "refused: the key is named"),
	attack("bntrain.onnx", "BatchNormalization in training mode, statistics never set", exitDone, "as if they had never been set", "a warning"),
	attack("softbatch.onnx", "Softmax over the images of a batch", exitDone, "normalises over the images of a batch (axis 0)", "the logits before it, and a warning"),
	attack("nest10.onnx", "graphs within graphs", exitDone, "10 classes", "runs"),
	{files: "mapdup2.json", about: "a class map with classes twice", code: exitFailed,
		args: "classify --data $/data/cifar10-jpeg-test.tar --labels $/cases/attacks/mapdup2.json", want: []string{`key "cat" occurs twice`}, says: "refused: the class is named"},
	{files: "pax.tar", about: "a member of 10^14 bytes outside the folder", code: exitFailed,
		args: "datasets check $/cases/attacks/pax.tar", want: []string{"the tar file is cut off: ../../../../etc/x.jpg should have 99999999999999 bytes"}, says: "refused: the member is named"},
	{files: "bombreal16.png", about: "a picture of 13,000 x 13,000, 16 bits a channel", slow: true,
		args: "datasets check $/cases/attacks --labels TMP/one.csv", write: "one.csv path,label\nbombreal16.png,0\n", want: []string{"sides 13000 to 13000 pixels"}, says: "read, in 2 GB of memory"},
	{files: "detector-bomb.zip", about: "700 MB of zeros beside a detector", code: exitFailed,
		args: "ood apply $/cases/attacks/detector-bomb.zip --data $/cases/hf-folder/images.tar", want: []string{`it holds "junk.txt", which is no part of a detector`}, says: "refused"},
	{files: "detector-threshold-null.zip", about: "a detector without a threshold", code: exitFailed,
		args: "ood apply $/cases/attacks/detector-threshold-null.zip --data $/cases/hf-folder/images.tar", want: []string{`its key "threshold" is null`}, says: "refused"},
}

// attack is a model run on a few images.
func attack(file, about string, code int, want, says string) trial {
	return trial{
		files: file, about: about, code: code, want: []string{want}, says: says,
		args: "classify --model $/cases/attacks/" + file + " --data $/data/cifar10-jpeg-test.tar --limit 20",
	}
}

// TestAttacks: hostile files are refused in a sentence, or read as what they are.
func TestAttacks(t *testing.T) {
	for _, c := range attackTrials {
		t.Run(c.files, c.run)
	}
}

// digits is a table of the pictures of the digits 0 to 6.
func digits() string {
	var b strings.Builder
	b.WriteString("digits.csv path,label\n")
	for i := range 700 {
		fmt.Fprintf(&b, "%d/%04d.png,%d\n", i/100, i%100, i/100)
	}
	return b.String()
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
	if fields[0] == "classify" {
		fields = append(fields, "--bootstrap", "0", "--quiet")
	}
	run := filepath.Join(tmp, "run")
	if len(c.main) > 0 {
		fields = append(fields, "--out", run)
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
	r := reportOf(t, "report", run, "--bootstrap", "0")
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

// TestCompatibilityPage: the page's tables are those above.
func TestCompatibilityPage(t *testing.T) {
	for name, list := range map[string][]trial{"models": modelTrials, "cases": caseTrials, "attacks": attackTrials} {
		var b strings.Builder
		b.WriteString(docs.Header("file", "what it is", "command", "what the program does"))
		for _, c := range list {
			b.WriteString(docs.Row(c.files, c.about, "`"+short(c.args)+"`", c.says))
		}
		docs.Table(t, "compatibility.md", name, b.String())
	}
	models, refused := files(modelTrials)
	cases, _ := files(caseTrials)
	attacks, _ := files(attackTrials)
	docs.Table(t, "proof.md", "files", fmt.Sprintf(`- Real files ([compatibility.md](compatibility.md)): %d classifiers from public repositories in %d commands. %d are refused by name; of the others
  accuracy equals that of the same images through Pillow, NumPy and PyTorch, node by node, without this program and ONNX Runtime: to the
  last image for float models, within a stated range for quantised ones, whose kernels round by processor. They were picked for being
  difficult and are no random sample: another file may still fail.
- %d cases from public reports in %d commands, and %d hostile files: the right number by the same means, or a refusal, or a warning.
`, models, len(modelTrials), refused, cases, len(caseTrials), attacks))
}

// files counts the files that trials are of, and those of them that are refused.
func files(of []trial) (all, refused int) {
	code := map[string]int{}
	for _, c := range of {
		code[c.files] = c.code
	}
	for _, c := range code {
		if c != exitDone {
			refused++
		}
	}
	return len(code), refused
}

var folders = regexp.MustCompile(`\$/(?:[\w.-]+/)*`)

// short is a command as a person types it, in the folder of the files.
func short(args string) string {
	return strings.ReplaceAll(folders.ReplaceAllString(args, ""), "TMP/", "")
}

// TestEveryFileHasARow: no file or case is left out.
func TestEveryFileHasARow(t *testing.T) {
	// The labels of these are compared in package datasets (TestLabelsWrittenAsFloats).
	rows := map[string]bool{"r12_float.csv": true, "r12_int.csv": true}
	for _, list := range [][]trial{modelTrials, caseTrials, attackTrials} {
		for _, c := range list {
			rows[c.files] = true
			for _, word := range strings.Fields(c.args) {
				rows[filepath.Base(word)] = true
			}
		}
	}
	for _, pattern := range []string{"models/real/*.onnx", "models/real/refused/*.onnx", "cases/*", "cases/attacks/*"} {
		names, err := filepath.Glob(filepath.Join(filepath.Dir(golden.Path(t, "README.md")), pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			if base := filepath.Base(name); base != "README.md" && base != "attacks" && !rows[base] {
				t.Errorf("%s has no row", name)
			}
		}
	}
}
