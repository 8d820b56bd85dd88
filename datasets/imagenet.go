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
