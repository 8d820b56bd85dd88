package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// openList reads a text file of paths, each with a label or none: OpenOOD's
// image lists ("path label", -1 for out-of-distribution), CSV with a header,
// or bare paths.
func openList(name string, o Options) (*Dataset, error) {
	data, err := readText(name)
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(data[:min(len(data), 4096)], 0) >= 0 {
		return nil, unknownFile(data)
	}
	if o.Labels != "" {
		return nil, errors.New("a list carries its own labels; --labels cannot be given with it")
	}
	rows, err := splitRows(data, imageName)
	if err != nil {
		return nil, err
	}
	if err := rows.locate(imageName, o.LabelColumn); err != nil {
		return nil, err
	}
	if len(rows.rows) == 0 {
		return nil, errors.New("it has a header and no rows")
	}
	paths := make([]string, len(rows.rows))
	images := 0
	for i, row := range rows.rows {
		p := filepath.ToSlash(rows.cell(row, rows.path))
		if !imageName(p) && len(row) == 2 && imageName(strings.Join(row, " ")) {
			p = strings.Join(row, " ") // a bare path with a space in it
			rows.rows[i] = []string{p}
		}
		if imageName(p) {
			images++
		}
		paths[i] = p
	}
	windows(paths, name, o.Root)
	root, why, err := listRoot(name, paths, o.Root)
	if images*2 < len(paths) { // names without an extension: the files decide
		if o.Root != "" && err != nil {
			return nil, err
		}
		if err != nil || !listsImages(root, paths) {
			return nil, errors.New("it is a text file, but its lines do not begin with the paths of images; if they are names without an extension, give the images' folder with --data-root")
		}
	}
	if err != nil {
		return nil, err
	}
	t := &tree{kind: "folder", root: root}
	byPath := map[string]int{}
	match := make([]int, len(paths))
	for i, p := range paths {
		full := listed(root, p)
		if at, ok := byPath[full]; ok {
			match[i] = at
			continue
		}
		info, err := os.Stat(full)
		if err != nil || !info.Mode().IsRegular() {
			match[i] = -1
			continue
		}
		match[i] = len(t.files)
		byPath[full] = match[i]
		t.files = append(t.files, file{path: printable(p), size: info.Size(), open: full, at: changedAt(info)})
	}
	d := &Dataset{Name: strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), Format: List, src: t}
	labelled := false
	for _, row := range rows.rows {
		labelled = labelled || rows.cell(row, rows.label) != ""
	}
	label := make([]int, len(paths))
	if labelled {
		l := &labelFile{path: name}
		all := make([]int, len(paths)) // perImage wants one file per row
		for i := range all {
			all[i] = i
		}
		if err := l.perImage(rows, all); err != nil {
			return nil, err
		}
		if err := l.sameImages(rows, match); err != nil {
			return nil, err
		}
		d.Classes, d.Indices = l.names, l.indices
		d.call(l)
		d.Notes = append(d.Notes, l.notes...)
		for i := range label {
			label[i] = l.label[i]
		}
	} else {
		for i := range label {
			label[i] = Unlabelled
		}
	}
	missing := 0
	for i, p := range paths {
		s := Sample{ID: printable(p), Label: label[i], Size: -1, at: match[i]}
		if match[i] >= 0 {
			s.Size = t.files[match[i]].size
		} else {
			missing++
		}
		d.Samples = append(d.Samples, s)
	}
	if missing > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d of %d listed images are missing", missing, len(paths)))
	}
	d.Why = fmt.Sprintf("text list of %d images, paths relative to %s", len(paths), why)
	return d, nil
}

// listRoot finds the folder that a list's paths start from: the given one, or
// the list's own folder, one above it, or a folder of those (OpenOOD keeps
// lists in benchmark_imglist beside images_classic and images_largescale).
func listRoot(list string, paths []string, given string) (root, why string, err error) {
	if given != "" {
		if info, err := os.Stat(given); err != nil || !info.IsDir() {
			return "", "", fmt.Errorf("the root folder %q does not exist", given)
		}
		return given, given, nil
	}
	abs, err := filepath.Abs(list)
	if err != nil {
		return "", "", err
	}
	probe := spread(paths)
	exists := func(dir string) bool {
		for _, p := range probe {
			if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(p))); err == nil {
				return true
			}
		}
		return false
	}
	if filepath.IsAbs(filepath.FromSlash(probe[0])) {
		return filepath.Dir(abs), "/", nil
	}
	for dir, up := filepath.Dir(abs), 0; up < 4; dir, up = filepath.Dir(dir), up+1 {
		if exists(dir) {
			return dir, dir, nil
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return "", "", err
		}
		for _, e := range entries {
			if sub := filepath.Join(dir, e.Name()); e.IsDir() && exists(sub) {
				return sub, sub, nil
			}
		}
	}
	return "", "", fmt.Errorf("none of its images was found (first: %s) in the list's folder or those above it; name their folder with --data-root", strconv.Quote(paths[0]))
}

// listed is the file that a list with that root names.
func listed(root, p string) string {
	if full := filepath.FromSlash(p); filepath.IsAbs(full) {
		return full
	}
	return filepath.Join(root, filepath.FromSlash(p))
}

// spread is up to 20 of the paths, from the whole list.
func spread(paths []string) []string {
	if len(paths) <= 20 {
		return paths
	}
	var out []string
	for i := range 20 {
		out = append(out, paths[i*len(paths)/20])
	}
	return out
}

// listsImages says whether half of the paths or more are files that are images.
func listsImages(root string, paths []string) bool {
	probe, found := spread(paths), 0
	for _, p := range probe {
		if full := listed(root, p); isImage(p, fileStart(full)) {
			found++
		}
	}
	return 2*found >= len(probe)
}

// windows writes paths with slashes where they have backslashes, as on Windows, unless a file is
// called so.
func windows(paths []string, list, root string) {
	if !slices.ContainsFunc(paths, func(p string) bool { return strings.Contains(p, `\`) }) {
		return
	}
	if root == "" {
		if _, _, err := listRoot(list, paths, ""); err == nil {
			return
		}
	} else if slices.ContainsFunc(spread(paths), func(p string) bool { _, err := os.Stat(listed(root, p)); return err == nil }) {
		return
	}
	for i, p := range paths {
		paths[i] = strings.ReplaceAll(p, `\`, "/")
	}
}

// sameImages looks for images that several rows of a list name, whose labels must be the same.
func (l *labelFile) sameImages(t table, match []int) error {
	first := map[int]int{} // row by image
	again := 0
	for i, image := range match {
		j, twice := first[image]
		switch {
		case image < 0:
		case !twice:
			first[image] = i
		case l.label[i] != l.label[j]:
			return fmt.Errorf("image %s has two labels, %s (%s) and %s (%s); leave one of the two", t.cell(t.rows[i], t.path),
				t.cell(t.rows[j], t.label), t.where(j), t.cell(t.rows[i], t.label), t.where(i))
		default:
			again++
		}
	}
	if again > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%d rows of the list name an image that an earlier one names; each row counts", again))
	}
	return nil
}
