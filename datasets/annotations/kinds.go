package annotations

import (
	"errors"
	"strings"
)

// Kind is a format of boxes or masks. Words between ` are what files are called.
type Kind struct {
	What string
	By   string // what it is recognised by
}

// Kinds lists the formats that are read. Help, errors and docs/localize.md have them from here.
func Kinds() []Kind {
	return []Kind{
		{"ILSVRC CLS-LOC, VOC", "folder of XML files, one per image"},
		{"Kaggle", "`LOC_val_solution.csv`"},
		{"wsolevaluation", "`localization.txt`: `path,x0,y0,x1,y1`, or masks `path,mask.png,ignore.png`"},
		{"CUB-200-2011", "`bounding_boxes.txt` and `images.txt`"},
		{"TS-CAM", "lines of path, label and groups of four numbers"},
		{"COCO", "JSON with images and annotations"},
		{"Tiny-ImageNet", "`val_annotations.txt`"},
		{"`boxes.csv` of `datasets export`", "the header `path,class,x0,y0,x1,y1`; x1 and y1 exclusive"},
	}
}

// ErrUnknown is wrapped where a file is in no known format.
var ErrUnknown = func() error {
	var all []string
	for _, k := range Kinds() {
		all = append(all, strings.ReplaceAll(k.What+" ("+k.By+")", "`", ""))
	}
	return errors.New("it is in no known annotation format: " + strings.Join(all, "; "))
}()
