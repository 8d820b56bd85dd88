"""Pillow's processor time for decoding and resizing the images that `cutmix-eval
bench` decodes and resizes, on one thread: Image.open().convert("RGB"), then
torchvision's Resize(256), CenterCrop(224), ToTensor and Normalize in numpy.

    python3 bench/pillow.py FOLDER
"""
import glob
import io
import os
import sys
import time

import numpy as np
from PIL import Image

files = [open(p, "rb").read() for p in sorted(glob.glob(os.path.join(sys.argv[1], "**", "*.*"), recursive=True)) if os.path.isfile(p)]
mean = np.array((0.485, 0.456, 0.406), np.float32)
std = np.array((0.229, 0.224, 0.225), np.float32)
rows = []
for _ in range(6):
    decode = resize = 0
    for data in files:
        t0 = time.process_time()
        im = Image.open(io.BytesIO(data)).convert("RGB")
        t1 = time.process_time()
        w, h = im.size
        im = im.resize((256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256), Image.BILINEAR)
        left, top = round((im.width - 224) / 2), round((im.height - 224) / 2)
        x = np.asarray(im.crop((left, top, left + 224, top + 224)), np.float32) / 255
        x = np.ascontiguousarray(((x - mean) / std).transpose(2, 0, 1))
        t2 = time.process_time()
        decode, resize = decode + t1 - t0, resize + t2 - t1
    rows.append((1000 * decode / len(files), 1000 * resize / len(files)))
for i, name in enumerate(("read and decode", "resize, crop, normalise")):
    v = sorted(r[i] for r in rows)
    print("%s: %.2f ms per image (%.2f to %.2f)" % (name, (v[2] + v[3]) / 2, v[0], v[5]))
