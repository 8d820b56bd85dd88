package scenes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"slices"
	"strings"
	"sync"
	"testing"
)

// golden is the SHA-256 over label (one byte, 255 for -1), pixels and mask of
// the first goldenScenes scenes of each split. The embedded models were trained
// and measured on exactly these pictures: a change here needs new models, or for
// new classes new numbers.
const goldenScenes = 200

var golden = map[Split]string{
	Train:      "cf889905b26452b7e673366d789ada399ee7aa4ec9c33d68d794537d466c2f11",
	Val:        "cf1834f85cfb5fc04ee8e78b7d15bbda48b1bd1500e8c0a4ca2e06baca817073",
	Test:       "6c159eb9544c7ea5bdbf796868c45b5321e5aee4e57c42357faf7611b4178a4c",
	NewTrain:   "f74e9e70b371811bcc589a51d0c5aaf6b532d4ef4db1370adc8282e76a292b84",
	NewVal:     "855ec698ec637e7ccbce37c89c166d7caa908d11f7169cddff582d0de2800c20",
	NewTest:    "38838d076c942786abcc0ed62f29a351ae907c8650a0f01ae8ee8076727467e0",
	OODNear:    "669ea59f58530fa6dfd7713aaf14a3d39050db0237b214ebf13e60cf6d5bc6f5",
	OODTexture: "c3ddc366ae5b85b1a186347f8247dae251e0af80116270b85662748734024edd",
	OODNoise:   "93514a9c4bdab39b2053ba3cfa0d6a2b5c64e1ce91d91d23a0a248484d161a62",
}

