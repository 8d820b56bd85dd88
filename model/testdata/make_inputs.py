"""Makes inputs/ and outputs/: small models for every way to give an image in, and to give class
scores out, with Debian's python3-onnx (1.12).

    /usr/bin/python3 make_inputs.py

Every model of inputs/ is linear in its values, in the order in which they lie in the tensor:
score k is the sum over i of value i times ((7 i + 13 k) mod 11 - 5) / 8.
"""
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh


def weight(n, classes=4):
    i, k = np.arange(n)[:, None], np.arange(classes)[None, :]
    return (((7 * i + 13 * k) % 11 - 5) / 8).astype(np.float32)


def model(folder, name, nodes, inputs, outputs, weights=(), producer="make_inputs.py"):
    g = h.make_graph(nodes, "g", inputs, outputs, list(weights))
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13), h.make_opsetid("ai.onnx.ml", 2)], ir_version=7, producer_name=producer)
    onnx.save(m, f"{folder}/{name}.onnx")


def linear(name, typ, shape, values, batch=True, out=("n", 4), **more):
    """An image input of this type and shape; values is how many one image has."""
    rows = nh.from_array(np.array([-1, values] if batch else [1, values]), "rows")
    nodes = [h.make_node("Cast", ["image"], ["float"], to=T.FLOAT), h.make_node("Reshape", ["float", "rows"], ["row"]),
             h.make_node("MatMul", ["row", "w"], ["scores"])]
    weights = [rows, nh.from_array(weight(values), "w")]
    if len(out) == 1:
        nodes[-1].output[0] = "two"
        nodes.append(h.make_node("Reshape", ["two", "all"], ["scores"]))
        weights.append(nh.from_array(np.array([-1]), "all"))
    model("inputs", name, nodes, [h.make_tensor_value_info("image", typ, shape)],
          [h.make_tensor_value_info("scores", T.FLOAT, list(out))], weights, **more)


linear("float32-nchw", T.FLOAT, ["n", 3, 4, 6], 72)
linear("float16-nchw", T.FLOAT16, ["n", 3, 4, 6], 72)
linear("float64-nhwc", T.DOUBLE, ["n", 4, 6, 3], 72)
linear("uint8-nhwc", T.UINT8, ["n", 4, 6, 3], 72)
linear("uint8-nchw", T.UINT8, ["n", 3, 4, 6], 72)
linear("int8-nchw-grey", T.INT8, ["n", 1, 4, 6], 24)
linear("int32-nhwc-grey", T.INT32, ["n", 4, 6, 1], 24)
linear("float32-nchw-grey", T.FLOAT, ["n", 1, 4, 6], 24)
linear("plane", T.FLOAT, ["n", 6, 5], 30)
linear("uint8-plane-batch1", T.UINT8, [1, 6, 5], 30, out=(1, 4))
linear("flat", T.FLOAT, ["n", 36], 36)
linear("flat-column", T.FLOAT, [1, 36, 1], 36, out=(1, 4))
linear("flat-row", T.FLOAT, ["n", 1, 36], 36)
linear("flat-four-axes", T.FLOAT, ["n", 1, 36, 1], 36)
linear("flat-colour", T.FLOAT, ["n", 108], 108)
linear("flat-colour-keras", T.FLOAT, ["n", 108], 108, producer="tf2onnx")
linear("no-batch-vector", T.FLOAT, [36], 36, batch=False, out=(4,))
linear("no-batch-column", T.FLOAT, [36, 1], 36, batch=False, out=(1, 4))
linear("no-batch-plane", T.FLOAT, [6, 6], 36, batch=False, out=(4,))
linear("no-batch-chw", T.FLOAT, [3, 4, 6], 72, batch=False, out=(4,))
linear("no-batch-hwc", T.UINT8, [4, 6, 3], 72, batch=False, out=(1, 4))
linear("no-batch-hwc-grey", T.FLOAT, [4, 6, 1], 24, batch=False, out=(1, 4))
linear("batch1-vector-out", T.FLOAT, [1, 3, 4, 6], 72, out=(4,))

