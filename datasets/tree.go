package datasets

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"cutmix-eval/imageproc"
)

// tree is a listing of files, of a folder or of an archive, with a way to read
// them. It is a source.
type tree struct {
	kind  string // "folder", "tar" …, for people
	root  string
	files []file // sorted by path
	dirs  []string
	seen  map[string]bool // real folders walked already
	skip  []string
	tar   *stored
	// handles are what close closes besides tar.
	handles []io.Closer
}

// file is one regular file; path has slashes and valid UTF-8.
type file struct {
	path  string
	size  int64
	image bool   // by its name, or by its content where that says nothing
	open  string // folder: the path to open
	off   int64  // tar: where the contents begin
	zip   *zip.File
	from  *stored   // tar of several; nil for that of the tree
	at    time.Time // of its last change; zero where its archive has that
}

// maxDepth bounds nested folders, which may be a loop of links.
const maxDepth = 32

// walk lists a folder, following links to folders as other tools do.
func walk(root string) (*tree, error) {
	t := &tree{kind: "folder", root: root}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	t.seen = map[string]bool{real: true}
	if err := t.add(real, "", 0); err != nil {
		return nil, err
	}
	t.sort()
	return t, nil
}

func (t *tree) add(dir, rel string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if rel == "" {
			return err
		}
		return fmt.Errorf("folder %s in it cannot be read (%w): results would be those of a part of the images; get the right to read it, or move it away", rel, cause(err))
	}
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		p, r := filepath.Join(dir, e.Name()), path.Join(rel, printable(e.Name()))
		mode := e.Type()
		if mode&os.ModeSymlink != 0 {
			info, err := os.Stat(p)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
				t.note("%s is a broken link", r)
				continue
			}
			if err != nil {
				return fmt.Errorf("the link %s in it cannot be followed: %w", r, cause(err))
			}
			if mode = info.Mode().Type(); mode.IsDir() {
				// Links can lead round in circles, or double the work at every level.
				if p, err = filepath.EvalSymlinks(p); err != nil || t.seen[p] {
					t.note("%s is a link to a folder that is there already", r)
					continue
				}
			}
		}
		switch {
		case mode.IsDir():
			if depth >= maxDepth {
				t.note("%s is nested more than %d folders deep", r, maxDepth)
				continue
			}
			t.seen[p] = true
			t.dirs = append(t.dirs, r)
			if err := t.add(p, r, depth+1); err != nil {
				return err
			}
		case mode.IsRegular():
			info, err := os.Stat(p)
			if errors.Is(err, fs.ErrNotExist) {
				continue // vanished just now
			}
			if err != nil {
				return fmt.Errorf("%s in it cannot be read: %w", r, cause(err))
			}
			t.files = append(t.files, file{path: r, size: info.Size(), image: isImage(r, fileStart(p)), open: p, at: changedAt(info)})
		default:
			t.note("%s is no regular file", r)
		}
	}
	return nil
}

// hidden names what desktop systems and archivers leave behind.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__MACOSX" || name == "Thumbs.db" || name == "desktop.ini"
}

