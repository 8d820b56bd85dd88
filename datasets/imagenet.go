package datasets

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// imagenetText lists the 1000 classes of ILSVRC 2012: synset, number in the devkit, name;
// sorted by synset, so that the line is the class index of torchvision, timm and nearly every
// model. Source: the devkit's list (map_clsloc.txt), sorted, in which two names stand for two
// classes each; these are told apart: crane_bird and crane, maillot_1 and maillot_2.
//
//go:embed imagenet.txt
var imagenetText string

// ImageNetClass is one of the 1000 classes; its index is its place in the list.
type ImageNetClass struct {
	Synset string
	Devkit int // 1..1000, the order of the devkit's ground truth
	Name   string
}

// ImageNet returns the 1000 classes in index order. The result is shared.
var ImageNet = sync.OnceValue(func() []ImageNetClass {
	var out []ImageNetClass
	for _, line := range strings.Split(strings.TrimSpace(imagenetText), "\n") {
		var c ImageNetClass
		if _, err := fmt.Sscanf(line, "%s %d %s", &c.Synset, &c.Devkit, &c.Name); err != nil {
			panic("datasets: embedded class list: " + err.Error())
		}
		out = append(out, c)
	}
	return out
})

// imageNetIndex returns the class index by synset.
var imageNetIndex = sync.OnceValue(func() map[string]int {
	m := map[string]int{}
	for i, c := range ImageNet() {
		m[c.Synset] = i
	}
	return m
})

// imageNetNames is the class index by synset and by folded name.
var imageNetNames = sync.OnceValue(func() map[string]int {
	names := make([]string, 0, 1000)
	for _, c := range ImageNet() {
		names = append(names, c.Name)
	}
	index, _ := folds(names)
	for i, c := range ImageNet() {
		index[c.Synset] = i
	}
	return index
})

// imageNetClass finds a class by its synset, its name, or a list of names of which one is
// known alone, such as "tench, Tinca tinca" and "n01440764 tench".
func imageNetClass(name string) (int, bool) {
	index := imageNetNames()
	if i, ok := index[fold(name)]; ok {
		return i, true
	}
	if synset, rest, ok := strings.Cut(name, " "); ok && wnid.MatchString(synset) && rest != "" {
		i, ok := index[synset]
		return i, ok
	}
	for part := range strings.SplitSeq(name, ",") {
		if i, ok := index[fold(part)]; ok {
			return i, true
		}
	}
	return 0, false
}
