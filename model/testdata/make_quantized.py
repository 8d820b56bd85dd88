"""Makes the small quantised classifiers of quantized/, with random weights: one of each form that
quantisers write. Scales come from the range that float values have on random images. torch 1.13,
onnx 1.12 (Debian 12).

    /usr/bin/python3 make_quantized.py
"""
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto as T, helper as h, numpy_helper as nh

rng = np.random.default_rng(2)
torch.manual_seed(2)
C, K, SIDE = 6, 10, 16  # channels, classes, rows and columns: the scenes can be made so
f32 = lambda *s: rng.standard_normal(s).astype(np.float32)
CONV, FC, BIAS = f32(C, 3, 3, 3) / 3, f32(C, K), f32(K) / 4
GAMMA, BETA, MEAN, VAR = 1 + f32(C) / 8, f32(C) / 8, f32(C) / 8, np.abs(f32(C)) + 0.5
KGAMMA, KBETA, KMEAN, KVAR = 1 + f32(K) / 8, f32(K) / 8, f32(K) / 8, np.abs(f32(K)) + 0.5

x = torch.randn(200, 3, SIDE, SIDE)
MAP = F.relu(F.conv2d(x, torch.tensor(CONV), padding=1)).numpy()
POOLED = MAP.mean((2, 3))
LOGITS = POOLED @ FC + BIAS
PLACES = np.einsum("nchw,ck->nkhw", MAP, FC) + BIAS[:, None, None]
N = h.make_node


def scale(a, kind, axis=None):
    """Scale and zero point of values for uint8 (u) or int8 (i); symmetric (s) ones have zero point 0 (128)."""
    over = tuple(i for i in range(a.ndim) if i != axis) if axis is not None else None
    low, high = np.minimum(a.min(over), 0), np.maximum(a.max(over), 0)
    if kind[1:] == "s":
        high = np.maximum(high, -low)
        s = (high / 127).astype(np.float32)
        z = np.full_like(s, 128 if kind[0] == "u" else 0)
    else:
        s = ((high - low) / 255).astype(np.float32)
        z = np.round(-low / s) + (0 if kind[0] == "u" else -128)
    return s, z.astype(np.uint8 if kind[0] == "u" else np.int8)


