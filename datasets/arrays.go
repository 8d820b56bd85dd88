package datasets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
)

// What a numpy array of a data set holds, by its name.
type arrayRole int

const (
	unknownRole arrayRole = iota
	pictureRole
	labelRole
	classNameRole
)

var arrayRoles = map[string]arrayRole{
	"images": pictureRole, "image": pictureRole, "imgs": pictureRole, "img": pictureRole, "pictures": pictureRole, "x": pictureRole, "data": pictureRole, "inputs": pictureRole,
	"labels": labelRole, "label": labelRole, "y": labelRole, "targets": labelRole, "target": labelRole,
	"names": classNameRole, "classes": classNameRole,
}

// namedArray is a .npy file of a folder or archive. part is what its name says besides its role:
// train of train_images, cifar10.1_v4 of cifar10.1_v4_data, fog of fog.
type namedArray struct {
	file file
	part string
	role arrayRole
	info npy.Info
	bad  error // why it cannot be read
}

// isArray says whether a file is numpy's by its name.
func isArray(name string) bool { return strings.EqualFold(path.Ext(name), ".npy") }

// arrayName is what the name of an array says: x_train, train_images, label_names.
func arrayName(name string) (part string, role arrayRole) {
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	words := strings.FieldsFunc(stem, func(r rune) bool { return r == '_' || r == '-' || r == ' ' })
	n := len(words)
	switch {
	case n == 0:
	case n > 1 && arrayRoles[strings.ToLower(words[n-1])] == classNameRole && slices.Contains([]string{"label", "class"}, strings.ToLower(words[n-2])):
		role, words = classNameRole, words[:n-2]
	case arrayRoles[strings.ToLower(words[n-1])] != unknownRole:
		role, words = arrayRoles[strings.ToLower(words[n-1])], words[:n-1]
	case arrayRoles[strings.ToLower(words[0])] != unknownRole:
		role, words = arrayRoles[strings.ToLower(words[0])], words[1:]
	default:
		return stem, unknownRole
	}
	return strings.Join(words, "_"), role
}

// arrays lists the numpy arrays of a tree, of which only the headers are read. Folders that all of
// them lie in are no part of their names.
func (t *tree) arrays() []namedArray {
	var out []namedArray
	for _, f := range t.files {
		if !isArray(f.path) {
			continue
		}
		a := namedArray{file: f}
		a.part, a.role = arrayName(f.path)
		a.info, a.bad = t.arrayHeader(f)
		out = append(out, a)
	}
	common := ""
	for i, a := range out {
		dir := path.Dir(a.file.path)
		if i == 0 {
			common = dir
		}
		for common != "." && common != dir && !strings.HasPrefix(dir, common+"/") {
			common = path.Dir(common)
		}
	}
	for i, a := range out {
		if dir := path.Dir(a.file.path); dir != common {
			out[i].part = path.Join(strings.TrimPrefix(strings.TrimPrefix(dir, common), "/"), a.part)
		}
	}
	return out
}

// arrayHeader reads the header of a numpy file and checks it against the file's size.
func (t *tree) arrayHeader(f file) (npy.Info, error) {
	const most = 1<<16 + 12
	head := make([]byte, min(f.size, most))
	switch {
	case f.zip != nil:
		head = head[:entryStart(f.zip)(head)]
	case f.open != "":
		r, err := regular.Open(f.open)
		if err != nil {
			return npy.Info{}, cause(err)
		}
		defer r.Close()
		n, _ := r.ReadAt(head, 0)
		head = head[:n]
	default:
		n, _ := t.archive(f).ReadAt(head, f.off)
		head = head[:n]
	}
	return npy.Parse(bytes.NewReader(head), f.size)
}

