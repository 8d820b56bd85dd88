// Package onnx reads, changes and writes ONNX files at the wire level: enough of
// the protobuf encoding to list and replace nodes, weights, inputs and outputs,
// without generated types and without copying weights. The number of nodes and
// tensors is bounded, and with it the memory that a hostile file can ask for.
//
// Field numbers and enumerations are those of onnx.proto (IR versions 3 to 13).
package onnx

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Type is an element type (TensorProto.DataType).
type Type int32

// The element types this project meets.
const (
	Undefined Type = 0
	Float32   Type = 1
	Uint8     Type = 2
	Int8      Type = 3
	Uint16    Type = 4
	Int16     Type = 5
	Int32     Type = 6
	Int64     Type = 7
	Bool      Type = 9
	Float16   Type = 10
	Float64   Type = 11
	BFloat16  Type = 16
)

func (t Type) String() string {
	names := map[Type]string{
		Undefined: "undefined", Float32: "float32", Uint8: "uint8", Int8: "int8", Uint16: "uint16", Int16: "int16", Int32: "int32",
		Int64: "int64", 8: "string", Bool: "bool", Float16: "float16", Float64: "float64", 12: "uint32", 13: "uint64", BFloat16: "bfloat16",
		17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
	}
	if s, ok := names[t]; ok {
		return s
	}
	return fmt.Sprintf("type %d", int32(t))
}

// Size is the number of bytes of an element; 0 where it has no fixed one.
func (t Type) Size() int64 {
	switch t {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16, Float16, BFloat16:
		return 2
	case Float32, Int32, 12:
		return 4
	case Float64, Int64, 13:
		return 8
	}
	return 0
}

// Model is a parsed file. Its tensors alias the bytes it was parsed from. It must
// not be changed, but for what Edit returns.
type Model struct {
	IR       int64
	Producer string
	Opset    map[string]int64 // by domain, "" for the standard one
	Meta     map[string]string
	Graph    Graph
	// Functions are the operators that the file itself defines.
	Functions []Function

	data []byte // the whole file; nil for what Edit returned
	rest []byte // its fields other than graph and metadata, encoded
}

// Function names an operator that a file defines.
type Function struct{ Domain, Name string }

// Graph is the main graph.
type Graph struct {
	Name         string
	Nodes        []Node
	Initializers []Tensor
	Inputs       []Value // those that are not initializers as well
	WeightInputs []Value // those that are, as old exporters list them
	Outputs      []Value
	Values       []Value // what the file says about tensors in between

	rest []byte // fields other than those, encoded
}

// Node is one operation. Nodes are made by Parse, by NewNode and from others by
// their With methods.
type Node struct {
	Name, Op, Domain string
	In, Out          []string
	Attrs            []Attr

	msg []byte // encoded
}

// Attr is an attribute of a node; which field holds depends on the attribute.
type Attr struct {
	Name   string
	I      int64
	F      float32
	S      []byte
	Ints   []int64
	Floats []float32
	Tensor *Tensor
	graphs [][]byte // bodies of If, Loop, Scan
}

// Attr returns the attribute of that name.
func (n Node) Attr(name string) (Attr, bool) {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a, true
		}
	}
	return Attr{}, false
}

// Captured lists the tensors that the bodies of a node such as If take from
// wherever: every name that their nodes read, those of their own included.
func (n Node) Captured() []string {
	var out []string
	for _, a := range n.Attrs {
		for _, g := range a.graphs {
			out = append(out, reads(g, 0)...)
		}
	}
	return out
}

// Bodies are the graphs that a node such as If, Loop or Scan runs, in the order of its attributes;
// those that cannot be read are left out.
func (n Node) Bodies() []Graph {
	var out []Graph
	for _, a := range n.Attrs {
		for _, data := range a.graphs {
			var g Graph
			if g.parse(data) == nil {
				out = append(out, g)
			}
		}
	}
	return out
}

// maxNesting bounds bodies within bodies.
const maxNesting = 16

func reads(graph []byte, depth int) []string {
	var out []string
	if depth > maxNesting {
		return nil
	}
	_ = each(graph, func(num protowire.Number, v value) error {
		switch num {
		case graphNode:
			n, err := parseNode(v.b)
			if err != nil {
				return err
			}
			out = append(out, n.In...)
			for _, a := range n.Attrs {
				for _, g := range a.graphs {
					out = append(out, reads(g, depth+1)...)
				}
			}
		case graphOutput: // a body may pass an outer tensor on
			var o []Value
			if parseValue(&o, v.b) == nil {
				out = append(out, o[0].Name)
			}
		}
		return nil
	})
	return out
}

