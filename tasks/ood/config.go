package ood

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"cutmix-eval/scores"
)

// Name is the task's name in run directories and reports.
const Name = "ood"

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

// Names of sets that are not named by the user.
const (
	testName   = "id-test"
	valName    = "id-val"
	trainName  = "id-train"
	outValName = "ood-val"
)

// Of is the set at a path with the role's own name.
func Of(role Role, path string, limit int) Source {
	return Source{Name: map[Role]string{Test: testName, Val: valName, Train: trainName, OutVal: outValName}[role], Role: role, Path: path, Limit: limit}
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
		out.Name = strings.NewReplacer(":", "-", "/", "-", "\\", "-").Replace(strings.TrimSuffix(filepath.Base(filepath.Clean(out.Path)), ".tar"))
	}
	if strings.ContainsAny(out.Name, `/\:`) || strings.HasPrefix(out.Name, ".") {
		return out, fmt.Errorf("%q cannot be the name of a set", out.Name)
	}
	return out, nil
}

// Config holds what the task can be told.
type Config struct {
	Sources   []Source `json:"sources"`                // all but the ID test images
	Scores    []string `json:"scores,omitempty"`       // names; empty: all
	Reference string   `json:"reference,omitempty"`    // score that the others are compared with; empty: none
	Grid      bool     `json:"grid,omitempty"`         // evaluate other parameters too
	Threshold float64  `json:"threshold_at,omitempty"` // share of ID images that a threshold is to accept; 0: none
	Notes     []string `json:"notes,omitempty"`        // on where the sets come from
}

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	seen := map[string]bool{testName: true, headName: true, aboutName: true}
	count := map[Role]int{}
	for _, s := range c.Sources {
		if seen[s.Name] {
			return fmt.Errorf("two sets are called %q, or the name is taken; name them, as in far:NAME=PATH", s.Name)
		}
		seen[s.Name] = true
		count[s.Role]++
	}
	for _, r := range []Role{Val, Train, OutVal} {
		if count[r] > 1 {
			return fmt.Errorf("there are %d sets of role %s", count[r], r)
		}
	}
	switch {
	case count[Out] == 0 && c.Threshold == 0:
		return errors.New("no OOD set is named; give --ood")
	case count[OutVal] > 0 && !c.Grid:
		return errors.New("OOD validation images choose among other parameters: give --grid with --ood-val")
	case count[OutVal] > 0 && count[Val] == 0:
		return errors.New("parameters are chosen on OOD and ID validation images: give --val with --ood-val")
	case c.Threshold != 0 && !(c.Threshold > 0 && c.Threshold < 1):
		return fmt.Errorf("a threshold cannot accept a share of %v of the ID images", c.Threshold)
	}
	chosen, err := scores.Names(c.Scores)
	if err != nil {
		return err
	}
	if c.Reference != "" {
		if r, err := scores.Names([]string{c.Reference}); err != nil || len(r) != 1 {
			return fmt.Errorf("the reference %q is not one score", c.Reference)
		}
	}
	if c.Threshold > 0 && len(chosen) != 1 {
		return fmt.Errorf("a threshold is one of one score; name it by --score (as it is, it would be %s ...)", strings.Join(chosen[:min(3, len(chosen))], ", "))
	}
	if c.Threshold > 0 && c.Grid {
		return errors.New("a threshold and a grid of parameters cannot be had at once")
	}
	return nil
}
