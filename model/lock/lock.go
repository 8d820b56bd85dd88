// Package lock reads and writes models.lock files, which pin models: name,
// where they come from, checksum, licence, preprocessing, training, published
// numbers with their source. It also fetches pinned files.
package lock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"cutmix-eval/internal/atomicfile"
	"cutmix-eval/internal/filelock"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
	"cutmix-eval/model"
	"cutmix-eval/recipes"
)

// Version of the file format.
const Version = 1

// Kind says how a model is come by.
type Kind string

// The kinds.
const (
	Embedded Kind = "embedded" // in the program
	Download Kind = "download" // at URL, with a checksum from a public source
	Convert  Kind = "convert"  // published as another kind of file; convert it and add it
	Local    Kind = "local"    // a file of the user's
)

// Entry is one model.
type Entry struct {
	Name      string          `json:"name"`
	Kind      Kind            `json:"kind"`
	About     string          `json:"about,omitempty"`
	URL       string          `json:"url,omitempty"`  // of the ONNX file
	Page      string          `json:"page,omitempty"` // where a person finds the original
	File      string          `json:"file,omitempty"` // of a local model
	SHA256    string          `json:"sha256,omitempty"`
	Size      int64           `json:"size,omitempty"`
	Licence   string          `json:"licence,omitempty"`
	Source    string          `json:"source,omitempty"` // of what is stated here
	Arch      string          `json:"arch,omitempty"`   // torchvision's name, for the converter
	Classes   string          `json:"classes,omitempty"`
	Recipe    json.RawMessage `json:"recipe,omitempty"` // a named recipe, or one as JSON
	Training  *Training       `json:"training,omitempty"`
	Published []Published     `json:"published,omitempty"`
}

// Training says how a model was trained.
type Training struct {
	Method string   `json:"method"` // standard, cutmix, feature-cutmix, mixup, cutout
	Beta   *float64 `json:"beta,omitempty"`
	Prob   *float64 `json:"prob,omitempty"`
	Epochs int      `json:"epochs,omitempty"`
	Head   bool     `json:"head,omitempty"` // only the head was trained so
}

// TrainingKey is where an ONNX file's metadata hold its training, as JSON.
const TrainingKey = "cutmix_eval.training"

// TrainingOf is the training that a model's metadata tell of; nil where they do not.
func TrainingOf(m *model.Model) *Training {
	var t Training
	if err := json.Unmarshal([]byte(m.Metadata(TrainingKey)), &t); err != nil || t.Method == "" {
		return nil
	}
	return &t
}

func (t *Training) String() string {
	if t == nil {
		return "not stated"
	}
	s := t.Method
	if t.Beta != nil {
		s += fmt.Sprintf(", beta %g", *t.Beta)
	}
	if t.Prob != nil {
		s += fmt.Sprintf(", probability %g", *t.Prob)
	}
	if t.Epochs > 0 {
		s += fmt.Sprintf(", %d epochs", t.Epochs)
	}
	if t.Head {
		s += ", head only"
	}
	return s
}

// RecipeOrNil is the entry's recipe; nil for no entry.
func (e *Entry) RecipeOrNil() json.RawMessage {
	if e == nil {
		return nil
	}
	return e.Recipe
}

// TrainingText says how a model was trained, by its entry, which can be nil, or its own
// metadata; empty when that is not known.
func (e *Entry) TrainingText(m *model.Model) string {
	var t *Training
	if m != nil {
		t = TrainingOf(m)
	}
	if e != nil && e.Training != nil {
		t = e.Training
	}
	if t == nil {
		return ""
	}
	return t.String()
}

// Published is a number that somebody else stated; a fraction.
type Published struct {
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	Data   string  `json:"data"`
	Source string  `json:"source"`
}

// Lock is a models.lock file: entries sorted by name.
type Lock struct {
	Version int     `json:"version"`
	Models  []Entry `json:"models"`
}

