package model

import "cutmix-eval/internal/onnx"

// findLogits walks back from the output over nodes that change no order of
// values, and past a final Softmax, LogSoftmax or Sigmoid, quantised or not. Where the
// graph quantises its logits and no activation follows, they stay what the output gives: a
// run of the file has no others. Unquantized is the tensor before.
func (m *Model) findLogits(f *finder) {
	m.Logits = m.Output
	_, n := f.through(m.Output, nil)
	if n == nil {
		return
	}
	if op, logits := activation(n); op != "" {
		m.Activation, m.Logits = op, logits
	}
}

// activation is the activation by which a node makes scores of logits, "" where it is none.
func activation(n *onnx.Node) (op, logits string) {
	if len(n.In) == 0 {
		return "", ""
	}
	switch {
	case standard(n) && (n.Op == "Softmax" || n.Op == "LogSoftmax" || n.Op == "Sigmoid"):
		return n.Op, n.In[0]
	case n.Domain == microsoft && n.Op == "QLinearSoftmax":
		return "Softmax", n.In[0]
	case n.Domain == microsoft && n.Op == "QLinearSigmoid":
		return "Sigmoid", n.In[0]
	}
	return "", ""
}

// Unquantized is the tensor of floats that the graph rounds to its logits, empty where it
// rounds none or makes them from integers.
func (m *Model) Unquantized() string {
	f := newFinder(&m.file.Graph, m.Dir())
	t := f.unquantized(m.Logits)
	if _, integers := onnx.QuantizationIn(f.maker, t); t == m.Logits || integers {
		return ""
	}
	return t
}

// Last is the operator that makes the output, behind which no value changes; empty where it comes
// straight from the input.
func (m *Model) Last() string {
	_, n := newFinder(&m.file.Graph, "").through(m.Output, nil)
	if n == nil {
		return ""
	}
	return n.Op
}
