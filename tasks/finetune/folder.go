package finetune

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/paths"
	"cutmix-eval/results"
)

// Names in the folder of a fine-tuning, beside those of runs.
const (
	checkpointName = "checkpoint.zip"
	searchName     = "search.json"
	logName        = "log" // .csv and .json
	lockName       = ".lock"
	trialName      = ".trial" // a folder for the file that is tried
)

// checkOut says whether the file and its folder can be written without harm to anything.
func (j *Job) checkOut(train string) error {
	out, dir := j.options.Out, j.options.Folder()
	if filepath.Ext(out) != ".onnx" {
		return fmt.Errorf("the file to write, %q, must end in .onnx", out)
	}
	if a, err := os.Stat(out); err == nil {
		if a.IsDir() {
			return fmt.Errorf("the file to write, %q, is a folder: give another --out", out)
		}
		if b, err := os.Stat(j.base.Model.Path); err == nil && os.SameFile(a, b) {
			return fmt.Errorf("the file to write, %q, is the model itself: give another --out", out)
		}
	}
	if paths.Resolve(out) == paths.Resolve(dir) {
		return fmt.Errorf("%q cannot be the file to write and its folder: give another --run", out)
	}
	for _, data := range []string{train, j.options.Val, j.options.Test} {
		if info, err := os.Stat(data); err != nil || !info.IsDir() {
			continue
		}
		for _, path := range []string{out, dir} {
			if paths.Inside(path, data) {
				return fmt.Errorf("%q lies among the images of %q, which it would be taken for: give another --out or --run", path, data)
			}
		}
	}
	return nil
}

// inFolder refuses a folder of something else than a training, and says whether it is of a
// training before there were studies.
func inFolder(dir string) (old bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 { // it will be made
		return false, nil
	}
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil { // every training leaves it
		return false, fmt.Errorf("the folder %q holds something else than a training: give another --run", dir)
	}
	task, err := results.TaskOf(dir)
	return task == "" && err == nil && len(entries) > 1, nil
}

// put writes a file of a folder, which is made.
func put(dir, name string, data []byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return atomicfile.Save(filepath.Join(dir, name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