var (
	goodName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	goodSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Parse reads and checks a lock file.
func Parse(data []byte) (*Lock, error) {
	var l Lock
	if err := strict.Decode(data, &l); err != nil {
		return nil, err
	}
	if l.Version != Version {
		return nil, fmt.Errorf("version %d; this program reads version %d", l.Version, Version)
	}
	for i, e := range l.Models {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("model %q: %w", e.Name, err)
		}
		if i > 0 && l.Models[i-1].Name >= e.Name {
			return nil, fmt.Errorf("model %q is out of order or there twice", e.Name)
		}
	}
	return &l, nil
}

func (e Entry) check() error {
	pinned := goodSHA256.MatchString(e.SHA256) && e.Size > 0
	switch {
	case !goodName.MatchString(e.Name):
		return errors.New("the name must be letters, digits, '.', '_' and '-'")
	case e.Kind == Download && (!pinned || !strings.HasPrefix(e.URL, "https://") && !strings.HasPrefix(e.URL, "http://")):
		return errors.New("a download needs a URL, a SHA-256 and a size")
	case e.Kind == Local && (!pinned || e.File == ""):
		return errors.New("a local model needs a file, a SHA-256 and a size")
	case e.Kind == Embedded && !pinned:
		return errors.New("an embedded model needs a SHA-256 and a size")
	case e.Kind == Convert && e.SHA256 != "":
		return errors.New("a model to convert has no checksum before it is converted")
	case !slices.Contains([]Kind{Embedded, Download, Convert, Local}, e.Kind):
		return fmt.Errorf("kind %q is not known", e.Kind)
	}
	if e.Recipe != nil {
		if err := recipes.Check(e.Recipe); err != nil {
			return fmt.Errorf("recipe: %w", err)
		}
	}
	return nil
}

// Encode writes a lock file; equal locks have equal bytes.
func (l *Lock) Encode() ([]byte, error) {
	slices.SortFunc(l.Models, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	l.Version = Version
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Find returns the entry of that name.
func (l *Lock) Find(name string) (Entry, bool) {
	for _, e := range l.Models {
		if e.Name == name {
			return e, true
		}
	}
	return Entry{}, false
}

// BySHA256 returns the entry with that checksum.
func (l *Lock) BySHA256(sum string) (Entry, bool) {
	for _, e := range l.Models {
		if e.SHA256 == sum && sum != "" {
			return e, true
		}
	}
	return Entry{}, false
}

// Put adds an entry or replaces the one of that name.
func (l *Lock) Put(e Entry) error {
	if err := e.check(); err != nil {
		return fmt.Errorf("model %q: %w", e.Name, err)
	}
	l.Models = slices.DeleteFunc(l.Models, func(o Entry) bool { return o.Name == e.Name })
	l.Models = append(l.Models, e)
	return nil
}

// Read reads a lock file that need not exist.
func Read(path string) (*Lock, error) {
	data, err := regular.Read(path, regular.Small)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{Version: Version}, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return l, nil
}

// Write replaces a lock file in one step.
func (l *Lock) Write(path string) error {
	data, err := l.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Save(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Add puts an entry into the lock file at path, which need not exist, whatever
// other processes add meanwhile.
func Add(ctx context.Context, path string, e Entry) error {
	release, err := filelock.Acquire(ctx, path+".lock", 10*time.Second)
	if err != nil {
		return err
	}
	defer release()
	if err := atomicfile.Clean(filepath.Dir(path), filepath.Base(path)); err != nil {
		return err
	}
	l, err := Read(path)
	if err != nil {
		return err
	}
	if err := l.Put(e); err != nil {
		return err
	}
	return l.Write(path)
}

// Merge returns the entries of both, those of over in place of those of the
// same name in base.
func Merge(base, over *Lock) *Lock {
	out := &Lock{Version: Version, Models: slices.Clone(over.Models)}
	for _, e := range base.Models {
		if _, ok := over.Find(e.Name); !ok {
			out.Models = append(out.Models, e)
		}
	}
	slices.SortFunc(out.Models, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out
}
