package finetune

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
	"cutmix-eval/tasks/multilabel"
)

// Source is the tuned head on the test images, or those that validate where there are none.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) {
	run, err := l.study.Member(l.tuned())
	if err != nil {
		return nil, err
	}
	var task tasks.Task = classify.Task{}
	if l.about.Config.several() {
		task = multilabel.Task{}
	}
	r, err := task.Load(ctx, results.StudyOf(run), tasks.Options{})
	if err != nil {
		return nil, err
	}
	return r.Source(ctx)
}

// Export has nothing to write: the records are of the heads' runs.
func (l *loaded) Export(context.Context, io.Writer, string) error {
	dir := l.study.Dir()
	return fmt.Errorf("%q is a fine-tuning; the runs of its heads are folders in it, such as %q", dir, filepath.Join(dir, l.tuned()))
}