// openAt opens a file of the tree for reading anywhere in it. What is packed in a zip archive is
// unpacked into a temporary file.
func (t *tree) openAt(f file) (io.ReaderAt, io.Closer, error) {
	switch {
	case f.open != "":
		r, err := openStored(f.open)
		return r, r, err
	case f.zip == nil:
		return io.NewSectionReader(t.archive(f), f.off, f.size), nothing{}, nil
	}
	packed := int64(f.zip.CompressedSize64)
	if most := max(unpackRatio*packed, unpackFloor); f.size > most {
		return nil, nil, fmt.Errorf("it unpacks to %d bytes, more than %d times its size: it is no array of pictures", f.size, unpackRatio)
	}
	r, err := f.zip.Open()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	if int64(f.zip.UncompressedSize64) == packed { // stored: only its checksum is to be looked at
		off, err := f.zip.DataOffset()
		sum := crc32.NewIEEE()
		if err == nil {
			if _, err = io.Copy(sum, r); err == nil && sum.Sum32() != f.zip.CRC32 {
				err = errors.New("its checksum differs")
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("the archive is damaged: %w", err)
		}
		in, err := openStored(t.root)
		return io.NewSectionReader(in, off, f.size), in, err
	}
	temp, n, err := unpackTo(io.LimitReader(r, f.size+1)) // the reader compares the checksum
	if err == nil && n != f.size {
		_ = temp.Close()
		err = fmt.Errorf("it unpacks to other than the %d bytes that it is listed with", f.size)
	}
	if err != nil {
		return nil, nil, err
	}
	return temp.f, temp, nil
}

// nothing is closed.
type nothing struct{}

func (nothing) Close() error { return nil }

// openArray reads pictures of one .npy file, with the labels beside it: NAME_labels.npy for
// NAME_data.npy, else labels.npy.
func openArray(name string, o Options) (*Dataset, error) {
	at, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	t := &tree{kind: "file", root: name}
	own := file{path: filepath.Base(name), size: at.Size(), open: name, at: changedAt(at)}
	if !isArray(own.path) {
		own.path += ".npy"
	}
	t.files = []file{own}
	part, _ := arrayName(own.path)
	beside, _ := os.ReadDir(filepath.Dir(name)) // none where they cannot be read
	for _, e := range beside {
		other, role := arrayName(e.Name())
		if info, err := e.Info(); err == nil && e.Name() != filepath.Base(name) && isArray(e.Name()) && role == labelRole && (other == part || other == "") {
			t.files = append(t.files, file{path: e.Name(), size: info.Size(), open: filepath.Join(filepath.Dir(name), e.Name())})
		}
	}
	all := t.arrays()
	if i := slices.IndexFunc(all, func(a namedArray) bool { return a.file.open == name }); i >= 0 {
		all[i].role = pictureRole
	}
	return t.fromArrays(all, o)
}

// arrayTree opens the numpy arrays of a folder or archive, where it holds such and no images.
func arrayTree(t *tree, o Options) (*Dataset, error) {
	if o.Format != Auto && o.Format != Arrays || slices.ContainsFunc(t.files, func(f file) bool { return f.image }) {
		return nil, nil
	}
	all := t.arrays()
	if len(all) == 0 {
		return nil, nil
	}
	return t.fromArrays(all, o)
}

// pictureParts are the parts with pictures: those called images or x, whatever others look like;
// without such, those that have the form of pictures.
func pictureParts(all []namedArray) (parts []string, err error) {
	for _, role := range []arrayRole{pictureRole, unknownRole} {
		for _, a := range all {
			_, bad := pictureForm(a.info)
			switch {
			case a.role != role || role == unknownRole && (a.bad != nil || bad != nil):
			case slices.Contains(parts, a.part):
				return nil, fmt.Errorf("it holds several arrays of pictures (of %q); give one of them as a .npy file", a.part)
			default:
				parts = append(parts, a.part)
			}
		}
		if len(parts) > 0 {
			return parts, nil
		}
	}
	var names []string
	for _, a := range all {
		names = append(names, path.Base(a.file.path))
	}
	return nil, fmt.Errorf("it holds numpy's arrays (%s), but none of pictures (uint8, n x height x width x 3); give the folder or file of pictures, or scores by --predictions",
		strings.Join(names[:min(len(names), 6)], ", "))
}

// fromArrays makes a data set of arrays of pictures and labels. It closes the tree where that fails.
func (t *tree) fromArrays(all []namedArray, o Options) (d *Dataset, err error) {
	src := &arraySource{closers: []io.Closer{t}}
	defer func() {
		if err != nil {
			_ = src.close()
		}
	}()
	// numpy.savez without names: what has the form of pictures is pictures, the other one labels.
	if len(all) == 2 && all[0].part == "arr_0" && all[1].part == "arr_1" {
		for i := range all {
			if _, bad := pictureForm(all[i].info); bad == nil {
				all[i].part, all[i].role, all[1-i].part, all[1-i].role = "", pictureRole, "", labelRole
			}
		}
	}
	parts, err := pictureParts(all)
	if err != nil {
		return nil, err
	}
	part, why, err := takeSplit(parts, o)
	if err != nil {
		return nil, err
	}
	d = &Dataset{Format: Arrays, part: part, Notes: t.skip}
	find := func(role arrayRole, part string) *namedArray {
		i := slices.IndexFunc(all, func(a namedArray) bool { return a.role == role && a.part == part })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	a := find(pictureRole, part)
	if a == nil {
		a = find(unknownRole, part)
	}
	form, err := pictureForm(a.info)
	if err = cmp.Or(a.bad, err); err != nil {
		return nil, fmt.Errorf("%s: %w", a.file.path, err)
	}
	r, closer, err := t.openAt(a.file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.file.path, err)
	}
	src.r, src.closers, src.info, src.form, src.at = r, append(src.closers, closer), a.info, form, t.changedFile(a.file)
	if err := src.settleLevels(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.file.path, err)
	}
	sum, err := src.sum(a.file.size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.file.path, err)
	}
	d.src, d.content = src, []string{sum}
	n := a.info.Shape[0]
	d.Why = fmt.Sprintf("numpy array of %d pictures of %d x %d", n, form.w, form.h)
	if form.planar && form.c > 1 {
		d.Why += ", channels first"
	}
	if src.how != "" {
		d.Why += ", " + src.how
	}
	if why != "" {
		d.Why += ", " + why
	}
	if src.note != "" {
		d.Notes = append(d.Notes, a.file.path+": "+src.note)
	}
	prefix := ""
	if part != "" && len(parts) > 1 {
		prefix = part + "/"
	}
	for i := range n {
		d.Samples = append(d.Samples, Sample{ID: fmt.Sprintf("%srow-%06d", prefix, i), Label: Unlabelled, Size: int64(form.h * form.w * form.c), at: i})
	}
	if o.Labels != "" {
		if !isArray(o.Labels) {
			return d, d.labelFrom(o)
		}
		values, several, err := labelFileOf(o.Labels)
		if err == nil && values == nil && several != nil {
			err = errors.New("it has several classes per image; give it by --multi-label")
		}
		if err == nil {
			err = d.fromValues(values, nil, filepath.Base(o.Labels))
		}
		if err != nil {
			return nil, fmt.Errorf("reading labels from %q: %w", o.Labels, err)
		}
		return d, nil
	}
	return d, t.labelArrays(d, find)
}

// sum identifies the array's contents: of large ones, blocks all over it.
func (s *arraySource) sum(size int64) (string, error) {
	const blocks, length = 256, 4096
	h := sha256.New()
	fmt.Fprintln(h, s.info.Kind, s.info.Shape)
	buf := make([]byte, length)
	for i := range int64(blocks) {
		from := s.info.Offset + (size-s.info.Offset)/blocks*i
		if size-s.info.Offset <= blocks*length {
			from = s.info.Offset + length*i
		}
		n, err := s.r.ReadAt(buf[:max(0, min(length, size-from))], max(0, min(from, size)))
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		h.Write(buf[:n])
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}
