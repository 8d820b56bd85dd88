package ood

import (
	"fmt"
	"slices"
	"strings"
)

// Scores lists the scores with the parameters they are known by, for a head of c
// classes and d features.
func Scores(c, d int) []Score {
	dim := d / 2 // ViM's rule by size of the feature
	if d >= 2048 {
		dim = 1000
	} else if d >= 768 {
		dim = 512
	}
	return []Score{
		MSP(), MaxLogit(), Energy(), Entropy(), TempScaling(), GEN(0.1, min(100, c)), ODIN(1000), GradNorm(),
		ReAct(90), VRA(90, 10), ASH("b", 90), ASH("p", 90), ASH("s", 90), SCALE(85), DICE(90), KLM(),
		MDS(false), MDS(true), KNN(50), ViM(dim), Residual(dim), SHE(), NNGuide(10, 0.1), FDBD(true), FDBD(false), NCI(1e-4), Relation(1),
	}
}

// Choose picks scores by name; a name without its parameters picks all of its kind.
func Choose(all []Score, names []string) ([]Score, error) {
	if len(names) == 0 {
		return all, nil
	}
	var out []Score
	for _, n := range names {
		found := false
		for _, s := range all {
			if s.Name == n || strings.HasPrefix(s.Name, n+"_") {
				if !slices.ContainsFunc(out, func(o Score) bool { return o.Name == s.Name }) {
					out = append(out, s)
				}
				found = true
			}
		}
		if !found {
			var known []string
			for _, s := range all {
				known = append(known, s.Name)
			}
			return nil, fmt.Errorf("score %q is not one of %s", n, strings.Join(known, ", "))
		}
	}
	return out, nil
}
