"""Makes tiny224.onnx and tiny224-softmax.onnx, a small 224 x 224 network of 1000
classes with random weights, and what PyTorch and torchvision make of a folder of
images with it (argmax and largest logit of each image).

    /usr/bin/python3 make.py imagenet-samples-100.tar     (torch 1.13, torchvision 0.14, Pillow 9.4)
"""
import io
import json
import sys
import tarfile

import torch
from PIL import Image
from torch import nn
from torchvision import transforms as T

torch.manual_seed(0)
torch.set_num_threads(1)
net = nn.Sequential(nn.Conv2d(3, 12, 7, 8, 3), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(),
                    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 1000))
for p in net.parameters():
    nn.init.normal_(p, std=0.35)
net.eval()
x = torch.zeros(1, 3, 224, 224)
for name, m in (("tiny224", net), ("tiny224-softmax", nn.Sequential(net, nn.Softmax(1)))):
    torch.onnx.export(m, x, name + ".onnx", opset_version=13, input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": {0: "n"}, "output": {0: "n"}})
pre = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
out = {}
with tarfile.open(sys.argv[1]) as t, torch.no_grad():
    for m in sorted(t.getmembers(), key=lambda m: m.name):
        if m.isfile():
            img = Image.open(io.BytesIO(t.extractfile(m).read())).convert("RGB")
            z = net(pre(img)[None])[0]
            top = z.topk(2).values
            out["/".join(m.name.split("/")[1:])] = [int(z.argmax()), round(float(top[0]), 5), round(float(top[0] - top[1]), 5)]
with open("tiny224.json", "w") as f:
    json.dump(out, f, indent=0, sort_keys=True)
    f.write("\n")
print(len(out), "images;", len({v[0] for v in out.values()}), "classes; least margin", min(v[2] for v in out.values()))
