package datasets

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"cutmix-eval/internal/text"
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

// pickSplit looks whether the folders of dir are splits and picks one. why is empty when they are
// not; note tells what is not taken, or that a folder called as a split is taken for a class.
//
// Folders are splits where all have names of splits, and where one was asked for. Beside other folders
// they are where they hold class folders; without, they are classes, since a class can be called train.
// A single kind of split beside folders that hold folders too, or are called as those in it, is refused:
// nothing says what is meant.
func pickSplit(t *tree, dir string, o Options) (next, why, note string, err error) {
	all, loose := children(t, dir)
	var splits, others []string // that hold images
	kinds := map[string]bool{}
	for _, d := range all {
		switch {
		case !t.hasImages(path.Join(dir, d)):
		case splitKind(d) != "" || strings.EqualFold(d, o.Split):
			splits = append(splits, d)
			kinds[splitKind(d)] = true
		default:
			others = append(others, d)
		}
	}
	if len(splits) == 0 {
		return dir, "", "", nil
	}
	if len(others) > 0 && o.Split == "" {
		inside := map[string]bool{} // folders of the splits
		for _, s := range splits {
			for _, d := range t.fullFolders(path.Join(dir, s)) {
				inside[d] = true
			}
		}
		like := text.Some(others, 3)
		if len(inside) == 0 {
			return dir, "", fmt.Sprintf("folders called %s are taken for classes, as %s; if they are splits, say which with --split", strings.Join(splits, ", "), like), nil
		}
		if len(kinds) < 2 && slices.ContainsFunc(others, func(d string) bool { return inside[d] || len(t.fullFolders(path.Join(dir, d))) > 0 }) {
			return "", "", "", fmt.Errorf("it has the folder %s, which may be a split or a class, beside %s: give --split %s, or the folder that is meant", splits[0], like, splits[0])
		}
	}
	s, why, err := takeSplit(splits, o)
	if err != nil {
		return "", "", "", err
	}
	var left []string
	if len(others) > 0 {
		left = append(left, "the images in "+text.Some(others, 3))
	}
	if loose > 0 {
		left = append(left, fmt.Sprintf("%d images outside any folder", loose))
	}
	if len(left) > 0 {
		note = fmt.Sprintf("%s, beside the split that is taken (%s), were passed over", strings.Join(left, " and "), s)
	}
	return path.Join(dir, s), why, note, nil
}

// fullFolders are the folders right below dir that hold images.
func (t *tree) fullFolders(dir string) []string {
	all, _ := children(t, dir)
	return slices.DeleteFunc(all, func(d string) bool { return !t.hasImages(path.Join(dir, d)) })
}
