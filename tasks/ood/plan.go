package ood

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cutmix-eval/datasets"
)

// Wanted is what a user says of the sets of an evaluation; what is empty, nothing was said of.
type Wanted struct {
	Data               string // ID test images
	Val, Train, OutVal string
	Shifted, Out       []Source // without limits
	OpenOOD, Benchmark string   // OpenOOD's data folder and its benchmark
	OutLimit           int      // images of each set of Shifted, Out and OutVal; 0: all
	TrainLimit         int
	Grid               bool // parameters are chosen on OutVal where there is one
}

// Sets are the sets that an evaluation has.
type Sets struct {
	Data    string   // ID test images
	Sources []Source // all others: validation and training images, then shifted ID and OOD sets
	Notes   []string // on where they come from
}

// Plan settles the sets of an evaluation: those that w names, with data as the ID test images
// where it names none; those of OpenOOD's lists; and for the embedded scenes their own in place
// of what w leaves out. Errors name the flags of the command line.
func Plan(w Wanted, data string) (Sets, error) {
	out := Sets{Data: cmp.Or(w.Data, data)}
	if (w.OpenOOD != "") != (w.Benchmark != "") {
		return out, fmt.Errorf("--openood and --benchmark (%s) go together", strings.Join(datasets.OpenOODBenchmarks(), ", "))
	}
	var listed []Source
	switch name, _, _ := strings.Cut(out.Data, ":"); {
	case w.OpenOOD != "":
		b, err := datasets.ReadOpenOOD(w.OpenOOD, w.Benchmark)
		if err != nil {
			return out, fmt.Errorf("--openood: %w", err)
		}
		if err := w.twice(b); err != nil {
			return out, err
		}
		out.Data, out.Notes = b.Test, append(b.Notes, fmt.Sprintf("OpenOOD %s, lists of %s", b.Benchmark, b.Version))
		w.Val, w.Train = cmp.Or(b.Val, w.Val), cmp.Or(b.Train, w.Train)
		if w.Grid {
			w.OutVal = cmp.Or(w.OutVal, b.OutVal)
		}
		listed = slices.Concat(listSources(Shifted, "", b.Shifted), listSources(Out, "near", b.Near), listSources(Out, "far", b.Far))
	case name == "scenes":
		if len(w.Out) == 0 {
			listed = ScenesSources()
		}
		w.Val, w.Train = cmp.Or(w.Val, "scenes:val"), cmp.Or(w.Train, "scenes:train")
	}
	for _, s := range []Source{Of(Val, w.Val, 0), Of(Train, w.Train, w.TrainLimit), Of(OutVal, w.OutVal, w.OutLimit)} {
		if s.Path != "" {
			out.Sources = append(out.Sources, s)
		}
	}
	for _, s := range slices.Concat(listed, w.Shifted, w.Out) {
		s.Limit = w.OutLimit
		out.Sources = append(out.Sources, s)
	}
	return out, nil
}

// twice refuses sets that both w and OpenOOD's lists name.
func (w Wanted) twice(b *datasets.OpenOOD) error {
	for _, set := range []struct {
		flag string
		both bool
	}{
		{"data", w.Data != ""},
		{"val", w.Val != "" && b.Val != ""},
		{"train", w.Train != "" && b.Train != ""},
		{"csid", len(w.Shifted) > 0 && len(b.Shifted) > 0},
	} {
		if set.both {
			return fmt.Errorf("--%s and --openood say the same; give one", set.flag)
		}
	}
	return nil
}

func listSources(role Role, group string, sets []datasets.OpenOODSet) []Source {
	var out []Source
	for _, s := range sets {
		out = append(out, Source{Name: s.Name, Role: role, Group: group, Path: s.List})
	}
	return out
}
