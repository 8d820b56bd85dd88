"""Exports a torchvision network with random weights, for timing (speed does not
depend on the weights).

    python3 bench/export.py resnet50 bench/out/resnet50.onnx
"""
import os
import sys

import torch
import torchvision

name, path = sys.argv[1:3]
torch.manual_seed(0)
os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
torch.onnx.export(getattr(torchvision.models, name)(weights=None).eval(), torch.zeros(1, 3, 224, 224), path, opset_version=13,
                  input_names=["input"], output_names=["logits"], dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
print(path, os.path.getsize(path), "bytes")
