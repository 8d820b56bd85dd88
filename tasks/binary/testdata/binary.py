#!/usr/bin/env python3
"""Prints what a model with one output gives for images of two classes, for TestOneOutput.

The graph is run node by node in torch (1.13), pictures are read and resized by Pillow (9.4), the numbers
are the definitions:
    python3 binary.py MODEL.onnx DATA.tar FOLDER-OF-CLASSES SIDE nchw|nhwc
"""
import io
import sys
import tarfile

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from PIL import Image
from torch.nn import functional as F

path, data, folder, side, layout = sys.argv[1:]
side = int(side)
graph = onnx.load(path).graph
weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in graph.initializer}


def node(n, v):
    a = {x.name: helper.get_attribute_value(x) for x in n.attribute}
    x = [v[i] for i in n.input]
    match n.op_type:
        case "Transpose": return x[0].permute(a["perm"])
        case "Conv": return F.conv2d(x[0], x[1], x[2], a["strides"], a["pads"][:2])
        case "MaxPool": return F.max_pool2d(x[0], a["kernel_shape"], a["strides"])
        case "Relu": return F.relu(x[0])
        case "Mul": return x[0] * x[1]
        case "Add": return x[0] + x[1]
        case "GlobalAveragePool": return x[0].mean((2, 3), keepdim=True)
        case "Squeeze" | "Flatten": return x[0].flatten(1)
        case "MatMul": return x[0] @ x[1]
        case "Gemm": return x[0] @ (x[1].T if a.get("transB") else x[1]) + (x[2] if len(x) > 2 else 0)
        case "Identity": return x[0]
    raise ValueError(n.op_type)


def logit(picture):
    v = dict(weights)
    v[graph.input[0].name] = torch.from_numpy(picture)
    for n in graph.node:
        if n.op_type == "Sigmoid":  # at the end: its logit
            break
        last = v[n.output[0]] = node(n, v)
    return float(last)


z, y = [], []
with tarfile.open(data) as tar:
    names = sorted(m.name.removeprefix("./") for m in tar if m.isfile())
    names = [n for n in names if n.startswith(folder) and n.endswith((".jpg", ".png"))]
    classes = sorted({n.split("/")[-2] for n in names})
    members = {m.name.removeprefix("./"): m for m in tar}
    for n in names:
        im = Image.open(io.BytesIO(tar.extractfile(members[n]).read())).convert("RGB")
        if im.size != (side, side):
            im = im.resize((side, side), Image.BILINEAR)
        x = np.asarray(im, np.float32)[None] / np.float32(255)
        if layout == "nchw":
            x = x.transpose(0, 3, 1, 2)
        z.append(logit(np.ascontiguousarray(x)))
        y.append(n.split("/")[-2] == classes[1])
z, y = np.array(z), np.array(y)
p = 1 / (1 + np.exp(-z))
print("images", len(y), "positive", classes[1], y.sum())
print("accuracy", ((p > 0.5) == y).mean())
print("auroc", np.mean([(a > b) + 0.5 * (a == b) for a in z[y] for b in z[~y]]))
print("nll", np.mean(np.where(y, np.log1p(np.exp(-z)), np.log1p(np.exp(z)))))
print("brier", ((p - y) ** 2).mean())
print("range", z.min(), z.max())
