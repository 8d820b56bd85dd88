package evaluation

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"cutmix-eval/datasets"
	"cutmix-eval/internal/text"
	"cutmix-eval/predictions"
	"cutmix-eval/report"
)

// PredictedImages are images whose pictures are not looked at.
type PredictedImages struct {
	*Images
	table    *predictions.Table
	row      []int // of the table, by image; -1 for none
	own      bool  // the labels are the table's
	fromRows bool  // there is no other data than the table
	byName   bool  // the table has names of predicted classes: classes are the data's, in order
	scale    predictions.Scale
	asked    Scale // what the scores were said to be
	doubts   []string
}

func predictionsError(t *predictions.Table, err error) error {
	return fmt.Errorf("predictions %q: %w", t.Path, err)
}

func predictedImages(t *predictions.Table, d DataConfig) (*PredictedImages, error) {
	p := &PredictedImages{table: t, own: d.Path == "" && d.Labels == "", fromRows: d.Path == ""}
	var data *datasets.Dataset
	var err error
	options := datasets.Options{Format: d.Format, Labels: d.Labels, LabelColumn: d.LabelColumn, Root: d.Root, Split: d.Split, Prefer: d.Prefer, Order: d.Order}
	if d.Path == "" {
		if data, err = p.rows(options); err != nil {
			return nil, predictionsError(t, err)
		}
		d.Path = t.Path
	} else if data, err = datasets.Open(d.Path, options); err != nil {
		return nil, err
	}
	data.Scorer = "the predictions file"
	p.Images = &Images{Dataset: data, Config: d, source: "of the program that computed the scores", unseen: true}
	if err := p.match(); err != nil {
		_ = data.Close()
		return nil, predictionsError(t, err)
	}
	named, err := data.Named(d.Subset)
	if err != nil {
		_ = data.Close()
		return nil, err
	}
	p.selected = Both(p.selected, data.PickOf(Both(named, p.selected), d.Limit, d.Seed))
	return p, nil
}

// rows is a dataset of the table's rows. Where they have names, it does not depend on their order.
func (p *PredictedImages) rows(o datasets.Options) (*datasets.Dataset, error) {
	t := p.table
	o.Highest = t.Classes
	if t.Hard && t.Names == nil && slices.Min(t.Predicted()) > 0 {
		o.Highest = t.Classes - 1 // both count from 1
	}
	labels := t.Labels
	if o.Labels != "" {
		labels = nil
	}
	data, err := datasets.Rows(t.Name, rowNames(t.IDs, t.N), labels, o)
	switch {
	case err != nil && t.IDs == nil && o.Labels != "":
		if _, other := datasets.Rows(t.Name, rowNames(nil, t.Classes), nil, o); other == nil && t.Classes > t.N {
			return nil, transposed(t)
		}
		return nil, fmt.Errorf("%w; its %d rows have no names of images, so labels are to be one per line, in the order of the rows", err, t.N)
	case err != nil:
		return nil, err
	case t.IDs == nil:
		return data, nil
	}
	if at := unsorted(t.IDs); at > 0 && o.Labels != "" {
		if _, err := datasets.Rows(t.Name, rowNames(nil, t.N), nil, o); err == nil {
			_ = data.Close()
			return nil, fmt.Errorf("its rows have names of images and are not in their order (%s before %s), and the labels in %s have none, so which row a label is of is unclear; give labels with the names of the images", t.IDs[at-1], t.IDs[at], filepath.Base(o.Labels))
		}
	}
	data.SortByName()
	return data, nil
}

// unsorted is the first of some names that is less than the one before; 0 where they are in order.
func unsorted(names []string) int {
	for i := 1; i < len(names); i++ {
		if names[i] < names[i-1] {
			return i
		}
	}
	return 0
}

// rowNames are the names of rows, or their numbers, which no image is called by.
func rowNames(ids []string, n int) []string {
	if ids != nil {
		return ids
	}
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("row %d", i+1)
	}
	return out
}

func transposed(t *predictions.Table) error {
	return fmt.Errorf("it has %d rows and %d columns and is probably transposed: rows are to be images, and columns classes; save its transpose", t.N, t.Classes)
}

