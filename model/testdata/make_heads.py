"""Makes the small classifiers of heads/, with random weights: one of each family
whose head must be found. torch 1.13, torchvision 0.14, onnx 1.12 (Debian 12).

    /usr/bin/python3 make_heads.py
"""
import pathlib
import warnings

import numpy as np
import onnx
import torch
import torchvision as tv
from functools import partial
from onnx import TensorProto as T, helper as h, numpy_helper as nh
from torch import nn
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig

warnings.filterwarnings("ignore")
torch.manual_seed(0)
K = 7  # classes


def export(name, net, size=32, opset=13, dynamic=True, **kw):
    for p in net.parameters():
        if p.dim() > 1 and p.abs().max() == 0:
            nn.init.normal_(p, std=0.05)
    net.eval()
    # Not through torch's file writing: names and doc strings stay out of the file.
    path = f"heads/{name}.onnx"
    torch.onnx.export(net, torch.randn(2 if not dynamic else 1, 3, size, size), path, opset_version=opset, input_names=["input"],
                      output_names=["output"], dynamic_axes={"input": {0: "n"}, "output": {0: "n"}} if dynamic else None, **kw)
    m = onnx.load(path)
    for n in m.graph.node:
        n.doc_string = ""
    onnx.save(m, path)


class Tail(nn.Module):
    """A small convolutional body and a tail of choice."""

    def __init__(self, tail, c=12):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, c, 3, 2, 1), nn.ReLU())
        self.tail = tail

    def forward(self, x):
        return self.tail(self.body(x))


class Mean(nn.Module):
    def __init__(self, *dims, fc=None):
        super().__init__()
        self.dims, self.fc = dims, fc or nn.Linear(12, K)

    def forward(self, x):
        for d in self.dims:
            x = x.mean(d)
        return self.fc(x)


flat = lambda *m: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *m)
export("resnet", Tail(flat(nn.Linear(12, K))))
export("resnet-opset9", Tail(flat(nn.Linear(12, K))), opset=9)
export("resnet-opset11", Tail(flat(nn.Linear(12, K))), opset=11)
export("resnet-opset16", Tail(flat(nn.Linear(12, K))), opset=16)
export("resnet-inputs", Tail(flat(nn.Linear(12, K))), opset=9, keep_initializers_as_inputs=True)
export("resnet-fixed", Tail(flat(nn.Linear(12, K))), dynamic=False)
export("resnet-softmax", Tail(flat(nn.Linear(12, K), nn.Softmax(1))))
export("resnet-avgpool", Tail(nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(12, K))))
export("timm-mean", Tail(Mean((2, 3))))
export("mean-mean", Tail(Mean(3, 2)))
export("no-bias", Tail(flat(nn.Linear(12, K, bias=False))))
export("two-layer", Tail(flat(nn.Linear(12, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, K))))
export("conv-after-pool", Tail(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, K, 1), nn.Flatten())))
export("squeezenet", Tail(nn.Sequential(nn.Dropout(), nn.Conv2d(12, K, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())))
export("vgg-gap", Tail(nn.Sequential(nn.Conv2d(12, 16, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, K))))
export("vgg-flatten", Tail(nn.Sequential(nn.MaxPool2d(4), nn.Flatten(), nn.Linear(48, 20), nn.ReLU(), nn.Linear(20, K))))
export("densenet", tv.models.DenseNet(4, (1, 1, 1, 1), 8, num_classes=K))
export("mobilenetv3", tv.models.MobileNetV3([InvertedResidualConfig(8, 3, 8, 8, True, "HS", 2, 1, 1)], 16, num_classes=K))
export("efficientnet", tv.models.EfficientNet([MBConvConfig(2, 3, 2, 8, 8, 1, 1.0, 1.0)], 0.1, num_classes=K, last_channel=16))
export("convnext", tv.models.ConvNeXt([CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)], num_classes=K))
export("vit", tv.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=K))
export("swin", tv.models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [2, 2], num_classes=K))


class TimmViT(nn.Module):
    """timm's way: norm, then the class token or the mean of the others, fc_norm, head."""

    def __init__(self, mean):
        super().__init__()
        self.patch, self.cls, self.pos = nn.Conv2d(3, 8, 8, 8), nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        self.block = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.mean, self.norm = mean, nn.Identity() if mean else nn.LayerNorm(8)
        self.fc_norm = nn.LayerNorm(8) if mean else nn.Identity()
        self.head = nn.Linear(8, K)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), 1) + self.pos
        x = self.norm(x + self.block(x + x.mean(1, keepdim=True)))
        x = x[:, 1:].mean(1) if self.mean else x[:, 0]
        return self.head(self.fc_norm(x))


