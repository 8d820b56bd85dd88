#!/usr/bin/env python3
"""Trains the pair of small networks that the program carries.

    go run ./tools/scenes-pair/dump --out DATA
    python3 tools/scenes-pair/train.py --data DATA --work WORK --out models

Two recipes, "base" and "cutmix", share the network, schedule and augmentation
(flip and shift); the only difference is CutMix. Each is trained once for each
seed. The network kept for a recipe is the one whose top-1 on the validation
split, after the last epoch, is the median of its seeds (the lower one of the
two in the middle if their number is even; ties go to the lower seed). The test
and OOD splits are opened after that choice, for the two kept networks only.

Trained weights go to WORK/RECIPE-SEED.pt and are not trained again if the file
is there; WORK/results.json holds every number. The ONNX files go to OUT.
Needs torch, onnx, numpy and scipy. A run is repeatable on one machine; other
versions of torch give other weights.
"""

import argparse
import hashlib
import json
import math
import pathlib
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIZE, CLASSES = 64, 10
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]
WIDTHS = (24, 48, 96)
BATCH, LR, MOMENTUM, DECAY, WARMUP = 64, 0.1, 0.9, 5e-4, 2
SHIFT = 4  # pixels
BETA = 1.0  # CutMix: lambda ~ Beta(BETA, BETA)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut (1x1 where the shape changes)."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Sequential()
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


