package runtime_test

import (
	"context"
	"testing"

	"cutmix-eval/internal/golden"
	"cutmix-eval/runtime"
	"cutmix-eval/runtime/ortest"
)

// TestWebGPU runs real images on the WebGPU device, on SwiftShader where there
// is no GPU, and asks for the CPU's predictions.
func TestWebGPU(t *testing.T) {
	ortest.SoftwareVulkan(t)
	model := golden.Path(t, "models", "resnet20-cifar10.onnx")
	pix := golden.NPY(t, "golden", "corruptions", "end-to-end-cifar-images.npy")
	const images, batch = 200, 50
	device, err := runtime.ParseDevice("webgpu")
	if err != nil {
		t.Fatal(err)
	}
	predict := func(d runtime.Device) []int {
		s := open(t, model, runtime.Options{Device: d, Shape: []int64{3, 32, 32}, Outputs: []string{"logits"}})
		t.Logf("%v: nodes by provider: %v", d, s.Placement)
		b, err := s.NewBatch(batch)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		var out []int
		for at := 0; at < images; at += batch {
			for i := range batch {
				px := pix.F64[(5*(at+i))*3072:] // every fifth, so that all classes occur
				slot := b.Slot(i)
				for c := range 3 {
					for j := range 1024 {
						slot[c*1024+j] = (float32(px[3*j+c])/255 - 0.45) / 0.225
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
	seen := map[int]bool{}
	for i := range cpu {
		seen[cpu[i]] = true
		if cpu[i] != gpu[i] {
			t.Errorf("image %d: %d on webgpu, %d on the cpu", i, gpu[i], cpu[i])
		}
	}
	if len(seen) < 5 {
		t.Errorf("only %d classes were predicted: the images are not what they should be", len(seen))
	}
}