export("timm-vit-cls", TimmViT(False))
export("timm-vit-mean", TimmViT(True))


class TimmSwin(nn.Module):
    """timm's Swin: NHWC until a mean over rows and columns."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(8, K)

    def forward(self, x):
        return self.head(self.norm(self.patch(x).permute(0, 2, 3, 1)).mean((1, 2)))


export("timm-swin", TimmSwin())



class SE(nn.Module):
    """A gate with a pooling of its own, which is not the head's."""

    def __init__(self, c=12):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 4, 1), nn.ReLU(), nn.Conv2d(4, c, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.gate(x)


class FlatMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.se, self.fc = SE(), nn.Linear(12, K)

    def forward(self, x):
        return self.fc(self.se(x).flatten(2).mean(-1))


export("flatten-mean", Tail(FlatMean()))
export("se-no-pool", Tail(nn.Sequential(SE(), nn.Flatten(), nn.Linear(12 * 64, K))))
export("avgpool-part", Tail(nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(48, K))))
export("maxpool", Tail(nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(12, K))))
export("timm-conv-head", Tail(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 20, 1), nn.Hardswish(), nn.Flatten(), nn.Linear(20, K))))
export("squeezenet-padded", Tail(nn.Sequential(nn.Conv2d(12, K, 1, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten())))

# Written node by node: forms that torch 1.13 does not write.
rng = np.random.default_rng(1)
f32 = lambda *s: rng.standard_normal(s).astype(np.float32)
CONV, FC, BIAS = f32(12, 3, 3, 3) / 3, f32(12, K), f32(K)


def graph(name, nodes, weights, out, opset, ir=8, shape=("n", 3, 16, 16), **kw):
    g = h.make_graph(nodes, name, [h.make_tensor_value_info("x", T.FLOAT, shape)],
                     [h.make_tensor_value_info(out, T.FLOAT, [shape[0], K])], [nh.from_array(v, k) for k, v in weights.items()])
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", opset)], ir_version=ir, producer_name="make_heads.py"), f"heads/{name}.onnx", **kw)


body = [h.make_node("Conv", ["x", "conv"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]), h.make_node("Relu", ["c"], ["map"])]
gap = body + [h.make_node("GlobalAveragePool", ["map"], ["g"]), h.make_node("Flatten", ["g"], ["f"])]
linear = [h.make_node("MatMul", ["f", "w"], ["m"], name="dense/MatMul"), h.make_node("Add", ["b", "m"], ["z"], name="dense/BiasAdd")]
base = {"conv": CONV, "w": FC, "b": BIAS}
graph("opset7-ir3", gap + linear, base, "z", 7, 3)
graph("opset18-axes", body + [h.make_node("ReduceMean", ["map", "axes"], ["f"], keepdims=0)] + linear, {**base, "axes": np.array([2, 3])}, "z", 18)
graph("opset22", gap + linear, base, "z", 22, 10)
graph("half-weights", gap + [h.make_node("Cast", ["w16"], ["w"], to=1)] + linear, {"conv": CONV, "w16": FC.astype(np.float16), "b": BIAS}, "z", 13)
graph("constant-nodes", gap + [h.make_node("Constant", [], ["w"], value=nh.from_array(FC)), h.make_node("Constant", [], ["b"], value=nh.from_array(BIAS))] + linear,
      {"conv": CONV}, "z", 13)
graph("transposed-weight", gap + [h.make_node("Transpose", ["wt"], ["w"], perm=[1, 0])] + linear, {"conv": CONV, "wt": np.ascontiguousarray(FC.T), "b": BIAS}, "z", 13)
graph("gemm-alpha-beta", gap + [h.make_node("Gemm", ["f", "w", "b"], ["z"], alpha=0.5, beta=2.0)], base, "z", 13)
pathlib.Path("heads/external.bin").unlink(missing_ok=True)  # onnx appends to it
graph("external", gap + linear, base, "z", 13, save_as_external_data=True, location="external.bin", size_threshold=0)
graph("gemm-add", gap + [h.make_node("Gemm", ["f", "w"], ["m"]), h.make_node("Add", ["m", "b"], ["z"])], base, "z", 13)
graph("conv-then-max", body + [h.make_node("Conv", ["map", "w1"], ["k"], kernel_shape=[1, 1]), h.make_node("GlobalMaxPool", ["k"], ["m"]), h.make_node("Flatten", ["m"], ["z"])],
      {"conv": CONV, "w1": np.ascontiguousarray(FC.T)[:, :, None, None]}, "z", 13)
graph("softmax-reshape", gap + linear + [h.make_node("Softmax", ["z"], ["p"], axis=1), h.make_node("Reshape", ["p", "s"], ["r"])],
      {**base, "s": np.array([-1, K])}, "r", 13)
graph("value-ints", body + [h.make_node("Constant", [], ["axes"], value_ints=[2, 3]), h.make_node("ReduceMean", ["map", "axes"], ["f"], keepdims=0)] + linear, base, "z", 18)
# A weight that only the branches of an If read.
branch = lambda name: h.make_graph([h.make_node("Identity", ["two"], [name])], name, [], [h.make_tensor_value_info(name, T.FLOAT, [1])])
graph("if-body", gap + [h.make_node("If", ["yes"], ["k"], then_branch=branch("then_out"), else_branch=branch("else_out")), h.make_node("Mul", ["f", "k"], ["g2"])] +
      [h.make_node("MatMul", ["g2", "w"], ["m"]), h.make_node("Add", ["m", "b"], ["z"])],
      {**base, "two": np.array([2], np.float32), "yes": np.array(True)}, "z", 13)
# A float16 graph with its weights in Constant nodes.
half = lambda a: nh.from_array(a.astype(np.float16))
graph("half-constants", [h.make_node("Cast", ["x"], ["x16"], to=10), h.make_node("Constant", [], ["conv"], value=half(CONV)),
                         h.make_node("Constant", [], ["w"], value=half(FC)), h.make_node("Constant", [], ["b"], value=half(BIAS)),
                         h.make_node("Conv", ["x16", "conv"], ["c"], kernel_shape=[3, 3]), h.make_node("Relu", ["c"], ["map"]),
                         h.make_node("GlobalAveragePool", ["map"], ["g"]), h.make_node("Flatten", ["g"], ["f"]), h.make_node("Gemm", ["f", "w", "b"], ["z16"]),
                         h.make_node("Cast", ["z16"], ["z"], to=1)], {}, "z", 13)
# Two outputs, the features first.
g = h.make_graph(gap + linear, "two-outputs", [h.make_tensor_value_info("x", T.FLOAT, ("n", 3, 16, 16))],
                 [h.make_tensor_value_info("f", T.FLOAT, ["n", 12]), h.make_tensor_value_info("z", T.FLOAT, ["n", K])], [nh.from_array(v, k) for k, v in base.items()])
onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8), "heads/two-outputs.onnx")
# tf2onnx: the image NHWC, a Transpose, pooling and Squeeze, MatMul, BiasAdd, Softmax.
graph("tf2onnx", [h.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), h.make_node("Conv", ["t", "conv"], ["c"], kernel_shape=[3, 3]),
                  h.make_node("Relu", ["c"], ["map"]), h.make_node("ReduceMean", ["map"], ["f"], axes=[2, 3], keepdims=0)] + linear +
      [h.make_node("Softmax", ["z"], ["p"], axis=-1)], base, "p", 13, shape=("n", 16, 16, 3))
