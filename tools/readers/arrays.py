"""Reads the logits of a run with numpy and prints their shape and sum as JSON.

    python3 arrays.py RUN
"""
import glob
import json
import sys

import numpy as np

logits = np.concatenate([np.load(f) for f in sorted(glob.glob(sys.argv[1] + "/parts/*.logits.*.npy"))])
print(json.dumps({"shape": logits.shape, "dtype": str(logits.dtype), "sum": float(logits.astype(np.float64).sum())}))
