package metrics

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"cutmix-eval/internal/golden"
)

// numbers reads scores of which some are written as text: NaN, inf.
type numbers []float64

func (v *numbers) UnmarshalJSON(data []byte) error {
	var raw []any
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	for _, x := range raw {
		switch x := x.(type) {
		case float64:
			*v = append(*v, x)
		case string:
			f, err := strconv.ParseFloat(x, 64)
			if err != nil {
				return err
			}
			*v = append(*v, f)
		}
	}
	return nil
}

type separationReference struct {
	AUROC    float64
	AUPRIn   float64               `json:"aupr_in_trapezoid"`
	AUPROut  float64               `json:"aupr_out_trapezoid"`
	APIn     float64               `json:"aupr_in_average_precision"`
	APOut    float64               `json:"aupr_out_average_precision"`
	FPROOD   float64               `json:"fpr95_ood_positive_exact"`
	FPRID    float64               `json:"fpr95_id_positive_exact"`
	AtOOD    float64               `json:"threshold_score_le_ood_positive"`
	AtID     float64               `json:"threshold_score_ge_id_positive"`
	TPROOD   float64               `json:"tpr_reached_ood_positive"`
	TPRID    float64               `json:"tpr_reached_id_positive"`
	Accuracy float64               `json:"detection_accuracy_exact_ties_grouped"`
	Log      struct{ TNR float64 } `json:"calculate_log"`
	Ties     *int                  `json:"tied_id_ood_pairs"`
}

func (want separationReference) compare(t *testing.T, name string, d Separation) {
	t.Helper()
	for metric, v := range map[string][2]float64{
		"auroc": {d.AUROC, want.AUROC}, "aupr_in": {d.AUPRIn, want.AUPRIn}, "aupr_out": {d.AUPROut, want.AUPROut}, "ap_in": {d.APIn, want.APIn}, "ap_out": {d.APOut, want.APOut},
		"fpr95 ood": {d.FPROODPositive.FPR, want.FPROOD}, "fpr95 id": {d.FPRIDPositive.FPR, want.FPRID}, "threshold ood": {d.FPROODPositive.Threshold, want.AtOOD},
		"threshold id": {d.FPRIDPositive.Threshold, want.AtID}, "tpr ood": {d.FPROODPositive.TPR, want.TPROOD}, "tpr id": {d.FPRIDPositive.TPR, want.TPRID},
		"accuracy": {d.Accuracy, want.Accuracy}, "tnr": {d.TNRAtTPR95, want.Log.TNR},
	} {
		if math.Abs(v[0]-v[1]) > 1e-9*max(1, math.Abs(v[1])) { // sums of thousands of quotients
			t.Errorf("%s: %s %v, want %v", name, metric, v[0], v[1])
		}
	}
	if want.Ties != nil && d.Ties != *want.Ties {
		t.Errorf("%s: %d ties, want %d", name, d.Ties, *want.Ties)
	}
}

// Every metric of every stored score vector, as scikit-learn and the projects named in
// the golden folder have them.
func TestSeparateGolden(t *testing.T) {
	var scores struct{ Methods []string }
	golden.JSON(t, &scores, "golden", "ood", "scores.json")
	var want struct {
		Metrics map[string]map[string]separationReference
	}
	golden.JSON(t, &want, "golden", "ood", "metrics.json")
	row := func(set string, k int) []float64 {
		a := golden.NPY(t, "golden", "ood", "scores_"+set+".npy")
		return a.F64[k*a.Shape[1] : (k+1)*a.Shape[1]]
	}
	checked := 0
	for k, name := range scores.Methods {
		for set, w := range want.Metrics[name] {
			d, err := Separate(row("id_test", k), row(set, k))
			if err != nil {
				t.Fatalf("%s on %s: %v", name, set, err)
			}
			w.compare(t, name+" on "+set, d)
			checked++
		}
	}
	if checked != 36*3 {
		t.Errorf("%d vectors", checked)
	}
}

func TestSeparateEdgeCases(t *testing.T) {
	var cases map[string]struct {
		ID        numbers `json:"id_scores"`
		OOD       numbers `json:"ood_scores"`
		Reference separationReference
		Expected  string
	}
	golden.JSON(t, &cases, "golden", "ood", "metrics_edge_cases.json")
	if len(cases) < 19 {
		t.Fatalf("%d cases", len(cases))
	}
	for name, c := range cases {
		d, err := Separate(c.ID, c.OOD)
		if c.Expected == "error" {
			var wrong *SeparationError
			if !errors.As(err, &wrong) {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Reference.compare(t, name, d)
	}
}

// DeLong's interval holds the truth as often as it says, for shifted normal scores.
func TestDeLongCoverage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	truth := 0.5 * math.Erfc(-1/math.Sqrt2/math.Sqrt2) // P(N(1,1) > N(0,1))
	const trials = 1000
	held := 0
	for range trials {
		id, ood := make([]float64, 150), make([]float64, 100)
		for i := range id {
			id[i] = 1 + rng.NormFloat64()
		}
		for i := range ood {
			ood[i] = rng.NormFloat64()
		}
		d, err := Separate(id, ood)
		if err != nil {
			t.Fatal(err)
		}
		if iv := d.AUROCInterval; iv.Low <= truth && truth <= iv.High {
			held++
		}
	}
	// 950 expected, standard deviation 7.
	if held < 925 || held > 975 {
		t.Errorf("held the truth in %d of %d trials", held, trials)
	}
}
