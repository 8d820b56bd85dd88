// Package datasets says where images and labels come from: class folders, tar
// files read in place, flat folders with label files, image lists, CIFAR
// binaries and the embedded scenes. Which of these a path is, is recognised
// from its content, and the dataset says what was recognised and why.
//
// The order of samples is fixed by the data, and loading is safe from several
// goroutines, each with a Loader of its own.
package datasets

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cutmix-eval/datasets/scenes"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/regular"
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

// Open reads the dataset at path: a folder, a tar file, a list, a CIFAR file,
// or "scenes" for the embedded one.
func Open(path string, o Options) (*Dataset, error) {
	if o.Format == "" {
		o.Format = Auto
	}
	d, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("opening data %q: %w", path, err)
	}
	if o.LabelColumn != "" && o.Labels == "" && d.Format != List {
		d.Close()
		return nil, fmt.Errorf("opening data %q: --label-column says nothing without a table: give it by --labels", path)
	}
	d.Order = o.Order
	d.exif = o.Exif
	if len(d.Samples) == 0 {
		d.Close()
		return nil, fmt.Errorf("opening data %q: it holds no images (%s)", path, d.Why)
	}
	return d, nil
}

func open(path string, o Options) (*Dataset, error) {
	if name, split, _ := strings.Cut(path, ":"); name == "scenes" {
		if split != "" && o.Split != "" && split != o.Split {
			return nil, fmt.Errorf("it names a split, and --split another (%s): give one", o.Split)
		}
		if err := o.made("the embedded scenes", Scenes); err != nil {
			return nil, err
		}
		return openScenes(cmp.Or(split, o.Split, o.Prefer))
	}
	if kind, ok := strings.CutPrefix(path, "noise:"); ok {
		if err := o.made("noise", Noise); err != nil {
			return nil, err
		}
		if o.Split != "" {
			return nil, errors.New("--split says nothing about noise")
		}
		return openNoise(kind, o)
	}
	if o.Format == Scenes {
		return nil, errors.New("it is not the embedded scenes, which are called scenes or scenes:SPLIT")
	}
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && hasBraces(path) {
			return openPattern(path, o)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no such file or folder")
		}
		return nil, err
	}
	var d *Dataset
	if info.IsDir() {
		d, err = openFolder(path, o)
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("it is neither a folder nor a regular file")
	} else {
		d, err = openFile(path, info.Size(), o)
	}
	if err == nil && o.Format != Auto && d.Format != o.Format {
		err = fmt.Errorf("it is not %q data: %s", o.Format, d.Why)
		d.Close()
	}
	if err != nil {
		return nil, err
	}
	d.Name = cmp.Or(d.Name, containerName(path))
	return d, nil
}

func openFolder(path string, o Options) (*Dataset, error) {
	t, err := walk(path)
	if err != nil {
		return nil, err
	}
	for _, open := range []func(*tree, Options) (*Dataset, error){parquetFolder, shardFolder, arrayTree} {
		if d, err := open(t, o); d != nil || err != nil {
			return d, err
		}
	}
	return t.dataset(o)
}

func openFile(path string, size int64, o Options) (*Dataset, error) {
	head, err := start(path)
	if err != nil {
		return nil, err
	}
	var t *tree
	switch {
	case isTar(head[:]):
		t, err = indexTar(path)
	case isCompressed(head[:]):
		t, err = unpackTar(path)
	case isZip(head[:]):
		t, err = indexZip(path)
	case string(head[:6]) == "\x93NUMPY":
		return openArray(path, o)
	case isParquet(head[:]):
		return openParquetFile(path, o)
	case isCIFARFile(path, size) && o.Format != List:
		return openCIFARFile(path)
	default:
		return openList(path, o)
	}
	if err != nil {
		return nil, err
	}
	if d, err := arrayTree(t, o); d != nil || err != nil {
		return d, err
	}
	return t.dataset(o)
}

// dataset finds out what a tree is. It closes the tree where that fails.
func (t *tree) dataset(o Options) (*Dataset, error) {
	d, err := t.webdataset(o)
	if d == nil && err == nil {
		if err = t.onlyArchives(); err == nil {
			d, err = recognise(t, o)
		}
	}
	if err != nil {
		t.close()
	}
	return d, err
}

// made refuses options that say nothing about images that the program makes itself.
func (o Options) made(what string, f Format) error {
	switch {
	case o.Format != Auto && o.Format != f:
		return fmt.Errorf("--data-format %s says nothing about %s", o.Format, what)
	case o.Labels != "":
		return fmt.Errorf("--labels says nothing about %s", what)
	case o.Root != "":
		return fmt.Errorf("--data-root says nothing about %s", what)
	}
	return nil
}

func start(path string) (head [512]byte, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return head, err
	}
	defer f.Close()
	_, err = f.Read(head[:])
	if err != nil && info(f) == 0 {
		return head, errors.New("the file is empty")
	}
	return head, err
}

