//go:build unix

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ground is where the sound inputs lie that attacks are made from, each under its name. They
// are the same in every call.
type ground struct {
	dir     string
	program string
	library string // of ONNX Runtime
}

func (g ground) path(name string) string { return filepath.Join(g.dir, name) }

// env is what a case's processes get beside this one's environment.
func (g ground) env(dir string) []string {
	return []string{
		"CUTMIX_EVAL_ORT_LIB=" + g.library, "CUTMIX_EVAL_OFFLINE=1", "CUTMIX_EVAL_CACHE=" + filepath.Join(dir, "cache"),
		"TMPDIR=" + filepath.Join(dir, "tmp"), "HOME=" + dir,
	}
}

// command runs the program in the ground's folder; it must succeed.
func (g ground) command(line string) error {
	p := process{program: g.program, args: strings.Fields(line), dir: g.dir, env: g.env(g.dir), limit: 2 * time.Minute}
	o, err := p.run()
	if err == nil && (o.code != codeDone || o.late) {
		err = fmt.Errorf("%s: exit %d: %s", line, o.code, o.err)
	}
	return err
}

// picture is one of the exported scenes.
type picture struct {
	class, name string // name without extension
	label       int
	data        []byte // PNG
	image       image.Image
}

// tiny arguments that make commands quick.
const (
	plainly  = "--quiet --bootstrap 0 --doctor=false"
	quickly  = "--recipe raw --resize 64 --crop 64 --mean 0.5,0.5,0.5 --std 0.25,0.25,0.25"
	tuning   = "--epochs 1 --batch-size 8 --knn 2 --bootstrap 100 --quiet"
	oodSets  = "--data pictures --val val --train val --train-limit 30 --ood noise:gaussian --ood-limit 8"
	forRuns  = "classify --data pictures --save logits,features --out run " + plainly
	forMaps  = "localize --data pictures --boxes boxes.csv --save logits,maps --out maprun --quiet --bootstrap 0"
	forOOD   = "ood " + oodSets + " --score msp,energy --out oodrun --quiet"
	forNoise = "corruption --data pictures --limit 8 --corruption fog,jpeg_compression --severity 1,5 --out corrrun --quiet"
	forTuned = "finetune --train pictures --val val --test val --out tuned.onnx --run tuned.run " + tuning
)

// lay makes the ground.
func (g ground) lay() error {
	for _, d := range []string{"tmp", "cache"} {
		if err := os.MkdirAll(g.path(d), 0o755); err != nil {
			return err
		}
	}
	if err := hand(g.dir); err != nil {
		return err
	}
	for _, line := range []string{
		"datasets export scenes --split test --limit 24 --out export --masks masks --quiet",
		"datasets export scenes --split val --limit 40 --out val --quiet",
	} {
		if err := g.command(line); err != nil {
			return err
		}
	}
	all, err := g.pictures()
	if err != nil {
		return err
	}
	if err := g.files(all); err != nil {
		return err
	}
	if err := hand(g.dir); err != nil {
		return err
	}
	for _, line := range []string{
		forRuns, "classify --model scenes-base --data pictures --out other " + plainly, forMaps, forOOD, forNoise, forTuned,
		"ood " + oodSets + " --score energy --threshold-at tpr=0.95 --detector energy.detector --quiet",
		"ood " + oodSets + " --score knn_K3 --threshold-at tpr=0.95 --detector knn.detector --quiet",
		"datasets corrupt pictures --out corrupted --corruption fog --recipe raw --limit 10 --quiet",
		"models add mine model.onnx",
	} {
		if err := g.command(line); err != nil {
			return err
		}
	}
	lock := g.path("cache/models.lock")
	if err := copyFile(lock, g.path("models.local.lock")); err != nil {
		return err
	}
	if err := os.RemoveAll(g.path("cache")); err != nil {
		return err
	}
	return nil
}

// pictures reads the exported scenes, and writes them as the folder "pictures", without what
// lies beside them.
func (g ground) pictures() ([]picture, error) {
	files, err := filepath.Glob(g.path("export/*/*.png"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no scenes were exported: %w", err)
	}
	var all []picture
	var classes []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		im, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		p := picture{class: filepath.Base(filepath.Dir(f)), name: strings.TrimSuffix(filepath.Base(f), ".png"), data: data, image: im}
		if !slices.Contains(classes, p.class) {
			classes = append(classes, p.class)
		}
		p.label = slices.Index(classes, p.class)
		all = append(all, p)
	}
	return all, nil
}

// write writes a file of the ground.
func (g ground) write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(g.path(name)), 0o755); err != nil {
		return err
	}
	return os.WriteFile(g.path(name), data, 0o644)
}

