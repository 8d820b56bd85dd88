package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"cutmix-eval/internal/regular"
)

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
