"""Times the sweep over thresholds with OpenCV, as evaluations of localization in Python
do it, on the maps of `go test ./boxes -bench Sweep`: a 7 x 7 map resized to 224 x 224
(INTER_CUBIC), scaled to 0..1, cut at each threshold, findContours, the largest contour's
box and all boxes, their overlaps with one true box.

    /usr/bin/python3 bench/wsol.py
"""
import time

import cv2
import numpy as np

i = np.arange(49)
m = np.sin(i) + 2 * np.exp(-((i % 7 - 3.0) ** 2) - ((i // 7 - 3.0) ** 2))
truth = np.array([50, 60, 150, 170])


def iou(b, t):
    w = min(b[2], t[2]) - max(b[0], t[0]) + 1
    h = min(b[3], t[3]) - max(b[1], t[1]) + 1
    inter = max(w, 0) * max(h, 0)
    area = lambda r: (r[2] - r[0] + 1) * (r[3] - r[1] + 1)
    return inter / (area(b) + area(t) - inter)


def box(c):
    x, y, w, h = cv2.boundingRect(c)
    return x, y, min(x + w, 223), min(y + h, 223)


def sweep(thresholds):
    heat = cv2.resize(m.reshape(7, 7), (224, 224), interpolation=cv2.INTER_CUBIC)
    heat = (heat - heat.min()) / (heat - heat.min()).max()
    grey = (heat * 255).astype(np.uint8)
    best = []
    for t in thresholds:
        _, cut = cv2.threshold(grey, int(t * grey.max()), 255, cv2.THRESH_BINARY)
        contours = cv2.findContours(cut, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
        if not contours:
            best.append((iou((0, 0, 0, 0), truth),) * 2)
            continue
        largest = max(contours, key=cv2.contourArea)
        best.append((iou(box(largest), truth), max(iou(box(c), truth) for c in contours)))
    return best


for interval in (0.01, 0.001):
    thresholds = np.arange(0, 1, interval)
    sweep(thresholds)
    n = 20
    start = time.perf_counter()
    for _ in range(n):
        sweep(thresholds)
    print("%d thresholds: %.2f ms a map" % (len(thresholds), 1000 * (time.perf_counter() - start) / n))
