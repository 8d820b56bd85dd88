package datasets

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// splitName is what folders and files of splits are called: dev, valid, val2, training_set,
// Test Images.
var splitName = regexp.MustCompile(`^(?:(val|vals|valid|validate|validation|dev|devel|development|eval|evaluation)|(test|tests|testing|tst)|(train|training|trn))(?:[ _-]?(?:set|split|data|images|imgs|part))?[ _-]?\d{0,2}$`)

// splitKind is "val", "test" or "train" for a name that means a split, else empty.
func splitKind(name string) string {
	m := splitName.FindStringSubmatch(strings.ToLower(name))
	switch {
	case m == nil:
		return ""
	case m[1] != "":
		return "val"
	case m[2] != "":
		return "test"
	}
	return "train"
}

// isSplit says whether a split has the name that was asked for: the same, or val, test or
// train for one of that kind.
func isSplit(name, asked string) bool {
	return asked != "" && (strings.EqualFold(name, asked) || splitKind(name) != "" && splitKind(name) == strings.ToLower(asked))
}

// takeSplit chooses one of the splits that data has: the one that o asks for, the one that it
// prefers, else val, test or train, in this order. why tells of the others.
func takeSplit(splits []string, o Options) (split, why string, err error) {
	among := func(asked string) (string, bool) {
		for _, same := range []func(string, string) bool{strings.EqualFold, isSplit} {
			if i := slices.IndexFunc(splits, func(s string) bool { return asked != "" && same(s, asked) }); i >= 0 {
				return splits[i], true
			}
		}
		return "", false
	}
	list := strings.Join(splits, ", ")
	for _, asked := range []string{o.Split, o.Prefer, "val", "test", "train"} {
		if s, ok := among(asked); ok {
			why = fmt.Sprintf("split %q", s)
			if len(splits) > 1 {
				why += " of " + list
			}
			return s, why, nil
		}
		switch {
		case asked == "" || asked != o.Split:
		case len(splits) == 0 || len(splits) == 1 && splits[0] == "":
			return "", "", fmt.Errorf("there is no split %q: no file or folder is called so", o.Split)
		default:
			return "", "", fmt.Errorf("there is no split %q, only %s", o.Split, list)
		}
	}
	switch len(splits) {
	case 0:
		return "", "", errors.New("it has no splits")
	case 1:
		return splits[0], "", nil
	}
	return "", "", fmt.Errorf("it has the parts %s; say which with --split", list)
}
