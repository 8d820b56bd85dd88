"""Times four ways from image files to class scores, as whole processes, in turns:
cutmix-eval, torch with torchvision and a DataLoader (plain, and frozen), and
onnxruntime-node with sharp. Same machine, same files, same network.

    python3 bench/versus.py --model resnet50.onnx --images FOLDER --binary ./cutmix-eval --node bench/node --rounds 5

Speed is from the first batch to the last result, as each way reports it. Start-up
is the rest of the process's time. Memory is the largest sum of the proportional
set sizes (PSS) of the process and its children, read ten times a second: pages
that a DataLoader's processes share count once.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time


def children(pid):
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in f.read().split():
                    found += children(int(child))
    except OSError:
        pass
    return found


def memory(pid):
    total = 0
    for p in children(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def timed(command):
    start = time.perf_counter()
    p = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak, done = [0.0], threading.Event()

    def watch():
        while not done.wait(0.1):
            peak[0] = max(peak[0], memory(p.pid))

    t = threading.Thread(target=watch)
    t.start()
    out = p.stdout.read()
    code = p.wait()
    wall = time.perf_counter() - start
    done.set()
    t.join()
    if code != 0:
        sys.exit(f"{command[0]} ended with {code}")
    r = json.loads(out)
    if "timing" in r:  # a report of cutmix-eval
        rate, seconds = r["timing"]["images_per_s"], r["timing"]["wall_s"]
    else:
        rate, seconds = r["images_per_s"], r["seconds"]
    return rate, wall - seconds, peak[0]


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--model", required=True)
    a.add_argument("--images", required=True, help="folder of class folders")
    a.add_argument("--binary", required=True)
    a.add_argument("--node", help="folder with way.js and node_modules")
    a.add_argument("--python", default=sys.executable, help="Python with torch and torchvision")
    a.add_argument("--rounds", type=int, default=5)
    a = a.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    torch = [a.python, os.path.join(here, "python_way.py"), "resnet50", a.images]
    ways = {
        "cutmix-eval": [a.binary, "classify", "--model", a.model, "--data", a.images, "--recipe", "imagenet", "--bootstrap", "0", "--format", "json", "--quiet"],
        "torch, eager": torch,
        "torch, frozen": torch + ["frozen"],
    }
    if a.node:
        ways["onnxruntime-node + sharp"] = ["node", os.path.join(a.node, "way.js"), a.model, a.images]
    got = {name: [] for name in ways}
    for r in range(a.rounds):
        for name, command in ways.items():
            got[name].append(timed(command))
            print(f"round {r} {name}: %.1f images/s, %.1f s beside that, %.0f MiB" % got[name][-1], file=sys.stderr)
    print("| way | images/s | cutmix-eval is faster by (rounds) | start-up, s | peak memory, MiB |")
    print("|---|---:|---|---:|---:|")
    for name, rows in got.items():
        ratios = [o[0] / r[0] for o, r in zip(got["cutmix-eval"], rows)]
        print("| %s | %.1f | %.2f (%.2f to %.2f) | %.1f | %.0f |" % (
            name, statistics.median(r[0] for r in rows), statistics.median(ratios), min(ratios), max(ratios),
            statistics.median(r[1] for r in rows), statistics.median(r[2] for r in rows)))


if __name__ == "__main__":
    main()
