package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/npy"
	"cutmix-eval/results"
)

// Names in the folder of a fine-tuning.
const (
	checkpointName = "checkpoint.zip"
	reportName     = "report.json"
	logName        = "log" // .csv and .json
	lockName       = ".lock"
	trialName      = ".trial" // a folder for the file that is tried
)

// checkpoint is what a training goes on from: a zip archive of a JSON text and arrays.
type checkpoint struct {
	Version int         `json:"version"`
	Key     results.Key `json:"key"` // of the training
	History []Epoch     `json:"history"`
}

const checkpointVersion = 2 // 1: other names in the key

// Names in a checkpoint's archive.
const (
	textName      = "checkpoint.json"
	nowName       = "head"
	bestName      = "best"
	optimizerName = "optimizer/"
)

// save writes a checkpoint in dir.
func save(dir string, key results.Key, s state) error {
	text, err := json.MarshalIndent(checkpoint{checkpointVersion, key, s.history}, "", "  ")
	if err != nil {
		return err
	}
	vector := func(v []float64) npy.Array { return npy.Array{Shape: []int{len(v)}, Data: v} }
	a := npy.Archive{Texts: map[string][]byte{textName: text}, Arrays: map[string]npy.Array{nowName: vector(s.at), bestName: vector(s.best)}}
	for i, v := range s.optimizer {
		a.Arrays[fmt.Sprintf("%s%d", optimizerName, i)] = vector(v)
	}
	return atomicfile.Save(filepath.Join(dir, checkpointName), a.Write)
}

// load reads the checkpoint in dir, of a training with this key and number of parameters;
// without one it is the beginning.
func load(dir string, key results.Key, parameters int) (state, error) {
	path := filepath.Join(dir, checkpointName)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return state{}, err
	}
	c, s, err := parseCheckpoint(f, info.Size(), parameters)
	if c.Version == checkpointVersion { // another training has other parameters, too
		if err := c.Key.Same(dir, key); err != nil {
			return state{}, err
		}
	}
	if err != nil {
		return state{}, fmt.Errorf("checkpoint %q: %w", path, err)
	}
	return s, nil
}

func parseCheckpoint(r io.ReaderAt, size int64, parameters int) (checkpoint, state, error) {
	var c checkpoint
	var s state
	a, err := npy.ReadArchive(r, size, 64<<20+5*8*int64(parameters)) // the history, and five vectors
	if err == nil {
		err = json.Unmarshal(a.Texts[textName], &c)
	}
	if err != nil {
		return c, s, err
	}
	if c.Version != checkpointVersion {
		return c, s, fmt.Errorf("it is of version %d, and this program reads %d", c.Version, checkpointVersion)
	}
	s.history, s.at, s.best = c.History, a.Arrays[nowName].Data, a.Arrays[bestName].Data
	for i := 0; ; i++ {
		v, ok := a.Arrays[fmt.Sprintf("%s%d", optimizerName, i)]
		if !ok {
			break
		}
		if len(v.Data) != parameters && len(v.Data) > 1 || !finite(v.Data) {
			return c, s, fmt.Errorf("it holds %d values of the optimizer, not %d, or some that are not finite", len(v.Data), parameters)
		}
		if len(v.Data) == 0 {
			v.Data = nil // not begun
		}
		s.optimizer = append(s.optimizer, v.Data)
	}
	if !slices.ContainsFunc(s.history, func(e Epoch) bool { return e.Best }) {
		return c, s, errors.New("it names no best epoch")
	}
	if len(s.at) != parameters || len(s.best) != parameters || len(s.history) == 0 || !finite(s.at) || !finite(s.best) {
		return c, s, fmt.Errorf("it holds %d parameters of %d, or some that are not finite", len(s.at), parameters)
	}
	return c, s, nil
}
