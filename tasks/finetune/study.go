package finetune

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"cutmix-eval/heads"
	"cutmix-eval/report"
	"cutmix-eval/results"
	"cutmix-eval/tasks"
	"cutmix-eval/tasks/classify"
	"cutmix-eval/tasks/compare"
)

// about is what a report needs beside the runs of the heads, the log and the search.
type about struct {
	Ended    bool              `json:"ended"`
	Head     report.Head       `json:"report"` // of the training images
	Config   Config            `json:"config"` // with the learning rate and weight decay that were taken
	File     string            `json:"file"`   // that was written, without its folder
	Classes  []string          `json:"classes"`
	Sets     []set             `json:"sets"`
	Warnings []string          `json:"warnings"`
	Bad      []report.BadImage `json:"bad_images"`
	Tried    int               `json:"images"` // of all roles, bad ones included
}

// about describes a training that has ended.
func (j *Job) about(t *tuned, all []*examples, train *examples, judged []*examples, sets []set) about {
	p := j.roles[0].pass
	a := about{Ended: true, Config: j.config, File: filepath.Base(j.options.Out), Classes: j.classes, Sets: sets}
	a.Config.Training = t.config
	h := p.Head(nil)
	h.Published = nil // they are of the old head
	h.Model.Classes, h.Dataset.Classes = len(j.classes), len(j.classes)
	h.Dataset.Labels = "by the new head, whose classes they are"
	if j.config.Keep {
		h.Dataset.Labels = "to the model's classes: its head goes on"
	}
	h.Dataset.N, h.Dataset.Bad = train.N(), len(all[0].bad)
	h.Runtime = report.Runtime{ORT: p.Manifest.Key.Device.ORT, Device: p.Manifest.Key.Device.Name}
	a.Head = h
	for _, e := range judged {
		a.note(fmt.Sprintf("%s: %d images of %s", e.name, e.N(), e.images.Name))
	}
	for _, e := range all {
		a.Bad = append(a.Bad, e.bad...)
		a.Tried += len(e.at) + len(e.bad)
	}
	return a
}

// note adds notes that are not there yet.
func (a *about) note(notes ...string) {
	d := &a.Head.Dataset
	for _, n := range notes {
		if !slices.Contains(d.Notes, n) {
			d.Notes = append(slices.Clip(d.Notes), n)
		}
	}
}

// saveStudy writes what describes the training into its folder, with the names of the runs of heads
// there.
func saveStudy(dir string, a about, runs []string) error {
	s, err := results.NewStudy(Name, a)
	if err != nil {
		return err
	}
	s.Members = append(s.Members, runs...)
	return s.Save(dir)
}

// begin says in the folder that the training has not ended. Where it begins anew, the runs of
// another one's heads are removed.
func begin(dir string, anew bool) error {
	var runs []string
	if s, err := results.OpenStudy(true, dir); err == nil { // otherwise it is damaged
		runs = s.Members
	}
	if anew {
		for _, name := range runs {
			if err := results.Discard(results.MemberDir(dir, name)); err != nil {
				return err
			}
		}
		runs = nil
	}
	return saveStudy(dir, about{}, runs)
}

// Task is fine-tuning.
type Task struct{}

// Name is the task's name.
func (Task) Name() string { return Name }

// loaded is a fine-tuning whose numbers can be computed.
type loaded struct {
	about  about
	seed   uint64 // of the bootstrap
	study  *results.Study
	log    heads.Log
	search search
}

// Load reads a fine-tuning that has ended. It knows the options bins, bootstrap and seed.
func (Task) Load(_ context.Context, s *results.Study, o tasks.Options) (tasks.Result, error) {
	if err := o.Only(Name, "bins", "bootstrap", "seed"); err != nil {
		return nil, err
	}
	l, err := load(s, o)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func load(s *results.Study, o tasks.Options) (*loaded, error) {
	if s.Members == nil {
		return nil, fmt.Errorf("%q is a part of a fine-tuning: its folder is to be named", s.Dir())
	}
	if len(s.Dirs()) > 1 {
		return nil, fmt.Errorf("%q is a fine-tuning, which has no shares: give it alone", s.Dir())
	}
	a, err := results.AboutStudy[about](s, Name)
	if err != nil {
		return nil, err
	}
	if !a.Ended || len(a.Sets) == 0 || slices.ContainsFunc(a.Sets, func(s set) bool { return len(s.Heads) == 0 }) {
		return nil, fmt.Errorf("the fine-tuning in %q has not ended; run the same command again", s.Dir())
	}
	l := &loaded{about: a, seed: a.Head.Config.Seed, study: s}
	tasks.Set(&l.about.Config.Bins, o.Bins)
	tasks.Set(&l.about.Config.Replicates, o.Bootstrap)
	tasks.Set(&l.seed, o.Seed)
	if err := l.about.Config.Validate(); err != nil {
		return nil, &tasks.ValueError{Err: err}
	}
	if l.log, err = readLog(s.Dir()); err == nil && a.Config.Search {
		l.search, err = readSearch(s.Dir())
	}
	return l, err
}

// last is the set of images that chose nothing, or the one that validates.
func (l *loaded) last() set { return l.about.Sets[len(l.about.Sets)-1] }

// tuned is the run of the tuned head on those images.
func (l *loaded) tuned() string { return l.last().Heads[0].run(l.last().Name) }

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