class Net(nn.Module):
    """64 -> stem 32 -> stages at 32, 16, 8 -> global average -> linear."""

    def __init__(self, widths=WIDTHS):
        super().__init__()
        a, b, c = widths
        self.stem = nn.Sequential(nn.Conv2d(3, a, 3, 2, 1, bias=False), nn.BatchNorm2d(a), nn.ReLU())
        self.stages = nn.Sequential(Block(a, a, 1), Block(a, b, 2), Block(b, c, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(c, CLASSES)

    def features(self, x):
        return self.stages(self.stem(x))

    def forward(self, x):
        return self.head(torch.flatten(self.pool(self.features(x)), 1))


def load(data, split):
    """Images as normalised float32 NCHW (channels last in memory), labels int64, boxes."""
    x = np.load(data / f"{split}-images.npy")
    x = torch.from_numpy(x).permute(0, 3, 1, 2).float().div_(255)
    x = x.sub_(torch.tensor(MEAN).view(1, 3, 1, 1)).div_(torch.tensor(STD).view(1, 3, 1, 1))
    x = x.contiguous(memory_format=torch.channels_last)
    return x, torch.from_numpy(np.load(data / f"{split}-labels.npy")).long(), np.load(data / f"{split}-boxes.npy")


def flip_and_shift(x, rng):
    """Mirrors half of the batch and shifts each image by up to SHIFT pixels, edges repeated."""
    n = len(x)
    x = F.pad(x, (SHIFT,) * 4, mode="replicate")
    out = torch.empty(n, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    for i, (dx, dy, flip) in enumerate(zip(rng.integers(0, 2 * SHIFT + 1, n), rng.integers(0, 2 * SHIFT + 1, n), rng.random(n) < 0.5)):
        part = x[i, :, dy : dy + SIZE, dx : dx + SIZE]
        out[i] = part.flip(2) if flip else part
    return out


def cutmix_box(lam, rng):
    """The box of the CutMix paper: sides sqrt(1-lam) of the image's, centre uniform, clipped.

    Returns x0, y0, x1, y1 (exclusive) and lambda corrected to the clipped area."""
    side = int(SIZE * math.sqrt(1 - lam))
    cx, cy = rng.integers(0, SIZE, 2)
    x0, x1 = np.clip([cx - side // 2, cx + side // 2], 0, SIZE)
    y0, y1 = np.clip([cy - side // 2, cy + side // 2], 0, SIZE)
    return x0, y0, x1, y1, 1 - (x1 - x0) * (y1 - y0) / (SIZE * SIZE)


def train(recipe, seed, data, args, log):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Net().to(memory_format=torch.channels_last)
    (x, t, _), (vx, vt, _) = data["train"], data["val"]
    decayed = [p for p in net.parameters() if p.ndim > 1]
    rest = [p for p in net.parameters() if p.ndim <= 1]
    opt = torch.optim.SGD(
        [{"params": decayed, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0}],
        lr=LR, momentum=MOMENTUM, nesterov=True)
    steps = len(x) // BATCH
    total, step, start, curve = steps * args.epochs, 0, time.time(), []
    for epoch in range(args.epochs):
        net.train()
        order, loss_sum = rng.permutation(len(x)), 0.0
        for k in range(steps):
            warm = WARMUP * steps
            scale = (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
            for g in opt.param_groups:
                g["lr"] = LR * scale
            step += 1
            pick = order[k * BATCH : (k + 1) * BATCH]
            bx, bt = flip_and_shift(x[pick], rng), t[pick]
            if recipe == "cutmix" and rng.random() < args.prob:
                x0, y0, x1, y1, lam = cutmix_box(rng.beta(BETA, BETA), rng)
                other = torch.from_numpy(rng.permutation(len(bx)))
                bx[:, :, y0:y1, x0:x1] = bx[other, :, y0:y1, x0:x1]
                logits = net(bx)
                loss = lam * F.cross_entropy(logits, bt) + (1 - lam) * F.cross_entropy(logits, bt[other])
            else:
                loss = F.cross_entropy(net(bx), bt)
            opt.zero_grad()
            loss.backward()
            opt.step()
            loss_sum += loss.item()
        if epoch % 5 == 4 or epoch == args.epochs - 1:
            top1 = accuracy(predict(net, vx)[0], vt)
            curve.append((epoch + 1, round(loss_sum / steps, 4), round(top1, 4)))
            log(f"{recipe} seed {seed} epoch {epoch + 1}/{args.epochs} loss {loss_sum / steps:.3f} val {top1:.4f} {time.time() - start:.0f}s")
    return net, {"recipe": recipe, "seed": seed, "seconds": round(time.time() - start), "curve": curve}


@torch.no_grad()
def predict(net, x, batch=250):
    """Logits (n, 10) and last feature maps (n, C, 8, 8)."""
    net.eval()
    logits, maps = [], []
    for k in range(0, len(x), batch):
        f = net.features(x[k : k + batch])
        maps.append(f)
        logits.append(net.head(f.mean((2, 3))))
    return torch.cat(logits), torch.cat(maps)


def accuracy(logits, t):
    return (logits.argmax(1) == t).float().mean().item()


def wilson(p, n, z=1.959964):
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [(mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n)]


def ece(prob, t, bins=15):
    """Expected calibration error, equal-width bins (low, high]."""
    conf, pred = prob.max(1)
    conf, right = conf.double().numpy(), (pred == t).double().numpy()
    which = np.clip(np.ceil(conf * bins).astype(int) - 1, 0, bins - 1)
    return float(sum(abs(conf[which == b].sum() - right[which == b].sum()) for b in range(bins)) / len(conf))


def auroc(inside, outside):
    """Chance that an in-distribution score exceeds an outside one, ties half."""
    from scipy.stats import rankdata
    r = rankdata(np.concatenate([inside, outside]))
    n, m = len(inside), len(outside)
    return float((r[:n].sum() - n * (n + 1) / 2) / (n * m))


def max_box_acc(net, maps, t, boxes, threshold=0.5):
    """Share of images whose CAM box for the true class meets the object's box with
    IoU >= threshold, at the best of 20 cut levels. The box is that of the largest
    connected region of the map, enlarged to the picture and scaled to 0..1."""
    from scipy import ndimage
    w = net.head.weight.detach()[t]
    cam = F.interpolate(torch.einsum("nchw,nc->nhw", maps, w)[:, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]
    lo, hi = cam.amin((1, 2), keepdim=True), cam.amax((1, 2), keepdim=True)
    cam = ((cam - lo) / (hi - lo + 1e-12)).numpy()
    levels = np.arange(20) / 20
    hits = np.zeros(len(levels))
    for c, (bx0, by0, bx1, by1) in zip(cam, boxes):
        for j, level in enumerate(levels):
            regions, n = ndimage.label(c >= level, structure=np.ones((3, 3)))
            sizes = np.bincount(regions.ravel())[1:]
            sy, sx = ndimage.find_objects(regions)[int(sizes.argmax())]
            iw = min(bx1, sx.stop) - max(bx0, sx.start)
            ih = min(by1, sy.stop) - max(by0, sy.start)
            inter = max(iw, 0) * max(ih, 0)
            union = (bx1 - bx0) * (by1 - by0) + (sx.stop - sx.start) * (sy.stop - sy.start) - inter
            hits[j] += inter / union >= threshold
    best = int(hits.argmax())
    return float(hits[best] / len(boxes)), float(levels[best])


def occluded(x, side=32):
    """The pictures with a square of the mean colour (0 after normalisation) in the middle."""
    x = x.clone()
    a = (SIZE - side) // 2
    x[:, :, a : a + side, a : a + side] = 0
    return x


def measure(net, x, t, boxes):
    logits, maps = predict(net, x)
    prob, n = logits.softmax(1), len(t)
    top1 = accuracy(logits, t)
    mba, level = max_box_acc(net, maps, t, boxes)
    return {
        "n": n, "top1": top1, "top1_wilson95": wilson(top1, n),
        "nll": F.cross_entropy(logits.double(), t).item(), "ece15": ece(prob, t),
        "top1_occluded": accuracy(predict(net, occluded(x))[0], t),
        "max_box_acc": mba, "max_box_acc_level": level,
    }, logits


def run_onnx(model, x):
    """Runs the few operators that such a file holds, straight from its nodes and weights."""
    from onnx import numpy_helper
    v = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in model.graph.initializer}
    v["input"] = x
    for node in model.graph.node:
        a = {p.name: list(p.ints) or p.i or p.f for p in node.attribute}
        i = [v[name] for name in node.input]
        if node.op_type == "Conv":
            assert a["group"] == 1 and a["dilations"] == [1, 1] and len(set(a["pads"])) == 1
            y = F.conv2d(i[0], i[1], i[2], a["strides"], a["pads"][0])
        elif node.op_type == "Gemm":
            assert a["transB"] == 1 and a["alpha"] == a["beta"] == 1
            y = i[0] @ i[1].T + i[2]
        else:
            y = {"Relu": F.relu, "Add": torch.add, "GlobalAveragePool": lambda t: t.mean((2, 3), keepdim=True),
                 "Flatten": lambda t: t.flatten(1), "Identity": lambda t: t}[node.op_type](*i)
        v[node.output[0]] = y
    return v["logits"]


def export(net, path, meta, samples):
    """Writes an ONNX file with batch norm folded and compares it with net on samples."""
    import onnx
    net = net.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        net, torch.zeros(1, 3, SIZE, SIZE), str(path), opset_version=13,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in meta.items()})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))
    with torch.no_grad():
        worst = (run_onnx(model, samples) - net(samples)).abs().max().item()
    assert worst < 1e-4, f"{path}: logits differ from the trained network's by {worst}"
    data = path.read_bytes()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "largest_difference": worst}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=pathlib.Path, required=True, help="folder written by dump")
    ap.add_argument("--work", type=pathlib.Path, required=True, help="folder for weights and results")
    ap.add_argument("--out", type=pathlib.Path, help="folder for the ONNX files; without it the test split stays closed")
    ap.add_argument("--epochs", type=int, default=60)
    ap.add_argument("--seeds", type=lambda s: [int(v) for v in s.split(",")], default=[1, 2, 3])
    ap.add_argument("--prob", type=float, default=0.5, help="chance that a batch is mixed")
    ap.add_argument("--recipes", type=lambda s: s.split(","), default=["base", "cutmix"])
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)

    def log(line):
        print(line, flush=True)

    data = {s: load(args.data, s) for s in ("train", "val")}
    runs = []
    for seed in args.seeds:
        for recipe in args.recipes:
            path = args.work / f"{recipe}-{seed}.pt"
            if path.exists():
                saved = torch.load(path)
                net = Net()
                net.load_state_dict(saved["state"])
                run = saved["run"]
            else:
                net, run = train(recipe, seed, data, args, log)
                run["val"] = measure(net, *data["val"])[0]
                torch.save({"state": net.state_dict(), "run": run}, path)
            log(f"{recipe} seed {seed}: val {json.dumps(run['val'])}")
            runs.append((run, net))
    results = {"epochs": args.epochs, "prob": args.prob, "runs": [r for r, _ in runs], "chosen": {}}
    for recipe in args.recipes:
        ranked = sorted((r for r in runs if r[0]["recipe"] == recipe), key=lambda r: (r[0]["val"]["top1"], r[0]["seed"]))
        run, net = ranked[(len(ranked) - 1) // 2]
        results["chosen"][recipe] = {"seed": run["seed"]}
        if not args.out:
            continue
        chosen = results["chosen"][recipe]
        mixing = {"name": "cutmix", "beta": BETA, "prob": args.prob, "label": "lambda of the clipped box"} if recipe == "cutmix" else {"name": "none"}
        chosen["file"] = export(net, args.out / f"scenes-{recipe}.onnx", {
            "classes": json.loads((args.data / "classes.json").read_text()),
            "mean": MEAN, "std": STD,
            "recipe": {"input": [3, SIZE, SIZE], "resize": SIZE, "crop": SIZE, "interpolation": "bilinear",
                       "color": "rgb", "range": "0..1", "layout": "NCHW", "mean": MEAN, "std": STD},
            "training": {"data": "scenes train", "images": len(data["train"][1]), "mixing": mixing,
                         "epochs": args.epochs, "batch": BATCH, "seed": run["seed"], "seeds_tried": args.seeds,
                         "choice": "median validation top-1 of the seeds",
                         "optimizer": f"SGD, Nesterov momentum {MOMENTUM}, weight decay {DECAY} (weights only)",
                         "schedule": f"cosine from {LR} to 0, {WARMUP} epochs of warm-up",
                         "augmentation": f"mirror 0.5, shift up to {SHIFT} pixels", "widths": list(WIDTHS),
                         "validation_top1": run["val"]["top1"], "script": "tools/scenes-pair/train.py", "torch": torch.__version__},
            "license": "same as the project",
        }, data["val"][0][:100])
        test = load(args.data, "test")
        chosen["test"], logits = measure(net, *test)
        inside = logits.softmax(1).max(1).values.numpy()
        chosen["ood_auroc_max_softmax"] = {
            s: auroc(inside, predict(net, load(args.data, s)[0])[0].softmax(1).max(1).values.numpy())
            for s in ("ood-near", "ood-texture", "ood-noise")}
        np.save(args.work / f"{recipe}-test-logits.npy", logits.numpy())
        log(f"{recipe}: {json.dumps(chosen, indent=1)}")
    (args.work / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