def quantize(a, s, z, axis=None):
    shape = [-1 if i == axis else 1 for i in range(a.ndim)] if axis is not None else []
    s, zz = s.reshape(shape), z.astype(np.int32).reshape(shape)
    i = np.iinfo(z.dtype)
    return np.clip(np.round(a / s) + zz, i.min, i.max).astype(z.dtype)


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], {}

    def add(self, op, ins, out, domain="", **kw):
        self.nodes.append(N(op, ins, [out] if isinstance(out, str) else out, domain="com.microsoft" if domain else "", **kw))
        return out

    def weight(self, name, value):
        self.weights[name] = value
        return name

    def scales(self, name, a, kind, axis=None):
        s, z = scale(a, kind, axis)
        return self.weight(name + "_s", s), self.weight(name + "_z", z), s, z

    def q(self, t, a, kind="u"):
        """Quantised t, whose float values are like a; returns it with its scale and zero point."""
        s, z, _, _ = self.scales(t, a, kind)
        return self.add("QuantizeLinear", [t, s, z], t + "_q"), s, z

    def qdq(self, t, a, kind="u"):
        return self.add("DequantizeLinear", list(self.q(t, a, kind)), t + "_dq")

    def w(self, name, a, kind, axis=None):
        """A weight as an integer initializer with scale and zero point."""
        s, z, sv, zv = self.scales(name, a, kind, axis)
        return [self.weight(name + "_q", quantize(a, sv, zv, axis)), s, z]

    def dqw(self, name, a, kind="is", axis=None):
        return self.add("DequantizeLinear", self.w(name, a, kind, axis), name + "_dq", **({} if axis is None else {"axis": axis}))

    def body(self):
        self.add("Conv", ["x", self.weight("conv", CONV)], "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return self.add("Relu", ["c"], "map")

    def pooled(self):
        self.body()
        g = self.add("GlobalAveragePool", [self.qdq("map", MAP)], "g")
        return self.qdq(self.add("Flatten", [self.qdq(g, POOLED)], "f"), POOLED)

    def save(self, name, out="z", opset=13, **kw):
        dims = ["n", K]
        g = h.make_graph(self.nodes, name, [h.make_tensor_value_info("x", T.FLOAT, ("n", 3, SIDE, SIDE))], [h.make_tensor_value_info(out, T.FLOAT, dims)],
                         [v if isinstance(v, onnx.TensorProto) else nh.from_array(np.asarray(v), k) for k, v in self.weights.items()])
        m = h.make_model(g, opset_imports=[h.make_opsetid("", opset), h.make_opsetid("com.microsoft", 1)], ir_version=10 if opset > 20 else 8,
                         producer_name="make_quantized.py")
        onnx.save(m, f"quantized/{name}.onnx")


# --- QuantizeLinear and DequantizeLinear around float operators
for name, opset, kind, axis, transposed in [
    ("qdq-int8", 13, "is", None, 1), ("qdq-uint8", 13, "u", None, 1), ("qdq-uint8-transb0", 13, "u", None, 0),
    ("qdq-channel", 13, "is", 0, 1), ("qdq-channel-uint8-transb0", 13, "u", 1, 0), ("qdq-opset10", 10, "is", None, 1),
    ("qdq-opset19", 19, "is", 0, 1), ("qdq-opset21", 21, "i", 0, 1),
]:
    g = Graph()
    f = g.pooled()
    w = g.dqw("w", FC.T.copy() if transposed else FC, kind, axis)
    s = (g.weights["f_s"] * g.weights["w_s"]).astype(np.float32)  # the bias has the scale of the products
    g.weight("b_s", s), g.weight("b_z", np.zeros_like(s, np.int32)), g.weight("b_q", np.round(BIAS / s).astype(np.int32))
    b = g.add("DequantizeLinear", ["b_q", "b_s", "b_z"], "b", **({} if axis is None else {"axis": 0}))
    g.add("Gemm", [f, w, b], "z", transB=transposed)
    g.save(name, opset=opset)

g = Graph()
m = g.add("MatMul", [g.pooled(), g.dqw("w", FC, "is", 1)], "m")
g.add("Add", [g.qdq(m, LOGITS, "i"), g.weight("b", BIAS)], "z")
g.save("qdq-matmul-add")

g = Graph()
f = g.pooled()
w = g.add("Transpose", [g.dqw("w", FC.T.copy(), "is", 0)], "wt", perm=[1, 0])
g.add("Gemm", [f, w, g.weight("b", BIAS)], "z", alpha=0.5, beta=2.0)
g.save("qdq-transposed")

g = Graph()  # weights that the graph quantises
f = g.pooled()
s, z, _, _ = g.scales("w", FC, "is")
g.add("QuantizeLinear", [g.weight("w", FC), s, z], "w_q")
g.add("DequantizeLinear", ["w_q", s, z], "w_dq")
g.add("Gemm", [f, "w_dq", g.weight("b", BIAS)], "z")
g.save("qdq-float-weights")

g = Graph()
z = g.add("Gemm", [g.pooled(), g.dqw("w", FC), g.weight("b", BIAS)], "z0")
g.save("qdq-output", g.qdq(z, LOGITS, "i"))

g = Graph()
z = g.qdq(g.add("Gemm", [g.pooled(), g.dqw("w", FC), g.weight("b", BIAS)], "z0"), LOGITS, "i")
p = g.add("Softmax", [z], "p", axis=1)
g.weight("p_s", np.float32(1 / 256)), g.weight("p_z", np.uint8(0))
g.save("qdq-softmax", g.add("DequantizeLinear", [g.add("QuantizeLinear", [p, "p_s", "p_z"], "p_q"), "p_s", "p_z"], "p_dq"))

g = Graph()  # a 1x1 convolution behind the pooling, per channel
g.body()
gap = g.qdq(g.add("GlobalAveragePool", [g.qdq("map", MAP)], "g"), POOLED)
z = g.add("Conv", [gap, g.dqw("w", FC.T.copy()[:, :, None, None], "is", 0), g.weight("b", BIAS)], "k")
g.add("Flatten", [g.qdq(z, LOGITS)], "z")
g.save("qdq-conv")

for name, relu in [("qdq-squeezenet", False), ("qdq-squeezenet-relu", True)]:  # the ReLU is in the zero point
    g = Graph()
    g.body()
    k = g.add("Conv", [g.qdq("map", MAP), g.dqw("w", FC.T.copy()[:, :, None, None], "is", 0), g.weight("b", BIAS)], "k")
    k = g.qdq(k, np.maximum(PLACES, 0) if relu else PLACES)
    g.add("Flatten", [g.add("GlobalAveragePool", [k], "g")], "z")
    g.save(name)

g = Graph()
f = g.pooled()
bn = g.add("BatchNormalization", [f] + [g.weight(n, v) for n, v in [("gamma", GAMMA), ("beta", BETA), ("mean", MEAN), ("var", VAR)]], "bn", epsilon=1e-3)
normed = (POOLED - MEAN) / np.sqrt(VAR + 1e-3) * GAMMA + BETA
z = g.add("Gemm", [g.qdq(bn, normed), g.dqw("w", FC), g.weight("b", BIAS)], "z0")
g.add("BatchNormalization", [g.qdq(z, normed @ FC + BIAS)] + [g.weight("k" + n, v) for n, v in [("gamma", KGAMMA), ("beta", KBETA), ("mean", KMEAN), ("var", KVAR)]], "z")
g.save("qdq-batchnorm")

POOL4 = F.max_pool2d(torch.tensor(MAP), 4).numpy()
FLAT, DEPTHWISE = f32(C * 16, K) / 4, f32(C, 1, SIDE, SIDE) / 16
g = Graph()  # a weight for every place of the map
g.body()
p = g.add("MaxPool", [g.qdq("map", MAP)], "p", kernel_shape=[4, 4], strides=[4, 4])
f = g.qdq(g.add("Flatten", [g.qdq(p, POOL4)], "f"), POOL4)
g.add("Gemm", [f, g.dqw("w", FLAT), g.weight("b", BIAS)], "z")
g.save("qdq-flatten")

g = Graph()  # a depthwise convolution over the whole map in place of a mean
g.body()
deep = (MAP * DEPTHWISE[:, 0]).sum((2, 3))
d = g.add("Conv", [g.qdq("map", MAP), g.dqw("d", DEPTHWISE, "is", 0)], "k", group=C)
f = g.add("Flatten", [g.qdq(d, deep, "i")], "f")
g.add("Gemm", [f, g.dqw("w", FC), g.weight("b", BIAS)], "z")
g.save("qdq-depthwise")

# --- float graphs with constants around the head
g = Graph()
g.body()
g.add("Flatten", [g.add("GlobalAveragePool", ["map"], "g")], "f")
t = g.add("Div", [g.add("Sub", ["f", g.weight("mean", MEAN)], "f1"), g.weight("std", np.sqrt(VAR))], "f2")
t = g.add("Add", [g.add("Mul", [t, g.weight("gamma", GAMMA[None])], "f3"), g.weight("beta", BETA[None])], "f4")
t = g.add("Dropout", [t], "f5")
t = g.add("Add", [g.add("MatMul", [t, g.weight("w", FC)], "m"), g.weight("b", BIAS)], "y")
t = g.add("Sub", [g.weight("one", np.float32(1)), g.add("Mul", [t, g.weight("t", np.float32(-2.5))], "y1")], "y2")
g.add("Cast", [g.add("Identity", [t], "y3")], "z", to=1)
g.save("constants-around")

g = Graph()
g.body()
g.add("Flatten", [g.add("GlobalAveragePool", ["map"], "g")], "f")
g.add("FusedMatMul", ["f", g.weight("w", FC.T.copy())], "m", "ms", transB=1, alpha=0.5)
g.add("Add", ["m", g.weight("b", BIAS)], "z")
g.save("fused-matmul")

g = Graph()
g.body()
g.add("Flatten", [g.add("GlobalAveragePool", ["map"], "g")], "f")
r = g.add("FusedGemm", ["f", g.weight("v", f32(C, 4)), g.weight("vb", f32(4))], "r", "ms", activation="Relu")
g.add("Gemm", [r, g.weight("w", f32(4, K)), g.weight("b", BIAS)], "z")
g.save("fused-gemm")

# --- QOperator
def qbody(g):
    s, z, _, _ = g.scales("x", x.numpy(), "u")
    w = g.w("conv", CONV, "is", 0)
    ms, mz, _, _ = g.scales("map", MAP, "u")
    g.add("QuantizeLinear", ["x", s, z], "x_q")
    return [g.add("QLinearConv", ["x_q", s, z] + w + [ms, mz], "map_q", pads=[1, 1, 1, 1]), ms, mz]


def qpooled(g, op="QLinearGlobalAveragePool", **kw):
    m = qbody(g)
    s, z, _, _ = g.scales("f", POOLED, "u")
    g.add("Flatten", [g.add(op, m + [s, z], "g_q", "ms", **kw)], "f_q")
    return ["f_q", s, z]


def qbias(g, per):
    s = (g.weights["f_s"] * g.weights["w_s"]).astype(np.float32)
    return g.weight("b_q", np.round(BIAS / s).astype(np.int32))


g = Graph()
a = qpooled(g)
w = g.w("w", FC.T.copy(), "is", 0)
zs, zz, _, _ = g.scales("z", LOGITS, "u")
g.add("QGemm", a + w + [qbias(g, 0), zs, zz], "z_q", "ms", transB=1)
g.save("qop-gemm", g.add("DequantizeLinear", ["z_q", zs, zz], "z"))

g = Graph()
a = qpooled(g, "QLinearAveragePool", kernel_shape=[SIDE, SIDE])
g.add("QGemm", a + g.w("w", FC, "u") + [qbias(g, 0)], "z", "ms", alpha=1.0)
g.save("qop-gemm-float-output")

g = Graph()
a = qpooled(g)
ms, mz, _, _ = g.scales("m", POOLED @ FC, "u")
zs, zz, _, _ = g.scales("z", LOGITS, "u")
g.add("QLinearMatMul", a + g.w("w", FC, "us") + [ms, mz], "m_q")
g.add("QLinearAdd", g.w("b", BIAS, "u") + ["m_q", ms, mz, zs, zz], "z_q", "ms")
g.save("qop-matmul-add", g.add("DequantizeLinear", ["z_q", zs, zz], "z"))

g = Graph()
m = qbody(g)
s, z, _, _ = g.scales("f", POOLED, "u")
a = [g.add("QLinearGlobalAveragePool", m + [s, z], "g_q", "ms"), s, z]
w = g.w("w", FC.T.copy()[:, :, None, None], "is", 0)
zs, zz, _, _ = g.scales("z", LOGITS, "u")
g.add("QLinearConv", a + w + [zs, zz, qbias(g, 0)], "k_q")
ps, pz = g.weight("p_s", np.float32(1 / 256)), g.weight("p_z", np.uint8(0))
g.add("QLinearSoftmax", [g.add("Flatten", ["k_q"], "z_q"), zs, zz, ps, pz], "p_q", "ms", axis=1, opset=13)
g.save("qop-conv-softmax", g.add("DequantizeLinear", ["p_q", ps, pz], "p"))

g = Graph()
m = qbody(g)
w = g.w("w", FC.T.copy()[:, :, None, None], "is", 0)
ks, kz, _, _ = g.scales("k", PLACES, "u")
zs, zz, _, _ = g.scales("z", LOGITS, "u")
g.add("QLinearConv", m + w + [ks, kz], "k_q")
g.add("Flatten", [g.add("QLinearGlobalAveragePool", ["k_q", ks, kz, zs, zz], "g_q", "ms")], "z_q")
g.save("qop-squeezenet", g.add("DequantizeLinear", ["z_q", zs, zz], "z"))

# --- dynamic
def fpooled(g):
    g.body()
    return g.add("Flatten", [g.add("GlobalAveragePool", ["map"], "g")], "f")


g = Graph()
q = g.add("DynamicQuantizeLinear", [fpooled(g)], ["f_q", "f_s", "f_z"])
w = g.w("w", FC, "u", 1)
m = g.add("Cast", [g.add("MatMulInteger", ["f_q", w[0], "f_z", w[2]], "mi")], "mc", to=1)
m = g.add("Mul", [m, g.add("Mul", ["f_s", w[1]], "s")], "m")
g.add("Add", [m, g.weight("b", BIAS)], "z")
g.save("dynamic-matmul")

g = Graph()
g.body()
g.add("GlobalAveragePool", ["map"], "g")
g.add("DynamicQuantizeLinear", ["g"], ["g_q", "g_s", "g_z"])
w = g.w("w", FC.T.copy()[:, :, None, None], "is")
m = g.add("Cast", [g.add("ConvInteger", ["g_q", w[0], "g_z", w[2]], "mi")], "mc", to=1)
m = g.add("Mul", [m, g.add("Mul", ["g_s", w[1]], "s")], "m")
b = g.add("Reshape", [g.weight("b", BIAS), g.weight("shape", np.array([1, -1, 1, 1]))], "br")
g.add("Flatten", [g.add("Add", [m, b], "k")], "z")
g.save("dynamic-conv")

g = Graph()
w = g.w("w", FC, "is")
g.add("DynamicQuantizeMatMul", [fpooled(g)] + w + [g.weight("b", BIAS)], "z", "ms")
g.save("dynamic-contrib")

g = Graph()
g.add("DynamicQuantizeLinear", [fpooled(g)], ["f_q", "f_s", "f_z"])
w = g.w("w", FC, "u", 1)
g.add("MatMulIntegerToFloat", ["f_q", w[0], "f_s", w[1], "f_z", w[2], g.weight("b", BIAS)], "z", "ms")
g.save("dynamic-to-float")

g = Graph()  # scales that are known before
q = g.q(fpooled(g), POOLED)
w = g.w("w", FC, "is")
m = g.add("Cast", [g.add("MatMulInteger", [q[0], w[0], q[2]], "mi")], "mc", to=1)
m = g.add("Mul", [m, g.weight("s", np.float32(g.weights["f_s"] * g.weights["w_s"]))], "m")
g.add("Add", [m, g.weight("b", BIAS)], "z")
g.save("static-integer")

# --- refused
int4 = onnx.TensorProto(name="w_q", data_type=22, dims=[C, K], raw_data=bytes(C * K // 2))
g = Graph()
f = g.pooled()
g.weight("w_q", int4), g.weight("w_s", np.float32(0.1))
g.add("Gemm", [f, g.add("DequantizeLinear", ["w_q", "w_s"], "w"), g.weight("b", BIAS)], "z")
g.save("refused-int4", opset=21)

g = Graph()
f = g.pooled()
g.weight("w_q", np.zeros((C, K), np.int8)), g.weight("w_s", np.ones((2, K), np.float32))
g.add("Gemm", [f, g.add("DequantizeLinear", ["w_q", "w_s"], "w", axis=0, block_size=3), g.weight("b", BIAS)], "z")
g.save("refused-blocked", opset=21)

g = Graph()
f = fpooled(g)
g.add("MatMulNBits", [f, g.weight("w_q", np.zeros((K, 1, 8), np.uint8)), g.weight("w_s", np.ones(K, np.float32))], "z", "ms", K=C, N=K, bits=4, block_size=16)
g.save("refused-nbits")

g = Graph()
a = qpooled(g)
g.add("QGemm", [a[0], g.weight("other_s", np.float32(0.5)), a[2]] + g.w("w", FC, "u"), "z", "ms")
g.save("refused-other-scale")

g = Graph()
z = g.add("Gemm", [g.pooled(), g.dqw("w", FC), g.weight("b", BIAS)], "z0")
g.save("refused-cut", g.qdq(z, np.maximum(LOGITS, 0)))

g = Graph()
g.add("BatchNormalization", [fpooled(g)] + [g.weight(n, v) for n, v in [("gamma", GAMMA), ("beta", BETA), ("mean", MEAN), ("var", VAR)]], ["bn", "m1", "v1"], training_mode=1)
z = g.add("Gemm", ["bn", g.weight("w", FC), g.weight("b", BIAS)], "y")
g.add("BatchNormalization", [z] + [g.weight("k" + n, v) for n, v in [("gamma", KGAMMA), ("beta", KBETA), ("mean", KMEAN), ("var", KVAR)]], ["z", "m2", "v2"], training_mode=1)
g.save("refused-batchnorm", opset=15)
