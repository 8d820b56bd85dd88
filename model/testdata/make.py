"""Makes the small models of this folder with Debian's python3-onnx (1.12).

    /usr/bin/python3 make.py
"""
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(0)
W = rng.standard_normal((3, 4)).astype(np.float32)


def save(name, nodes, shape, weights, out, classes=4):
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, shape)],
                     [h.make_tensor_value_info(out, T.FLOAT, [shape[0], classes])], weights)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=7, producer_name="make.py")
    onnx.checker.check_model(m)
    onnx.save(m, name)


pool = [h.make_node("GlobalAveragePool", ["x"], ["pool"]), h.make_node("Flatten", ["pool"], ["f"])]
save("softmax.onnx", pool + [h.make_node("MatMul", ["f", "w"], ["z"]), h.make_node("Softmax", ["z"], ["p"], axis=1)],
     ["n", 3, 8, 8], [nh.from_array(W, "w")], "p")
save("logits.onnx", pool + [h.make_node("MatMul", ["f", "w"], ["z"])], ["n", 3, 8, 8], [nh.from_array(W, "w")], "z")
save("nhwc.onnx", [h.make_node("ReduceMean", ["x"], ["f"], axes=[1, 2], keepdims=0), h.make_node("MatMul", ["f", "w"], ["z"])],
     ["n", 8, 8, 3], [nh.from_array(W, "w")], "z")
