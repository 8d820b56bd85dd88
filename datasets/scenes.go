package datasets

import (
	"time"

	"cutmix-eval/datasets/scenes"
	"cutmix-eval/imageproc"
)

// openScenes opens a split of the embedded scenes; "" is the test split.
func openScenes(split string) (*Dataset, error) {
	if split == "" {
		split = string(scenes.Test)
	}
	sp, err := scenes.ParseSplit(split)
	if err != nil {
		return nil, err
	}
	d := &Dataset{
		Name: "scenes:" + split, Format: Scenes, Why: "the embedded scenes, " + split + " split",
		Classes: scenes.Classes(sp), src: sceneSource{sp},
	}
	d.Samples = make([]Sample, scenes.Len(sp))
	for i := range d.Samples {
		d.Samples[i] = Sample{ID: scenes.ID(sp, i), Label: scenes.LabelOf(sp, i), Size: scenes.Size * scenes.Size * 3, at: i}
	}
	return d, nil
}

type sceneSource struct{ split scenes.Split }

func (s sceneSource) read(at int, buf []byte) ([]byte, *imageproc.Image, error) {
	sc := scenes.Scene{Pixels: buf}
	scenes.GenerateInto(s.split, at, &sc)
	return nil, &imageproc.Image{W: scenes.Size, H: scenes.Size, Pix: sc.Pixels}, nil
}

func (sceneSource) changed(int) time.Time { return time.Time{} }

func (sceneSource) close() error { return nil }

// SceneSplit is the split of the embedded scenes that the data is, and whether it is
// one.
func (d *Dataset) SceneSplit() (scenes.Split, bool) {
	s, ok := d.src.(sceneSource)
	return s.split, ok
}
