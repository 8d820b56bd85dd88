package recipes

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"cutmix-eval/imageproc"

	"github.com/google/go-cmp/cmp"
)

// of is a model with an input of side pixels, 0 for any.
func of(side int) Input {
	r := imageproc.Standard()
	if side > 0 {
		r.Crop = square(side)
		r.Resize = square(side * 8 / 7)
	}
	return Input{H: side, W: side, Default: r}
}

func grey(side int) Input {
	in := of(side)
	in.Default.Grey, in.Default.Mean, in.Default.Std = true, [3]float32{}, [3]float32{1, 1, 1}
	return in
}

const (
	imageNet = "mean 0.485,0.456,0.406, std 0.229,0.224,0.225, NCHW"
	halves   = "mean 0.5,0.5,0.5, std 0.5,0.5,0.5, NCHW"
	openAI   = "mean 0.48145467,0.4578275,0.40821072, std 0.26862955,0.2613026,0.2757771, NCHW"
	inStats  = `"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]`
	hfStats  = `"image_mean":[0.485,0.456,0.406],"image_std":[0.229,0.224,0.225]`
	hfHalf   = `"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]`
)

// TestRead: files as makers write them. What is right follows from their code: timm 1.0
// (resolve_data_config with use_test_size, transforms_imagenet_eval), transformers 4.57
// (image_processing_*.py), torchvision 0.14 (ImageClassification).
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		in         Input
		want       string // of the recipe, "" for none, or an error that has these words after "!"
	}{
		// This program's own.
		{"both sides, equal", `{"resize":[32,32]}`, of(32), "resize squash 32 bilinear, crop 32, RGB 0..1, " + imageNet},
		{"both sides as text", `{"resize":"32x32"}`, of(32), "resize squash 32 bilinear, crop 32, RGB 0..1, " + imageNet},
		{"the shorter side", `{"resize":32,"crop":"none"}`, of(32), "resize 32 bilinear, RGB 0..1, " + imageNet},
		{"equal sides that are the shorter one", `{"resize":[36,36],"fit":"shorter"}`, of(32), "resize 36 bilinear, crop 32, RGB 0..1, " + imageNet},
		{"version 1 of reports", `{"resize":{"H":36,"W":36},"fit":"shorter","interpolation":"bilinear","crop":{"H":0,"W":0},"range":255,"mean":[0,0,0],"std":[1,1,1],"bgr":true,"layout":"NCHW"}`,
			of(32), "resize 36 bilinear, BGR 0..255, mean 0,0,0, std 1,1,1, NCHW"},
		{"a report's preprocessing", `{"recipe":{"resize":[36,36],"fit":"shorter","interpolation":"bilinear","crop":[32,32],"range":"0..1","mean":[0,0,0],"std":[1,1,1],"color":"rgb","layout":"NCHW"},"summary":"resize 36","source":"default","decoder":"d","fingerprint":"f00"}`,
			of(32), "resize 36 bilinear, crop 32, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW"},
		{"a whole report", `{"schema":2,"task":"classify","model":{"name":"net"},"preprocessing":{"recipe":{"resize":"none","mean":0}}}`, of(32), "no resize, crop 32, RGB 0..1, mean 0,0,0, std 0.229,0.224,0.225, NCHW"},
		{"a name", `{"recipe":"cifar10"}`, of(32), "resize 32 bilinear, crop 32, RGB 0..1, mean 0.4914,0.4822,0.4465, std 0.247,0.2435,0.2616, NCHW"},
		{"everything else", `{"resize":[40,48],"fit":"contain","crop":[40,48],"fill":[1,2,3],"interpolation":"bicubic","resizer":"opencv","exif":true,"range":"0..255","mean":[1,2,3],"std":2}`,
			of(0), "resize contain 40x48 bicubic as opencv, crop 40x48 filled with 1,2,3, EXIF orientation applied, RGB 0..255, mean 1,2,3, std 2,2,2, NCHW"},
		{"one channel", `{"color":"grey","mean":[0.1307],"std":0.3081}`, of(28), "resize 32 bilinear, crop 28, grey 0..1, mean 0.1307, std 0.3081, NCHW"},
		{"one channel of a model that says so", `{"mean":[0.1307],"std":[0.3081]}`, grey(28), "resize 32 bilinear, crop 28, grey 0..1, mean 0.1307, std 0.3081, NCHW"},
		{"Keras, caffe", `{"mode":"caffe","resize":[224,224],"crop":"none"}`, of(224), "resize squash 224 bilinear, BGR 0..255, mean 103.939,116.779,123.68, std 1,1,1, NCHW"},
		{"Keras, tf", `{"mode":"tf","crop":224}`, of(224), "resize 256 bilinear, crop 224, RGB 0..255, mean 127.5,127.5,127.5, std 127.5,127.5,127.5, NCHW"},
		{"Keras, torch", `{"mode":"torch","crop":224}`, of(224), "resize 256 bilinear, crop 224, RGB 0..1, " + imageNet},
		{"with a byte order mark", "\ufeff{\"resize\":32}", of(32), "resize 32 bilinear, crop 32, RGB 0..1, " + imageNet},
		{"a misspelt key", `{"means":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`, of(32), `!key "means" is not one of a recipe; did you mean "mean"?`},
		{"only a misspelt key", `{"means":[0.5,0.5,0.5]}`, of(32), `!did you mean "mean"?`},
		{"another case", `{"Mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`, of(32), `!key "Mean" is not one of a recipe; did you mean "mean"?`},
		{"a key of nobody", `{"mean":[0.5,0.5,0.5],"gamma":2.2}`, of(32), `!key "gamma" is not one of a recipe, which has mean, std,`},
		{"a remark", `{"_comment":"mine","description":"x","resize":32}`, of(32), "resize 32 bilinear, crop 32, RGB 0..1, " + imageNet},
		{"bytes' mean without range", `{"mean":[123.675,116.28,103.53],"std":[58.395,57.12,57.375]}`, of(32), `!say "range": "0..255"`},
		{"another layout", `{"resize":32,"layout":"NHWC"}`, of(32), `!the model's is NCHW`},
		{"no size", `{"resize":0}`, of(32), `!key "resize" is 0`},
		{"half a size", `{"crop":[0,0]}`, of(32), `!key "crop" is [0,0]`},
		{"two values", `{"mean":[1,2]}`, of(32), `!key "mean" has 2 values`},
		{"a colour of nobody", `{"color":"cmyk"}`, of(32), `!key "color" is "cmyk"`},
		{"a mode of nobody", `{"mode":"jax"}`, of(32), `!caffe, tf and torch`},
		{"no JSON", `{"resize":`, of(32), `!it is not JSON`},
		{"nothing that is known, but of pixels", `{"normalize":{"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}}`, of(32), `!key "normalize" is not one of a recipe`},
		{"a mean of something else", `{"mean_accuracy":0.9}`, of(32), ""},
		{"something else", `{"accuracy":0.9,"epochs":3,"steps":[1]}`, of(32), ""},
		{"something else, a list", `[{"resize":3}]`, of(32), ""},
		{"COCO", `{"info":{},"images":[],"annotations":[],"categories":[{"id":1,"name":"a"}]}`, of(32), ""},

		// timm.
		{"resnet50.a1_in1k", `{"architecture":"resnet50","num_classes":1000,"num_features":2048,"pretrained_cfg":{"tag":"a1_in1k","custom_load":false,"input_size":[3,224,224],"test_input_size":[3,288,288],"fixed_input_size":false,"interpolation":"bicubic","crop_pct":0.95,"test_crop_pct":1.0,"crop_mode":"center",` + inStats + `,"num_classes":1000,"pool_size":[7,7],"first_conv":"conv1","classifier":"fc","origin_url":"x","paper_ids":"arXiv:2110.00476"}}`,
			of(0), "resize 288 bicubic, crop 288, RGB 0..1, " + imageNet},
		{"the same, fixed at the size of training", `{"pretrained_cfg":{"input_size":[3,224,224],"test_input_size":[3,288,288],"interpolation":"bicubic","crop_pct":0.95,"test_crop_pct":1.0,` + inStats + `}}`,
			of(224), "resize 235 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"the same, fixed at the size of tests", `{"pretrained_cfg":{"input_size":[3,224,224],"test_input_size":[3,288,288],"interpolation":"bicubic","crop_pct":0.95,"test_crop_pct":1.0,` + inStats + `}}`,
			of(288), "resize 288 bicubic, crop 288, RGB 0..1, " + imageNet},
		{"vit_base_patch16_224.augreg", `{"architecture":"vit_base_patch16_224","num_classes":1000,"num_features":768,"global_pool":"token","pretrained_cfg":{"tag":"augreg_in21k_ft_in1k","custom_load":true,"input_size":[3,224,224],"fixed_input_size":true,"interpolation":"bicubic","crop_pct":0.9,"crop_mode":"center","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"num_classes":1000,"pool_size":null,"first_conv":"patch_embed.proj","classifier":"head"}}`,
			of(224), "resize 248 bicubic, crop 224, RGB 0..1, " + halves},
		{"efficientnet_b0.ra_in1k, flat", `{"url":"","num_classes":1000,"input_size":[3,224,224],"pool_size":[7,7],"crop_pct":0.875,"interpolation":"bicubic",` + inStats + `,"first_conv":"conv_stem","classifier":"classifier","architecture":"efficientnet_b0"}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"beit, squash", `{"pretrained_cfg":{"input_size":[3,224,224],"interpolation":"bicubic","crop_pct":0.9,"crop_mode":"squash","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}}`,
			of(224), "resize squash 248 bicubic, crop 224, RGB 0..1, " + halves},
		{"border", `{"input_size":[3,224,224],"interpolation":"bicubic","crop_pct":1.0,"crop_mode":"border",` + inStats + `}`,
			of(224), "resize contain 224 bicubic, crop 224 filled with 124,116,104, RGB 0..1, " + imageNet},
		{"convnext at 384", `{"pretrained_cfg":{"input_size":[3,384,384],"crop_pct":1.0,"crop_mode":"squash","interpolation":"bicubic",` + inStats + `}}`,
			of(384), "resize squash 384 bicubic, crop 384, RGB 0..1, " + imageNet},
		{"not square", `{"input_size":[3,32,48],"crop_pct":0.9,"interpolation":"bicubic","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}`,
			of(0), "resize cover 35x53 bilinear, crop 32x48, RGB 0..1, " + halves},
		{"only a size", `{"input_size":[3,64,64]}`, of(64), "resize 73 bicubic, crop 64, RGB 0..1, " + imageNet},
		{"no mode, no share", `{"input_size":[3,64,64],"crop_mode":null,"crop_pct":null,"interpolation":null}`, of(64), "resize 73 bicubic, crop 64, RGB 0..1, " + imageNet},
		{"one channel, timm", `{"input_size":[1,28,28],"mean":[0.1307],"std":[0.3081],"crop_pct":1,"interpolation":"bilinear"}`, grey(28), "resize 28 bilinear, crop 28, grey 0..1, mean 0.1307, std 0.3081, NCHW"},
		{"a new key that is irrelevant", `{"pretrained_cfg":{"input_size":[3,64,64],"training_tokens":5,"release_year":2031}}`, of(64), "resize 73 bicubic, crop 64, RGB 0..1, " + imageNet},
		{"a misspelt key, timm", `{"input_size":[3,64,64],"crop_percent":0.9}`, of(64), `!key "crop_percent"`},
		{"a misspelt key, nested", `{"pretrained_cfg":{"input_sizes":[3,64,64],"crop_pct":0.9}}`, of(64), `!did you mean "input_size"?`},
		{"four channels", `{"input_size":[4,64,64]}`, of(64), `!1 or 3 channels`},
		{"sizes of two numbers", `{"input_size":[64,64]}`, of(64), `![channels, height, width]`},
		{"a mode of nobody, timm", `{"input_size":[3,64,64],"crop_mode":"tile"}`, of(64), `!center, squash and border`},
		{"a share of nothing", `{"input_size":[3,64,64],"crop_pct":0.0001}`, of(64), `!key "crop_pct" is 0.0001`},
		{"random", `{"input_size":[3,64,64],"interpolation":"random"}`, of(64), `!interpolation "random"`},

		// Hugging Face.
		{"ViT", `{"do_normalize":true,"do_resize":true,"do_rescale":true,` + hfHalf + `,"image_processor_type":"ViTImageProcessor","resample":2,"rescale_factor":0.00392156862745098,"size":{"height":224,"width":224}}`,
			of(224), "resize squash 224 bilinear, RGB 0..1, " + halves},
		{"ViT before 4.25", `{"do_normalize":true,"do_resize":true,` + hfHalf + `,"size":224}`, of(224), "resize squash 224 bilinear, RGB 0..1, " + halves},
		{"ViT, feature extractor", `{"do_normalize":true,"do_resize":true,"feature_extractor_type":"ViTFeatureExtractor",` + hfHalf + `,"resample":2,"size":384}`,
			of(384), "resize squash 384 bilinear, RGB 0..1, " + halves},
		{"ViT, defaults", `{"image_processor_type":"ViTImageProcessorFast"}`, of(224), "resize squash 224 bilinear, RGB 0..1, " + halves},
		{"DeiT", `{"crop_size":224,"do_center_crop":true,"do_normalize":true,"do_resize":true,"feature_extractor_type":"DeiTFeatureExtractor",` + hfStats + `,"resample":3,"size":256}`,
			of(224), "resize squash 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"BEiT", `{"crop_size":{"height":224,"width":224},"do_center_crop":false,"do_normalize":true,"do_reduce_labels":false,"do_rescale":true,"do_resize":true,"image_processor_type":"BeitImageProcessor",` + hfHalf + `,"resample":2,"rescale_factor":0.00392156862745098,"size":{"height":224,"width":224}}`,
			of(224), "resize squash 224 bilinear, RGB 0..1, " + halves},
		{"ConvNext, 224", `{"crop_pct":0.875,"do_normalize":true,"do_resize":true,"feature_extractor_type":"ConvNextFeatureExtractor",` + hfStats + `,"resample":3,"size":224}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"ConvNext, no share", `{"crop_pct":null,"image_processor_type":"ConvNextImageProcessor",` + hfStats + `,"resample":3,"size":{"shortest_edge":224}}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"ConvNext, 384", `{"crop_pct":0.875,"image_processor_type":"ConvNextImageProcessor",` + hfStats + `,"resample":3,"size":{"shortest_edge":384}}`,
			of(384), "resize squash 384 bicubic, RGB 0..1, " + imageNet},
		{"ConvNext with both sides", `{"image_processor_type":"ConvNextImageProcessor","size":{"height":224,"width":224}}`, of(224), "!shortest_edge only"},
		{"MobileNetV2", `{"crop_size":{"height":224,"width":224},"do_center_crop":true,"do_normalize":true,"do_rescale":true,"do_resize":true,` + hfHalf + `,"image_processor_type":"MobileNetV2ImageProcessor","resample":2,"rescale_factor":0.00392156862745098,"size":{"shortest_edge":256}}`,
			of(224), "resize 256 bilinear, crop 224, RGB 0..1, " + halves},
		{"LeViT", `{"crop_size":{"height":224,"width":224},"do_center_crop":true,"image_processor_type":"LevitImageProcessor",` + hfStats + `,"resample":3,"size":{"shortest_edge":224}}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"PoolFormer", `{"crop_pct":0.9,"crop_size":{"height":224,"width":224},"do_center_crop":true,"image_processor_type":"PoolFormerImageProcessor",` + hfStats + `,"resample":3,"size":{"shortest_edge":224}}`,
			of(224), "resize 248 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"PoolFormer, both sides", `{"crop_pct":0.95,"image_processor_type":"PoolFormerImageProcessor",` + hfStats + `,"size":{"height":224,"width":224}}`,
			of(224), "resize 235 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"PoolFormer without share", `{"crop_pct":null,"image_processor_type":"PoolFormerImageProcessor",` + hfStats + `,"size":{"shortest_edge":256}}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"CLIP", `{"crop_size":224,"do_center_crop":true,"do_normalize":true,"do_resize":true,"feature_extractor_type":"CLIPFeatureExtractor","image_mean":[0.48145466,0.4578275,0.40821073],"image_std":[0.26862954,0.26130258,0.27577711],"resample":3,"size":224}`,
			of(224), "resize 224 bicubic, crop 224, RGB 0..1, " + openAI},
		{"CLIP, defaults", `{"image_processor_type":"CLIPImageProcessor"}`, of(224), "resize 224 bicubic, crop 224, RGB 0..1, " + openAI},
		{"SigLIP", `{"do_convert_rgb":null,"do_normalize":true,"do_rescale":true,"do_resize":true,` + hfHalf + `,"image_processor_type":"SiglipImageProcessor","processor_class":"SiglipProcessor","resample":3,"rescale_factor":0.00392156862745098,"size":{"height":224,"width":224}}`,
			of(224), "resize squash 224 bicubic, RGB 0..1, " + halves},
		{"DINOv2 (BiT)", `{"crop_size":{"height":224,"width":224},"do_center_crop":true,"do_convert_rgb":true,"do_normalize":true,"do_rescale":true,"do_resize":true,` + hfStats + `,"image_processor_type":"BitImageProcessor","resample":3,"rescale_factor":0.00392156862745098,"size":{"shortest_edge":256}}`,
			of(224), "resize 256 bicubic, crop 224, RGB 0..1, " + imageNet},
		{"EfficientNet", `{"crop_size":{"height":289,"width":289},"do_center_crop":false,"do_normalize":true,"do_rescale":true,"do_resize":true,"image_mean":[0.5,0.5,0.5],"image_processor_type":"EfficientNetImageProcessor","image_std":[0.5,0.5,0.5],"include_top":false,"resample":0,"rescale_factor":0.00392156862745098,"rescale_offset":false,"size":{"height":224,"width":224}}`,
			of(224), "resize squash 224 nearest, RGB 0..1, " + halves},
		{"EfficientNet, divided again", `{"image_processor_type":"EfficientNetImageProcessor","image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"include_top":true,"size":{"height":224,"width":224}}`,
			of(224), "resize squash 224 nearest, RGB 0..1, mean 0.5,0.5,0.5, std 0.25,0.25,0.25, NCHW"},
		{"offset", `{"image_processor_type":"EfficientNetImageProcessor","do_normalize":false,"include_top":false,"rescale_factor":0.00784313725490196,"rescale_offset":true,"resample":2,"size":224}`,
			of(224), "resize squash 224 bilinear, RGB 0..255, mean 127.5,127.5,127.5, std 127.5,127.5,127.5, NCHW"},
		{"offset of another factor", `{"image_processor_type":"EfficientNetImageProcessor","rescale_factor":0.00392156862745098,"rescale_offset":true}`, of(224), "!rescale_offset"},
		{"MobileViT", `{"crop_size":{"height":256,"width":256},"do_center_crop":true,"do_flip_channel_order":true,"do_resize":true,"do_rescale":true,"image_processor_type":"MobileViTImageProcessor","resample":2,"size":{"shortest_edge":288}}`,
			of(256), "resize 288 bilinear, crop 256, BGR 0..1, mean 0,0,0, std 1,1,1, NCHW"},
		{"bytes", `{"do_rescale":false,"do_normalize":false,"image_processor_type":"ViTImageProcessor"}`, of(224), "resize squash 224 bilinear, RGB 0..255, mean 0,0,0, std 1,1,1, NCHW"},
		{"no resize", `{"do_resize":false,"do_center_crop":true,"crop_size":224,"image_processor_type":"CLIPImageProcessor"}`, of(224), "no resize, crop 224, RGB 0..1, " + openAI},
		{"lanczos", `{"resample":1,"size":{"height":8,"width":8},` + hfHalf + `}`, of(8), "resize squash 8 lanczos, RGB 0..1, " + halves},
		{"longest edge and crop", `{"image_processor_type":"CLIPImageProcessor","size":{"longest_edge":224}}`, of(224), "resize contain 224 bicubic, crop 224, RGB 0..1, " + openAI},
		{"longest edge alone", `{"image_processor_type":"ViTImageProcessor","size":{"longest_edge":224}}`, of(224), "!longest_edge without a centre crop"},
		{"processor_config", `{"image_processor":{"image_processor_type":"ViTImageProcessor","size":{"height":32,"width":32}},"processor_class":"X"}`, of(32), "resize squash 32 bilinear, RGB 0..1, " + halves},
		{"timm wrapper", `{"image_processor_type":"TimmWrapperImageProcessor","architecture":"resnet18","pretrained_cfg":{"input_size":[3,32,32],"crop_pct":1}}`, of(32), "resize 32 bicubic, crop 32, RGB 0..1, " + imageNet},
		{"another processor", `{"image_processor_type":"DonutImageProcessor","size":[2560,1920]}`, of(0), `!"DonutImageProcessor", which is not one of those that are read: Beit, Bit,`},
		{"another step", `{"image_processor_type":"ViTImageProcessor","do_align_long_axis":true}`, of(224), `!key "do_align_long_axis"`},
		{"a misspelt key, processor", `{"image_processor_type":"ViTImageProcessor","image_means":[0,0,0]}`, of(224), `!did you mean "image_mean"?`},
		{"a new key that is irrelevant, processor", `{"image_processor_type":"ViTImageProcessor","cache_dir":"x","backend_version":3}`, of(224), "resize squash 224 bilinear, RGB 0..1, " + halves},
		{"padding", `{"image_processor_type":"ViTImageProcessor","do_pad":true,"pad_size":{"height":3,"width":3}}`, of(224), `!key "do_pad"`},
		{"a filter of nobody", `{"image_processor_type":"ViTImageProcessor","resample":7}`, of(224), `!key "resample" is 7`},
		{"a model's configuration", `{"architectures":["ViTForImageClassification"],"model_type":"vit","image_size":224,"hidden_size":768,"layout":"x"}`, of(224), ""},

		// torchvision.
		{"torchvision", `{"crop_size":[224],"resize_size":[232],` + inStats + `,"interpolation":"InterpolationMode.BILINEAR","antialias":true}`, of(224), "resize 232 bilinear, crop 224, RGB 0..1, " + imageNet},
		{"torchvision, short", `{"crop_size":384}`, of(384), ""},
		{"torchvision, both sides", `{"crop_size":[300,300],"resize_size":[320,320],"interpolation":"bicubic"}`, of(300), "resize squash 320 bicubic, crop 300, RGB 0..1, " + imageNet},
		{"torchvision, one side", `{"resize_size":256}`, of(224), "!without crop_size"},
		{"torchvision, misspelt", `{"resize_size":256,"crop_size":224,"interpolatoin":"bicubic"}`, of(224), `!did you mean "interpolation"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Read([]byte(c.text), c.in)
			words, refused := strings.CutPrefix(c.want, "!")
			switch {
			case refused:
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%+v, %v; want an error with %q", f.Recipe, err, words)
				}
			case err != nil:
				t.Error(err)
			case f.Recipe == nil:
				if c.want != "" {
					t.Errorf("nothing; want %s", c.want)
				}
			case f.Recipe.String() != c.want:
				t.Errorf("%s\nwant %s", f.Recipe, c.want)
			}
		})
	}
}

// TestValues: what the recipe makes of a byte is what the image processor makes of it.
func TestValues(t *testing.T) {
	half := [2]float64{0.4, 0.3}
	for name, c := range map[string]struct {
		keys string
		of   func(x float64) float64
	}{
		"1/255":               {`"do_normalize":true`, func(x float64) float64 { return (x/255 - half[0]) / half[1] }},
		"rounded 1/255":       {`"rescale_factor":0.003921569`, func(x float64) float64 { return (x/255 - half[0]) / half[1] }},
		"another factor":      {`"rescale_factor":0.01`, func(x float64) float64 { return (x*0.01 - half[0]) / half[1] }},
		"factor 1":            {`"rescale_factor":1`, func(x float64) float64 { return (x - half[0]) / half[1] }},
		"not rescaled":        {`"do_rescale":false`, func(x float64) float64 { return (x - half[0]) / half[1] }},
		"not normalised":      {`"do_normalize":false`, func(x float64) float64 { return x / 255 }},
		"neither":             {`"do_normalize":false,"do_rescale":false`, func(x float64) float64 { return x }},
		"offset":              {`"rescale_factor":0.00784313725490196,"rescale_offset":true`, func(x float64) float64 { return (x/127.5 - 1 - half[0]) / half[1] }},
		"twice":               {`"include_top":true`, func(x float64) float64 { return (x/255 - half[0]) / half[1] / half[1] }},
		"twice, unnormalised": {`"include_top":true,"do_normalize":false`, func(x float64) float64 { return x / 255 / half[1] }},
		"twice, offset": {`"include_top":true,"rescale_factor":0.00784313725490196,"rescale_offset":true`,
			func(x float64) float64 { return (x/127.5 - 1 - half[0]) / half[1] / half[1] }},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Read([]byte(`{"size":8,"image_mean":[0.4,0.4,0.4],"image_std":[0.3,0.3,0.3],`+c.keys+`}`), of(8))
			if err != nil {
				t.Fatal(err)
			}
			r := f.Recipe
			for _, x := range []float64{0, 1, 100, 255} {
				got := (x/(255/float64(r.Range)) - float64(r.Mean[1])) / float64(r.Std[1])
				// float32 mean and std: 2^-24 of them; 0.003921569 is 1.1e-7 off 1/255.
				if want := c.of(x); math.Abs(got-want) > 1e-6*(1+math.Abs(want)) {
					t.Errorf("%v becomes %v, want %v", x, got, want)
				}
			}
		})
	}
}

func TestClasses(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		want  []string
		count int
	}{
		"transformers":              {`{"id2label":{"0":"dog","1":"cat"},"label2id":{"cat":1,"dog":0},"model_type":"vit"}`, []string{"dog", "cat"}, 2},
		"transformers, ten or more": {`{"id2label":{"0":"a","1":"b","2":"c","3":"d","4":"e","5":"f","6":"g","7":"h","8":"i","9":"j","10":"k"}}`, strings.Split("abcdefghijk", ""), 11},
		"only label2id":             {`{"label2id":{"cat":1,"dog":0},"architectures":["X"]}`, []string{"dog", "cat"}, 2},
		"placeholders":              {`{"id2label":{"0":"LABEL_0","1":"LABEL_1"}}`, nil, 2},
		"a hole":                    {`{"id2label":{"0":"a","2":"b"}}`, nil, 0},
		"timm":                      {`{"architecture":"r","num_classes":2,"label_names":["n1","n2"],"label_descriptions":{"n1":"x"},"pretrained_cfg":{"input_size":[3,32,32],"num_classes":1000}}`, []string{"n1", "n2"}, 2},
		"timm, the weights' names":  {`{"num_classes":2,"pretrained_cfg":{"input_size":[3,32,32],"num_classes":3,"label_names":["a","b","c"]}}`, nil, 2},
		"timm, names inside":        {`{"pretrained_cfg":{"input_size":[3,32,32],"label_names":["a","b","c"]}}`, []string{"a", "b", "c"}, 3},
		"timm, number only":         {`{"input_size":[3,32,32],"num_classes":1000}`, nil, 1000},
		"Keras' class index":        {`{"labels":{"0":["n01440764","tench"],"1":["n01443537","goldfish"]}}`, []string{"n01440764", "n01443537"}, 2},
		"beside a recipe":           {`{"mean":0.5,"std":0.5,"classes":["x","y"]}`, []string{"x", "y"}, 2},
		"a number":                  {`{"mean":0.5,"std":0.5,"classes":2}`, nil, 0},
		"none":                      {`{"a":1}`, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Read([]byte(c.text), of(32))
			if err != nil || !cmp.Equal(f.Classes, c.want) || f.Count != c.count {
				t.Errorf("%q of %d, %v; want %q of %d", f.Classes, f.Count, err, c.want, c.count)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	yolo := map[string]string{
		"description": "Ultralytics YOLOv8n-cls model", "author": "Ultralytics", "version": "8.3.0", "stride": "1", "task": "classify",
		"batch": "1", "imgsz": "[224, 224]", "names": `{0: 'tench', 1: "cock's \"comb\"", 2: 'caf\xe9'}`, "args": "{'batch': 1, 'half': False, 'nms': None}",
	}
	with := func(m map[string]string, kv ...string) map[string]string {
		out := map[string]string{}
		for k, v := range m {
			out[k] = v
		}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	for name, c := range map[string]struct {
		meta  map[string]string
		want  string
		whole bool
		names []string
	}{
		"Ultralytics":           {yolo, "resize 224 bilinear, crop 224, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW", true, []string{"tench", `cock's "comb"`, "café"}},
		"Ultralytics, a share":  {with(yolo, "args", "{'crop_fraction': 0.875}", "names", ""), "resize 256 bilinear, crop 224, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW", true, nil},
		"Ultralytics, sides":    {with(yolo, "imgsz", "[32, 64]", "names", ""), "resize squash 32x64 bilinear, crop 32x64, RGB 0..1, mean 0,0,0, std 1,1,1, NCHW", true, nil},
		"Ultralytics, detector": {with(yolo, "task", "detect"), `!"task" of Ultralytics' metadata is "detect"`, false, nil},
		"Ultralytics, no size":  {with(yolo, "imgsz", "big"), `!"imgsz"`, false, nil},
		"recipe":                {map[string]string{"recipe": `{"resize":40,"crop":32}`, "classes": `["a","b"]`}, "resize 40 bilinear, crop 32, RGB 0..1, " + imageNet, true, []string{"a", "b"}},
		"recipe, a name":        {map[string]string{"recipe": "imagenet-v2", "classes": "a, b"}, "resize 232 bilinear, crop 224, RGB 0..1, " + imageNet, true, []string{"a", "b"}},
		"recipe, no name":       {map[string]string{"recipe": "best"}, `!recipe "best" is not one of`, false, nil},
		"timm":                  {map[string]string{"pretrained_cfg": `{'input_size': (3, 32, 32), 'crop_pct': 0.9, 'mean': (0.5, 0.5, 0.5), 'std': (0.5, 0.5, 0.5), 'pool_size': None, 'label_names': ['x', 'y']}`}, "resize 35 bicubic, crop 32, RGB 0..1, " + halves, true, []string{"x", "y"}},
		"timm, broken":          {map[string]string{"pretrained_cfg": `{'input_size': (3, 32`}, `!key "pretrained_cfg" is neither JSON nor a Python dict`, false, nil},
		"mean and std":          {map[string]string{"mean": "0.5, 0.5, 0.5", "std": "[0.5, 0.5, 0.5]", "id2label": `{"0": "a", "1": "b"}`}, "resize 36 bilinear, crop 32, RGB 0..1, " + halves, false, []string{"a", "b"}},
		"and range":             {map[string]string{"mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375", "range": "0..255", "color": "BGR"}, "resize 36 bilinear, crop 32, BGR 0..255, mean 123.675,116.28,103.53, std 58.395,57.12,57.375, NCHW", false, nil},
		"without range":         {map[string]string{"mean": "123.675,116.28,103.53", "std": "58.395,57.12,57.375"}, `!say "range"`, false, nil},
		"Keras' mode":           {map[string]string{"mode": "tf"}, "resize 36 bilinear, crop 32, RGB 0..255, mean 127.5,127.5,127.5, std 127.5,127.5,127.5, NCHW", false, nil},
		"another mode":          {map[string]string{"mode": "eval"}, "", false, nil},
		"nothing":               {map[string]string{"license": "x", "names": "resnet"}, "", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, whole, err := Metadata(c.meta, of(32))
			if words, refused := strings.CutPrefix(c.want, "!"); refused {
				if err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%+v, %v; want an error with %q", f.Recipe, err, words)
				}
				return
			}
			got := ""
			if f.Recipe != nil {
				got = f.Recipe.String()
			}
			if err != nil || got != c.want || whole != c.whole {
				t.Errorf("%q, whole %v, %v\nwant %q, %v", got, whole, err, c.want, c.whole)
			}
			if names := MetadataClasses(c.meta); !cmp.Equal(names, c.names) {
				t.Errorf("classes %q, want %q", names, c.names)
			}
		})
	}
}

