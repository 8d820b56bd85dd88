// Package scenes draws small labelled pictures of made-up toy creatures: 64 x
// 64 RGB scenes with an exact box and mask for each, others of new classes for
// transfer, and unlabelled sets for out-of-distribution detection. No
// third-party data is involved.
//
// A creature is a head, a body, limbs, a tail and a coat in its usual colours.
// The head belongs to one class only. Each body shape and each kind of limb,
// tail, coat and colour is shared by two classes, in such a way that any two of
// body, limbs and tail still name the class. Heads are often missing or
// covered, other parts and colours are sometimes replaced, and loose parts of
// random creatures lie around as clutter, so a classifier that looks at one cue
// only pays for it. The new classes are made in the same way of other heads and
// of parts some of which no known class has.
//
// A scene is a pure function of its split and index. Everything that decides a
// pixel is integer arithmetic, so the bytes are the same on every platform.
// All functions are safe for concurrent use.
package scenes

import (
	"fmt"
	"image"
)

// Size is the width and height of every scene in pixels.
const Size = 64

// Split names one disjoint set of scenes.
type Split string

// The splits. Train, Val and Test are labelled and drawn alike; the others
// hold what a classifier trained on them has never seen. NewTrain, NewVal and
// NewTest are labelled, too, with classes of their own, and drawn as the first
// three.
const (
	Train      Split = "train"
	Val        Split = "val"
	Test       Split = "test"
	NewTrain   Split = "new-train"
	NewVal     Split = "new-val"
	NewTest    Split = "new-test"
	OODNear    Split = "ood-near"    // creatures with unseen heads, put together in unseen ways
	OODTexture Split = "ood-texture" // surfaces without any object
	OODNoise   Split = "ood-noise"   // uniform noise, bell-shaped noise and blobs
)

// splitInfo is what is fixed about a split.
type splitInfo struct {
	name    Split
	n       int
	classes *[numClasses]class // nil in an unlabelled split
	folder  string             // class folder of an unlabelled split
}

var splits = [...]splitInfo{
	{Train, 8000, &knownClasses, ""},
	{Val, 1000, &knownClasses, ""},
	{Test, 2000, &knownClasses, ""},
	{NewTrain, 500, &newClasses, ""},
	{NewVal, 500, &newClasses, ""},
	{NewTest, 2000, &newClasses, ""},
	{OODNear, 1000, nil, "unseen"},
	{OODTexture, 1000, nil, "texture"},
	{OODNoise, 1000, nil, "noise"},
}

func find(s Split) (splitInfo, bool) {
	for _, d := range splits {
		if d.name == s {
			return d, true
		}
	}
	return splitInfo{}, false
}

// Splits returns all splits: train, val, test, those of new classes, then the
// unlabelled ones.
func Splits() []Split {
	out := make([]Split, len(splits))
	for i, d := range splits {
		out[i] = d.name
	}
	return out
}

// ParseSplit returns the split called s, or an error that lists the names.
func ParseSplit(s string) (Split, error) {
	if d, ok := find(Split(s)); ok {
		return d.name, nil
	}
	return "", fmt.Errorf("unknown split %q of the scenes (have %v)", s, Splits())
}

// Classes returns the class names of s in label order, nil for an unlabelled
// split. It panics if s is not a split.
func Classes(s Split) []string {
	d := mustFind(s)
	if d.classes == nil {
		return nil
	}
	out := make([]string, numClasses)
	for i, c := range d.classes {
		out[i] = c.name
	}
	return out
}

// Len returns the number of scenes in s. It panics if s is not a split.
func Len(s Split) int { return mustFind(s).n }

// Labelled reports whether the scenes of s carry a label. It panics if s is
// not a split.
func Labelled(s Split) bool { return mustFind(s).classes != nil }

func mustFind(s Split) splitInfo {
	d, ok := find(s)
	if !ok {
		panic(fmt.Sprintf("scenes: unknown split %q", s))
	}
	return d
}

// ID returns a stable relative path for scene i of s, with slashes and a class
// folder, such as "test/heron/000121.png". It panics as [Generate] does.
func ID(s Split, i int) string {
	d := mustFind(s)
	checkIndex(d, i)
	folder := d.folder
	if d.classes != nil {
		folder = d.classes[i%numClasses].name
	}
	return fmt.Sprintf("%s/%s/%06d.png", d.name, folder, i)
}

func checkIndex(d splitInfo, i int) {
	if i < 0 || i >= d.n {
		panic(fmt.Sprintf("scenes: index %d out of range [0, %d) of split %q", i, d.n, d.name))
	}
}

// Scene is one picture and its ground truth.
type Scene struct {
	// Label is one of the split's classes, 0 to 9, or -1 without them. Scene i of a
	// labelled split has label i mod 10, so any prefix is balanced.
	Label int
	// Box bounds the visible part of the object: the non-zero pixels of Mask,
	// in pixels, Max exclusive. It is empty where there is no object.
	Box image.Rectangle
	// Pixels holds rows from the top, in each row pixels from the left, in each
	// pixel red, green, blue (HWC): Size*Size*3 bytes, sRGB values 0 to 255.
	Pixels []byte
	// Mask holds one byte per pixel in the same order, 255 where at least half of
	// the pixel shows the object and 0 elsewhere: Size*Size bytes.
	Mask []byte
}

// Generate returns scene i of s, 0 <= i < Len(s), in new buffers. It panics
// if s is not a split or i is out of range.
func Generate(s Split, i int) Scene {
	var sc Scene
	GenerateInto(s, i, &sc)
	return sc
}

// GenerateInto is [Generate] into sc, whose buffers are reused where they are
// large enough. The caller owns sc; two goroutines must not share one.
func GenerateInto(s Split, i int, sc *Scene) {
	d := mustFind(s)
	checkIndex(d, i)
	sc.Pixels = resize(sc.Pixels, Size*Size*3)
	sc.Mask = resize(sc.Mask, Size*Size)
	clear(sc.Mask)
	seed := sceneSeed(s, i)
	sc.Label = -1
	switch {
	case d.classes != nil:
		sc.Label = i % numClasses
		drawScene(seed, d.classes[sc.Label].kit, sc)
	case s == OODNear:
		drawScene(seed, unseenKit(stream(seed, kitStream)), sc)
	case s == OODTexture:
		drawTexture(seed, sc.Pixels)
	default:
		drawNoise(seed, sc.Pixels)
	}
	sc.Box = closeMask(sc.Mask)
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// closeMask turns coverage into 0 or 255 and returns the bounds of the latter.
func closeMask(mask []byte) image.Rectangle {
	x0, y0, x1, y1 := Size, Size, 0, 0
	for y := range Size {
		row := mask[y*Size : (y+1)*Size]
		for x, a := range row {
			if a < 128 {
				row[x] = 0
				continue
			}
			row[x] = 255
			x0, x1 = min(x0, x), max(x1, x+1)
			y0, y1 = min(y0, y), max(y1, y+1)
		}
	}
	if x1 == 0 {
		return image.Rectangle{}
	}
	return image.Rect(x0, y0, x1, y1)
}