// Label names a node for people.
func (n Node) Label() string {
	if n.Name != "" {
		return fmt.Sprintf("%s %q", n.Op, n.Name)
	}
	if len(n.Out) > 0 {
		return fmt.Sprintf("%s making %q", n.Op, n.Out[0])
	}
	return n.Op
}

// Value is an input, an output or a tensor in between. Values are made by Parse,
// NewValue and WithDims.
type Value struct {
	Name   string
	Type   Type
	Kind   string // "sequence", "map", … of what is no tensor; empty for tensors
	Ranked bool   // whether the file gives a shape
	Dims   []Dim  // of a ranked value

	msg []byte // encoded
}

// Dim is one axis: a size, or -1 with the name of a symbol (may be empty).
type Dim struct {
	Size   int64
	Symbol string
}

func (d Dim) String() string {
	switch {
	case d.Size >= 0:
		return fmt.Sprint(d.Size)
	case d.Symbol != "":
		return d.Symbol
	}
	return "?"
}

// Field numbers of a ModelProto and a GraphProto.
const (
	modelIR       protowire.Number = 1
	modelProducer protowire.Number = 2
	modelGraph    protowire.Number = 7
	modelOpset    protowire.Number = 8
	modelMeta     protowire.Number = 14
	modelFunction protowire.Number = 25

	graphNode        protowire.Number = 1
	graphName        protowire.Number = 2
	graphInitializer protowire.Number = 5
	graphInput       protowire.Number = 11
	graphOutput      protowire.Number = 12
	graphValue       protowire.Number = 13
)

// Parse reads a serialized ModelProto.
func Parse(data []byte) (*Model, error) {
	parses.Add(1)
	m := &Model{Opset: map[string]int64{}, Meta: map[string]string{}, data: data}
	graph := false
	err := each(data, func(num protowire.Number, v value) error {
		switch num {
		case modelGraph:
			graph = true
			return m.Graph.parse(v.b)
		case modelMeta:
			key, val, err := pair(v.b)
			m.Meta[string(key.b)] = string(val.b)
			return err
		}
		m.rest = append(protowire.AppendTag(m.rest, num, v.typ), v.raw...)
		switch num {
		case modelIR:
			m.IR = int64(v.n)
		case modelProducer:
			m.Producer = string(v.b)
		case modelOpset:
			domain, version, err := pair(v.b)
			m.Opset[string(domain.b)] = int64(version.n)
			return err
		case modelFunction:
			var f Function
			err := each(v.b, func(num protowire.Number, v value) error {
				switch num {
				case 1:
					f.Name = string(v.b)
				case 10:
					f.Domain = string(v.b)
				}
				return nil
			})
			m.Functions = append(m.Functions, f)
			return err
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !graph || len(m.Graph.Nodes) == 0 && len(m.Graph.Outputs) == 0 {
		return nil, errors.New("not an ONNX model, or only the beginning of one (it holds no graph): copy or download it again")
	}
	m.Graph.partInputs()
	return m, nil
}

// partInputs parts the inputs from those that are initializers too.
func (g *Graph) partInputs() {
	weights := make(map[string]bool, len(g.Initializers))
	for _, t := range g.Initializers {
		weights[t.Name] = true
	}
	all := g.Inputs
	g.Inputs = nil
	for _, v := range all {
		if weights[v.Name] {
			g.WeightInputs = append(g.WeightInputs, v)
		} else {
			g.Inputs = append(g.Inputs, v)
		}
	}
}

// maxItems bounds the nodes, weights and tensors of a graph: large networks have
// some ten thousand.
const maxItems = 1 << 19

func (g *Graph) parse(data []byte) error {
	items := 0
	return each(data, func(num protowire.Number, v value) error {
		var err error
		if items++; items > maxItems {
			return fmt.Errorf("its graph has more than %d nodes and tensors", maxItems)
		}
		switch num {
		case graphNode:
			var n Node
			n, err = parseNode(v.b)
			g.Nodes = append(g.Nodes, n)
		case graphInitializer:
			var t Tensor
			t, err = parseTensor(v.b)
			g.Initializers = append(g.Initializers, t)
		case graphInput:
			err = parseValue(&g.Inputs, v.b)
		case graphOutput:
			err = parseValue(&g.Outputs, v.b)
		case graphValue:
			err = parseValue(&g.Values, v.b)
		default:
			g.rest = append(protowire.AppendTag(g.rest, num, v.typ), v.raw...)
			if num == graphName {
				g.Name = string(v.b)
			}
		}
		return err
	})
}

func parseNode(data []byte) (Node, error) {
	n := Node{msg: data}
	err := each(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			n.In = append(n.In, string(v.b))
		case 2:
			n.Out = append(n.Out, string(v.b))
		case 3:
			n.Name = string(v.b)
		case 4:
			n.Op = string(v.b)
		case 5:
			a, err := parseAttr(v.b)
			n.Attrs = append(n.Attrs, a)
			return err
		case 7:
			n.Domain = string(v.b)
		}
		return nil
	})
	return n, err
}

func parseAttr(data []byte) (Attr, error) {
	var a Attr
	err := each(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			a.Name = string(v.b)
		case 2:
			a.F = math.Float32frombits(uint32(v.n))
		case 3:
			a.I = int64(v.n)
		case 4:
			a.S = v.b
		case 5:
			t, err := parseTensor(v.b)
			a.Tensor = &t
			return err
		case 6, 11:
			a.graphs = append(a.graphs, v.b)
		case 7:
			return v.numbers(protowire.Fixed32Type, func(n uint64) { a.Floats = append(a.Floats, math.Float32frombits(uint32(n))) })
		case 8:
			return v.numbers(protowire.VarintType, func(n uint64) { a.Ints = append(a.Ints, int64(n)) })
		}
		return nil
	})
	return a, err
}

