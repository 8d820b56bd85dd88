package runtime

import (
	"errors"
	"strings"
	"testing"
)

// Messages as ONNX Runtime 1.20 to 1.30 gave them; nothing of the library's source is left.
func TestReasons(t *testing.T) {
	const signature = "/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, " +
		"const onnxruntime::IOnnxRuntimeOpSchemaRegistryList*, const onnxruntime::logging::Logger&, const onnxruntime::ModelOptions&) "
	for _, c := range []struct{ name, message, want string }{
		{"newer IR", "Error creating C session: " + signature + "Unsupported model IR version: 99, max supported IR version: 13", "its format is of IR version 99, and this ONNX Runtime reads up to 13"},
		{"newer opset", "ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 31 is under development and support for this is limited. " +
			"The operator schemas and or other functionality may change before next ONNX release and in this case ONNX Runtime will not guarantee backward compatibility. Current official support for domain ai.onnx is till opset 24.",
			"its operators are of opset 31 of ai.onnx, and this ONNX Runtime knows up to 24"},
		{"a check", "Error running network: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:45 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) " +
			"input_shape_size == size was false. The input tensor cannot be reshaped to the requested shape. Input shape:{2,3}, requested shape:{1,4}",
			"The input tensor cannot be reshaped to the requested shape. Input shape:{2,3}, requested shape:{1,4}"},
		{"a place within", "External data path validation failed for initializer: W. Error: tensorprotoutils.cc:461 ValidateExternalDataPathFromDir External data path does not exist: \"link.bin\"",
			"External data path validation failed for initializer: W. Error: External data path does not exist: \"link.bin\""},
		{"a status within", "Non-zero status code returned while running Conv node. Name:'c' Status Message: /src/conv.cc:12 onnxruntime::Conv<float>::Compute(OpKernelContext*) const [ONNXRuntimeError] : 1 : FAIL : no room",
			"Non-zero status code returned while running Conv node. Name:'c' Status Message: no room"},
		{"an operator", "This is an invalid model. In Node, (\"\", Foo, \"\", -1) : (\"c\": tensor(float),) -> (\"r\",) , Error No Op registered for Foo with domain_version of 13",
			"its operator Foo is not in opset 13 as this ONNX Runtime has it: export"},
		{"another domain's", "Fatal error: com.microsoft:Foo(-1) is not a registered function/op", "its operator Foo of com.microsoft is not in this ONNX Runtime: export"},
		{"no kernel", "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Softsign(1) node with name 's'", "this ONNX Runtime has nothing to run its operator Softsign (opset 1) with"},
		{"a scalar", "Error creating tensor from ort: Invalid tensor shape: The shape has no dimensions", "one of its tensors that are read is a scalar"},
		{"a wrong graph", "This is an invalid model. Error: the graph is not acyclic.", "its graph is not valid, so export it again: Error: the graph is not acyclic."},
		{"wrong shapes", "Node () Op (Gemm) [ShapeInferenceError] Dimension mismatch in unification between 5 and 8", "its graph is not valid, so export it again: Node () Op (Gemm)"},
		{"nothing of that", "Non-zero status code returned", "Non-zero status code returned"},
		{"an open parenthesis", "/a/b.cc:1 x::y(unclosed", "x::y(unclosed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clean(errors.New(c.message)).Error(); !strings.HasPrefix(got, c.want) || strings.Contains(got, ".cc:") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("/a/b.cc:1 n::f(int) const [ONNXRuntimeError] : 1 : FAIL : message")
	f.Add("x.h:12 operator() y was false. z.cpp:3 A::B(")
	f.Fuzz(func(t *testing.T, s string) {
		if got := clean(errors.New(s)).Error(); strings.ContainsAny(got, "\n\t") {
			t.Errorf("%q", got)
		}
	})
}
