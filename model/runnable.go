package model

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/onnx"
	"cutmix-eval/internal/text"
)

// checkOperators refuses operators of domains that ONNX Runtime does not have, unless the file
// defines them itself.
func checkOperators(f *onnx.Model) error {
	type op struct{ domain, name string }
	var found []op
	nodes := 0
	for _, n := range f.Graph.Nodes {
		if known(n.Domain) || slices.Contains(f.Functions, onnx.Function{Domain: n.Domain, Name: n.Op}) {
			continue
		}
		nodes++
		if o := (op{n.Domain, n.Op}); !slices.Contains(found, o) {
			found = append(found, o)
		}
	}
	if nodes == 0 {
		return nil
	}
	var names []string
	for _, o := range found {
		names = append(names, fmt.Sprintf("%s of %q", o.name, o.domain))
	}
	return fmt.Errorf("it uses operators of a domain that ONNX Runtime does not have: %s (%d of its nodes); export the network with standard ONNX operators", text.Some(names, 3), nodes)
}

func known(domain string) bool {
	return domain == "" || domain == "ai.onnx" || strings.HasPrefix(domain, "ai.onnx.") ||
		domain == "com.microsoft" || strings.HasPrefix(domain, "com.microsoft.") || strings.HasPrefix(domain, "com.ms.internal.")
}

// checkWeights says which files with external weights are missing or too short.
func checkWeights(f *onnx.Model, dir string) error {
	need := map[string]int64{} // bytes, by file
	var files []string
	check := func(t *onnx.Tensor) error {
		if len(t.External) == 0 {
			return nil
		}
		location := t.External["location"]
		if !filepath.IsLocal(filepath.FromSlash(location)) {
			return fmt.Errorf("tensor %q lies in %q, outside the model's folder", t.Name, location)
		}
		offset, err := externalNumber(t, "offset", 0)
		if err != nil {
			return err
		}
		size := int64(0)
		if n, err := t.Len(); err == nil {
			size = int64(n) * t.Type.Size()
		}
		if size, err = externalNumber(t, "length", size); err != nil {
			return err
		}
		if _, seen := need[location]; !seen {
			files = append(files, location)
		}
		need[location] = max(need[location], offset+min(size, 1<<62-offset))
		return nil
	}
	for i := range f.Graph.Initializers {
		if err := check(&f.Graph.Initializers[i]); err != nil {
			return err
		}
	}
	for _, n := range f.Graph.Nodes {
		if a, ok := n.Attr("value"); ok && a.Tensor != nil {
			if err := check(a.Tensor); err != nil {
				return err
			}
		}
	}
	var missing []string
	for _, location := range files {
		path := filepath.Join(dir, filepath.FromSlash(location))
		info, err := os.Stat(path)
		switch {
		case err == nil && !inside(path, dir):
			return fmt.Errorf("its weights are to lie in %q, which is a link that leads out of the model's folder; copy the file itself there", path)
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, fmt.Sprintf("%q", location))
		case err != nil:
			return fmt.Errorf("reading its weights: %w", err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("its weights are to lie in %q, which is no file", path)
		case info.Size() < need[location]:
			what := ""
			if file, err := os.Open(path); err == nil {
				if is, _ := onnx.Recognise(file, info.Size()); is != "" {
					what = ": it is " + is
				}
				_ = file.Close() // only read
			}
			return fmt.Errorf("its weights lie in %q, which has %d bytes and needs %d%s; copy or download that file again", path, info.Size(), need[location], what)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("its weights lie in files of their own, and %s is not in %q: copy it there from beside the original, "+
			"or export again with external_data=False (torch 2.5 and newer write weights beside the model)", text.Some(missing, 3), dir)
	}
	return nil
}

// inside says whether a file lies in a folder, links followed, as ONNX Runtime has it.
func inside(path, dir string) bool {
	folder, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
	if err != nil {
		return false
	}
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	from, err := filepath.Rel(folder, file)
	return err == nil && filepath.IsLocal(from)
}

// externalNumber reads a number of bytes of a tensor in another file.
func externalNumber(t *onnx.Tensor, key string, def int64) (int64, error) {
	if t.External[key] == "" {
		return def, nil
	}
	n, err := strconv.ParseInt(t.External[key], 10, 64)
	if err != nil || n < 0 || n > 1<<61 {
		return 0, fmt.Errorf("tensor %q has the %s %q in its file of weights, which is no number of bytes", t.Name, key, t.External[key])
	}
	return n, nil
}