# A batch written into a Reshape, as old exporters did.
graph("fixed-reshape", body + [h.make_node("GlobalAveragePool", ["map"], ["g"]), h.make_node("Reshape", ["g", "s"], ["f"])] + linear,
      {**base, "s": np.array([1, 12])}, "z", 13, shape=(1, 3, 16, 16))
# A batch that cannot be freed: an image is compared with a constant of one image.
graph("fixed-stuck", body + [h.make_node("GlobalAveragePool", ["map"], ["g"]), h.make_node("Concat", ["g", "other"], ["two"], axis=1),
                             h.make_node("Flatten", ["two"], ["f"])] + linear,
      {"conv": CONV, "other": f32(1, 3, 1, 1), "w": f32(15, K), "b": BIAS}, "z", 13, shape=(1, 3, 16, 16))
# A batch called open, with a 1 written into the graph all the same.
graph("open-stuck", body + [h.make_node("GlobalAveragePool", ["map"], ["g"]), h.make_node("Reshape", ["g", "s"], ["f"])] + linear,
      {**base, "s": np.array([1, 12])}, "z", 13)
# No head to be found.
graph("no-head", gap + [h.make_node("MatMul", ["f", "w"], ["m"]), h.make_node("Tanh", ["m"], ["z"], name="squash")], base, "z", 13)
