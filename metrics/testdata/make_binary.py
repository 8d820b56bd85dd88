#!/usr/bin/env python3
"""Writes binary.json and labelsets.json: values of metrics of binary and multi-label classifiers.

numpy alone, by the definitions, pair by pair and threshold by threshold, not as the Go code goes:
    python3 make_binary.py
"""
import json
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np

rng = np.random.default_rng(7)


def average_precision(y, s):
    """sum over thresholds of precision times the rise in recall (scikit-learn)"""
    out, before = 0.0, 0.0
    for t in sorted(set(s), reverse=True):
        taken = s >= t
        recall = (y & taken).sum() / y.sum()
        out += (recall - before) * (y & taken).sum() / taken.sum()
        before = recall
    return out


def voc07(y, s):
    """mean over recalls 0, 0.1, ..., 1 of the best precision at that recall or above; exact fractions"""
    points = []
    for t in set(s):
        taken = s >= t
        points.append((Fraction(int((y & taken).sum()), int(y.sum())), (y & taken).sum() / taken.sum()))
    return float(np.mean([max(p for r, p in points if r >= Fraction(k, 10)) for k in range(11)]))


def auroc(y, s):
    pairs = [(a > b) + 0.5 * (a == b) for a in s[y] for b in s[~y]]
    return float(np.mean(pairs))


def delong(y, s):
    """half the width of the 95 % interval, from the structural components (DeLong et al., 1988)"""
    kernel = np.array([[(a > b) + 0.5 * (a == b) for b in s[~y]] for a in s[y]])
    v = kernel.mean(1).var(ddof=1) / y.sum() + kernel.mean(0).var(ddof=1) / (~y).sum()
    return 1.959963984540054 * sqrt(v)


def points(y, s):
    """(tpr, fpr, lowest score taken) by the four rules, highest threshold first among equals"""
    roc = [(0.0, 0.0, None)]
    for t in sorted(set(s), reverse=True):
        roc.append(((s[y] >= t).mean(), (s[~y] >= t).mean(), float(t)))
    out = [max((p for p in roc if p[1] <= limit), key=lambda p: p[0]) for limit in (0.01, 0.05)]
    out.append(next(p for p in roc if p[0] >= 0.95))
    out.append(max(roc, key=lambda p: p[0] - p[1]))
    return [[float(a), float(b), t] for a, b, t in out]


def binary_case(z, y, threshold, bins):
    p = np.array([1 / (1 + exp(-v)) for v in z])
    taken = p > threshold
    tp, fp = int((taken & y).sum()), int((taken & ~y).sum())
    fn, tn = int((~taken & y).sum()), int((~taken & ~y).sum())
    ece = 0.0
    for k in range(bins):
        inside = (p > k / bins) & (p <= (k + 1) / bins)
        if inside.any():
            ece += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    return {
        "logits": [float(v) for v in z], "positive": [bool(v) for v in y], "threshold": threshold, "bins": bins,
        "counts": [tp, fn, tn, fp], "accuracy": float((taken == y).mean()), "auroc": auroc(y, z), "auroc_half": delong(y, z),
        "average_precision": float(average_precision(y, z)),
        "nll": float(np.mean([log(1 + exp(-v)) if c else log(1 + exp(v)) for v, c in zip(z, y)])),
        "brier": float(((p - y) ** 2).mean()), "ece": float(ece), "mean_probability": float(p.mean()),
        "precision": tp / (tp + fp), "recall": tp / (tp + fn), "specificity": tn / (tn + fp),
        "f1": 2 * tp / (2 * tp + fp + fn), "mcc": float(np.corrcoef(taken, y)[0, 1]), "points": points(y, z),
    }


cases = []
for n, share, shift, threshold, digits in [(40, 0.5, 1.0, 0.5, 3), (300, 0.2, 2.0, 0.3, 1), (120, 0.7, 0.3, 0.6, 0)]:
    y = rng.random(n) < share
    z = np.round(rng.normal(size=n) * 1.5 + shift * y, digits).astype(np.float32).astype(np.float64)  # few digits: ties
    cases.append(binary_case(z, y, threshold, 15))
json.dump(cases, open("binary.json", "w"), separators=(",", ":"))


def sets(taken, y, known):
    """CP, CR, CF1, OP, OR, OF1, exact match and Hamming loss; unknown labels are left out"""
    taken, right = taken & known, taken & (y == 1) & known
    of = ((y == 1) & known).sum(0)
    with_image = of > 0
    precision = [right[:, c].sum() / taken[:, c].sum() if taken[:, c].any() else 0.0 for c in range(y.shape[1])]
    cp = np.mean([v for v, w in zip(precision, with_image) if w])
    cr = np.mean((right.sum(0) / np.maximum(of, 1))[with_image])
    op, recall = right.sum() / taken.sum(), right.sum() / of.sum()
    wrong = (taken != (y == 1)) & known
    return [float(v) for v in (cp, cr, 2 * cp * cr / (cp + cr), op, recall, 2 * op * recall / (op + recall),
                               (~wrong.any(1)).mean(), wrong.sum() / known.sum())]


def ranking(s, y, known):
    """ranking loss, coverage error, label ranking average precision (scikit-learn's), one-error"""
    out = [[], [], [], []]
    for scores, truth, k in zip(s, y, known):
        scores, truth = scores[k], truth[k] == 1
        own, others = scores[truth], scores[~truth]
        pairs = [b >= a for a in own for b in others]
        out[0].append(float(np.mean(pairs)) if pairs else 0.0)
        out[1].append(float((scores >= own.min()).sum()) if len(own) else 0.0)
        one = [(own >= a).sum() / (scores >= a).sum() for a in own]
        out[2].append(float(np.mean(one)) if pairs else 1.0)
        if len(own):
            out[3].append(0.0 if truth[np.argmax(scores)] else 1.0)
    return [float(np.mean(v)) for v in out]


n, c = 60, 6
y = (rng.random((n, c)) < 0.3).astype(float)
y[:, 4] = 0  # a class without an image
y[3] = 0
y[5, :4] = 1
s = np.round(rng.normal(size=(n, c)) * 1.5 + 1.5 * y - 0.5, 1).astype(np.float32).astype(np.float64)
known = rng.random((n, c)) > 0.1
y[~known] = -1
have = [k for k in range(c) if (y[known[:, k], k] == 1).any()]
ap = [float(average_precision(y[known[:, k], k] == 1, s[known[:, k], k])) for k in have]
weights = [float((y[known[:, k], k] == 1).sum()) for k in have]
top = np.zeros((n, c), bool)
for i in range(n):
    top[i, np.argsort(-s[i], kind="stable")[:3]] = True
above = s > 0
json.dump({
    "scores": s.ravel().tolist(), "truth": y.ravel().tolist(), "classes": c, "with_image": have, "average_precision": ap,
    "map": float(np.mean(ap)), "map_weighted": float(np.average(ap, weights=weights)),
    "map_micro": float(average_precision(y[known] == 1, s[known])),
    "map_voc07": float(np.mean([voc07(y[known[:, k], k] == 1, s[known[:, k], k]) for k in have])),
    "above": sets(above, y, known), "top3": sets(above & top, y, known), "exactly3": sets(top, y, known),
    "ranking": ranking(s, y, known),
}, open("labelsets.json", "w"), separators=(",", ":"))
