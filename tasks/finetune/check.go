package finetune

import (
	"context"
	"fmt"
	"math"
)

// check says what about the images is suspicious.
func (t *tuning) check(context.Context) error {
	seen := map[int64]bool{}
	for _, c := range t.train.content {
		seen[c] = true
	}
	for _, s := range t.evaluated {
		twice := 0
		for _, c := range s.content {
			if seen[c] {
				twice++
			}
		}
		if twice > 0 {
			t.warn("%d of the %d %s images are training images too (the same tensor): their numbers are too good", twice, s.n(), s.name)
		}
	}
	if len(t.evaluated) == 2 {
		val, test := map[int64]bool{}, t.evaluated[1]
		for _, c := range t.evaluated[0].content {
			val[c] = true
		}
		twice := 0
		for _, c := range test.content {
			if val[c] {
				twice++
			}
		}
		if twice > 0 && !t.config.Last {
			t.warn("%d of the %d test images are validation images too (the same tensor), which chose the epoch", twice, test.n())
		}
	}
	if t.truth.multi != nil {
		return t.checkMulti()
	}
	count := make([]int, len(t.truth.classes))
	for _, c := range t.train.class {
		count[c]++
	}
	var single, none []string
	most, least := 0, math.MaxInt
	for c, n := range count {
		switch n {
		case 0:
			none = append(none, t.truth.classes[c])
			continue
		case 1:
			single = append(single, t.truth.classes[c])
		}
		most, least = max(most, n), min(least, n)
	}
	if len(none) > 0 {
		t.warn("%d of %d classes have no training image (%s): they are not predicted but by chance", len(none), len(count), some(none))
	}
	if len(single) > 0 {
		t.warn("%d classes have a single training image (%s)", len(single), some(single))
	}
	if most >= 10*least && !t.config.Balanced {
		t.warn("classes have between %d and %d training images: rare ones will be predicted less (--class-weights balanced evens it out; see balanced_accuracy)", least, most)
	}
	for _, s := range t.evaluated {
		has := make([]bool, len(count))
		for _, c := range s.class {
			has[c] = true
		}
		var missing []string
		for c, ok := range has {
			if !ok && count[c] > 0 {
				missing = append(missing, t.truth.classes[c])
			}
		}
		if len(missing) > 0 {
			t.warn("%d of %d classes have no %s image (%s): nothing is known about them", len(missing), len(count), s.name, some(missing))
		}
	}
	return nil
}

func (t *tuning) checkMulti() error {
	c := len(t.truth.classes)
	for _, s := range append([]*set{t.train}, t.evaluated...) {
		var none []string
		for k := range c {
			if !s.any(k) {
				none = append(none, t.truth.classes[k])
			}
		}
		if len(none) == c {
			return fmt.Errorf("no %s image is of any class", s.name)
		}
		if len(none) > 0 {
			t.warn("%d of %d classes have no %s image (%s)", len(none), c, s.name, some(none))
		}
	}
	return nil
}
