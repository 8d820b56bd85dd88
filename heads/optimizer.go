package heads

import (
	"fmt"
	"math"
)

// Optimizer changes parameters by gradients, as torch.optim has it. It keeps a state for
// the parameters: one optimizer, one set of parameters. Decay is the weight decay of the
// first Decayed parameters; the others, biases, are free of it.
type Optimizer interface {
	// Step changes at by its gradient grad, which it may change, with the learning rate.
	Step(at, grad []float64, rate float64)
	// State are the numbers to go on with after a stop; Restore takes them.
	State() [][]float64
	Restore(state [][]float64, parameters int) error
}

// SGD is stochastic gradient descent with momentum; weight decay is added to the gradient.
type SGD struct {
	Momentum, Decay float64
	Nesterov        bool
	Decayed         int

	velocity []float64
}

// Step changes the parameters.
func (o *SGD) Step(at, grad []float64, rate float64) {
	for i := range min(o.Decayed, len(at)) {
		grad[i] += o.Decay * at[i]
	}
	if o.Momentum == 0 {
		for i, g := range grad {
			at[i] -= rate * g
		}
		return
	}
	if o.velocity == nil {
		o.velocity = make([]float64, len(at))
	}
	for i, g := range grad {
		if o.velocity[i] = o.Momentum*o.velocity[i] + g; o.Nesterov {
			g += o.Momentum * o.velocity[i]
		} else {
			g = o.velocity[i]
		}
		at[i] -= rate * g
	}
}

// State is the velocity.
func (o *SGD) State() [][]float64 { return [][]float64{o.velocity} }

// Restore takes a velocity.
func (o *SGD) Restore(state [][]float64, parameters int) error {
	if len(state) != 1 || len(state[0]) != 0 && len(state[0]) != parameters {
		return fmt.Errorf("a state of %d parts is not SGD's of %d parameters", len(state), parameters)
	}
	o.velocity = state[0]
	return nil
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), with betas
// 0.9 and 0.999 and an epsilon of 1e-8.
type AdamW struct {
	Decay   float64
	Decayed int

	step         float64
	mean, square []float64
}

// Step changes the parameters.
func (o *AdamW) Step(at, grad []float64, rate float64) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	if o.mean == nil {
		o.mean, o.square = make([]float64, len(at)), make([]float64, len(at))
	}
	o.step++
	for i := range min(o.Decayed, len(at)) {
		at[i] *= 1 - rate*o.Decay
	}
	c1, c2 := 1-math.Pow(beta1, o.step), 1-math.Pow(beta2, o.step)
	for i, g := range grad {
		o.mean[i] = beta1*o.mean[i] + (1-beta1)*g
		o.square[i] = beta2*o.square[i] + (1-beta2)*g*g
		at[i] -= rate / c1 * o.mean[i] / (math.Sqrt(o.square[i]/c2) + epsilon)
	}
}

// State are the moments and the number of steps.
func (o *AdamW) State() [][]float64 { return [][]float64{{o.step}, o.mean, o.square} }

// Restore takes them.
func (o *AdamW) Restore(state [][]float64, parameters int) error {
	if len(state) != 3 || len(state[0]) != 1 || len(state[1]) != len(state[2]) || len(state[1]) != 0 && len(state[1]) != parameters {
		return fmt.Errorf("a state of %d parts is not AdamW's of %d parameters", len(state), parameters)
	}
	o.step, o.mean, o.square = state[0][0], state[1], state[2]
	return nil
}

// Schedule is how the learning rate goes: linearly up over the warm-up, then down.
type Schedule struct {
	Kind   string  `json:"kind"`   // constant, cosine (to 0), or step (by a tenth at a half and three quarters, as the CutMix paper's CIFAR runs)
	Warmup float64 `json:"warmup"` // share of all steps
}

// Validate says what in the schedule makes no sense.
func (s Schedule) Validate() error {
	if s.Kind != "constant" && s.Kind != "cosine" && s.Kind != "step" {
		return fmt.Errorf("schedule %q is not one of constant, cosine, step", s.Kind)
	}
	if !(s.Warmup >= 0 && s.Warmup < 1) {
		return fmt.Errorf("a warm-up of %v is not a share of all steps", s.Warmup)
	}
	return nil
}

// Rate is the share of the full rate at a step of all, the first being 0.
func (s Schedule) Rate(step, all int) float64 {
	at := float64(step) / float64(all)
	if at < s.Warmup {
		return (float64(step) + 1) / (s.Warmup*float64(all) + 1)
	}
	at = (at - s.Warmup) / (1 - s.Warmup)
	switch s.Kind {
	case "cosine":
		return 0.5 * (1 + math.Cos(math.Pi*at))
	case "step":
		switch {
		case at >= 0.75:
			return 0.01
		case at >= 0.5:
			return 0.1
		}
	}
	return 1
}
