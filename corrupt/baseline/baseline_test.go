package baseline

import (
	"math"
	"testing"

	"cutmix-eval/corrupt"
)

// TestBaseline: files of errors, good and bad.
func TestBaseline(t *testing.T) {
	b, err := parse([]byte(`{"name": "mine", "clean_error": 0.1, "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}}`))
	if err != nil || b.Name != "mine" || b.Clean != 0.1 || b.By[corrupt.Fog][4] != 0.5 {
		t.Errorf("%+v %v", b, err)
	}
	for _, bad := range []string{
		"", "{}", `{"errors": {"fog": [0.1]}}`, `{"errors": {"rain": [1,1,1,1,1]}}`, `{"errors": {"fog": [0,1,1,1,1]}}`,
		`{"errors": {"fog": [50,60,70,80,90]}}`, `{"clean_error": 43, "errors": {"fog": [1,1,1,1,1]}}`,
	} {
		t.Run(bad, func(t *testing.T) {
			if b, err := parse([]byte(bad)); err == nil {
				t.Errorf("read as %+v", b)
			}
		})
	}
}

func FuzzBaseline(f *testing.F) {
	f.Add([]byte(`{"name": "mine", "clean_error": 0.1, "errors": {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parse(data)
		if err != nil {
			return
		}
		for n, v := range b.By {
			if m := Mean(v); !(m > 0 && m <= 1) {
				t.Errorf("%s has the mean error %v", n, m)
			}
		}
	})
}

func TestAlexNet(t *testing.T) {
	a := AlexNet()
	for n, want := range map[corrupt.Name]float64{
		corrupt.GaussianNoise: .886428, corrupt.Fog: .819324, corrupt.JPEGCompression: .606500, corrupt.Pixelate: .717840,
	} {
		if m := Mean(a.By[n]); math.Abs(m-want) > 1e-9 { // errors have five decimals
			t.Errorf("the mean error of %s is %v, want %v", n, m, want)
		}
	}
}
