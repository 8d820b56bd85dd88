package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"

	"cutmix-eval/datasets"
	"cutmix-eval/datasets/scenes"
	"cutmix-eval/imageproc"
	"cutmix-eval/report"

	"github.com/spf13/cobra"
)

func newDatasets(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "datasets", Short: "Look at image data",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDatasetsList(s), newDatasetsCheck(s), newDatasetsExport(s), newDatasetsCorrupt(s), newDatasetsFetch(s))
	return cmd
}

func newDatasetsList(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the embedded data and what else can be read", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, sp := range scenes.Splits() {
				what := "labelled, " + strings.Join(scenes.Classes(sp), " ")
				if !scenes.Labelled(sp) {
					what = "without labels"
				}
				fmt.Fprintf(s.out, "scenes:%-12s %5d pictures of %d x %d, %s\n", sp, scenes.Len(sp), scenes.Size, scenes.Size, what)
			}
			_, err := fmt.Fprintln(s.out, "\nfiles and folders: class folders, tar files of them, images with a label file, OpenOOD\nlists, CIFAR binaries, Tiny-ImageNet, ImageNet-V2 (docs/data.md)")
			return err
		},
	}
}

func newDatasetsExport(s streams) *cobra.Command {
	split, out, masks, n, quiet := string(scenes.Test), "", "", 0, false
	cmd := &cobra.Command{
		Use: "export scenes", Short: "Write embedded scenes as an image folder with boxes",
		Long: `export writes a split of the embedded scenes as an ordinary image folder: PNG
files in class folders, and boxes in boxes.csv (path,class,x0,y0,x1,y1 in pixels,
x1 and y1 exclusive). Masks go to a folder of their own where --masks names one.`,
		Example: "  cutmix-eval datasets export scenes --split test --out scenes-test",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != "scenes" {
				return usageError{fmt.Errorf("%q is not embedded data; scenes is", args[0])}
			}
			if _, err := scenes.ParseSplit(split); err != nil {
				return usageError{err}
			}
			if n < 0 {
				return usageError{fmt.Errorf("--limit %d is below 0", n)}
			}
			if out == "" {
				return usageError{errors.New("--out DIR is missing")}
			}
			total := scenes.Len(scenes.Split(split))
			if n > 0 {
				total = min(n, total)
			}
			progress, finish := imageBar(s.err, quiet, total, "export")
			defer finish()
			written, err := datasets.ExportScenes(cmd.Context(), out, masks, split, n, progress)
			if err != nil {
				return fmt.Errorf("exporting scenes to %q: %w", out, err)
			}
			finish()
			_, err = fmt.Fprintf(s.out, "%d scenes in %s\n", written, out)
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&split, "split", split, "train, val, test, new-train, new-val, new-test, ood-near, ood-texture or ood-noise")
	fs.StringVar(&out, "out", "", "folder to write, new or empty")
	fs.StringVar(&masks, "masks", "", "folder for the masks (default: none are written)")
	fs.IntVar(&n, "limit", 0, "write only the first `N` scenes")
	fs.BoolVar(&quiet, "quiet", false, "no progress bar")
	return cmd
}

func newDatasetsCheck(s streams) *cobra.Command {
	var o datasets.Options
	format, dataFormat := string(report.Text), string(datasets.Auto)
	workers, quiet := 0, false
	cmd := &cobra.Command{
		Use: "check PATH", Short: "Read every image and say what is wrong with the data",
		Long: `check says what the data was recognised as, counts images and classes, and lists
missing, empty and undecodable files, classes without images, and duplicates by
content. Files that cannot be used end in exit code 3.`,
		Example: "  cutmix-eval datasets check imagenet/val\n  cutmix-eval datasets check photos.tar --format json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := report.ParseFormat(format)
			if err == nil && f != report.Text && f != report.JSON {
				err = fmt.Errorf("--format %s: check prints text or json", format)
			}
			if err == nil {
				o.Format, err = datasets.ParseFormat(dataFormat)
			}
			if err != nil {
				return usageError{err}
			}
			return runCheck(cmd.Context(), s, args[0], o, f, workers, quiet)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&dataFormat, "data-format", dataFormat, "auto, folders, flat, list, cifar, tiny-imagenet or scenes")
	fs.StringVar(&o.Labels, "labels", "", "labels of the images, or a class map")
	fs.StringVar(&o.Root, "data-root", "", "folder that the paths of an image list are relative to")
	fs.StringVar(&o.Split, "split", "", "which split to use, where the data has several")
	fs.IntVar(&workers, "workers", 0, "goroutines that decode images (default: one a core)")
	fs.StringVar(&format, "format", format, "text or json")
	fs.BoolVar(&quiet, "quiet", false, "no progress bar")
	return cmd
}

