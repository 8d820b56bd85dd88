package runtime_test

import (
	"context"
	"testing"

	"cutmix-eval/datasets/scenes"
	"cutmix-eval/internal/long"
	"cutmix-eval/internal/onnx"
	"cutmix-eval/models"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// TestWebGPU runs the embedded model over some scenes on the WebGPU device, on
// SwiftShader where there is no GPU, and asks for the CPU's predictions.
func TestWebGPU(t *testing.T) {
	ortest.SoftwareVulkan(t)
	ortest.Load(t)
	data, ok := models.Bytes("scenes-cutmix")
	if !ok {
		t.Fatal("no embedded model")
	}
	m, err := onnx.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	const batch = 20
	images := batch * long.Or(10, 2) // SwiftShader takes a fifth of a second per scene
	device, err := runtime.ParseDevice("webgpu")
	if err != nil {
		t.Fatal(err)
	}
	predict := func(d runtime.Device) []int {
		s, err := runtime.Open(context.Background(), runtime.Source{Name: "scenes-cutmix", Model: m}, runtime.Options{
			Device: d, Inputs: []runtime.Input{{Shape: []int64{3, scenes.Size, scenes.Size}}}, Outputs: []string{"logits"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		t.Logf("%v: nodes by provider: %v", d, s.Placement)
		b, err := s.NewBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		const plane = scenes.Size * scenes.Size
		var out []int
		for at := 0; at < images; at += batch {
			for i := range batch {
				px, slot := scenes.Generate(scenes.Test, at+i).Pixels, b.Input(0, i)
				for c := range 3 {
					for j := range plane {
						slot[c*plane+j] = (float32(px[3*j+c])/255 - 0.5) / 0.25
					}
				}
			}
			if err := b.Run(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
			for i := range batch {
				best := 0
				for k, v := range b.Output(0, i) {
					if v > b.Output(0, i)[best] {
						best = k
					}
				}
				out = append(out, best)
			}
		}
		return out
	}
	cpu, gpu := predict(runtime.CPU), predict(device)
	right, differ := 0, 0
	for i := range cpu {
		if cpu[i] == scenes.LabelOf(scenes.Test, i) {
			right++
		}
		if cpu[i] != gpu[i] {
			differ++
			t.Errorf("scene %d: %d on webgpu, %d on the cpu", i, gpu[i], cpu[i])
		}
	}
	t.Logf("%d of %d predictions differ; %d are right", differ, images, right)
	if right < images*3/4 {
		t.Errorf("only %d of %d predictions are right: the images are not what they should be", right, images)
	}
}
