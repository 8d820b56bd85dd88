package imageproc

import (
	"encoding/json"
	"testing"
)

func scenes() Recipe {
	return Recipe{
		Resize: Size{64, 80}, Fit: Squash, Interpolation: Bilinear, Range: 255, Mean: [3]float32{0.5, 0.25, 0.125}, Std: [3]float32{0.25, 1, 2},
		BGR: true, Layout: NHWC,
	}
}

func TestRecipeJSON(t *testing.T) {
	const want = `{"resize":[64,80],"fit":"squash","interpolation":"bilinear","crop":"none","range":"0..255",` +
		`"mean":[0.5,0.25,0.125],"std":[0.25,1,2],"color":"bgr","layout":"NHWC"}`
	got, err := json.Marshal(scenes())
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	for name, text := range map[string]string{
		"as it is written": want,
		"as version 1 of reports has it": `{"resize":{"H":64,"W":80},"fit":"squash","interpolation":"bilinear",` +
			`"crop":{"H":0,"W":0},"range":255,"mean":[0.5,0.25,0.125],"std":[0.25,1,2],"bgr":true,"layout":"NHWC"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var r Recipe
			if err := json.Unmarshal([]byte(text), &r); err != nil || r != scenes() {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	for name, text := range map[string]string{
		"color": `{"color":"cmyk"}`, "range": `{"range":"1"}`, "size": `{"resize":[1,2,3]}`, "half a size": `{"crop":{"H":3}}`,
	} {
		t.Run("wrong "+name, func(t *testing.T) {
			var r Recipe
			if err := json.Unmarshal([]byte(text), &r); err == nil {
				t.Errorf("%s is read as %+v", text, r)
			}
		})
	}
}

// Run directories hold fingerprints: they must stay what they were.
func TestFingerprintStays(t *testing.T) {
	r := Recipe{
		Resize: Size{64, 64}, Fit: Shorter, Interpolation: Bilinear, Crop: Size{64, 64}, Range: 1, Mean: [3]float32{0.5, 0.5, 0.5},
		Std: [3]float32{0.25, 0.25, 0.25}, Layout: NCHW,
	}
	if got, want := r.Fingerprint(), "fc848ed3d00c0571"; got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
}
