package ood

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Role is what a set of images is for.
type Role string

// The roles.
const (
	Test    Role = "test"    // in-distribution (ID)
	Shifted Role = "csid"    // ID classes under a covariate shift, for full-spectrum detection
	Val     Role = "val"     // ID, for what scores are fitted with
	Train   Role = "train"   // ID, the same
	Out     Role = "ood"     // of none of the classes
	OutVal  Role = "ood-val" // the same, for choosing parameters only
)

// id says whether images of the role are of the classes.
func (r Role) id() bool { return r != Out && r != OutVal }

// Source is a set of images.
type Source struct {
	Name  string `json:"name"`
	Role  Role   `json:"role"`
	Group string `json:"group,omitempty"` // near, far, or none
	Path  string `json:"path"`
	Limit int    `json:"limit,omitempty"`
}

// ownNames are those of sets that are not named by the user.
var ownNames = map[Role]string{Test: "id-test", Val: "id-val", Train: "id-train", OutVal: "ood-val"}

// Of is the set at a path with the role's own name.
func Of(role Role, path string, limit int) Source {
	return Source{Name: ownNames[role], Role: role, Path: path, Limit: limit}
}

// ScenesSources are the OOD sets of the embedded scenes: objects that no class has, and
// scenes without objects.
func ScenesSources() []Source {
	return []Source{
		{Name: "unseen", Role: Out, Group: "near", Path: "scenes:ood-near"},
		{Name: "texture", Role: Out, Group: "far", Path: "scenes:ood-texture"},
		{Name: "noise", Role: Out, Group: "far", Path: "scenes:ood-noise"},
	}
}

// ParseSource reads [near:|far:][NAME=]PATH of an OOD set, [NAME=]PATH of another.
func ParseSource(s string, role Role) (Source, error) {
	out := Source{Role: role, Path: s}
	for _, g := range []string{"near", "far"} {
		if rest, ok := strings.CutPrefix(out.Path, g+":"); ok && role == Out {
			out.Group, out.Path = g, rest
		}
	}
	if name, path, ok := strings.Cut(out.Path, "="); ok && !strings.ContainsAny(name, `/\:`) {
		out.Name, out.Path = name, path
	}
	if out.Path == "" {
		return out, fmt.Errorf("%q names no images; give [near:|far:][NAME=]PATH", s)
	}
	if out.Name == "" {
		base := strings.TrimSuffix(filepath.Base(filepath.Clean(out.Path)), ".tar")
		out.Name = strings.NewReplacer(":", "-", "/", "-", "\\", "-").Replace(base)
	}
	if strings.ContainsAny(out.Name, `/\:`) || strings.HasPrefix(out.Name, ".") {
		return out, fmt.Errorf("%q cannot be the name of a set", out.Name)
	}
	return out, nil
}
