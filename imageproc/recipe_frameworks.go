package imageproc

// mlperfResNet50 is MLPerf inference's pre_process_vgg for ResNet-50 of 224 pixels
// (mlcommons/inference, vision/classification_and_detection/python/dataset.py): the shorter side
// becomes int(100 * 224 / 87.5) = 256, the longer int(256*long/short), by INTER_AREA; the crop's
// offset is int((side - 224) / 2). cv2.imread applies the orientation that EXIF gives.
func mlperfResNet50() Recipe {
	return Recipe{
		Resize: Size{256, 256}, Fit: Shorter, Interpolation: Area, Resizer: OpenCV, Crop: Size{224, 224},
		Range: 255, Mean: [3]float32{123.68, 116.78, 103.94}, Std: [3]float32{1, 1, 1}, Exif: true, Layout: NCHW,
	}
}

// paddleClas is the evaluation of PaddleClas' ImageNet configurations (PaddlePaddle/PaddleClas,
// ppcls/data/preprocess/ops/operators.py): ResizeImage(resize_short=256) rounds both sides times
// 256/short half to even, by cv2's default INTER_LINEAR; CropImage(224) starts at
// (side - 224) // 2; NormalizeImage has ImageNet's statistics. cv2.imdecode applies the
// orientation that EXIF gives.
func paddleClas() Recipe {
	r := Standard()
	r.Fit, r.Resizer, r.Exif = Cover, OpenCV, true
	return r
}

// keras is what Keras' utils.load_img(target_size=(224, 224)) and the mode "torch" of its
// applications/imagenet_utils.preprocess_input make: Pillow's nearest, whatever the aspect
// ratio, then ImageNet's statistics. Models of other sizes want another resize.
func keras() Recipe {
	return Recipe{
		Resize: Size{224, 224}, Fit: Squash, Interpolation: Nearest,
		Range: 1, Mean: ImageNetMean, Std: ImageNetStd, Layout: NCHW,
	}
}

// kerasTF is the mode "tf" (MobileNet, ResNetV2, Inception, Xception, NASNet): v/127.5 - 1.
func kerasTF() Recipe {
	r := keras()
	r.Mean, r.Std = [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}
	return r
}

// kerasCaffe is the mode "caffe" (VGG, ResNet): blue first, means subtracted.
func kerasCaffe() Recipe {
	r := keras()
	r.BGR, r.Range = true, 255
	r.Mean, r.Std = [3]float32{103.939, 116.779, 123.68}, [3]float32{1, 1, 1}
	return r
}
