package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cutmix-eval/cam"
	"cutmix-eval/corrupt"
	"cutmix-eval/evaluation"
	"cutmix-eval/runtime"
	"cutmix-eval/tasks/corruption"
	"cutmix-eval/tasks/localize"

	"github.com/spf13/cobra"
)

// localizeFlags are the task's own flags.
type localizeFlags struct {
	config               localize.Config
	method, post, target string
	boxes, thresholdFrom string
	overlays             int
	at                   float64
}

func newLocalize(s streams) *cobra.Command {
	var flags shared
	f := localizeFlags{config: localize.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "localize",
		Short: "Where a classifier looks: class activation maps, boxes, WSOL metrics",
		Long: `localize makes class activation maps from the ONNX file alone, without gradients,
draws boxes from them and measures them against true boxes and masks: Top-1, Top-5
and GT-known localization (the CutMix paper's protocol), MaxBoxAcc, MaxBoxAccV2 and
PxAP (wsolevaluation's), why boxes are wrong, and what no model at all would reach
(a centred box, the whole picture, a random map).

True boxes come with the embedded scenes and with Tiny-ImageNet, or from --boxes:
ILSVRC or VOC XML, Kaggle LOC_val_solution.csv, wsolevaluation metadata (boxes or
masks), CUB-200-2011, TS-CAM lists, COCO JSON. Images without any are left out.

Published WSOL numbers are measured on the squashed picture (--resize 224x224 --crop
none) and on feature maps of 14 x 14 (--enlarge 1 for an ordinary ResNet).`,
		Example: `  cutmix-eval localize
  cutmix-eval localize --model resnet50.onnx --data imagenet/val --boxes Annotations/CLS-LOC/val --resize 224x224 --crop none
  cutmix-eval localize --model resnet50.onnx --data val --boxes LOC_val_solution.csv --enlarge 1 --method layercam --out runs/layercam`,
		Args: cobra.NoArgs,
	}
	flags.add(cmd)
	flags.addStore(cmd)
	fs := cmd.Flags()
	c := &f.config
	fs.StringVar(&f.boxes, "boxes", "", "file or folder with the true boxes or masks (default: those that lie with the data)")
	fs.StringVar(&f.method, "method", string(c.Method), fmt.Sprintf("one of %v", cam.Methods()))
	fs.StringVar(&f.post, "post", string(c.Post), "post-processing of maps: wsol (bicubic, then 0..1) or gradcam (as pytorch-grad-cam)")
	fs.StringVar(&f.target, "target", string(c.Target), "class whose map is drawn: gt (the label) or pred (the prediction)")
	fs.IntVar(&c.Enlarge, "enlarge", 0, "double the feature map's sides `N` times (0, 1, 2) by dilation, for ResNets")
	fs.Float64Var(&c.Threshold, "threshold", c.Threshold, "share of the maximum that the fixed-threshold box is cut at")
	fs.Float64Var(&c.Interval, "interval", c.Interval, "between the thresholds of the sweep")
	fs.Float64Var(&f.at, "at", 0, "also report boxes at this one threshold of the sweep, chosen elsewhere")
	fs.StringVar(&f.thresholdFrom, "threshold-from", "", "take --at from the best threshold (max_box_acc) of this localize `RUN`, of another split")
	fs.IntVar(&c.Replicates, "bootstrap", c.Replicates, "bootstrap replicates of the intervals; 0 for none")
	fs.StringSliceVar(&c.By, "by", c.By, "group by class or object (size); several with commas")
	fs.StringVar(&c.Maps, "maps", "", "`DIR` with maps made elsewhere (IMAGE.npy, rows by columns) to measure instead")
	fs.IntVar(&f.overlays, "overlays", 0, "draw `N` images each with most, with least and with any overlap, into OUT/overlays")
	fs.IntVar(&c.Worst, "worst", 0, "list the `N` images with the least overlap")
	corrupted, frost, severity := "", "", 3
	fs.StringVar(&corrupted, "corruption", "", "localize in images under this corruption of ImageNet-C (see corruption)")
	fs.IntVar(&severity, "severity", severity, "of --corruption, 1 to 5")
	fs.StringVar(&frost, "frost", "", "textures of --corruption frost, as of corruption")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		shared, format, err := flags.parse(cmd)
		if err != nil {
			return err
		}
		if corrupted == "" && (cmd.Flags().Changed("severity") || cmd.Flags().Changed("frost")) {
			return usageError{errors.New("--severity and --frost are of --corruption")}
		}
		if corrupted != "" {
			if _, err := corrupt.ParseName(corrupted); err != nil {
				return usageError{err}
			}
			if severity < 1 || severity > corrupt.Severities {
				return usageError{fmt.Errorf("--severity %d is not one of 1 to %d", severity, corrupt.Severities)}
			}
		}
		if cmd.Flags().Changed("at") {
			c.At = &f.at
		}
		if err := f.parse(); err != nil {
			return usageError{err}
		}
		if f.overlays < 0 || f.overlays > 0 && (flags.store.Dir == "" || !flags.store.Shard.Whole()) {
			return usageError{errors.New("--overlays needs a number above 0 and a whole run directory: give --out")}
		}
		if f.thresholdFrom != "" {
			run, err := openRun(false, f.thresholdFrom)
			if err != nil {
				return err
			}
			best, err := localize.BestThreshold(cmd.Context(), run, *c)
			if err != nil {
				return fmt.Errorf("run %q: %w", f.thresholdFrom, err)
			}
			c.At = &best
		}
		return runTask(cmd.Context(), s, shared, &flags, format, func(setup *evaluation.Setup, install runtime.Progress) (job, *evaluation.Records, error) {
			if corrupted != "" {
				var err error
				if c.Corrupted, err = corruption.Corrupt(setup, corrupt.Name(corrupted), severity, frost); err != nil {
					return nil, nil, err
				}
			}
			j, err := localize.Open(cmd.Context(), setup, f.config, f.boxes, flags.store, tool(), install)
			if err != nil {
				return nil, nil, err
			}
			return j, j.Records, nil
		}, func(j job) error { return drawOverlays(cmd.Context(), s, j.(*localize.Job), f.overlays, &flags) })
	}
	return cmd
}

// parse reads the flags that are names.
func (f *localizeFlags) parse() (err error) {
	c := &f.config
	if c.Method, err = cam.ParseMethod(f.method); err != nil {
		return err
	}
	if c.Post, err = cam.ParsePost(f.post); err != nil {
		return err
	}
	if c.Target, err = localize.ParseTarget(f.target); err != nil {
		return err
	}
	return c.Validate()
}

func drawOverlays(ctx context.Context, s streams, j *localize.Job, n int, f *shared) error {
	if n == 0 {
		return nil
	}
	dir := filepath.Join(f.store.Dir, "overlays")
	files, err := j.Overlays(ctx, dir, n, installProgress(s.err, f.quiet))
	if err != nil {
		return fmt.Errorf("drawing overlays: %w", err)
	}
	if !f.quiet {
		fmt.Fprintf(s.err, "%d pictures are in %s\n", len(files), dir)
	}
	return nil
}
