//go:build unix

package main

import (
	"regexp"
	"strings"
)

// template is a command line with inputs in braces: {name} is a file or folder of the ground,
// {+name} is put into the working folder without being named. One of them is made hostile.
type template struct {
	command string // for the counts
	line    string
	codes   []int // beside those that hostile inputs of any command may end with
	// kept are the files of the hostile input that the result must not change with, as long as
	// the command succeeds: a checksum protects them.
	kept *regexp.Regexp
}

var inputs = regexp.MustCompile(`\{[^}]+\}`)

// records are files of a run directory whose damage must be found.
var records = regexp.MustCompile(`(^|/)(parts/.*|selection\.npy|head\.npy)$`)

const (
	small = " --limit 8 --quiet --bootstrap 0 --doctor=false --format json"
	eight = " --limit 8 --quiet --bootstrap 0 --format json"
)

// templates are what inputs are tried in.
var templates = templatesOf(`
classify  | classify --model {model.onnx} --data {pictures}`+small+`
classify  | classify --model {model.onnx} --data scenes:val`+small+`
classify  | classify --model {tuned.onnx} --data scenes:val`+small+`
classify  | classify --data {mixed} --quiet --bootstrap 0 --doctor=false --format json
classify  | classify --data {archive.tar} --limit 12 --quiet --bootstrap 0 --format json
classify  | classify --data {archive.tar.gz}`+small+`
classify  | classify --data {archive.zip}`+small+`
classify  | classify --data {images.parquet}`+small+`
classify  | classify --data {web}`+small+`
classify  | classify --data {arrays}`+small+`
classify  | classify --data {arrays.npz}`+small+`
classify  | classify --data {test_batch.bin} --resize 64`+small+`
classify  | classify --data {list.txt} --data-root {pictures}`+small+`
classify  | classify --data {flat} --labels {labels.csv}`+small+`
classify  | classify --data {flat} --labels {labels.txt}`+small+`
classify  | classify --data {flat} --labels {numbers.txt}`+small+`
classify  | classify --data {flat} --labels {labels.npy}`+small+`
classify  | classify --data {pictures} --labels {classes.json}`+small+`
classify  | classify --data {pictures} --subset {subset.txt}`+small+`
classify  | classify --data {pictures} --preprocessing {pixels.json}`+small+`
classify  | classify --data {flat} --multi-label {multi.csv} --quiet --bootstrap 0 --format json
classify  | classify --predictions {scores.csv} --data {pictures} --quiet --bootstrap 0 --format json
classify  | classify --predictions {scores.npy} --labels {labels.npy} --quiet --bootstrap 0 --format json
classify  | classify --predictions {scores.npz} --quiet --bootstrap 0 --format json
classify  | classify --predictions {scores.json} --labels {numbers.txt} --quiet --bootstrap 0 --format json
classify  | classify --predictions {scores.parquet} --quiet --bootstrap 0 --format json
classify* | classify --data GROUND/pictures --save logits,features --out {run} --format json --quiet --bootstrap 0 --doctor=false
classify  | classify --data GROUND/pictures --reuse {run} --quiet --bootstrap 0 --format json
localize  | localize --data {pictures} --boxes {boxes.csv}`+eight+`
localize  | localize --data GROUND/pictures --boxes {coco.json}`+eight+`
localize  | localize --data GROUND/pictures --boxes {voc}`+eight+`
localize  | localize --data GROUND/pictures --boxes {masks}`+eight+`
localize  | localize --data GROUND/pictures --boxes GROUND/boxes.csv --maps {foreign}`+eight+`
localize  | localize --model {model.onnx} --data GROUND/pictures --boxes GROUND/boxes.csv --method gradcam`+eight+`
localize  | localize --data GROUND/pictures --boxes GROUND/boxes.csv --threshold-from {maprun}`+eight+`
localize* | localize --data GROUND/pictures --boxes GROUND/boxes.csv --save logits,maps --out {maprun} --quiet --bootstrap 0 --format json
ood       | ood --data {pictures} --val {val} --train {val} --ood {archive.tar} --limit 8 --train-limit 20 --ood-limit 8 --score msp,energy,mds --quiet --format json
ood       | ood --model {model.onnx} --data GROUND/pictures --val GROUND/val --train GROUND/val --ood noise:uniform --limit 8 --ood-limit 8 --score msp,vim --quiet --format json
ood*      | ood --data GROUND/pictures --val GROUND/val --train GROUND/val --train-limit 30 --ood noise:gaussian --ood-limit 8 --score msp,energy --out {oodrun} --quiet --format json
ood apply | ood apply {energy.detector} --data {pictures} --limit 8 --quiet --format json
ood apply | ood apply {knn.detector} --data scenes:val --limit 8 --quiet --format csv
ood apply | ood apply {knn.detector} --model {model.onnx} --data scenes:val --limit 8 --quiet
corruption  | corruption --data {pictures} --limit 4 --corruption fog --severity 1 --quiet --format json
corruption  | corruption --data GROUND/pictures --limit 4 --corruption fog --severity 1,2,3,4,5 --baseline {baseline.json} --quiet --format json
corruption  | corruption --data GROUND/pictures --limit 4 --corruption frost --severity 1 --frost {frost} --quiet --format json
corruption  | corruption --corrupted {corrupted} --limit 4 --quiet --format json
corruption  | corruption --data GROUND/pictures --limit 4 --corruption fog --severity 1 --ood-run {oodrun} --quiet --format json
corruption* | corruption --data GROUND/pictures --limit 8 --corruption fog,jpeg_compression --severity 1,5 --out {corrrun} --quiet --format json
corruption  | corruption --model {model.onnx} --data scenes:val --limit 4 --experiment center-occlusion --steps 2 --quiet --format json
finetune  | finetune --train {pictures} --val {val} --out new.onnx --format json `+tuning+`
finetune  | finetune --model {model.onnx} --train {archive.tar} --out new.onnx --format json `+tuning+`
finetune  | finetune --train GROUND/flat --multi-label {multi.csv} --out new.onnx --format json `+tuning+`
finetune  | finetune --suite {suite.json} --out study --format json `+tuning+`
finetune  | finetune --train GROUND/pictures --val GROUND/val --test GROUND/val --out new.onnx --run {tuned.run} --format json `+tuning+`
report*   | report {run} --format json --quiet
report*   | report {run} --by class,size,confidence --worst 5
report*   | report {run} --export csv --quiet
report*   | report {maprun} --by object --format json --quiet
report*   | report {oodrun} --format json --quiet
report*   | report {corrrun} --format json --quiet
report*   | report {tuned.run} --format json --quiet
compare*  | compare {run} {other} --bootstrap 100 --format json --quiet
compare*  | compare {oodrun} GROUND/oodrun --bootstrap 100 --format json --quiet
bench     | bench --model {model.onnx} --data {pictures} --rounds 1 --images 8 --batch 4 --format json --quiet
models show   | models show {model.onnx}
models show   | models show {tuned.onnx}
models show   | models show {+models.local.lock} mine
models list   | models list {+models.local.lock}
models verify | models verify mine {+models.local.lock}
models add    | models add new {model.onnx} {+models.local.lock}
models doctor | models doctor {model.onnx} --data {pictures} --choose 16 --confirm 16 --format json --quiet
datasets check | datasets check {pictures} --format json --quiet
datasets check | datasets check {mixed} --format json --quiet
datasets check | datasets check {archive.tar} --format json --quiet
datasets check | datasets check {archive.tar.gz} --format json --quiet
datasets check | datasets check {archive.zip} --format json --quiet
datasets check | datasets check {images.parquet} --format json --quiet
datasets check | datasets check {web} --format json --quiet
datasets check | datasets check {arrays} --format json --quiet
datasets check | datasets check {list.txt} --data-root GROUND/pictures --format json --quiet
datasets check | datasets check {flat} --labels {labels.csv} --format json --quiet
datasets corrupt | datasets corrupt {pictures} --out new --corruption fog,gaussian_noise --severity 1 --recipe raw --limit 4 --quiet
datasets corrupt | datasets corrupt {mixed} --out new --corruption frost --frost {frost} --severity 1 --recipe raw --limit 4 --quiet
runtime status | runtime status --ort-lib {library}
doctor    | doctor --ort-lib {library}
`, `
classify  | classify --data GROUND/pictures --limit 4 --quiet --bootstrap 0 --doctor=false
classify  | classify --data GROUND/pictures --limit 4 --quiet --bootstrap 100 --out new
localize  | localize --data GROUND/pictures --boxes GROUND/boxes.csv --limit 4 --quiet --bootstrap 0 --out new
ood       | ood --data GROUND/pictures --val GROUND/val --train GROUND/val --limit 6 --train-limit 20 --ood noise:uniform --ood-limit 6 --score msp,knn_K3 --quiet
ood apply | ood apply GROUND/energy.detector --data GROUND/pictures --limit 4 --quiet
corruption  | corruption --data GROUND/pictures --limit 4 --corruption fog --severity 1 --quiet
finetune  | finetune --train GROUND/pictures --val GROUND/val --out new.onnx `+tuning+`
report    | report GROUND/run --quiet
report    | report GROUND/oodrun --quiet
compare   | compare GROUND/run GROUND/other --bootstrap 100 --quiet
bench     | bench --data GROUND/pictures --rounds 1 --images 4 --quiet
demo      | demo --limit 10 --bootstrap 100 --quiet
models list   | models list
models show   | models show GROUND/model.onnx
models verify | models verify scenes-base
models add    | models add new GROUND/model.onnx
models fetch  | models fetch zoo-squeezenet1.1 --quiet
models doctor | models doctor scenes-base --data GROUND/pictures --choose 16 --confirm 16 --quiet
datasets list  | datasets list
datasets check | datasets check GROUND/pictures --quiet
datasets corrupt | datasets corrupt GROUND/pictures --out new --corruption fog --severity 1 --recipe raw --limit 2 --quiet
datasets export | datasets export scenes --limit 4 --out new --quiet
datasets fetch  | datasets fetch frost --quiet
runtime status  | runtime status
runtime install | runtime install --quiet
doctor    | doctor
version   | version
`)

// lists are the templates of both kinds: of inputs, and of flags.
type lists struct{ files, flags []template }

func templatesOf(files, flags string) lists {
	parse := func(text string) (out []template) {
		for line := range strings.Lines(strings.TrimSpace(text)) {
			name, command, _ := strings.Cut(line, "|")
			name, kept := strings.CutSuffix(strings.TrimSpace(name), "*")
			t := template{command: name, line: strings.TrimSpace(command)}
			if strings.Contains(command, " --baseline {") || strings.Contains(command, " --ood-run {") { // they are read with the flags
				t.codes = []int{codeUsage}
			}
			if kept {
				t.kept = records
			}
			out = append(out, t)
		}
		return out
	}
	return lists{parse(files), parse(flags)}
}
