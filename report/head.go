package report

import (
	"fmt"

	"cutmix-eval/imageproc"
)

// Head says who evaluated what, and how. It is kept with the records of a run; keys that
// older versions kept there as well are ignored when it is read.
type Head struct {
	Task          string        `json:"task"`
	Tool          Tool          `json:"tool"`
	Model         Model         `json:"model"`   // no name: several models
	Dataset       Dataset       `json:"dataset"` // no name: several data sets
	Preprocessing Preprocessing `json:"preprocessing"`
	Runtime       Runtime       `json:"runtime"`
	Config        Config        `json:"config"`
	Options       string        `json:"options,omitempty"`   // Config for people: what differs from the defaults
	Published     []Number      `json:"published,omitempty"` // what others have measured with the model, by dataset and source
	// Doubts are what speaks against how the model is run; they become warnings of the report.
	Doubts []string `json:"doubts,omitempty"`
}

// Option adds to Options.
func (h *Head) Option(format string, a ...any) {
	if h.Options != "" {
		h.Options += ", "
	}
	h.Options += fmt.Sprintf(format, a...)
}

// Config is what a task was asked to do.
type Config struct {
	Limit int    `json:"limit"` // 0 is all images
	Seed  uint64 `json:"seed"`
	Split string `json:"split,omitempty"`
	Task  any    `json:"task"` // the task's own options
}

// Tool says what made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
}

// Model says which model was run.
type Model struct {
	Name       string `json:"name"`
	Path       string `json:"path,omitempty"`
	SHA256     string `json:"sha256"`
	Bytes      int64  `json:"bytes"`
	Edits      string `json:"edits,omitempty"` // to the file that can change the scores
	Classes    int    `json:"classes"`
	Output     string `json:"output"`           // the tensor that was read
	Choice     string `json:"choice,omitempty"` // why it is read, where several outputs could hold class scores
	Activation string `json:"activation"`       // what follows it in the file: Softmax, …, or none
	Training   string `json:"training,omitempty"`
}

// Dataset says which images were used.
type Dataset struct {
	Name        string   `json:"name"`
	Path        string   `json:"path"`
	Format      string   `json:"format"`
	Recognised  string   `json:"recognised"`
	N           int      `json:"n"`   // images with a result
	Bad         int      `json:"bad"` // images that could not be read
	Classes     int      `json:"classes"`
	Labels      string   `json:"labels"` // how classes were matched to outputs
	Fingerprint string   `json:"fingerprint"`
	Notes       []string `json:"notes,omitempty"`
}

// Preprocessing says what lay between file and tensor. The recipe is JSON as a file beside a
// model holds it.
type Preprocessing struct {
	Recipe      imageproc.Recipe `json:"recipe"`
	Summary     string           `json:"summary"`
	Source      string           `json:"source"`
	Decoder     string           `json:"decoder"`
	Fingerprint string           `json:"fingerprint"`
}

// Runtime says what ran the model, and how. What does not change results is left out where
// they come from records.
type Runtime struct {
	ORT       string         `json:"ort"`
	Library   string         `json:"library,omitempty"`
	Device    string         `json:"device"`
	Threads   int            `json:"threads,omitempty"`
	Workers   int            `json:"workers,omitempty"`
	Batch     int            `json:"batch,omitempty"`
	Placement map[string]int `json:"nodes_by_provider,omitempty"`

	Reused        string `json:"reused,omitempty"`      // run directory that results were read from
	FixedBatch    string `json:"fixed_batch,omitempty"` // what became of a batch size fixed in the file
	PlacementText string `json:"-"`                     // Placement for people
	// Kernels are the processor's instructions for products of integers, of a model that has
	// such; Alone says that the model ran image by image, as results depended on the batch.
	Kernels string `json:"integer_kernels,omitempty"`
	Alone   bool   `json:"image_by_image,omitempty"`
}

// Predictions is the device of scores that were computed elsewhere.
const Predictions = "predictions"

// predicted says that scores were computed elsewhere, so that there is no model here.
func (h Head) predicted() bool { return h.Runtime.Device == Predictions }

func (r Runtime) String() string {
	s := fmt.Sprintf("ONNX Runtime %s on %s", r.ORT, r.Device)
	if r.Device == Predictions {
		return "none: scores were computed elsewhere"
	}
	if r.Threads > 0 {
		s += fmt.Sprintf(", %d threads, %d decoders, batch %d%s", r.Threads, r.Workers, r.Batch, r.PlacementText)
	}
	if r.Kernels != "" {
		s += ", integer kernels " + r.Kernels
	}
	if r.Alone {
		s += ", image by image"
	}
	if r.Reused != "" {
		s += ", results read from " + r.Reused
	}
	return s
}

// Timing holds seconds.
type Timing struct {
	Wall            float64 `json:"wall_s"`
	ImagesPerSecond float64 `json:"images_per_s"`
	Model           float64 `json:"model_s"`
	ModelWaiting    float64 `json:"model_waiting_s"`
	LoadCPU         float64 `json:"load_cpu_s"` // summed over workers
	Startup         float64 `json:"startup_s"`  // before the first image
	Metrics         float64 `json:"metrics_s"`
}

func (t Timing) String() string {
	percent := func(part float64) float64 {
		if t.Wall == 0 {
			return 0
		}
		return 100 * part / t.Wall
	}
	return fmt.Sprintf("%.1f s, %.0f images/s (model %.0f %% of the time, waiting for images %.0f %%)",
		t.Wall, t.ImagesPerSecond, percent(t.Model), percent(t.ModelWaiting))
}
