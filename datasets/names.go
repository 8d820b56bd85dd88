package datasets

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// Names finds images by what a file calls them: by path, by path without extension, or by
// file name, in this order. Folders before the path are passed over on either side, as is
// another extension; a backslash may stand for a slash, and where nothing is found case does not
// count. It is safe for concurrent use.
type Names struct {
	of    string // for people
	paths []string
	byEnd map[string]end
	// windows is the names as windowsName has them, made when one is not found as it is.
	windows func() *Names
}

// end is what a path, or the end of one, with or without its extension, stands for.
type end struct {
	image int
	rank  endRank
	twice bool // it stands for several images alike
}

type endRank int8

const (
	bareEnd   endRank = iota // file name, perhaps with folders, without extension
	fullEnd                  // the same with extension
	barePath                 // the whole path without extension
	wholePath                // the whole path
)

// NewNames returns the names of images with the given paths, which may be there twice; of
// says in errors whose images they are.
func NewNames(of string, paths []string) *Names {
	n := newNames(of, paths, func(p string) string { return p })
	n.windows = sync.OnceValue(func() *Names { return newNames(of, paths, windowsName) })
	return n
}

func newNames(of string, paths []string, key func(string) string) *Names {
	n := &Names{of: of, paths: make([]string, len(paths)), byEnd: map[string]end{}}
	for i, p := range paths {
		n.paths[i] = cleanName(p)
		p = key(n.paths[i])
		n.put(p, i, wholePath)
		n.put(bare(p), i, barePath)
		for _, rest, deeper := strings.Cut(p, "/"); deeper; _, rest, deeper = strings.Cut(rest, "/") {
			n.put(rest, i, fullEnd)
			n.put(bare(rest), i, bareEnd)
		}
	}
	return n
}

// Names returns the names of d's images.
func (d *Dataset) Names() *Names {
	paths := make([]string, len(d.Samples))
	for i, s := range d.Samples {
		paths[i] = s.ID
	}
	return NewNames(d.Name, paths)
}

func (n *Names) put(key string, i int, rank endRank) {
	old, ok := n.byEnd[key]
	switch {
	case !ok || rank > old.rank:
		n.byEnd[key] = end{image: i, rank: rank}
	case rank == old.rank && n.paths[i] != n.paths[old.image]:
		old.twice = true
		n.byEnd[key] = old
	}
}

// Find returns the index of the image with a name, -1 for none. Where paths agree in some
// of their folders from the file upwards, the image that agrees furthest is meant; a name
// that fits several images alike is an error.
func (n *Names) Find(name string) (int, error) { return n.find(name, false) }

// FindWithin is Find for names whose folders count: the name must end in the image's path,
// or the path in the name.
func (n *Names) FindWithin(name string) (int, error) { return n.find(name, true) }

// has says whether a name is that of an image, or of several.
func (n *Names) has(name string) bool {
	if name == "" {
		return false
	}
	i, err := n.find(name, false)
	return err != nil || i >= 0
}

// find tries a name as it is, then with slashes for backslashes, then in any case.
func (n *Names) find(name string, within bool) (int, error) {
	for _, try := range []string{name, strings.ReplaceAll(name, `\`, "/")} {
		if i, err := n.exactly(try, within); i >= 0 || err != nil {
			return i, err
		}
	}
	return n.windows().exactly(windowsName(name), within)
}

// windowsName is a name without what does not tell files apart on Windows: in lower case, with slashes.
func windowsName(name string) string { return strings.ToLower(strings.ReplaceAll(name, `\`, "/")) }

func (n *Names) exactly(name string, within bool) (int, error) {
	rest, deeper := cleanName(name), true
	for cut := false; deeper; cut = true {
		for _, key := range []string{rest, bare(rest)} {
			e, ok := n.byEnd[key]
			if !ok || within && cut && e.rank < barePath {
				continue
			}
			if e.twice {
				return -1, fmt.Errorf("several images of %s are called %q; give their paths", n.of, name)
			}
			return e.image, nil
		}
		_, rest, deeper = strings.Cut(rest, "/")
	}
	return -1, nil
}

// cleanName is a path as IDs are written.
func cleanName(p string) string {
	return printable(strings.TrimPrefix(path.Clean(filepath.ToSlash(p)), "/"))
}

// bare takes the extension off, which has no spaces.
func bare(name string) string {
	if ext := path.Ext(name); !strings.Contains(ext, " ") {
		return strings.TrimSuffix(name, ext)
	}
	return name
}
