package ood

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/scores"
)

// Config holds what the task can be told.
type Config struct {
	Sources   []Source `json:"sources"`                // all but the ID test images
	Scores    []string `json:"scores,omitempty"`       // names; empty: all
	Reference string   `json:"reference,omitempty"`    // score that the others are compared with; empty: none
	Grid      bool     `json:"grid,omitempty"`         // evaluate other parameters too
	Threshold float64  `json:"threshold_at,omitempty"` // share of ID images that a threshold is to accept; 0: none
	Notes     []string `json:"notes,omitempty"`        // on where the sets come from
	Detector  string   `json:"-"`                      // file that Finish keeps score and threshold in; empty: none
}

// DefaultConfig is what the command line starts from: all scores, and no sets yet.
func DefaultConfig() Config { return Config{} }

// sources are all sets, the ID test images first.
func (c Config) sources() []Source { return append([]Source{Of(Test, "", 0)}, c.Sources...) }

// Validate says what in the configuration makes no sense.
func (c Config) Validate() error {
	count, err := c.checkSources()
	if err != nil {
		return err
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
	case c.Threshold == 0 && c.Detector != "":
		return errors.New("a detector needs the share of ID images that its threshold is to accept: give --threshold-at")
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
		return fmt.Errorf("a threshold is one of one score; name it by --score (as it is, it would be %s ...)",
			strings.Join(chosen[:min(3, len(chosen))], ", "))
	}
	if c.Threshold > 0 && c.Grid {
		return errors.New("a threshold and a grid of parameters cannot be had at once")
	}
	return nil
}

// checkSources counts the sets by role; it refuses names that are there twice or are those
// of files, and two sets of a role that has one.
func (c Config) checkSources() (map[Role]int, error) {
	count, seen := map[Role]int{}, map[string]bool{headName: true, "study.json": true}
	for _, s := range c.sources() {
		if seen[s.Name] {
			return nil, fmt.Errorf("two sets are called %q, or the name is taken; name them, as in far:NAME=PATH", s.Name)
		}
		seen[s.Name] = true
		count[s.Role]++
	}
	for _, r := range []Role{Val, Train, OutVal} {
		if count[r] > 1 {
			return nil, fmt.Errorf("there are %d sets of role %s", count[r], r)
		}
	}
	return count, nil
}

// isReference says whether a score is the one that the others are compared with.
func (c Config) isReference(s scores.Score) bool {
	return c.Reference != "" && scores.Matches(s.Name, c.Reference)
}

// choose lists the scores that the configuration names, for a head; the reference comes
// before them where it is none of them.
func (c Config) choose(h *scores.Head) ([]scores.Score, error) {
	chosen, err := scores.Choose(h.Out, h.In, c.Scores)
	if err != nil || c.Reference == "" || slices.ContainsFunc(chosen, c.isReference) {
		return chosen, err
	}
	reference, err := scores.Choose(h.Out, h.In, []string{c.Reference})
	return append(reference, chosen...), err
}
