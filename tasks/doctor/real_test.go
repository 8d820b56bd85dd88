package doctor

import (
	"strings"
	"testing"

	"cutmix-eval/evaluation"
	"cutmix-eval/imageproc"
	"cutmix-eval/internal/golden"
	"cutmix-eval/internal/long"
	"cutmix-eval/pixels"
	"cutmix-eval/runtime/ortest"
)

// Real classifiers, given what they were trained with and other pixels, on a hundred images and on
// more: what is found, and how often the model ran for it at most. Runs are counted, with a tenth more, since
// kernels for other processors round otherwise here and there.
func TestRealModels(t *testing.T) {
	ortest.Load(t)
	triple := func(a, b, c float32) *[3]float32 { return &[3]float32{a, b, c} }
	bgr, top := evaluation.BGR, 255
	type changes = evaluation.Changes
	raw := func(top int) changes { return changes{Range: &top, Mean: triple(0, 0, 0), Std: triple(1, 1, 1)} }
	half := changes{Mean: triple(.5, .5, .5), Std: triple(.5, .5, .5)}
	caffe := changes{Range: &top, Mean: triple(125.307, 122.961, 113.8575), Std: triple(51.5865, 50.847, 51.255)}
	with := func(c changes, change func(c *changes)) changes { change(&c); return c }
	blue := func(c *changes) { c.Color = &bgr }
	squash := func(c *changes) {
		fit := imageproc.Squash
		c.Resize, c.BothSides, c.Fit, c.Crop = &imageproc.Size{H: 48, W: 48}, true, &fit, &imageproc.Size{}
	}
	cifar, gtsrb, mnist := []string{"data", "cifar10-jpeg-test.tar"}, []string{"data", "real", "gtsrb-test860.tar"}, []string{"data", "real", "mnist-png.tar"}
	imagenet := []string{"data", "imagenet-samples-100.tar"}
	for _, c := range []struct {
		name, model string
		data        []string // nil: the scenes
		changes     changes
		few, more   int    // image runs at most, of 100 images and of 1,000 or all; 0: not tried
		flags       string // of what is found on more images, or on the few where there are no more; empty: nothing is better
		fewer       bool   // it is found on the few, too
	}{
		{"scenes", "scenes-cutmix", nil, changes{}, 160, 260, "", false},
		{"scenes, BGR 0..255", "scenes-cutmix", nil, changes{Color: &bgr, Range: &top}, 360, 660, "--color bgr --range 0..1 --mean 0.406,0.456,0.485", true},
		{"Caffe's", "omz_samplenet_cifar10", cifar, with(caffe, blue), 110, 1190, "", false},
		{"RGB for BGR", "omz_samplenet_cifar10", cifar, caffe, 170, 800, "--color bgr --range 0..255", false},
		{"0..1 for Caffe's", "omz_samplenet_cifar10", cifar, raw(1), 400, 670, "--color bgr --range 0..1 --mean 0.406,0.456,0.485", true},
		{"default for Caffe's", "omz_samplenet_cifar10", cifar, changes{}, 230, 710, "--color bgr", false},
		{"-1..1", "winml_cifar10_imageclassifier", cifar, half, 80, 430, "", false},
		{"default for -1..1", "winml_cifar10_imageclassifier", cifar, changes{}, 240, 390, "", false},
		{"BGR for -1..1", "winml_cifar10_imageclassifier", cifar, with(half, blue), 370, 1040, "--color rgb", false},
		{"0..255 for -1..1", "winml_cifar10_imageclassifier", cifar, changes{Range: &top}, 380, 1000, "--color rgb --range 0..1", false},
		{"CIFAR's", "tinycnn_fp32", cifar, changes{Mean: triple(.4914, .4822, .4465), Std: triple(.2470, .2435, .2616)}, 110, 300, "", false},
		{"0..255 for CIFAR's", "tinycnn_fp32", cifar, raw(255), 330, 610, "--color rgb --range 0..1 --mean 0.485,0.456,0.406", true},
		{"0..255, squashed", "gtsrb_3_48_48_qconv", gtsrb, with(raw(255), squash), 44, 220, "", false},
		{"default for 0..255", "gtsrb_3_48_48_qconv", gtsrb, changes{}, 240, 430, "--range 0..255 --mean 0,0,0 --std 1,1,1", true},
		{"0..1 for 0..255", "gtsrb_3_48_48_qconv", gtsrb, raw(1), 230, 420, "--range 0..255 --mean 0,0,0 --std 1,1,1", true},
		{"BGR for RGB", "gtsrb_3_48_48_qconv", gtsrb, with(raw(255), blue), 330, 770, "--color rgb --range 0..255", true},
		{"grey", "burn_mnist", mnist, changes{Mean: triple(.1307, .1307, .1307), Std: triple(.3081, .3081, .3081)}, 40, 100, "", false},
		{"grey, default for MNIST's", "burn_mnist", mnist, changes{}, 370, 590, "--mean 0.1307 --std 0.3081", true},
		{"grey, 0..255 for MNIST's", "burn_mnist", mnist, raw(255), 40, 1290, "--mean 0.1307 --std 0.3081", false},
		{"near chance", "ptf04_fashion_mnist", mnist, raw(1), 360, 330, "", false},
		{"ImageNet's", "q_goku_mobilenetv2_int8", imagenet, changes{}, 115, 0, "", false},
		{"0..255 for ImageNet's", "q_goku_mobilenetv2_int8", imagenet, raw(255), 310, 0, "--color rgb --range 0..1 --mean 0.485", true},
		{"untrained", "q_iict_mobilenetv2_int8", imagenet, changes{}, 340, 0, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, split := 1000, ""
			if strings.Contains(c.model, "gtsrb") {
				all, split = 0, "test" // 860
			}
			if strings.Contains(c.model, "mobilenet") {
				long.Skip(t, "a MobileNet takes seconds for a hundred runs")
			}
			file, d := c.model, evaluation.DefaultDataConfig()
			if c.data != nil {
				file, d.Path, d.Split = golden.Path(t, "models", "real", c.model+".onnx"), golden.Path(t, c.data...), split
			}
			m, err := evaluation.OpenClassifier(evaluation.ModelConfig{Model: file, Changes: c.changes}, evaluation.DefaultRunning())
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			look := func(limit, most int, found bool) {
				t.Helper()
				d.Limit = limit
				im, err := m.Images(d)
				if err != nil {
					t.Fatal(err)
				}
				defer im.Close()
				labels, err := m.Labels(t.Context(), im)
				if err != nil {
					t.Fatal(err)
				}
				s := Subject{Classifier: m, Images: im, Labels: labels}
				res, err := Search(t.Context(), Beside(s), s, nil)
				if err != nil {
					t.Fatal(err)
				}
				if res.Better() != found || found && !strings.Contains(pixels.Flags(res.Chosen().Recipe), c.flags) {
					t.Errorf("of %d: better: %v, %s %+v", limit, res.Better(), pixels.Flags(res.Chosen().Recipe), res.Test)
				}
				if res.Images > most {
					t.Errorf("of %d: %d image runs, more than %d", limit, res.Images, most)
				}
			}
			look(100, c.few, c.fewer)
			if c.more == 0 {
				return
			}
			look(all, c.more, c.flags != "")
		})
	}
}