# What is refused.
linear("refused-4-channels", T.FLOAT, ["n", 4, 6, 6], 144)
linear("refused-2-channels-nhwc", T.FLOAT, ["n", 6, 6, 2], 72)
linear("refused-12-bands", T.FLOAT, ["n", 12, 6, 6], 432)
linear("refused-audio", T.FLOAT, [1, 1960], 1960)
linear("refused-open-flat", T.FLOAT, ["n", "features"], 36)
linear("refused-points", T.FLOAT, ["n", 36, 3], 108)
linear("refused-five-axes", T.FLOAT, ["n", 3, 4, 6, 2], 144)
linear("refused-int64", T.INT64, ["n", 36], 36)
linear("refused-bool", T.BOOL, ["n", 1, 4, 6], 24)
linear("refused-zero-batch", T.FLOAT, [0, 3, 4, 6], 72)
linear("refused-huge-batch", T.FLOAT, [1 << 40, 3, 4, 6], 72)
table = nh.from_array(weight(300), "table")
model("inputs", "refused-token-ids",
      [h.make_node("Gather", ["table", "ids"], ["words"]), h.make_node("ReduceMean", ["words"], ["scores"], axes=[1], keepdims=0)],
      [h.make_tensor_value_info("ids", T.INT32, ["n", 36])], [h.make_tensor_value_info("scores", T.FLOAT, ["n", 4])], [table])
flat = [h.make_node("Flatten", ["image"], ["row"]), h.make_node("MatMul", ["row", "w"], ["z"])]
w72 = nh.from_array(weight(72), "w")
image = h.make_tensor_value_info("image", T.FLOAT, ["n", 3, 4, 6])
model("inputs", "refused-second-scalar", flat + [h.make_node("Mul", ["z", "scale"], ["scores"])],
      [image, h.make_tensor_value_info("scale", T.FLOAT, [])], [h.make_tensor_value_info("scores", T.FLOAT, ["n", 4])], [w72])
model("inputs", "refused-second-ids",
      flat + [h.make_node("Gather", ["table", "ids"], ["words"]), h.make_node("ReduceMean", ["words"], ["mean"], axes=[1], keepdims=0),
              h.make_node("Mul", ["z", "mean"], ["scores"])],
      [image, h.make_tensor_value_info("ids", T.INT64, ["n", 77])], [h.make_tensor_value_info("scores", T.FLOAT, ["n", 4])], [w72, table])
# The same with a default: an initializer of the input's name.
model("inputs", "second-with-default", flat + [h.make_node("Mul", ["z", "scale"], ["scores"])],
      [image, h.make_tensor_value_info("scale", T.FLOAT, [])], [h.make_tensor_value_info("scores", T.FLOAT, ["n", 4])],
      [w72, nh.from_array(np.float32(2), "scale")])

# Every axis open: the first convolution says how many channels there are, and a Transpose where they are.
for name, channels, last in [("open-grey", 1, False), ("open-nhwc", 3, True)]:
    nodes, x = [], "image"
    if last:
        nodes, x = [h.make_node("Transpose", [x], ["moved"], perm=[0, 3, 1, 2])], "moved"
    nodes += [h.make_node("Conv", [x, "k"], ["map"]), h.make_node("GlobalAveragePool", ["map"], ["pool"]), h.make_node("Flatten", ["pool"], ["scores"])]
    kernel = weight(channels).T.reshape(4, channels, 1, 1)
    model("inputs", name, nodes, [h.make_tensor_value_info("image", T.FLOAT, ["n", "a", "b", "c"])],
          [h.make_tensor_value_info("scores", T.FLOAT, ["n", 4])], [nh.from_array(kernel, "k")])

# Outputs. The image goes through two layers; heads hang where the names of their inputs say.
rng = np.random.default_rng(0)


def matrix(name, r, c):
    return nh.from_array(rng.standard_normal((r, c)).astype(np.float32), name)