func runCheck(ctx context.Context, s streams, path string, o datasets.Options, format report.Format, workers int, quiet bool) error {
	d, err := datasets.Open(path, o)
	if err != nil {
		return err
	}
	defer d.Close()
	if workers <= 0 {
		workers = goruntime.GOMAXPROCS(0)
	}
	progress, finish := imageBar(s.err, quiet, len(d.Samples), "check")
	defer finish()
	var done atomic.Int64
	c, err := d.Check(ctx, workers, func() { progress(int(done.Add(1))) })
	if err != nil {
		return err
	}
	finish()
	if format == report.JSON {
		err = printCheckJSON(s, d, c)
	} else {
		err = printCheck(s, d, c)
	}
	if err == nil && c.Bad() > 0 {
		return fmt.Errorf("%w", checkFailed{c.Bad(), c.Images})
	}
	return err
}

// checkFailed is badImagesError for a check, which has no --allow-bad.
type checkFailed struct{ bad, all int }

func (e checkFailed) Error() string {
	return fmt.Sprintf("%d of %d images cannot be used", e.bad, e.all)
}

func (e checkFailed) As(target any) bool {
	t, ok := target.(*badImagesError)
	if ok {
		*t = badImagesError(e)
	}
	return ok
}

func printCheckJSON(s streams, d *datasets.Dataset, c *datasets.Checkup) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		SchemaVersion int      `json:"schema_version"`
		Name          string   `json:"name"`
		Format        string   `json:"format"`
		Recognised    string   `json:"recognised"`
		Fingerprint   string   `json:"fingerprint"`
		Classes       []string `json:"classes"`
		Notes         []string `json:"notes"`
		*datasets.Checkup
	}{report.SchemaVersion, d.Name, string(d.Format), d.Why, d.Fingerprint(), d.Classes, d.Notes, c})
}

func printCheck(s streams, d *datasets.Dataset, c *datasets.Checkup) error {
	say := func(format string, a ...any) { fmt.Fprintf(s.out, format+"\n", a...) }
	say("%s: %s", d.Name, d.Why)
	say("images        %d, %d good, sides %d to %d pixels", c.Images, c.Good, c.MinSide, c.MaxSide)
	if len(c.PerClass) > 0 {
		say("classes       %d, with %d to %d images each", len(d.Classes), slices.Min(c.PerClass), slices.Max(c.PerClass))
	} else {
		say("classes       none: the images have no labels")
	}
	for _, f := range slices.Sorted(func(yield func(string) bool) {
		for k := range c.Formats {
			if !yield(string(k)) {
				return
			}
		}
	}) {
		name := f
		if name == "" {
			name = "raw pixels"
		}
		say("  %-11s %d", name, c.Formats[imageproc.Format(f)])
	}
	say("fingerprint   %s", d.Fingerprint())
	const most = 20
	list := func(what string, ps []datasets.Problem) {
		say("%-13s %d", what, len(ps))
		for i, p := range ps {
			if i == most {
				say("  … and %d more (--format json lists all)", len(ps)-i)
				break
			}
			say("  %s: %s", p.ID, p.Reason)
		}
	}
	list("missing", c.Missing)
	list("empty", c.Empty)
	list("undecodable", c.Undecodable)
	say("no images     %d classes", len(c.NoImages))
	for i, n := range c.NoImages {
		if i == most {
			say("  … and %d more", len(c.NoImages)-i)
			break
		}
		say("  %s", n)
	}
	say("duplicates    %d groups of equal files, %d of them with different labels", len(c.Duplicates), c.Conflicts)
	for i, g := range c.Duplicates {
		if i == most {
			say("  … and %d more", len(c.Duplicates)-i)
			break
		}
		say("  %v", g)
	}
	for _, n := range d.Notes {
		say("note: %s", n)
	}
	return nil
}
