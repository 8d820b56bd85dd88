package datasets

import (
	"errors"
	"slices"
	"strings"
)

// Kind is a way of keeping images and labels that Open reads. Words between ` are what files or
// columns are called.
type Kind struct {
	Word  string // what a line of help calls it; several kinds may share one
	What  string // what it is
	By    string // what it is recognised by
	Order string // of its classes
}

// Kinds lists what Open reads. Help and docs/data.md have it from here.
func Kinds() []Kind {
	return []Kind{
		{"class folders", "class folders", "images in folders (empty ones are classes too)", "names sorted by bytes, as torchvision; all numbers: numeric order"},
		{"class folders", "ImageNet-V2, numbered folders", "all folder names are numbers", "label = number; 1 to N without gaps: label = number - 1"},
		{"tar", "tar of any of these", "tar header", "the same; read in place, links and `..` passed over"},
		{"zip", "zip of any of these", "zip header", "the same; read in place; encrypted entries are refused"},
		{"compressed tar", "tar.gz, tar.zst, tar.bz2", "header", "the same; unpacked into a temporary file first"},
		{"Hugging Face's Parquet", "Hugging Face Parquet", "a file, or a folder of `train-00000-of-00002.parquet` …; column `image` or `img` (`{bytes, path}` or bytes), `label`", "names of the metadata; numbers; texts sorted"},
		{"webdataset", "webdataset", "a tar, `val-{000..012}.tar` or a folder of tars, with `.cls`, `.json` or `.txt` beside the images", "numbers, by `classnames.txt` where it is there; names sorted"},
		{"", "train / val / test inside (also dev, valid, test_set …)", "names of folders or files", "`--split`, else val, else test; `finetune`: each role its own"},
		{"images with a label file", "images with `--labels FILE`", "the file names images", "numbers are output numbers; names are sorted"},
		{"", "Kaggle `LOC_val_solution.csv`", "`ImageId,PredictionString`", "synsets, sorted"},
		{"", "one output number per line, from 0; or one class name per line", "as many lines as images, in name order", "as given; names sorted"},
		{"", "ILSVRC devkit ground truth", "one number per line, from 1, images named `ILSVRC20…`", "devkit order, by `map_clsloc.txt` beside it or the built-in list, to synsets"},
		{"image lists", "image list, as OpenOOD's", "text file of `path label`", "numbers; -1 is unlabelled; paths from `--data-root`, or found around the list"},
		{"numpy arrays", "numpy: `.npz`, a folder, tar or zip of `.npy`, one `.npy`", "arrays called `images`, `x` or `data`, with `labels` or `y` (`train_images`, `x_test`, `cifar10.1_v4_data`)", "`label_names` where they are texts; numbers"},
		{"", "ReaL", "`--labels real.json`: a list of output numbers for each ILSVRC 2012 validation image", "all of them are right"},
		{"", "ObjectNet", "its `mappings` beside or above the `images`", "the outputs of each folder, all of them right"},
		{"CIFAR binaries", "CIFAR-10, CIFAR-100 binary version", "`test_batch.bin`, `test.bin` …", "CIFAR's own (fine labels)"},
		{"Tiny-ImageNet", "Tiny-ImageNet validation part", "`val_annotations.txt`", "synsets, sorted"},
		{"scenes[:SPLIT]", "`scenes`, `scenes:val`, `scenes:new-test`, `scenes:ood-near` …", "the name", "as `cutmix-eval datasets list` has it"},
	}
}

// KindWords are the kinds in few words each, without those that the program makes itself: for
// help and errors.
func KindWords() []string {
	var out []string
	for _, k := range Kinds() {
		if k.Word != "" && !strings.HasPrefix(k.Word, "scenes") && !slices.Contains(out, k.Word) {
			out = append(out, k.Word)
		}
	}
	return out
}

// unknownFile says what a file that is none of these is, and what to do.
func unknownFile(data []byte) error {
	for _, f := range []struct{ start, text string }{
		{"\x00\x00\x08\x01", "it is a file of labels in MNIST's idx format; save it with numpy.save and give it with --labels"},
		{"\x00\x00\x08\x03", "it holds pictures in MNIST's idx format; save them with numpy.save as bytes (uint8) of the shape n x height x width, and the labels beside them"},
		{"\x89HDF", "it is an HDF5 file; save pictures and labels with numpy.save, or write the pictures into class folders"},
		{"MATLAB 5.0 MAT-file", "it is a file of MATLAB; save pictures and labels with numpy.save, or write the pictures into class folders"},
		{"ARROW1\x00\x00", "it is an Arrow file; save the table as Parquet (to_parquet of Hugging Face's datasets)"},
		{"\xff\xff\xff\xff", "it is an Arrow stream; save the table as Parquet (to_parquet of Hugging Face's datasets)"},
		{"\x80\x02", pickled}, {"\x80\x03", pickled}, {"\x80\x04", pickled}, {"\x80\x05", pickled},
		{"7z\xbc\xaf\x27\x1c", "it is a 7-Zip archive; unpack it and give the folder"},
		{"Rar!", "it is a RAR archive; unpack it and give the folder"},
	} {
		if strings.HasPrefix(string(data), f.start) {
			return errors.New(f.text)
		}
	}
	return errors.New("it is none of what can be read: " + strings.Join(KindWords(), ", "))
}

const pickled = "it is a pickle file of Python, which is not read, as reading one runs what is in it; save pictures and labels with numpy.save, or take CIFAR's binary version"
