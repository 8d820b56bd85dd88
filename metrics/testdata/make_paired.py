"""Makes paired.json: McNemar's exact test by statsmodels and paired percentile
bootstrap intervals by scipy, for TestAgainstScipy.

    /usr/bin/python3 metrics/testdata/make_paired.py    # statsmodels 0.13, scipy 1.10

The outcomes come from a small linear congruential generator that the test has too.
"""
import json
import os

import numpy as np
import scipy
import scipy.stats
import statsmodels
from statsmodels.stats.contingency_tables import mcnemar


def outcomes(n, seed):
    """Right or wrong, and loss, of two models that see the same n images."""
    state = seed
    rows = []
    for _ in range(n):
        u = []
        for _ in range(4):
            state = (6364136223846793005 * state + 1442695040888963407) % 2**64
            u.append((state >> 11) / 2**53)
        easy = u[0]
        a, b = u[1] < 0.5 + 0.5 * easy, u[2] < 0.55 + 0.45 * easy
        rows.append((a, b, -np.log(0.05 + 0.95 * easy * u[1]), -np.log(0.05 + 0.95 * easy * u[2])))
    return rows


tables = []
for only_a, only_b in [(0, 0), (1, 0), (0, 6), (3, 9), (71, 74), (10, 40), (250, 311), (2000, 2210)]:
    p = mcnemar([[100, only_a], [only_b, 50]], exact=True).pvalue
    tables.append({"only_a": only_a, "only_b": only_b, "p": float(p)})

sets = []
for n, seed in [(200, 1), (1000, 2), (5000, 3)]:
    rows = outcomes(n, seed)
    a, b, la, lb = (np.array(c, dtype=float) for c in zip(*rows))
    entry = {"n": n, "seed": seed,
             "mcnemar_p": float(mcnemar([[0, int((a * (1 - b)).sum())], [int((b * (1 - a)).sum()), 0]], exact=True).pvalue)}
    for name, x, y in [("top1", a, b), ("nll", la, lb)]:
        r = scipy.stats.bootstrap((x, y), lambda x, y, axis: y.mean(axis) - x.mean(axis), paired=True, vectorized=True, batch=100,
                                  n_resamples=20000, confidence_level=0.95, method="percentile", random_state=np.random.default_rng(0))
        entry[name] = {"value": float(y.mean() - x.mean()), "low": float(r.confidence_interval.low),
                       "high": float(r.confidence_interval.high), "standard_error": float(r.standard_error)}
    sets.append(entry)

with open(os.path.join(os.path.dirname(__file__), "paired.json"), "w") as f:
    json.dump({"statsmodels": statsmodels.__version__, "scipy": scipy.__version__, "tables": tables, "sets": sets}, f, indent=1)