// printable makes a name valid UTF-8 without control characters: other bytes
// become %XX. Different names stay different, unless one is written like another
// with its bytes replaced.
func printable(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 || unicode.IsControl(r) {
			fmt.Fprintf(&b, "%%%02X", []byte(name[i:i+n]))
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// indexTar lists a tar file, reading headers only.
func indexTar(name string) (*tree, error) {
	f, err := openStored(name)
	if err != nil {
		return nil, err
	}
	t := &tree{kind: "tar", root: name, tar: f}
	if err := t.index(); err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

func (t *tree) index() error {
	end := t.tar.size
	last := int64(0) // end of the last member
	r := tar.NewReader(t.tar)
	byPath := map[string]int{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the tar file is cut off after %d members; copy it again", len(t.files))
		}
		if err != nil {
			var storage *fs.PathError
			switch {
			case errors.As(err, &storage) && storage.Op == "seek": // to where a header says that the next one is
				err = errors.New("its headers are damaged; make or download it again")
			case errors.Is(err, tar.ErrHeader):
				err = errors.New("what follows is no member of a tar file; make or download it again")
			case errors.Is(err, io.ErrUnexpectedEOF):
				err = errors.New("it is cut off; make or download it again")
			}
			return fmt.Errorf("reading the tar file after %d members: %w", len(t.files), err)
		}
		p := path.Clean(printable(h.Name))
		switch {
		case h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink:
			t.note("%s is a link", p)
			continue
		case h.Typeflag == tar.TypeDir:
			if p != "." && filepath.IsLocal(p) && !slices.ContainsFunc(strings.Split(p, "/"), hidden) {
				t.dirs = append(t.dirs, p)
			}
			continue
		case h.Typeflag != tar.TypeReg:
			continue
		}
		off, err := t.tar.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		sparse := h.PAXRecords["GNU.sparse.major"] != ""
		if h.Size > end-off && !sparse {
			return fmt.Errorf("the tar file is cut off: %s should have %d bytes, %d are left", p, h.Size, end-off)
		}
		switch {
		case path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../"):
			t.note("%s leads out of the archive", p)
			continue
		case slices.ContainsFunc(strings.Split(p, "/"), hidden):
			continue
		case sparse:
			t.note("%s is a sparse file", p)
			continue
		}
		last = off + (h.Size+511)/512*512
		fl := file{path: p, size: h.Size, off: off, image: isImage(p, func(buf []byte) int {
			n, _ := t.tar.ReadAt(buf[:min(int64(len(buf)), h.Size)], off)
			return n
		})}
		if i, ok := byPath[p]; ok {
			t.files[i] = fl // as tar unpacks it: the last one wins
			t.note("%s is in the archive more than once", p)
			continue
		}
		byPath[p] = len(t.files)
		t.files = append(t.files, fl)
	}
	if end < last+512 {
		return errors.New("the tar file ends without an end marker, so it is probably cut off; make it again")
	}
	t.sort()
	return nil
}

// isTar says whether a file begins with the header of a tar member.
func isTar(head []byte) bool {
	if string(head[257:262]) == "ustar" {
		return true
	}
	h, err := tar.NewReader(bytes.NewReader(head)).Next() // the old format has no signature, but a checksum
	return err == nil && h.Name != ""
}

func (t *tree) sort() {
	slices.SortFunc(t.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
}

// note records something passed over, a few times.
func (t *tree) note(format string, a ...any) {
	const most = 20
	if len(t.skip) < most {
		t.skip = append(t.skip, "passed over: "+fmt.Sprintf(format, a...))
	} else if len(t.skip) == most {
		t.skip = append(t.skip, "passed over: more like these")
	}
}

func (t *tree) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	data, err := t.readFile(t.files[at], buf)
	return data, nil, err
}

func (t *tree) changed(at int) time.Time { return t.changedFile(t.files[at]) }

// changedFile is when what holds a file was last changed.
func (t *tree) changedFile(f file) time.Time {
	switch {
	case f.from != nil:
		return f.from.at
	case t.tar != nil:
		return t.tar.at
	}
	return f.at
}

// maxFile bounds what is read into memory for one image.
const maxFile = 1 << 30

func (t *tree) readFile(fl file, buf []byte) ([]byte, error) {
	if fl.zip != nil && fl.size <= maxFile {
		return readZip(fl.zip, buf)
	}
	var r io.ReaderAt = t.archive(fl)
	size := fl.size
	if fl.open != "" {
		f, err := openStored(fl.open)
		if err != nil {
			return buf, &StorageError{fl.open, cause(err)}
		}
		defer f.Close()
		if f.size != fl.size {
			return buf, &StorageError{fl.open, fmt.Errorf("it has %d bytes, and had %d when the data was opened", f.size, fl.size)}
		}
		r = f
	}
	if size > maxFile {
		return buf, fmt.Errorf("the file has %d bytes, more than %d", size, maxFile)
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size+size/4)
	}
	buf = buf[:size]
	n, err := r.ReadAt(buf, fl.off)
	if err != nil && !(errors.Is(err, io.EOF) && int64(n) == size) {
		return buf, err
	}
	return buf, nil
}

// archive is the tar that a file lies in.
func (t *tree) archive(fl file) *stored {
	if fl.from != nil {
		return fl.from
	}
	return t.tar
}

// Close is close, for those who close several things.
func (t *tree) Close() error { return t.close() }

func (t *tree) close() error {
	var err error
	if t.tar != nil {
		err = t.tar.Close()
	}
	for _, h := range t.handles {
		err = errors.Join(err, h.Close())
	}
	return err
}

// text returns the contents of a small file of the tree, and whether it is
// there.
func (t *tree) text(p string) ([]byte, bool, error) {
	i, ok := slices.BinarySearchFunc(t.files, p, func(f file, p string) int { return strings.Compare(f.path, p) })
	if !ok {
		return nil, false, nil
	}
	data, err := t.readFile(t.files[i], nil)
	if err != nil {
		return nil, true, fmt.Errorf("reading %s: %w", p, err)
	}
	return data, true, nil
}

// hasImages says whether an image lies anywhere below dir.
func (t *tree) hasImages(dir string) bool {
	return slices.ContainsFunc(t.under(dir), func(i int) bool { return t.files[i].image })
}

// under returns the indices of the files below dir ("" is all).
func (t *tree) under(dir string) []int {
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	from, _ := slices.BinarySearchFunc(t.files, prefix, func(f file, p string) int { return strings.Compare(f.path, p) })
	var out []int
	for i := from; i < len(t.files) && strings.HasPrefix(t.files[i].path, prefix); i++ {
		out = append(out, i)
	}
	return out
}
