"""Converts a PyTorch checkpoint of a torchvision-style ResNet, such as those of the
CutMix authors, to ONNX with a dynamic batch, class count, recipe and provenance in
its metadata.

    python3 tools/convert/convert.py --arch resnet50 --checkpoint model_best.pth.tar --out resnet50_cutmix.onnx
    cutmix-eval models add cutmix-resnet50 resnet50_cutmix.onnx

Needs torch, torchvision and onnx. The checkpoint may be a state dict, or a dict that
holds one under "state_dict" or "model"; the "module." that DataParallel puts before
keys is dropped. Every weight must fit: nothing is skipped silently.
"""
import argparse
import hashlib
import json
import sys

import onnx
import torch
import torchvision

ARCHS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d", "wide_resnet50_2")
RECIPE = {"resize": 256, "crop": 224, "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
          "color": "rgb", "range": "0..1"}


def resnext101_32x4d(num_classes):
    return torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [3, 4, 23, 3], num_classes=num_classes, groups=32, width_per_group=4)


def state_dict(checkpoint):
    """The weights in a checkpoint, with plain keys."""
    for key in ("state_dict", "model"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    if not isinstance(checkpoint, dict) or not all(isinstance(v, torch.Tensor) for v in checkpoint.values()):
        sys.exit("the checkpoint holds no state dict (looked for it itself, and under 'state_dict' and 'model')")
    return {k[len("module."):] if k.startswith("module.") else k: v for k, v in checkpoint.items()}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--arch", required=True, choices=ARCHS)
    ap.add_argument("--checkpoint", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--size", type=int, default=224, help="side of the input in pixels")
    ap.add_argument("--opset", type=int, default=13)
    args = ap.parse_args()

    weights = state_dict(torch.load(args.checkpoint, map_location="cpu"))
    if "fc.weight" not in weights:
        sys.exit("the checkpoint has no fc.weight: it is not a ResNet in torchvision's layout")
    classes = weights["fc.weight"].shape[0]
    make = resnext101_32x4d if args.arch == "resnext101_32x4d" else lambda num_classes: getattr(torchvision.models, args.arch)(num_classes=num_classes)
    net = make(num_classes=classes)
    weights = {k: v for k, v in weights.items() if k in net.state_dict() or not k.endswith("num_batches_tracked")}
    missing, unexpected = net.load_state_dict(weights, strict=False)
    missing = [k for k in missing if not k.endswith("num_batches_tracked")]  # torch before 0.4.1 did not keep them
    if missing or unexpected:
        sys.exit(f"the checkpoint does not fit {args.arch}: missing {missing[:5]}, unexpected {unexpected[:5]}")
    net.eval()

    x = torch.randn(2, 3, args.size, args.size, generator=torch.Generator().manual_seed(0))
    torch.onnx.export(net, x, args.out, opset_version=args.opset, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    m = onnx.load(args.out)
    recipe = dict(RECIPE, crop=args.size, resize=args.size * 8 // 7)
    with open(args.checkpoint, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    onnx.helper.set_model_props(m, {"recipe": json.dumps(recipe), "checkpoint_sha256": digest,
                                    "converted_by": f"tools/convert/convert.py, torch {torch.__version__}, {args.arch}"})
    onnx.checker.check_model(m)
    onnx.save(m, args.out)
    print(f"{args.out}: {args.arch}, {classes} classes, opset {args.opset}")


if __name__ == "__main__":
    main()
