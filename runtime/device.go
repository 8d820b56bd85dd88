package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// Device is where a model runs: an execution provider and, where there can be
// several, the number of the device.
type Device struct {
	Name  string // one of DeviceNames
	Index int
}

// CPU is the default device.
var CPU = Device{Name: "cpu"}

// provider is the name under which ONNX Runtime reports a device's nodes.
var provider = map[string]string{
	"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
	"webgpu": "WebGpuExecutionProvider", "coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider",
	"openvino": "OpenVINOExecutionProvider",
}

// DeviceNames lists the devices that can be asked for.
func DeviceNames() []string {
	return []string{"cpu", "cuda", "tensorrt", "webgpu", "coreml", "directml", "openvino"}
}

// ParseDevice reads "cpu", "cuda", "cuda:1" and so on.
func ParseDevice(s string) (Device, error) {
	name, index, numbered := strings.Cut(s, ":")
	d := Device{Name: name}
	if !slices.Contains(DeviceNames(), name) {
		return d, fmt.Errorf("device %q is not one of %s", s, strings.Join(DeviceNames(), ", "))
	}
	if numbered {
		n, err := strconv.Atoi(index)
		if err != nil || n < 0 || !slices.Contains([]string{"cuda", "tensorrt", "directml"}, name) {
			return d, fmt.Errorf("device %q: a number may follow cuda, tensorrt and directml, as in cuda:1", s)
		}
		d.Index = n
	}
	return d, nil
}

func (d Device) String() string {
	if d.Index > 0 {
		return fmt.Sprintf("%s:%d", d.Name, d.Index)
	}
	return d.Name
}

// attach adds the device's execution provider to the options.
func (d Device) attach(o *ort.SessionOptions) error {
	id := strconv.Itoa(d.Index)
	switch d.Name {
	case "cpu":
		return nil
	case "cuda":
		c, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		defer c.Destroy()
		if err := c.Update(map[string]string{"device_id": id}); err != nil {
			return err
		}
		return o.AppendExecutionProviderCUDA(c)
	case "tensorrt":
		t, err := ort.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		defer t.Destroy()
		if err := t.Update(map[string]string{"device_id": id}); err != nil {
			return err
		}
		if err := o.AppendExecutionProviderTensorRT(t); err != nil {
			return err
		}
		// What TensorRT cannot take runs on the same card.
		return Device{"cuda", d.Index}.attach(o)
	case "webgpu":
		return o.AppendExecutionProvider("WebGPU", nil)
	case "coreml":
		return o.AppendExecutionProviderCoreMLV2(nil)
	case "directml":
		if err := o.SetMemPattern(false); err != nil { // the provider requires it
			return err
		}
		return o.AppendExecutionProviderDirectML(d.Index)
	case "openvino":
		return o.AppendExecutionProviderOpenVINO(nil)
	}
	return fmt.Errorf("unknown device %q", d.Name)
}

// notStarted explains why a device did not start.
func (d Device) notStarted(err error) error {
	lib := Loaded()
	hint := "cutmix-eval doctor shows which devices start here"
	switch d.Name {
	case "cuda", "tensorrt":
		hint = "it needs the GPU build of ONNX Runtime (--ort-lib), the NVIDIA driver and matching CUDA libraries"
	case "webgpu":
		hint = "it needs a graphics driver with Vulkan, Metal or Direct3D 12"
	case "openvino", "coreml", "directml":
		hint = "it needs an ONNX Runtime build with this provider (--ort-lib)"
	}
	return fmt.Errorf("device %s did not start with ONNX Runtime %s (%s): %w; %s", d, lib.Version, lib.Path, clean(err), hint)
}

// PlacementText says for people how many nodes ran where; empty on the CPU.
func (s *Session) PlacementText() string {
	out := ""
	for _, p := range slices.Sorted(maps.Keys(s.Placement)) {
		out += fmt.Sprintf(", %d nodes on %s", s.Placement[p], strings.TrimSuffix(p, "ExecutionProvider"))
	}
	return out
}

// placement counts nodes by the provider that ran them, from the profile that a
// session wrote.
func placement(prefix string) (map[string]int, error) {
	files, err := filepath.Glob(prefix + "*.json")
	if err != nil || len(files) != 1 {
		return nil, errors.New("the profile of the first run is missing")
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	var events []struct {
		Name string `json:"name"`
		Cat  string `json:"cat"`
		Args struct {
			Provider string `json:"provider"`
		} `json:"args"`
	}
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, fmt.Errorf("reading the profile of the first run: %w", err)
	}
	nodes := map[string]int{}
	for _, e := range events {
		if e.Cat == "Node" && e.Args.Provider != "" && strings.HasSuffix(e.Name, "_kernel_time") {
			nodes[e.Args.Provider]++
		}
	}
	return nodes, nil
}
