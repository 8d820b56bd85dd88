package classify

import (
	"fmt"

	"cutmix-eval/datasets"
	"cutmix-eval/pipeline"
)

// NewInput matches a labelled dataset to a model's outputs. Images without a
// label are left out. names are the model's own class names, or nil.
func NewInput(d *datasets.Dataset, outputs int, names []string, pixels pipeline.Config) (Input, datasets.Alignment, error) {
	a, err := d.Align(outputs, names)
	if err != nil {
		return Input{}, a, err
	}
	in := Input{Names: d.Classes, Output: a.Output, Orders: d.Orders(outputs), Outputs: outputs}
	var at []int
	for i, s := range d.Samples {
		if s.Label != datasets.Unlabelled {
			at = append(at, i)
			in.IDs, in.Classes = append(in.IDs, s.ID), append(in.Classes, s.Label)
		}
	}
	if len(at) == 0 {
		return Input{}, a, fmt.Errorf("%s has no labelled image", d.Name)
	}
	in.Pixels = pixels
	if len(at) < len(d.Samples) {
		a.How += fmt.Sprintf("; %d images without a label are left out", len(d.Samples)-len(at))
		in.Pixels.Images = pixels.Images.Subset(at)
	}
	return in, a, nil
}