body = [h.make_node("Flatten", ["image"], ["row"]), h.make_node("MatMul", ["row", "w1"], ["early"]), h.make_node("Relu", ["early"], ["e"]),
        h.make_node("MatMul", ["e", "w2"], ["mid"]), h.make_node("Relu", ["mid"], ["m"]),
        h.make_node("MatMul", ["m", "w3"], ["late"]), h.make_node("Relu", ["late"], ["l"])]
weights = [nh.from_array(np.array([1]), "axis"), nh.from_array(np.array([2, 3]), "axes"), nh.from_array(np.array([-1, 2, 2, 2]), "square"), matrix("w1", 72, 8), matrix("w2", 8, 8), matrix("w3", 8, 8)]


def outputs(name, heads, outs, batch="n"):
    """heads: nodes, or (input, output, classes) of a linear layer."""
    nodes, w = list(body), list(weights)
    for head in heads:
        if isinstance(head, tuple):
            nodes.append(h.make_node("MatMul", [head[0], "w-" + head[1]], [head[1]]))
            w.append(matrix("w-" + head[1], 8, head[2]))
        else:
            nodes.append(head)
    model("outputs", name, nodes, [h.make_tensor_value_info("image", T.FLOAT, [batch, 3, 4, 6])],
          [o if not isinstance(o, tuple) else h.make_tensor_value_info(*o) for o in outs], w)


outputs("early-first", [("e", "1210", 5), ("l", "980", 5)], [("1210", T.FLOAT, ["n", 5]), ("980", T.FLOAT, ["n", 5])])
outputs("aux-last", [("l", "y", 5), ("e", "y_aux", 5)], [("y", T.FLOAT, ["n", 5]), ("y_aux", T.FLOAT, ["n", 5])])
outputs("twins", [("l", "a", 5), ("l", "b", 5)], [("a", T.FLOAT, ["n", 5]), ("b", T.FLOAT, ["n", 5])])
outputs("two-tasks", [("l", "age", 7), ("l", "sex", 2)], [("age", T.FLOAT, ["n", 7]), ("sex", T.FLOAT, ["n", 2])])
outputs("named", [("l", "x1", 5), ("l", "class_scores", 5)], [("x1", T.FLOAT, ["n", 5]), ("class_scores", T.FLOAT, ["n", 5])])
outputs("features-first", [("l", "z", 5)], [("l", T.FLOAT, ["n", 8]), ("z", T.FLOAT, ["n", 5])])
outputs("logits-and-probabilities", [("l", "z", 5), h.make_node("Softmax", ["z"], ["p"], axis=1)], [("z", T.FLOAT, ["n", 5]), ("p", T.FLOAT, ["n", 5])])
outputs("largest", [("l", "z", 5), h.make_node("ReduceMax", ["z"], ["best"], axes=[1], keepdims=1), h.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)],
        [("label", T.INT64, ["n"]), ("best", T.FLOAT, ["n", 1]), ("z", T.FLOAT, ["n", 5])])
outputs("argmax-only", [("l", "z", 5), h.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)], [("label", T.INT64, ["n"])])
outputs("one-logit-vector", [("l", "z", 1), h.make_node("Squeeze", ["z", "axis"], ["one"])], [("one", T.FLOAT, ["n"])])
outputs("one-logit", [("l", "z", 1)], [("z", T.FLOAT, ["n", 1])])
outputs("four-axes", [("l", "z", 5), h.make_node("Unsqueeze", ["z", "axes"], ["far"])], [("far", T.FLOAT, ["n", 5, 1, 1])])
outputs("map", [("l", "z", 8), h.make_node("Reshape", ["z", "square"], ["places"])], [("places", T.FLOAT, ["n", 2, 2, 2])])
maps = onnx.ValueInfoProto(name="probabilities")
kind = maps.type.sequence_type.elem_type.map_type
kind.key_type = T.INT64
kind.value_type.tensor_type.elem_type = T.FLOAT
outputs("zipmap", [("l", "z", 3), h.make_node("ZipMap", ["z"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
                   h.make_node("ArgMax", ["z"], ["label"], axis=1, keepdims=0)], [("label", T.INT64, ["n"]), maps])
