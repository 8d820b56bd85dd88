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
)

// Source is the tuned head on the test images, or those that validate where there are none.
func (l *loaded) Source(ctx context.Context) (compare.Source, error) {
	if l.about.Config.several() {
		return nil, fmt.Errorf("the images of %q have several labels, and there is no comparison for such", l.study.Dir())
	}
	run, err := l.study.Member(l.tuned())
	if err != nil {
		return nil, err
	}
	r, err := classify.Task{}.Load(ctx, results.StudyOf(run), tasks.Options{})
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
