package evaluation

// Scale is what scores are that stand for one class each: a single output, or those of a
// model of several labels.
type Scale string

// The scales.
const (
	Automatic   Scale = "auto"        // to be found out
	Logit       Scale = "logit"       // its sigmoid is the probability
	Probability Scale = "probability" // 0 to 1
)

// Scales lists them.
func Scales() []Scale { return []Scale{Automatic, Logit, Probability} }

// Scale is what the model's scores are as far as its graph says: logits before a Sigmoid at its
// end, which are read in place of what it gives; else Automatic.
func (c *Classifier) Scale() Scale {
	if c.Model.Activation == "Sigmoid" {
		return Logit
	}
	return Automatic
}

// ScaleOf is the scale of scores of which nothing else is known: probabilities where all lie between
// 0 and 1, as near as float32 and float16 come to it.
func ScaleOf(scores []float32) Scale {
	const above = 1.001
	for _, s := range scores {
		if !(s >= 0 && s <= above) {
			return Logit
		}
	}
	return Probability
}
