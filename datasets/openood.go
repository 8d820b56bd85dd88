package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cutmix-eval/internal/regular"
)

// OpenOOD is a benchmark of an OpenOOD data folder (benchmark_imglist beside
// images_classic and images_largescale): paths of its image lists, which Open reads.
type OpenOOD struct {
	Benchmark        string // cifar10, cifar100, imagenet200 or imagenet
	Version          string // v1.0 or v1.5, of its lists
	Test, Val, Train string // ID lists; Val and Train are empty where they are not there
	OutVal           string // empty where it is not there
	Near, Far        []OpenOODSet
	Shifted          []OpenOODSet // ID classes under covariate shift
	Notes            []string     // what is missing
}

// OpenOODSet is a list with the name of its images.
type OpenOODSet struct{ Name, List string }

// openOOD is what OpenOOD's configurations say of a benchmark, by version; names are those
// of the list files, "test_NAME.txt".
type openOOD struct {
	outVal    string
	near, far []string
	// lines of the list test_tin, which tell the versions of the CIFAR benchmarks apart: the
	// files have the same names.
	tin int
}

var openOODs = map[string]map[string]openOOD{
	"cifar10": {
		"v1.5": {"tin", []string{"cifar100", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, 7793},
		"v1.0": {"cifar100", []string{"cifar100", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, 8793},
	},
	"cifar100": {
		"v1.5": {"tin", []string{"cifar10", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, 6526},
		"v1.0": {"cifar10", []string{"cifar10", "tin"}, []string{"mnist", "svhn", "texture", "places365"}, 7498},
	},
	"imagenet200": {
		"v1.5": {"openimage_o", []string{"ssb_hard", "ninco"}, []string{"inaturalist", "textures", "openimage_o"}, 0},
	},
	"imagenet": {
		"v1.5": {"openimage_o", []string{"ssb_hard", "ninco"}, []string{"inaturalist", "textures", "openimage_o"}, 0},
		"v1.0": {"openimage_o", []string{"species", "inaturalist", "openimage_o", "imagenet_o"}, []string{"texture", "mnist"}, 0},
	},
}

// shifted are the lists of ID classes under covariate shift.
var shifted = map[string][]string{
	"cifar10": {"cifar10c", "cinic10"}, "cifar100": {"cifar100c"},
	"imagenet200": {"imagenet_v2", "imagenet_c", "imagenet_r", "imagenet_es"}, "imagenet": {"imagenet_v2", "imagenet_c", "imagenet_r", "imagenet_es"},
}

// OpenOODBenchmarks lists the benchmarks that can be read.
func OpenOODBenchmarks() []string { return []string{"cifar10", "cifar100", "imagenet200", "imagenet"} }

// ReadOpenOOD finds the lists of a benchmark under dir, a folder with benchmark_imglist or
// that folder itself. Lists of version 1.0 and 1.5 have the same names: they are told
// apart by what they hold. Lists that are not there are noted; without the ID test list,
// or any OOD one, it is an error.
func ReadOpenOOD(dir, benchmark string) (*OpenOOD, error) {
	versions, ok := openOODs[benchmark]
	if !ok {
		return nil, fmt.Errorf("benchmark %q is not one of %s", benchmark, strings.Join(OpenOODBenchmarks(), ", "))
	}
	var lists string
	for _, try := range []string{filepath.Join(dir, "benchmark_imglist", benchmark), filepath.Join(dir, "data", "benchmark_imglist", benchmark), filepath.Join(dir, benchmark)} {
		if info, err := os.Stat(try); err == nil && info.IsDir() {
			lists = try
			break
		}
	}
	if lists == "" {
		return nil, fmt.Errorf("folder %q has no benchmark_imglist%c%s, the lists of OpenOOD's %s benchmark", dir, filepath.Separator, benchmark, benchmark)
	}
	at := func(name string) string {
		p := filepath.Join(lists, name+".txt")
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p
		}
		return ""
	}
	b := &OpenOOD{Benchmark: benchmark}
	var err error
	if b.Version, err = openOODVersion(at, versions); err != nil {
		return nil, fmt.Errorf("lists in %q: %w", lists, err)
	}
	want := func(name string) string {
		p := at(name)
		if p == "" {
			b.Notes = append(b.Notes, fmt.Sprintf("OpenOOD's list %s.txt is missing", name))
		}
		return p
	}
	if b.Test = at("test_" + benchmark); b.Test == "" {
		return nil, fmt.Errorf("folder %q has no test_%s.txt, the list of ID test images", lists, benchmark)
	}
	b.Val, b.Train = want("val_"+benchmark), want("train_"+benchmark)
	v := versions[b.Version]
	b.OutVal = want("val_" + v.outVal)
	sets := func(names []string) (out []OpenOODSet) {
		for _, n := range names {
			if p := want("test_" + n); p != "" {
				out = append(out, OpenOODSet{n, p})
			}
		}
		return out
	}
	b.Near, b.Far = sets(v.near), sets(v.far)
	for _, n := range shifted[benchmark] { // optional: noted by nobody
		if p := at("test_" + n); p != "" {
			b.Shifted = append(b.Shifted, OpenOODSet{n, p})
		}
	}
	if len(b.Near)+len(b.Far) == 0 {
		return nil, fmt.Errorf("folder %q has no list of OOD test images", lists)
	}
	return b, nil
}

// openOODVersion tells versions apart: by the lines of test_tin for the CIFAR benchmarks,
// by which lists there are for ImageNet.
func openOODVersion(at func(string) string, versions map[string]openOOD) (string, error) {
	if len(versions) == 1 {
		return "v1.5", nil
	}
	if versions["v1.5"].tin == 0 {
		var only []string // of one version
		for v, o := range versions {
			for _, n := range slices.Concat(o.near, o.far) {
				others := 0
				for _, w := range versions {
					if slices.Contains(slices.Concat(w.near, w.far), n) {
						others++
					}
				}
				if others == 1 && at("test_"+n) != "" && !slices.Contains(only, v) {
					only = append(only, v)
				}
			}
		}
		switch {
		case len(only) == 1:
			return only[0], nil
		case len(only) == 2: // both kinds lie there: newer ones were added
			return "v1.5", nil
		}
		return "", errors.New("there is none of the lists that tell version 1.0 and 1.5 apart (ssb_hard, ninco; species, imagenet_o)")
	}
	p := at("test_tin")
	if p == "" {
		return "", errors.New("there is no test_tin.txt, by whose length versions 1.0 and 1.5 are told apart")
	}
	data, err := regular.Read(p, maxLabelFile)
	if err != nil {
		return "", err
	}
	n := len(bytes.Split(bytes.TrimSpace(data), []byte("\n")))
	var known []string
	for _, v := range []string{"v1.0", "v1.5"} {
		if versions[v].tin == n {
			return v, nil
		}
		known = append(known, fmt.Sprintf("%d in %s", versions[v].tin, v))
	}
	return "", fmt.Errorf("test_tin.txt has %d lines, not those of a version that is known (%s)", n, strings.Join(known, ", "))
}
