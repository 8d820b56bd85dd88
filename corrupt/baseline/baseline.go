// Package baseline is the errors of the model that corruption errors are divided by:
// AlexNet's, or those of a file.
package baseline

import (
	"encoding/json"
	"fmt"

	"cutmix-eval/corrupt"
	"cutmix-eval/internal/regular"
	"cutmix-eval/internal/strict"
)

// Errors are a model's top-1 errors on corrupted images: fractions.
type Errors struct {
	Name  string                                       `json:"name"`
	Clean float64                                      `json:"clean_error"` // of the images as they are; below 0: not known
	By    map[corrupt.Name][corrupt.Severities]float64 `json:"errors"`      // by corruption, then severity
	// MeansOnly are those of which only the mean over severities is known, repeated.
	MeansOnly map[corrupt.Name]bool `json:"means_only,omitempty"`
}

// AlexNet is the baseline of ImageNet-C, torchvision's AlexNet on the published images
// (Hendrycks and Dietterich, ICLR 2019; errors by severity as their repository's issue 10
// lists them; for the four extra corruptions only means are known).
func AlexNet() Errors {
	same := func(v float64) [5]float64 { return [5]float64{v, v, v, v, v} }
	means := map[corrupt.Name]bool{corrupt.SpeckleNoise: true, corrupt.GaussianBlur: true, corrupt.Spatter: true, corrupt.Saturate: true}
	return Errors{Name: "AlexNet", Clean: 0.435, MeansOnly: means, By: map[corrupt.Name][5]float64{
		corrupt.GaussianNoise:    {.69528, .82542, .93554, .98138, .99452},
		corrupt.ShotNoise:        {.71224, .85108, .93574, .98182, .99146},
		corrupt.ImpulseNoise:     {.78374, .89808, .94870, .98720, .99548},
		corrupt.DefocusBlur:      {.65624, .73202, .85036, .91364, .94714},
		corrupt.GlassBlur:        {.64308, .75054, .88806, .91622, .93344},
		corrupt.MotionBlur:       {.58430, .70048, .82108, .89750, .92638},
		corrupt.ZoomBlur:         {.70008, .76992, .80784, .84198, .87198},
		corrupt.Snow:             {.71726, .88392, .86468, .91870, .94952},
		corrupt.Frost:            {.61390, .79734, .88790, .89942, .93430},
		corrupt.Fog:              {.67474, .76050, .84378, .87260, .94500},
		corrupt.Brightness:       {.45140, .48502, .54048, .62166, .72440},
		corrupt.Contrast:         {.64548, .76150, .88874, .97760, .99270},
		corrupt.ElasticTransform: {.52596, .70116, .55686, .64076, .80554},
		corrupt.Pixelate:         {.52218, .54620, .73728, .87092, .91262},
		corrupt.JPEGCompression:  {.51002, .54718, .57294, .65458, .74778},
		corrupt.SpeckleNoise:     same(.845388),
		corrupt.GaussianBlur:     same(.787108),
		corrupt.Spatter:          same(.717512),
		corrupt.Saturate:         same(.658248),
	}}
}

// Read reads a baseline from JSON: {"name": ..., "clean_error": 0.1, "errors":
// {"gaussian_noise": [e1, e2, e3, e4, e5], ...}}, errors as fractions.
func Read(path string) (Errors, error) {
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return Errors{}, err
	}
	b, err := parse(data)
	if err != nil {
		return Errors{}, fmt.Errorf("baseline %q: %w", path, err)
	}
	return b, nil
}

func parse(data []byte) (Errors, error) {
	var raw struct {
		Name   string               `json:"name"`
		Clean  *float64             `json:"clean_error"`
		Errors map[string][]float64 `json:"errors"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return Errors{}, strict.Explain(err)
	}
	b := Errors{Name: raw.Name, Clean: -1, By: map[corrupt.Name][5]float64{}}
	if b.Name == "" {
		b.Name = "baseline"
	}
	if raw.Clean != nil {
		if b.Clean = *raw.Clean; !(b.Clean >= 0 && b.Clean < 1) {
			return b, fmt.Errorf("clean_error %v is not a fraction", b.Clean)
		}
	}
	for name, v := range raw.Errors {
		n, err := corrupt.ParseName(name)
		if err != nil {
			return b, err
		}
		if len(v) != corrupt.Severities {
			return b, fmt.Errorf("%s has %d errors, not one for each of %d severities", name, len(v), corrupt.Severities)
		}
		for _, e := range v {
			if !(e > 0 && e <= 1) {
				return b, fmt.Errorf("%s: error %v is not a fraction above 0", name, e)
			}
		}
		b.By[n] = [5]float64(v)
	}
	if len(b.By) == 0 {
		return b, fmt.Errorf("it has no errors")
	}
	return b, nil
}

// Mean is a corruption's mean error over severities.
func Mean(v [corrupt.Severities]float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / corrupt.Severities
}
