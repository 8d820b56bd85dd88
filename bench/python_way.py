"""The usual Python way to evaluate a classifier: torchvision's transforms on PIL
images, a DataLoader with one process per core, the model in torch on the CPU.
Prints images per second, from the first batch to the last result.

    python3 bench/python_way.py resnet50 folder-of-class-folders [frozen]

frozen compiles the model first (torch.jit.trace, freeze, optimize_for_inference).
"""
import json
import os
import sys
import time

import torch
import torchvision
from torchvision import transforms as T


def main():
    name, data = sys.argv[1:3]
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    if sys.argv[3:] == ["frozen"]:
        with torch.no_grad():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, torch.zeros(8, 3, 224, 224))))
    pre = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    loader = torch.utils.data.DataLoader(torchvision.datasets.ImageFolder(data, pre), batch_size=8, num_workers=os.cpu_count())
    n = 0
    with torch.inference_mode():
        for _ in range(3):
            model(torch.zeros(8, 3, 224, 224))
        start = time.perf_counter()
        for x, _ in loader:
            n += len(model(x).argmax(1))
        seconds = time.perf_counter() - start
    print(json.dumps({"images": n, "seconds": seconds, "images_per_s": n / seconds, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