// FuzzRead: nothing panics, what is accepted is valid, and is read as it was when it is written.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"resize":[20,30],"crop":"none","crop_pct":0.9,"input_size":[3,4,5]}`,
		`{"resize":"none","crop":[20,30],"fit":"squash","interpolation":"lanczos","mean":[1e-3,0.1,120],"std":[0.3,58.395,1],"color":"bgr","range":"0..255"}`,
		`{"pretrained_cfg":{"input_size":[3,32,48],"crop_mode":"border","mean":[0.5,0.5,0.5]},"label_names":{"0":"a"}}`,
		`{"image_processor_type":"EfficientNetImageProcessor","rescale_factor":0.0078431372,"rescale_offset":true,"size":{"shortest_edge":7}}`,
		`{"feature_extractor_type":"PoolFormerFeatureExtractor","size":{"height":7,"width":9},"crop_pct":null,"do_pad":true}`,
		`{"resize_size":[256],"crop_size":224,"interpolation":"InterpolationMode.BICUBIC"}`,
		`{"preprocessing":{"recipe":{"mode":"caffe","fill":[1,2,3],"resizer":"tensorflow","color":"grey","mean":0.5,"std":1}}}`,
	} {
		f.Add([]byte(text))
	}
	for _, name := range imageproc.RecipeNames() {
		r, err := imageproc.NamedRecipe(name[0])
		if err != nil {
			f.Fatal(err)
		}
		text, err := Encode(r, false)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, in := range []Input{of(0), grey(28)} {
			found, err := Read(data, in)
			if err != nil || found.Recipe == nil {
				continue
			}
			r := *found.Recipe
			if err := r.Validate(); err != nil {
				t.Fatalf("accepted %+v: %v", r, err)
			}
			text, err := Encode(r, false)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Read(text, Input{Default: imageproc.Recipe{Layout: r.Layout}})
			if err != nil || again.Recipe == nil || *again.Recipe != r {
				t.Fatalf("%+v is written as %s and read as %+v: %v", r, text, again.Recipe, err)
			}
		}
	})
}