func TestGolden(t *testing.T) {
	for _, s := range Splits() {
		h := sha256.New()
		var sc Scene
		for i := range goldenScenes {
			GenerateInto(s, i, &sc)
			h.Write([]byte{byte(sc.Label)})
			h.Write(sc.Pixels)
			h.Write(sc.Mask)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != golden[s] {
			t.Errorf("%s: SHA-256 of the first %d scenes is %s, want %s", s, goldenScenes, got, golden[s])
		}
	}
}

// TestTruth checks every scene: label, mask values, tight box, an object of
// some size where there should be one, and no picture twice anywhere.
func TestTruth(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, s := range Splits() {
		counts := make([]int, numClasses)
		small := 0
		var sc Scene
		for i := range Len(s) {
			GenerateInto(s, i, &sc)
			id := ID(s, i)
			sum := sha256.Sum256(sc.Pixels)
			if other, ok := seen[sum]; ok {
				t.Errorf("%s and %s are the same picture", id, other)
			}
			seen[sum] = id
			if !Labelled(s) {
				if sc.Label != -1 {
					t.Errorf("%s: label %d, want -1", id, sc.Label)
				}
			} else {
				if sc.Label != i%len(counts) {
					t.Fatalf("%s: label %d, want %d", id, sc.Label, i%len(counts))
				}
				counts[sc.Label]++
			}
			box, n := bounds(t, id, sc.Mask)
			if box != sc.Box {
				t.Errorf("%s: box %v, but the mask is bounded by %v", id, sc.Box, box)
			}
			if hasObject := Labelled(s) || s == OODNear; hasObject != (n > 0) {
				t.Errorf("%s: %d object pixels", id, n)
			} else if hasObject && n < 40 {
				small++
			}
		}
		if small*100 > Len(s) {
			t.Errorf("%s: %d of %d objects show fewer than 40 pixels", s, small, Len(s))
		}
		for c, n := range counts {
			if Labelled(s) && n != Len(s)/len(counts) {
				t.Errorf("%s: %d scenes of class %d, want %d", s, n, c, Len(s)/len(counts))
			}
		}
	}
}

func bounds(t *testing.T, id string, mask []byte) (image.Rectangle, int) {
	t.Helper()
	var r image.Rectangle
	n := 0
	for i, m := range mask {
		switch m {
		case 0:
		case 255:
			r = r.Union(image.Rect(i%Size, i/Size, i%Size+1, i/Size+1))
			n++
		default:
			t.Fatalf("%s: mask value %d at %d", id, m, i)
		}
	}
	return r, n
}

// TestSurroundings draws the same scene with each class's creature. Wherever no
// variant shows or touches its creature, all must agree: what is around an
// object cannot tell its class.
func TestSurroundings(t *testing.T) {
	classes := slices.Concat(knownClasses[:], newClasses[:])
	for i := range 200 {
		seed := sceneSeed(Train, i)
		var touched [Size * Size]bool
		all := make([]Scene, len(classes))
		for c := range classes {
			all[c] = Scene{Pixels: make([]byte, 3*Size*Size), Mask: make([]byte, Size*Size)}
			drawScene(seed, classes[c].kit, &all[c])
			for k, a := range all[c].Mask {
				// the lens spreads a pixel to its neighbours
				for y := max(k/Size-1, 0); a > 0 && y <= min(k/Size+1, Size-1); y++ {
					for x := max(k%Size-1, 0); x <= min(k%Size+1, Size-1); x++ {
						touched[y*Size+x] = true
					}
				}
			}
		}
		for c := 1; c < len(classes); c++ {
			for k, p := range all[c].Pixels {
				// Behind an opaque occluder the mask is 0 and the picture equal.
				if !touched[k/3] && p != all[0].Pixels[k] {
					t.Fatalf("scene %d: pixel %d differs between %s and %s away from both",
						i, k/3, classes[0].name, classes[c].name)
				}
			}
		}
	}
}

// TestKits: no two classes, known or new, are alike, and each has a head of its
// own. A new class has nothing in common with the known one of its label.
func TestKits(t *testing.T) {
	classes := slices.Concat(knownClasses[:], newClasses[:])
	for a, c := range classes {
		if c.kit.head != a {
			t.Errorf("%s has head %d, want %d", c.name, c.kit.head, a)
		}
		if n := newClasses[a%numClasses].kit; a < numClasses && (c.kit.matches(n) > 0 || c.kit.coat == n.coat) {
			t.Errorf("%s and the new class of its label share a part or the coat", c.name)
		}
		for b, o := range classes {
			if a != b && (c.kit.matches(o.kit) > 1 || c.kit.head == o.kit.head) {
				t.Errorf("%s and %s share more than one of body, limbs and tail, or the head", c.name, o.name)
			}
			if a != b && c.name == o.name {
				t.Errorf("two classes are called %s", c.name)
			}
			if a != b && c.kit.bodyHue == o.kit.bodyHue && c.kit.accentHue == o.kit.accentHue {
				t.Errorf("%s and %s share both hues", c.name, o.name)
			}
		}
	}
	for i := range Len(OODNear) {
		k := unseenKit(stream(sceneSeed(OODNear, i), kitStream))
		if k.head < seenHeads {
			t.Errorf("%s has the head of a known class", ID(OODNear, i))
		}
	}
}

// TestVary: creatures of known and of new classes lose their parts alike, those
// of no class always have a head.
func TestVary(t *testing.T) {
	for i := range 1000 {
		vary := func(k kit) kit { return k.vary(stream(sceneSeed(Train, i), objectStream)) }
		k, n := vary(knownClasses[i%numClasses].kit), vary(newClasses[i%numClasses].kit)
		if (k.head == missing) != (n.head == missing) || (k.limbs == missing) != (n.limbs == missing) || (k.tail == missing) != (n.tail == missing) {
			t.Fatalf("of a known class %+v, of a new one %+v", k, n)
		}
		if k := vary(unseenKit(stream(sceneSeed(OODNear, i), kitStream))); k.head == missing {
			t.Fatalf("%s has no head", ID(OODNear, i))
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range Splits() {
		if got, err := ParseSplit(string(s)); err != nil || got != s {
			t.Errorf("ParseSplit(%q) = %q, %v", s, got, err)
		}
		if !strings.HasPrefix(ID(s, 7), string(s)+"/") {
			t.Errorf("ID(%q, 7) = %q", s, ID(s, 7))
		}
		if c := Classes(s); Labelled(s) != (c != nil) || c != nil && ID(s, 8) != fmt.Sprintf("%s/%s/000008.png", s, c[8]) {
			t.Errorf("Classes(%q) = %q, ID(%q, 8) = %q", s, c, s, ID(s, 8))
		}
	}
	for _, c := range []struct {
		s    Split
		i    int
		want string
	}{{Test, 121, "test/heron/000121.png"}, {NewTest, 1237, "new-test/cobra/001237.png"}, {OODNear, 2, "ood-near/unseen/000002.png"}} {
		if got := ID(c.s, c.i); got != c.want {
			t.Errorf("ID(%q, %d) = %q, want %q", c.s, c.i, got, c.want)
		}
	}
	if _, err := ParseSplit("exam"); err == nil {
		t.Error("ParseSplit took an unknown name")
	}
	for _, bad := range []func(){
		func() { Generate(Test, -1) },
		func() { Generate(Test, Len(Test)) },
		func() { Generate("exam", 0) },
		func() { ID(Val, Len(Val)) },
		func() { Classes("exam") },
	} {
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.HasPrefix(r, "scenes: ") {
					t.Errorf("recovered %v, want a panic of this package", r)
				}
			}()
			bad()
		}()
	}
}

// TestConcurrent draws the same scenes on several goroutines, each with one
// reused Scene, and in another order.
func TestConcurrent(t *testing.T) {
	const n = 60
	var want [n]Scene
	for i := range n {
		want[i] = Generate(Val, i)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			var sc Scene
			for j := range n {
				i := (j*7 + g*13) % n
				GenerateInto(Val, i, &sc)
				if string(sc.Pixels) != string(want[i].Pixels) || string(sc.Mask) != string(want[i].Mask) ||
					sc.Box != want[i].Box || sc.Label != want[i].Label {
					t.Errorf("goroutine %d: scene %d differs", g, i)
				}
			}
		})
	}
	wg.Wait()
}

func TestReuseAllocates(t *testing.T) {
	sc := Generate(Test, 0)
	if n := testing.AllocsPerRun(20, func() { GenerateInto(Test, 3, &sc) }); n > 16 {
		t.Errorf("GenerateInto allocates %v times with buffers at hand", n)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, s := range []Split{Test, OODTexture, OODNoise} {
		b.Run(string(s), func(b *testing.B) {
			b.ReportAllocs()
			var sc Scene
			for i := 0; b.Loop(); i++ {
				GenerateInto(s, i%Len(s), &sc)
			}
		})
	}
}
