package finetune

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	h.Dataset.N, h.Dataset.Bad = train.n(), len(all[0].bad)
	h.Runtime = report.Runtime{ORT: p.Manifest.Key.Device.ORT, Device: p.Manifest.Key.Device.Name}
	a.Head = h
	for _, e := range judged {
		a.note(fmt.Sprintf("%s: %d images of %s", e.name, e.n(), e.images.Name))
	}
	for _, e := range all {
		a.Bad = append(a.Bad, e.bad...)
		a.Tried += e.n() + len(e.bad)
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

// saveStudy writes what describes the training into its folder.
func saveStudy(dir string, a about) error {
	s, err := results.NewStudy(Name, a)
	if err != nil {
		return err
	}
	for _, set := range a.Sets {
		for _, c := range set.Heads {
			s.Members = append(s.Members, c.run(set.Name))
		}
	}
	return s.Save(dir)
}

// begin says in the folder that the training has not ended. The runs of another head's are
// removed where it begins anew.
func begin(dir string, anew bool) error {
	s, err := results.OpenStudy(true, dir)
	if err != nil {
		return saveStudy(dir, about{}) // it was damaged
	}
	if anew {
		for _, name := range s.Members {
			if err := results.Discard(results.MemberDir(dir, name)); err != nil {
				return err
			}
		}
	}
	return saveStudy(dir, about{})
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
	l, err := load(s, o, Name)
	if err != nil {
		return nil, err
	}
	return l, nil
}
