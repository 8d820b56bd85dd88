package localize

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"cutmix-eval/cam"
	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
)

// TestPossible: what is said to be possible is what the task does, and what it refuses was not
// promised. The classifiers are small ones of every form, of the classes of the scenes.
func TestPossible(t *testing.T) {
	for name, refused := range map[string]map[cam.Method]string{
		"qdq-channel":         {},
		"qdq-squeezenet-relu": {},
		"qop-gemm":            {},
		"qop-conv-softmax":    {},
		"dynamic-matmul":      {},
		"constants-around":    {},
		"fused-gemm":          {cam.CAM: "between them lie [FusedGemm]", cam.AblationCAM: "between them lie"},
		"qdq-flatten":         {cam.CAM: "for every place of it (Flatten)", cam.AblationCAM: "(Flatten)"},
		"qdq-depthwise":       {cam.CAM: "(Flatten)", cam.AblationCAM: "(Flatten)", cam.EigenCAM: "a single place", cam.ScoreCAM: "a single place"},
		"refused-int4":        {cam.CAM: "int4", cam.AblationCAM: "int4", cam.EigenCAM: "int4", cam.ScoreCAM: "int4"},
	} {
		t.Run(name, func(t *testing.T) {
			e := defaults()
			e.model.Model = filepath.Join("..", "..", "model", "testdata", "quantized", name+".onnx")
			e.data.Limit = 2
			e.model.Changes.Resize, e.model.Changes.Crop = &imageproc.Size{H: 16, W: 16}, &imageproc.Size{}
			c, im := e.open(t)
			said, err := Possible(context.Background(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range []cam.Method{cam.CAM, cam.AblationCAM, cam.EigenCAM, cam.ScoreCAM} {
				if (said[m] == nil) != (refused[m] == "") || said[m] != nil && !strings.Contains(said[m].Error(), refused[m]) {
					t.Errorf("%s: %v, want %q", m, said[m], refused[m])
				}
				config := quick()
				config.Method = m
				job, err := Open(context.Background(), c, im, config, "", evaluation.Store{}, Overlays{})
				if err == nil {
					_ = job.Close()
				}
				if (err == nil) != (said[m] == nil) {
					t.Errorf("%s: it was said to be %v, and opening gives %v", m, said[m], err)
				}
			}
		})
	}
}
