package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"cutmix-eval/heads"
	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/npy"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/results"
)

// checkpoint is what a training resumes from: a zip archive of a JSON text and arrays.
type checkpoint struct {
	Version int         `json:"version"`
	Key     results.Key `json:"key"` // of the training
	History heads.Log   `json:"history"`
}

const checkpointVersion = 2 // 1: other names in the key

// Names in a checkpoint's archive.
const (
	textName      = "checkpoint.json"
	nowName       = "head"
	bestName      = "best"
	optimizerName = "optimizer/"
)

// saveCheckpoint writes a checkpoint in dir.
func saveCheckpoint(dir string, key results.Key, s heads.State) error {
	text, err := json.MarshalIndent(checkpoint{checkpointVersion, key, s.Log}, "", "  ")
	if err != nil {
		return err
	}
	vector := func(v []float64) npy.Array { return npy.Array{Shape: []int{len(v)}, Data: v} }
	a := npy.Archive{Texts: map[string][]byte{textName: text}}
	a.Arrays = map[string]npy.Array{nowName: vector(s.Params), bestName: vector(s.Best)}
	for i, v := range s.Optimizer {
		a.Arrays[fmt.Sprintf("%s%d", optimizerName, i)] = vector(v)
	}
	return atomicfile.Save(filepath.Join(dir, checkpointName), a.Write)
}

// loadCheckpoint reads the checkpoint in dir, of a training with this key and number of parameters;
// without one it is the beginning.
func loadCheckpoint(dir string, key results.Key, parameters int) (heads.State, error) {
	path := filepath.Join(dir, checkpointName)
	f, err := regular.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return heads.State{}, nil
	}
	if err != nil {
		return heads.State{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return heads.State{}, err
	}
	c, s, err := parseCheckpoint(f, info.Size(), parameters)
	if c.Version == checkpointVersion { // another training has other parameters, too
		if err := c.Key.Same(dir, key); err != nil {
			return heads.State{}, err
		}
	}
	if err != nil {
		return heads.State{}, fmt.Errorf("checkpoint %q: %w", path, err)
	}
	return s, nil
}

func parseCheckpoint(r io.ReaderAt, size int64, parameters int) (checkpoint, heads.State, error) {
	var c checkpoint
	var s heads.State
	a, err := npy.ReadArchive(r, size, 64<<20+5*8*int64(parameters)) // the history, and five vectors
	if err == nil {
		err = strict.Explain(json.Unmarshal(a.Texts[textName], &c))
	}
	if err != nil {
		return c, s, err
	}
	if c.Version != checkpointVersion {
		return c, s, fmt.Errorf("it is of version %d, and this program reads %d", c.Version, checkpointVersion)
	}
	s = heads.State{Log: c.History, Params: a.Arrays[nowName].Data, Best: a.Arrays[bestName].Data}
	for i := 0; ; i++ {
		v, ok := a.Arrays[fmt.Sprintf("%s%d", optimizerName, i)]
		if !ok {
			return c, s, s.Check(parameters)
		}
		if len(v.Data) == 0 {
			v.Data = nil // not begun
		}
		s.Optimizer = append(s.Optimizer, v.Data)
	}
}

// writeLog writes what the epochs gave, as CSV and JSON.
func writeLog(dir string, log heads.Log, score string) error {
	text, err := json.MarshalIndent(log, "", "  ")
	if err != nil {
		return err
	}
	err = atomicfile.Save(filepath.Join(dir, logName+".csv"), func(w io.Writer) error { return log.WriteCSV(w, score) })
	return errors.Join(err, put(dir, logName+".json", append(text, '\n')))
}

// readLog reads what writeLog has written.
func readLog(dir string) (heads.Log, error) {
	var log heads.Log
	path := filepath.Join(dir, logName+".json")
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return nil, err
	}
	if err = strict.Explain(json.Unmarshal(data, &log)); err == nil {
		err = log.Check()
	}
	if err != nil {
		err = fmt.Errorf("reading %s: %w; run the same command again", path, err)
	}
	return log, err
}
