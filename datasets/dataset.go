// Package datasets says where images and labels come from: class folders, tar
// files read in place, flat folders with label files, image lists, CIFAR
// binaries and the embedded scenes. Which of these a path is, is recognised
// from its content, and the dataset says what was recognised and why.
//
// The order of samples is fixed by the data, and loading is safe from several
// goroutines, each with a Loader of its own.
package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cutmix-eval/imageproc"
)

// Format is a kind of data that can be read.
type Format string

// The formats.
const (
	Auto         Format = "auto"
	ClassFolders Format = "folders"       // one folder per class
	Flat         Format = "flat"          // images in one folder, labels in a file or none
	List         Format = "list"          // a text file of paths and labels (OpenOOD and others)
	CIFAR        Format = "cifar"         // CIFAR-10 or -100, binary version
	TinyImageNet Format = "tiny-imagenet" // val_annotations.txt beside images/
	Parquet      Format = "parquet"       // Hugging Face's rows of images and labels
	WebDataset   Format = "webdataset"    // tars of images with labels beside them
	Arrays       Format = "arrays"        // numpy's
	Scenes       Format = "scenes"        // the embedded ones
	Noise        Format = "noise"         // drawn, without objects
	Derived      Format = "derived"       // computed from other images
)

// Formats lists the formats that can be asked for.
func Formats() []Format {
	return []Format{Auto, ClassFolders, Flat, List, CIFAR, TinyImageNet, Parquet, WebDataset, Arrays, Scenes}
}

// Options say how to read a path.
type Options struct {
	Format Format // Auto or empty: recognise it
	Labels string // label file, or class map; see labels.go
	// LabelColumn is the column of a table that holds the labels: its name or its number, from 1;
	// empty: found.
	LabelColumn string
	Root        string // folder that a list's paths are relative to
	Split       string // which of train, val, test … where there are several
	Prefer      string // the split to take where there are several and Split names none
	// Order is the order in which the classes are a model's outputs; empty: found.
	Order ClassOrder
	// Unlabelled says that labels do not matter: all images of a folder or tar are taken,
	// whatever folders they lie in.
	Unlabelled bool
	// NoiseW and NoiseH are the size of images of noise, NoiseSeed says which they are.
	NoiseW, NoiseH int
	NoiseSeed      uint64
	Exif           bool // pictures are turned as their EXIF orientation says
	// Highest is the highest number that a label of rows can have, of Rows; 0: unknown.
	Highest int
}

// Unlabelled is the label of an image without one.
const Unlabelled = -1

// Sample is one image.
type Sample struct {
	ID    string // path within the dataset, with slashes and valid UTF-8
	Label int    // index of its class, or Unlabelled
	Size  int64  // of the file in bytes; -1 for a file that is listed but missing
	at    int    // where its source has it
}

// Dataset is an ordered set of images. It is not changed after it was made.
type Dataset struct {
	Name    string
	Format  Format
	Why     string // what was recognised, and by what
	Classes []string
	// Indices says that class i was given as the number Indices[i] (folder
	// names or labels that are numbers); nil where classes have only names.
	Indices []int
	// Called is what people call class i, empty where that is not known; nil where no file says so.
	Called  []string
	Samples []Sample
	Notes   []string // what was passed over or assumed
	// ClassMap, from a file, gives the model output of each class by name; nil
	// without one. MapName is the file.
	ClassMap map[string]int
	MapName  string
	// ClassSets, from a file, gives the model outputs of each class by name, each of which is
	// right; nil without one.
	ClassSets map[string][]int
	Order     ClassOrder // that was asked for; empty: found
	// Scorer is what gives the class scores, for messages; empty: the model.
	Scorer  string
	src     source
	base    string        // folder of a tree that all samples lie in, below wrappers and splits
	derived *derivation   // nil for images that are read
	exif    bool          // Options.Exif
	content []string      // of the Fingerprint, where samples have no sizes of their own
	part    string        // of numpy's arrays: what the pictures are of
	also    map[int][]int // further classes of a sample
	border  bool          // pictures may have ObjectNet's red border
}

// source delivers the contents of samples, by Sample.at.
type source interface {
	// read returns the file's bytes, in buf's memory where it is large enough,
	// or the finished picture. Where the storage fails the error is a *StorageError.
	read(at int, buf []byte) ([]byte, *imageproc.Image, error)
	// changed is when what is stored was last changed, as far as is known.
	changed(at int) time.Time
	close() error
}

// Close frees what the dataset holds open. Subsets share it.
func (d *Dataset) Close() error { return d.src.close() }

// Short is the ID of sample i without the folders, such as that of a split, which the
// classes or all images lie in.
func (d *Dataset) Short(i int) string {
	if d.base == "" {
		return d.Samples[i].ID
	}
	return strings.TrimPrefix(d.Samples[i].ID, d.base+"/")
}

// Labelled says whether any image has a label.
func (d *Dataset) Labelled() bool {
	return slices.ContainsFunc(d.Samples, func(s Sample) bool { return s.Label != Unlabelled })
}

// Fingerprint identifies the data: classes, paths, labels and file sizes, in
// order. The same files in a folder, a tar and a zip archive have the same one. Of Parquet
// files, whose images have no sizes of their own, the footers count, which have the sizes of all
// columns; of numpy's arrays, whose images are all of one size, parts of the contents.
func (d *Dataset) Fingerprint() string {
	h := sha256.New()
	if d.derived != nil {
		put(h, d.derived.from.Fingerprint())
		for _, v := range d.derived.variants {
			put(h, v)
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	for _, c := range d.Classes {
		put(h, c)
	}
	for _, c := range d.content {
		put(h, c)
	}
	for i, s := range d.Samples {
		put(h, fmt.Sprintf("%s\x00%d\x00%d", s.ID, s.Label, s.Size))
		if also := d.also[i]; also != nil {
			put(h, fmt.Sprint(also))
		}
	}
	if d.border {
		put(h, "without a red border")
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func put(h hash.Hash, s string) { fmt.Fprintf(h, "%d:%s\n", len(s), s) }

// Companion is the contents of a file with the given name that lies with the images,
// in their folder or archive: the one nearest to the top. dir is the folder it lies in,
// empty in an archive.
func (d *Dataset) Companion(name string) (data []byte, dir string, ok bool) {
	t, isTree := d.src.(*tree)
	if !isTree {
		return nil, "", false
	}
	best := -1
	for i, f := range t.files {
		if path.Base(f.path) == name && (best < 0 || strings.Count(f.path, "/") < strings.Count(t.files[best].path, "/")) {
			best = i
		}
	}
	if best < 0 {
		return nil, "", false
	}
	data, err := t.readFile(t.files[best], nil)
	if open := t.files[best].open; open != "" {
		dir = filepath.Dir(open)
	}
	return data, dir, err == nil
}