func info(f *os.File) int64 {
	s, err := f.Stat()
	if err != nil {
		return 0
	}
	return s.Size()
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

// FirstSize is the size of the first of some samples that can be read; the last one's error
// where none can.
func (d *Dataset) FirstSize(samples []int) (size imageproc.Size, err error) {
	loader := d.Loader()
	for _, i := range samples {
		var im imageproc.Image
		if im, err = loader.Load(i); err == nil {
			return imageproc.Size{H: im.H, W: im.W}, nil
		}
		if storage := (*StorageError)(nil); errors.As(err, &storage) {
			break
		}
	}
	return size, err
}

// Pick chooses n samples, with the classes as even as they can be: classes take
// turns, each giving its images in an order that seed decides. It returns their
// indices, ascending; nil is all samples, for n of 0 or too large. Larger limits
// with the same seed hold the smaller ones. Where some samples have labels, those
// without come last.
func (d *Dataset) Pick(n int, seed uint64) []int { return d.PickOf(nil, n, seed) }

// PickOf is Pick from some samples, ascending indices; nil is all.
func (d *Dataset) PickOf(from []int, n int, seed uint64) []int {
	if n <= 0 || n >= len(d.Samples) || from != nil && n >= len(from) {
		return from
	}
	if from == nil {
		for i := range d.Samples {
			from = append(from, i)
		}
	}
	byClass := map[int][]int{}
	var labels []int
	for _, i := range from {
		s := d.Samples[i]
		if _, ok := byClass[s.Label]; !ok {
			labels = append(labels, s.Label)
		}
		byClass[s.Label] = append(byClass[s.Label], i)
	}
	slices.Sort(labels)
	for _, l := range labels {
		rng := rand.New(rand.NewPCG(seed, uint64(l)))
		v := byClass[l]
		rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	}
	var pick []int
	var last []int
	if labels[0] == Unlabelled {
		labels, last = labels[1:], byClass[Unlabelled]
	}
	for round := 0; len(pick) < min(n, len(from)-len(last)); round++ {
		for _, l := range labels {
			if round < len(byClass[l]) && len(pick) < n {
				pick = append(pick, byClass[l][round])
			}
		}
	}
	pick = append(pick, last[:n-len(pick)]...)
	slices.Sort(pick)
	return pick
}

// Loader loads images one at a time, reusing its buffers. Use one per goroutine.
type Loader struct {
	d    *Dataset
	dec  imageproc.Decoder
	buf  []byte
	make Maker // of a derived data set
	sum  uint32
}

// Loader returns a loader of d's images.
func (d *Dataset) Loader() *Loader { return &Loader{d: d} }

// read returns the contents of sample i: a file's bytes, or the picture where
// there is no file. They are valid until the next call.
func (l *Loader) read(i int) (data []byte, img *imageproc.Image, err error) {
	s := l.d.Samples[i]
	if s.Size < 0 {
		return nil, nil, errListed
	}
	l.sum = 0
	data, img, err = l.d.src.read(s.at, l.buf)
	switch {
	case err != nil:
	case img == nil:
		l.buf, l.sum = data, crc32.Checksum(data, castagnoli)
	default:
		l.sum = crc32.Checksum(img.Pix, castagnoli)
	}
	return data, img, err
}

// Load decodes sample i. The image is valid until the next call.
func (l *Loader) Load(i int) (imageproc.Image, error) { return l.LoadWindow(i, nil) }

// LoadWindow is Load for a reader who will look at a part of the picture only:
// see imageproc.Decoder.DecodeWindow.
func (l *Loader) LoadWindow(i int, want imageproc.Window) (imageproc.Image, error) {
	if l.d.derived != nil {
		return l.derive(i)
	}
	data, img, err := l.read(i)
	if err != nil {
		return imageproc.Image{}, err
	}
	if img != nil {
		return *img, nil
	}
	return l.decode(data, want)
}

// Sum is the CRC-32C of what is stored of the sample loaded last: of its file, or of its samples
// where it has none. It is 0 where it could not be read.
func (l *Loader) Sum() uint32 { return l.sum }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (l *Loader) decode(data []byte, want imageproc.Window) (imageproc.Image, error) {
	decode := l.dec.DecodeWindow
	if l.d.exif {
		decode = l.dec.DecodeOriented
	}
	if l.d.border {
		img, _, err := decode(data, nil)
		if err == nil {
			img = withoutRedBorder(img)
		}
		return img, err
	}
	img, _, err := decode(data, want)
	return img, err
}

// openScenes opens a split of the embedded scenes; "" is the test split.
func openScenes(split string) (*Dataset, error) {
	if split == "" {
		split = string(scenes.Test)
	}
	sp, err := scenes.ParseSplit(split)
	if err != nil {
		return nil, err
	}
	d := &Dataset{
		Name: "scenes:" + split, Format: Scenes, Why: "the embedded scenes, " + split + " split",
		Classes: scenes.Classes(sp), src: sceneSource{sp},
	}
	d.Samples = make([]Sample, scenes.Len(sp))
	for i := range d.Samples {
		d.Samples[i] = Sample{ID: scenes.ID(sp, i), Label: scenes.LabelOf(sp, i), Size: scenes.Size * scenes.Size * 3, at: i}
	}
	return d, nil
}

type sceneSource struct{ split scenes.Split }

func (s sceneSource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	sc := scenes.Scene{Pixels: buf}
	scenes.GenerateInto(s.split, at, &sc)
	return nil, &imageproc.Image{W: scenes.Size, H: scenes.Size, Pix: sc.Pixels}, nil
}

func (sceneSource) changed(int) time.Time { return time.Time{} }

func (sceneSource) close() error { return nil }

// SceneSplit is the split of the embedded scenes that the data is, and whether it is
// one.
func (d *Dataset) SceneSplit() (scenes.Split, bool) {
	s, ok := d.src.(sceneSource)
	return s.split, ok
}

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