// files writes every input that the program itself does not make.
func (g ground) files(all []picture) error {
	out := map[string][]byte{}
	var folder, webdataset, arrays []member
	var flat, list, labels, numbers, subset, multi, table strings.Builder
	labels.WriteString("image,label\n")
	multi.WriteString("image," + strings.Join(g.classes(all), ",") + "\n")
	table.WriteString("image,label," + strings.Join(g.classes(all), ",") + "\n")
	var pixels, label, scores, binary []byte
	var jsonScores [][]float64
	var rows []hfRow
	var scoreRows []scoreRow
	record := []byte{}
	for i, p := range all {
		file := p.class + "/" + p.name + ".png"
		out["pictures/"+file] = p.data
		out["flat/"+p.name+".png"] = p.data
		folder = append(folder, member{name: "pictures/" + file, data: p.data})
		webdataset = append(webdataset, member{name: p.name + ".png", data: p.data}, member{name: p.name + ".cls", data: []byte(fmt.Sprint(p.label))})
		fmt.Fprintf(&flat, "%s %s\n", p.name, p.class)
		fmt.Fprintf(&list, "%s %d\n", file, p.label)
		fmt.Fprintf(&labels, "%s.png,%s\n", p.name, p.class)
		fmt.Fprintf(&numbers, "%d\n", p.label)
		if i%2 == 0 {
			fmt.Fprintf(&subset, "%s\n", file)
		}
		of := make([]string, len(g.classes(all)))
		values := make([]float64, len(of))
		for c := range of {
			of[c], values[c] = "0", math.Round(1000*math.Sin(float64(7*i+3*c)))/1000
			if c == p.label {
				of[c], values[c] = "1", values[c]+2
			}
			scores = appendFloat(scores, values[c])
		}
		fmt.Fprintf(&multi, "%s.png,%s\n", p.name, strings.Join(of, ","))
		fmt.Fprintf(&table, "%s,%d,%s\n", file, p.label, strings.Trim(strings.ReplaceAll(fmt.Sprint(values), " ", ","), "[]"))
		jsonScores = append(jsonScores, values)
		small := []float32{}
		for _, v := range values {
			small = append(small, float32(v))
		}
		scoreRows = append(scoreRows, scoreRow{file, int64(p.label), small})
		rows = append(rows, hfRow{hfImage{p.data, p.name + ".png"}, int64(p.label)})
		label = appendInt(label, p.label)
		record = append(record[:0], byte(p.label))
		planes := [3][]byte{}
		b := p.image.Bounds()
		for y := range b.Dy() {
			for x := range b.Dx() {
				r, gr, bl, _ := p.image.At(b.Min.X+x, b.Min.Y+y).RGBA()
				pixels = append(pixels, byte(r>>8), byte(gr>>8), byte(bl>>8))
				if x < 32 && y < 32 {
					for k, v := range []uint32{r, gr, bl} {
						planes[k] = append(planes[k], byte(v>>8))
					}
				}
			}
		}
		record = append(record, slices.Concat(planes[:]...)...)
		binary = append(binary, record...)
		out["foreign/"+p.class+"/"+p.name+".npy"] = npyOf("f4", make([]byte, 4*64), 8, 8)
	}
	n, side := len(all), all[0].image.Bounds().Dx()
	arrays = []member{{name: "images.npy", data: npyOf("u1", pixels, n, side, side, 3)}, {name: "labels.npy", data: npyOf("i8", label, n)}}
	for i := range 5 {
		out[fmt.Sprintf("frost/frost%d.png", i+1)] = textured(400 + 8*i)
	}
	for name, data := range otherFormats(all) {
		out[name] = data
	}
	boxes, err := os.ReadFile(g.path("export/boxes.csv"))
	if err != nil {
		return err
	}
	model, err := os.ReadFile(modelFile)
	if err != nil {
		return fmt.Errorf("this command is run from the project's folder: %w", err)
	}
	hf, err := parquetOf(rows)
	if err != nil {
		return err
	}
	scored, err := parquetOf(scoreRows)
	if err != nil {
		return err
	}
	predictions := npyOf("f8", scores, n, len(g.classes(all)))
	for name, data := range map[string][]byte{
		"model.onnx": model, "archive.tar": tarred(folder), "archive.tar.gz": gzipped(tarred(folder)), "archive.zip": zipped(folder), "web/val-000.tar": tarred(webdataset),
		"images.parquet": hf, "arrays/val_data.npy": arrays[0].data, "arrays/val_labels.npy": arrays[1].data, "arrays.npz": zipped(arrays), "test_batch.bin": binary,
		"list.txt": []byte(list.String()), "labels.csv": []byte(labels.String()), "labels.txt": []byte(flat.String()), "labels.npy": arrays[1].data,
		"numbers.txt": []byte(numbers.String()), "subset.txt": []byte(subset.String()), "multi.csv": []byte(multi.String()), "boxes.csv": boxes,
		"scores.csv": []byte(table.String()), "scores.npy": predictions, "scores.npz": zipped([]member{{name: "logits.npy", data: predictions}, {name: "labels.npy", data: arrays[1].data}}),
		"scores.parquet": scored, "scores.json": asJSON(jsonScores), "classes.json": asJSON(classMap(g.classes(all))),
		"coco.json": asJSON(cocoOf(all)), "voc/" + all[0].name + ".xml": vocOf(all[0]),
		"pixels.json":   asJSON(map[string]any{"input_size": []int{3, 64, 64}, "mean": []float64{0.5, 0.5, 0.5}, "std": []float64{0.25, 0.25, 0.25}, "interpolation": "bilinear", "crop_pct": 1.0}),
		"suite.json":    asJSON(suite(g)),
		"baseline.json": asJSON(map[string]any{"name": "mine", "clean_error": 0.1, "errors": map[string]any{"fog": []float64{.1, .2, .3, .4, .5}}}),
	} {
		out[name] = data
	}
	for _, p := range all[1:] {
		out["voc/"+p.name+".xml"] = vocOf(p)
	}
	for name, data := range out {
		if err := g.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

const modelFile = "models/scenes-base.onnx"

func (g ground) classes(all []picture) []string {
	var out []string
	for _, p := range all {
		if !slices.Contains(out, p.class) {
			out = append(out, p.class)
		}
	}
	return out
}

func classMap(classes []string) map[string]int {
	out := map[string]int{}
	for i, c := range classes {
		out[c] = i
	}
	return out
}

func suite(g ground) any {
	type named map[string]any
	return named{
		"models": []named{{"name": "base", "model": g.path("model.onnx")}},
		"data":   []named{{"name": "few", "train": g.path("val"), "val": g.path("val"), "test": g.path("val"), "limit": 10}},
	}
}