// What is wrong with a file of transformers names the key, and the flag by which to do without it.
func TestInstead(t *testing.T) {
	for _, c := range []struct{ json, key, flag string }{
		{`"do_resize":true,` + hfHalf, "do_resize", "--resize"},
		{`"do_resize":"no"`, "do_resize", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":{"shortest_edge":32}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":{"longest_edge":32}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":{"shortest_edge":32,"longest_edge":64}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":{"height":32}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":{"max_height":32,"max_width":32}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":[3,32,32]`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":"32"`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","size":0`, "size", "--resize"},
		{`"image_processor_type":"ConvNextImageProcessor","size":{"height":32,"width":32}`, "size", "--resize"},
		{`"image_processor_type":"ViTImageProcessor","do_center_crop":true`, "do_center_crop", "--crop"},
		{`"image_processor_type":"ViTImageProcessor","do_center_crop":true,"crop_size":{"shortest_edge":32}`, "crop_size", "--crop"},
		{`"image_processor_type":"ViTImageProcessor","resample":9`, "resample", "--interpolation"},
		{`"image_processor_type":"ViTImageProcessor","rescale_offset":true`, "rescale_offset", "--range, --mean and --std"},
		{`"image_processor_type":"ViTImageProcessor","rescale_factor":0`, "rescale_factor", "--range, --mean and --std"},
		{`"image_processor_type":"ViTImageProcessor","do_rescale":1`, "do_rescale", "--range"},
		{`"image_processor_type":"ViTImageProcessor","do_normalize":1`, "do_normalize", "--mean and --std"},
		{`"image_processor_type":"ViTImageProcessor","image_mean":[0.5,0.5]`, "image_mean", "--mean"},
		{`"image_processor_type":"ViTImageProcessor","image_std":[0.5,0,0.5]`, "image_std", "--std"},
		{`"image_processor_type":"ViTImageProcessor","do_flip_channel_order":true,"image_mean":[0.1,0.2,0.3]`, "do_flip_channel_order", "--color"},
		{`"image_processor_type":"ViTImageProcessor","do_pad":true,"pad_size":{"height":40,"width":40}`, "do_pad", "--fit"},
		{`"image_processor_type":"DetrImageProcessor"`, "image_processor_type", "flags for what differs"},
		{`"image_processor_type":"ViTImageProcessor","do_thumbnail":true`, "do_thumbnail", "flags for what differs"},
		{`"image_processor_type":"ViTImageProcessor","do_align_long_axis":true`, "do_align_long_axis", "flags for what differs"},
	} {
		_, err := Read([]byte("{"+c.json+"}"), of(32))
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("key %q", c.key)) || !strings.Contains(err.Error(), "give --recipe NAME with "+c.flag+" instead") {
			t.Errorf("%s: %v, want key %q and flag %q", c.json, err, c.key, c.flag)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("pretrained_cfg", `{'input_size': (3, 32, 32), 'a': [True, None, 1e3, "x\n"]}`)
	f.Add("names", `{0: 'a', 1: 'b\'c'}`)
	f.Add("mean", "1,2,3")
	f.Add("imgsz", "[32, 64]")
	f.Fuzz(func(t *testing.T, key, text string) {
		meta := map[string]string{"std": "1,1,1", "mean": "0,0,0", "stride": "1", "task": "classify", key: text}
		found, _, err := Metadata(meta, of(32))
		if err == nil && found.Recipe != nil {
			if err := found.Recipe.Validate(); err != nil {
				t.Fatalf("accepted %+v: %v", found.Recipe, err)
			}
		}
		MetadataClasses(meta)
	})
}
