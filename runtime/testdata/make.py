"""Makes the small models of this folder with Debian's python3-onnx (1.12).

    /usr/bin/python3 make.py
"""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

W = np.arange(12, dtype=np.float32).reshape(4, 3) / 8 - 0.5
B = np.array([0.25, -0.5, 0.125], dtype=np.float32)


def save(name, nodes, inputs, outputs, weights, opset=13, **kw):
    g = h.make_graph(nodes, "g", inputs, outputs, weights)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=7, producer_name="make.py")
    onnx.checker.check_model(m)
    onnx.save(m, name, **kw)


def linear(name, typ=T.FLOAT, batch="n", softmax=False, two=False, **kw):
    """flatten(x[n,1,2,2]) W + b, perhaps with a Softmax or a second output."""
    np_t = np.float16 if typ == T.FLOAT16 else np.float64 if typ == T.DOUBLE else np.float32
    nodes = [h.make_node("Flatten", ["x"], ["f"], axis=1), h.make_node("Gemm", ["f", "w", "b"], ["z"], name="fc")]
    out = "z"
    if softmax:
        nodes.append(h.make_node("Softmax", ["z"], ["p"], axis=1, name="prob"))
        out = "p"
    outputs = [h.make_tensor_value_info(out, typ, [batch, 3])]
    if two:
        outputs.append(h.make_tensor_value_info("f", typ, [batch, 4]))
    save(name, nodes, [h.make_tensor_value_info("x", typ, [batch, 1, 2, 2])], outputs,
         [nh.from_array(W.astype(np_t), "w"), nh.from_array(B.astype(np_t), "b")], **kw)


linear("linear.onnx")
linear("half.onnx", typ=T.FLOAT16)
linear("double.onnx", typ=T.DOUBLE)
linear("fixed2.onnx", batch=2)
linear("softmax.onnx", softmax=True)
linear("two-outputs.onnx", two=True)
pathlib.Path("external.bin").unlink(missing_ok=True)  # onnx appends to it
linear("external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)

# Work that grows with the batch, to be interrupted: 60 products of n matrices
# of 384 x 384.
nodes = [h.make_node("Reshape", ["x", "s"], ["r"]), h.make_node("Expand", ["r", "e"], ["m0"])]
for i in range(60):
    nodes += [h.make_node("MatMul", [f"m{i}", f"m{i}"], [f"p{i}"]), h.make_node("Tanh", [f"p{i}"], [f"m{i+1}"])]
nodes += [h.make_node("ReduceMean", ["m60"], ["y"], axes=[1, 2], keepdims=0), h.make_node("Unsqueeze", ["y", "a"], ["z"])]
save("slow.onnx", nodes, [h.make_tensor_value_info("x", T.FLOAT, ["n", 1, 1, 1])], [h.make_tensor_value_info("z", T.FLOAT, ["n", 1])],
     [nh.from_array(np.array([-1, 1, 1]), "s"), nh.from_array(np.array([1, 384, 384]), "e"), nh.from_array(np.array([1]), "a")])

# Two inputs; and an operator that does not exist.
save("two-inputs.onnx", [h.make_node("Add", ["x", "y"], ["z"])],
     [h.make_tensor_value_info(n, T.FLOAT, ["n", 1, 2, 2]) for n in "xy"], [h.make_tensor_value_info("z", T.FLOAT, ["n", 1, 2, 2])], [])
g = h.make_graph([h.make_node("Frobnicate", ["x"], ["z"], domain="no.such")], "g", [h.make_tensor_value_info("x", T.FLOAT, ["n", 1, 2, 2])],
                 [h.make_tensor_value_info("z", T.FLOAT, ["n", 3])])
onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 13), h.make_opsetid("no.such", 1)], ir_version=7), "unknown-op.onnx")