// kinds are what a TypeProto can be but a tensor, by field.
var kinds = map[protowire.Number]string{4: "sequence", 5: "map", 7: "opaque value", 8: "sparse tensor", 9: "optional value"}

func parseValue(list *[]Value, data []byte) error {
	out := Value{msg: data}
	err := each(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			out.Name = string(v.b)
		case 2: // TypeProto
			return each(v.b, func(num protowire.Number, v value) error {
				if num != 1 { // only tensors
					out.Kind = kinds[num]
					return nil
				}
				return each(v.b, func(num protowire.Number, v value) error {
					switch num {
					case 1:
						out.Type = Type(v.n)
					case 2:
						out.Ranked = true
						return out.shape(v.b)
					}
					return nil
				})
			})
		}
		return nil
	})
	*list = append(*list, out)
	return err
}

func (o *Value) shape(data []byte) error {
	return each(data, func(num protowire.Number, v value) error {
		if num != 1 {
			return nil
		}
		d := Dim{Size: -1}
		err := each(v.b, func(num protowire.Number, v value) error {
			switch num {
			case 1:
				d.Size = max(int64(v.n), -1)
			case 2:
				d.Symbol = string(v.b)
			}
			return nil
		})
		o.Dims = append(o.Dims, d)
		return err
	})
}

// value is one field's contents: a number or bytes.
type value struct {
	typ protowire.Type
	n   uint64
	b   []byte
	raw []byte // the encoded value
}

// numbers calls f for each number of a repeated field, packed or not.
func (v value) numbers(typ protowire.Type, f func(uint64)) error {
	if v.typ != protowire.BytesType {
		f(v.n)
		return nil
	}
	for b := v.b; len(b) > 0; {
		var n uint64
		var size int
		switch typ {
		case protowire.Fixed32Type:
			var x uint32
			x, size = protowire.ConsumeFixed32(b)
			n = uint64(x)
		default:
			n, size = protowire.ConsumeVarint(b)
		}
		if size < 0 {
			return malformed(size)
		}
		f(n)
		b = b[size:]
	}
	return nil
}

// What is wrong with bytes that cannot be read.
var (
	errCut       = errors.New("not an ONNX model, or only the beginning of one (it ends within a field): copy or download it again")
	errMalformed = errors.New("not an ONNX model, or a damaged one (its bytes are not those of the ONNX format): copy, download or export it again")
)

// malformed is the error for a negative length of protowire.
func malformed(n int) error {
	if errors.Is(protowire.ParseError(n), io.ErrUnexpectedEOF) {
		return errCut
	}
	return errMalformed
}

// each calls f for every field of a message.
func each(data []byte, f func(protowire.Number, value) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return malformed(n)
		}
		data = data[n:]
		v := value{typ: typ}
		switch typ {
		case protowire.VarintType:
			v.n, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(data)
			v.n = uint64(x)
		case protowire.Fixed64Type:
			v.n, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			v.b, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return malformed(n)
		}
		v.raw = data[:n]
		data = data[n:]
		if err := f(num, v); err != nil {
			return err
		}
	}
	return nil
}

// pair reads a message of two fields: key and value, or domain and version.
func pair(data []byte) (first, second value, err error) {
	err = each(data, func(num protowire.Number, v value) error {
		switch num {
		case 1:
			first = v
		case 2:
			second = v
		}
		return nil
	})
	return first, second, err
}

// Produces says whether a node or an input of the graph makes the tensor.
func (g *Graph) Produces(tensor string) bool {
	for _, n := range g.Nodes {
		for _, o := range n.Out {
			if o == tensor {
				return true
			}
		}
	}
	for _, in := range g.Inputs {
		if in.Name == tensor {
			return true
		}
	}
	return false
}