// match finds the row of every image.
func (p *PredictedImages) match() error {
	t, n := p.table, len(p.Samples)
	p.row = make([]int, n)
	for i := range p.row {
		p.row[i] = -1
	}
	switch {
	case t.IDs != nil:
		if err := p.matchNames(); err != nil {
			return err
		}
	case n != t.N && n == t.Classes:
		return transposed(t)
	case n != t.N:
		return fmt.Errorf("it has %d rows without names, and %s has %d images; give one row per image, in their order, or a column with the images' names", t.N, p.Name, n)
	default:
		for i := range p.row {
			p.row[i] = i
		}
		if !p.fromRows {
			p.Notes = append(p.Notes, "the predictions have no names of images: they are matched to the images in their order")
		}
		return nil
	}
	var without []string
	for i, r := range p.row {
		if r >= 0 {
			p.selected = append(p.selected, i)
		} else {
			without = append(without, p.ID(i))
		}
	}
	if len(without) > 0 {
		p.doubt("%d of %d images have no predictions and are left out: %s", len(without), n, text.Some(without, shown))
	} else {
		p.selected = nil
	}
	return nil
}

// shown is how many images or rows a message names.
const shown = 3

func (p *PredictedImages) doubt(format string, a ...any) {
	p.doubts = append(p.doubts, fmt.Sprintf(format, a...))
}

// matchNames finds rows by the names of images. Folders count: only where no name of the table fits an
// image with its folders are these passed over, which is told.
func (p *PredictedImages) matchNames() error {
	t, names := p.table, p.Names()
	place := func(find func(string) (int, error)) (at []int, found int, err error) {
		for r, id := range t.IDs {
			i, err := find(id)
			if err != nil {
				return nil, 0, fmt.Errorf("row %d: %w", r+1, err)
			}
			if at = append(at, i); i >= 0 {
				found++
			}
		}
		return at, found, nil
	}
	at, found, err := place(names.FindWithin)
	if err == nil && found == 0 {
		if at, found, err = place(names.Find); found > 0 {
			r := slices.IndexFunc(at, func(i int) bool { return i >= 0 })
			p.doubt("rows are matched to images by the names of files alone, for their folders differ (%s and %s): see that they are of the same images", t.IDs[r], p.ID(at[r]))
		}
	}
	if err != nil {
		return err
	}
	if found == 0 {
		hint := ""
		if all := slices.ContainsFunc(t.IDs, func(id string) bool { _, err := strconv.Atoi(id); return err != nil }); !all {
			hint = "; if these are numbers of rows, and rows are in the order of the images, leave that column out"
		}
		return fmt.Errorf("none of its rows (%s) is of an image of %s (%s)%s", some(t.IDs), p.Name, some(p.ids()), hint)
	}
	var lost []string
	for r, i := range at {
		if i < 0 {
			lost = append(lost, t.IDs[r])
			continue
		}
		if other := p.row[i]; other >= 0 {
			return fmt.Errorf("rows %d (%s) and %d (%s) are both of image %s", other+1, t.IDs[other], r+1, t.IDs[r], p.ID(i))
		}
		p.row[i] = r
	}
	if len(lost) > 0 {
		p.doubt("%d of %d predictions are of no image of the data and are left out: %s", len(lost), t.N, text.Some(lost, shown))
	}
	return nil
}

// some is the first of some names.
func some(names []string) string {
	if len(names) > 1 {
		return names[0] + ", …"
	}
	return names[0]
}

func (p *PredictedImages) ids() []string {
	out := make([]string, p.Len())
	for i := range out {
		out[i] = p.ID(i)
	}
	return out
}

// Identity takes the table, and what its scores are said to be, in place of the preprocessing.
func (p *PredictedImages) Identity() Identity {
	id := Identity{Data: p.Fingerprint(), Preprocessing: p.table.SHA256[:16], Limit: p.Config.Limit, Seed: p.Config.Seed}
	if p.asked != Automatic && p.table.Classes > 1 {
		id.Preprocessing += " as " + string(p.asked)
	}
	return id
}

// Hard says that the table has predicted classes alone.
func (p *PredictedImages) Hard() bool { return p.table.Hard }

// Describe writes the images' part of a report.
func (p *PredictedImages) Describe(h *report.Head) {
	p.Images.Describe(h)
	h.Dataset.Notes = append(slices.Clip(h.Dataset.Notes), p.table.Notes...)
	h.Doubts = append(h.Doubts, p.doubts...)
	source := p.table.Kind
	if p.scale.What != "" {
		source += "; " + p.scale.What + ": " + p.scale.Why
	}
	h.Preprocessing = report.Preprocessing{Summary: "scores computed elsewhere", Source: source, Decoder: "none", Fingerprint: p.table.SHA256[:16]}
	if p.table.Hard {
		h.Option("predicted classes alone, without scores: they give accuracy and what is mixed up, no top-5, calibration or temperature")
	}
}
