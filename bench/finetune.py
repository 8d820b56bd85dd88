"""The usual Python way to tune a classifier's head on a frozen backbone, plainly or with
CutMix: the reference for accuracy, NLL and time. The backbone is a CIFAR ResNet (6n + 2
layers, parameter-free shortcuts, batch norm folded into the convolutions) read from an
ONNX file and run in torch on the CPU; torchvision's transforms on PIL images, the training
loop of clovaai/CutMix-PyTorch. The head starts at zero.

    python3 bench/finetune.py --model resnet20.onnx --train train.tar --test test.tar --mix cutmix

The archives hold */<class>/<file>.jpg; classes are numbered in sorted order. --mix:
    none            every batch as it is
    cutmix          boxes pasted between images, features computed anew in each epoch
    feature-cutmix  boxes pasted between the last feature maps of the images as they are
                    (no --augment), computed once
Prints one line of JSON: top-1 and mean NLL on the test images after the last epoch;
train_seconds is everything between the decoded images and the last step.
"""
import argparse
import io
import json
import math
import tarfile
import time

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms as T


class Backbone(nn.Module):
    """From normalised pixels to the last feature maps, before they are averaged."""

    def __init__(self, path):
        super().__init__()
        graph = onnx.load(path).graph
        weights = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
        self.convs = nn.ModuleList()
        for node in graph.node:
            if node.op_type == "Conv":
                w, b = weights[node.input[1]], weights[node.input[2]]
                attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                conv = nn.Conv2d(w.shape[1], w.shape[0], tuple(w.shape[2:]), attrs["strides"], attrs["pads"][:2])
                conv.load_state_dict({"weight": w, "bias": b})
                self.convs.append(conv)

    @torch.no_grad()
    def forward(self, x):
        x = F.relu(self.convs[0](x))
        for first, second in zip(self.convs[1::2], self.convs[2::2]):
            y = second(F.relu(first(x)))
            if y.shape != x.shape:
                side = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
            x = F.relu(y + x)
        return x


def read(path):
    """The pictures of an archive, their classes, and the names of the classes."""
    images, names = [], []
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if member.isfile() and member.name.endswith(".jpg"):
                images.append(Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB"))
                names.append(member.name.split("/")[-2])
    classes = sorted(set(names))
    return images, torch.tensor([classes.index(n) for n in names]), classes


def rand_box(width, height, lam, rng):
    ratio = math.sqrt(1 - lam)
    half_w, half_h = int(width * ratio) // 2, int(height * ratio) // 2
    x, y = rng.integers(width), rng.integers(height)
    return max(x - half_w, 0), max(y - half_h, 0), min(x + half_w, width), min(y + half_h, height)


def mixed(x, alpha, rng):
    """Pastes one box into every picture (or feature map) of x; returns where each box came from, and lambda."""
    source = torch.from_numpy(rng.permutation(len(x)))
    height, width = x.shape[2:]
    x0, y0, x1, y1 = rand_box(width, height, rng.beta(alpha, alpha), rng)
    x[:, :, y0:y1, x0:x1] = x[source, :, y0:y1, x0:x1]
    return source, 1 - (x1 - x0) * (y1 - y0) / (width * height)


def feature_maps(backbone, images, pre):
    return torch.cat([backbone(torch.stack([pre(i) for i in images[k:k + 250]])) for k in range(0, len(images), 250)])


def train(args, backbone, images, labels, n_classes, pre, rng):
    augment = [T.RandomResizedCrop(32, scale=args.scale, interpolation=T.InterpolationMode.BILINEAR), T.RandomHorizontalFlip()]
    fresh = T.Compose([*augment, pre]) if args.augment == "crop-flip" else pre
    maps = feature_maps(backbone, images, pre) if args.mix == "feature-cutmix" else None
    head = nn.Linear(backbone.convs[-1].out_channels, n_classes)
    for p in head.parameters():
        nn.init.zeros_(p)
    groups = [{"params": [head.weight], "weight_decay": args.weight_decay}, {"params": [head.bias], "weight_decay": 0}]
    sgd = args.optimizer == "sgd"
    optimizer = torch.optim.SGD(groups, args.lr, 0.9, nesterov=True) if sgd else torch.optim.AdamW(groups, args.lr)
    steps = args.epochs * math.ceil(len(images) / args.batch)
    for epoch in range(args.epochs):
        batches = torch.from_numpy(rng.permutation(len(images))).split(args.batch)
        for step, batch in enumerate(batches, epoch * len(batches)):
            x = torch.stack([fresh(images[i]) for i in batch]) if maps is None else maps[batch]
            y = labels[batch]
            source, lam = None, 1.0
            if args.mix != "none" and rng.random() < args.prob:
                source, lam = mixed(x, args.alpha, rng)
            if maps is None:
                x = backbone(x)
            logits = head(x.mean((2, 3)))
            loss = F.cross_entropy(logits, y)
            if source is not None:
                loss = lam * loss + (1 - lam) * F.cross_entropy(logits, y[source])
            for group in optimizer.param_groups:
                group["lr"] = args.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return head


def main():
    floats = lambda s: tuple(float(v) for v in s.split(","))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--model", "--train", "--test"):
        p.add_argument(flag, required=True)
    p.add_argument("--mean", type=floats, default=(0.485, 0.456, 0.406))
    p.add_argument("--std", type=floats, default=(0.229, 0.224, 0.225))
    p.add_argument("--mix", choices=("none", "cutmix", "feature-cutmix"), default="none")
    p.add_argument("--prob", type=float, default=0.5, help="probability that a batch is mixed")
    p.add_argument("--alpha", type=float, default=1, help="lambda is drawn from Beta(alpha, alpha)")
    p.add_argument("--augment", choices=("crop-flip", "none"), default="crop-flip")
    p.add_argument("--scale", type=floats, default=(0.5, 1.0), help="smallest and largest area of a crop")
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--weight-decay", type=float, default=1e-4, help="of the weights, not of the biases")
    p.add_argument("--optimizer", choices=("sgd", "adamw"), default="sgd")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    if args.mix == "feature-cutmix":
        args.augment = "none"
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    backbone = Backbone(args.model).eval().requires_grad_(False)
    pre = T.Compose([T.ToTensor(), T.Normalize(args.mean, args.std)])
    images, labels, classes = read(args.train)
    start = time.perf_counter()
    head = train(args, backbone, images, labels, len(classes), pre, rng)
    seconds = time.perf_counter() - start
    test_images, test_labels, test_classes = read(args.test)
    if test_classes != classes:
        raise SystemExit("the two archives do not hold the same classes")
    with torch.no_grad():
        logits = head(feature_maps(backbone, test_images, pre).mean((2, 3)))
    top1 = (logits.argmax(1) == test_labels).double().mean().item()
    nll = F.cross_entropy(logits.double(), test_labels).item()
    options = {k: v for k, v in vars(args).items() if k not in ("train", "test", "mean", "std")}
    print(json.dumps({**options, "train_images": len(images), "test_images": len(test_images), "top1": top1, "nll": nll,
                      "train_seconds": round(seconds, 2), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
