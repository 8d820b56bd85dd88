package datasets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cutmix-eval/internal/npy"
)

// isArrayArchive says whether a file is numpy's archive by its name.
func isArrayArchive(name string) bool { return strings.EqualFold(filepath.Ext(name), ".npz") }

// arrays reads a label array of the shape n x k, a row for each of the data's n pictures.
func (m *multi) arrays(path, split string) error {
	if m.d.Format != Arrays {
		return errors.New("numpy's arrays name no images, and the data is no array of pictures; give a table of images and classes")
	}
	t := &tree{kind: "file", root: path}
	if isArray(path) {
		at, err := os.Stat(path)
		if err != nil {
			return err
		}
		t.files = []file{{path: filepath.Base(path), size: at.Size(), open: path}}
	} else {
		var err error
		if t, err = indexZip(path); err != nil {
			return err
		}
		defer t.close()
	}
	labels, classes, err := t.labelsOf(m.d.part, split)
	if err != nil {
		return err
	}
	_, several, err := t.arrayLabels(labels)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", labels.file.path, err)
	case several == nil:
		return fmt.Errorf("%s has one label per image, not a column for each class; leave out --multi-label", labels.file.path)
	case len(several) != len(m.d.Samples):
		return fmt.Errorf("%s has %d rows for %d pictures", labels.file.path, len(several), len(m.d.Samples))
	}
	k := len(several[0])
	if k > maxMultiLabels {
		return fmt.Errorf("%s has %d columns, more than the %d classes that are read", labels.file.path, k, maxMultiLabels)
	}
	m.Classes = classes
	if len(classes) != k {
		m.Classes = nil
		for c := range k {
			m.Classes = append(m.Classes, strconv.Itoa(c))
		}
	}
	m.Why = fmt.Sprintf("numpy array %s of %d classes, a row for each picture", labels.file.path, k)
	for i, values := range several {
		row, err := m.row(m.d.Samples[i].ID, unset)
		if err != nil {
			return err
		}
		for c, v := range values {
			row[c] = int8(v)
		}
	}
	return nil
}

// labelsOf finds the labels of a part, or of the split that was asked for, and the names of classes
// beside them.
func (t *tree) labelsOf(part, split string) (labels *namedArray, classes []string, err error) {
	all := t.arrays()
	if len(all) == 1 {
		all[0].role, all[0].part = labelRole, ""
	}
	var parts []string
	for i, a := range all {
		switch {
		case a.role == classNameRole:
			if data, err := t.arrayBytes(&all[i]); err == nil {
				_, classes, _ = npy.Texts(data) // none where they are no texts
			}
			continue
		case a.role != labelRole:
			continue
		}
		parts = append(parts, a.part)
		if split == "" && a.part == part || isSplit(a.part, split) {
			labels = &all[i]
		}
	}
	switch {
	case labels != nil:
		return labels, classes, nil
	case len(parts) == 0:
		return nil, nil, errors.New("it holds no array of labels (labels, train_labels …)")
	case split != "":
		return nil, nil, fmt.Errorf("there are no labels of %q, only of %s", split, strings.Join(parts, ", "))
	case len(parts) == 1:
		i := slices.IndexFunc(all, func(a namedArray) bool { return a.role == labelRole })
		return &all[i], classes, nil
	}
	return nil, nil, fmt.Errorf("it has labels of %s; say with --multi-split which are those of the pictures", strings.Join(parts, ", "))
}
