#!/usr/bin/env python3
"""CPU milliseconds of ImageNet-C's corruptions at 224 x 224, in Python and here, side by side.

    python3 bench/corruptions.py PICTURE

The Python side calls the libraries that the benchmark's scripts call, with the same arguments: NumPy, SciPy,
scikit-image, OpenCV, Pillow and ImageMagick (Wand). One thread each; the best of several runs. Debian: python3-numpy
python3-scipy python3-skimage python3-opencv python3-pil python3-wand. The Go side is `go test ./corrupt -bench
Corruptions` on one processor, on a picture of the golden folder (the time hardly depends on the picture).
"""
import ctypes
import io
import os
import re
import subprocess
import sys
import time

import cv2
import numpy as np
import skimage.color
import skimage.filters
import skimage.util
from PIL import Image
from scipy.ndimage import map_coordinates, zoom

try:
    from wand.api import library
    from wand.image import Image as Wand
    library.MagickMotionBlurImage.argtypes = (ctypes.c_void_p, ctypes.c_double, ctypes.c_double, ctypes.c_double)
except ImportError:
    Wand = None

cv2.setNumThreads(1)
SIZE = 224
rng = np.random.default_rng(0)


def to_bytes(v):
    return np.uint8(np.clip(v, 0, 1) * 255)


def unit(im):
    return np.array(im) / 255.


def smooth(v, sigma, **more):
    axis = {"channel_axis": -1} if v.ndim == 3 else {}
    return skimage.filters.gaussian(v, sigma=sigma, **axis, **more)


def motion(im, radius, sigma, angle):
    buf = io.BytesIO()
    im.save(buf, format="PNG")
    w = Wand(blob=buf.getvalue())
    library.MagickMotionBlurImage(w.wand, radius, sigma, angle)
    return cv2.imdecode(np.frombuffer(w.make_blob(), np.uint8), cv2.IMREAD_UNCHANGED)


def magnified(v, z):
    h = v.shape[0]
    n = int(np.ceil(h / z))
    top = (h - n) // 2
    out = zoom(v[top:top + n, top:top + n], (z, z, 1), order=1)
    trim = (out.shape[0] - h) // 2
    return out[trim:trim + h, trim:trim + h]


def gaussian_noise(im, c):
    x = unit(im)
    return to_bytes(x + np.random.normal(size=x.shape, scale=c))


def shot_noise(im, c):
    return to_bytes(np.random.poisson(unit(im) * c) / float(c))


def impulse_noise(im, c):
    return to_bytes(skimage.util.random_noise(unit(im), mode="s&p", amount=c))


def speckle_noise(im, c):
    x = unit(im)
    return to_bytes(x + x * np.random.normal(size=x.shape, scale=c))


def gaussian_blur(im, c):
    return to_bytes(smooth(unit(im), c))


def glass_blur(im, sigma, d, n):
    x = np.uint8(smooth(unit(im), sigma) * 255)
    for _ in range(n):
        for h in range(SIZE - d, d, -1):
            for w in range(SIZE - d, d, -1):
                dx, dy = np.random.randint(-d, d, size=(2,))
                x[h, w] = x[h + dy, w + dx]
    return to_bytes(smooth(x / 255., sigma))


def defocus_blur(im, radius, alias):
    r = max(8, radius)
    xs, ys = np.meshgrid(np.arange(-r, r + 1), np.arange(-r, r + 1))
    k = np.array(xs**2 + ys**2 <= radius**2, dtype=np.float32)
    k = cv2.GaussianBlur(k / k.sum(), ksize=(3, 3) if radius <= 8 else (5, 5), sigmaX=alias)
    x = unit(im)
    return to_bytes(np.stack([cv2.filter2D(x[:, :, c], -1, k) for c in range(3)], axis=-1))


def motion_blur(im, radius, sigma):
    return np.clip(motion(im, radius, sigma, np.random.uniform(-45, 45))[..., [2, 1, 0]], 0, 255)


def zoom_blur(im, end, step):
    x = unit(im).astype(np.float32)
    zs = np.arange(1, end, step)
    out = np.zeros_like(x)
    for z in zs:
        out += magnified(x, z)
    return to_bytes((x + out) / (len(zs) + 1))


def snow(im, loc, scale, z, thr, radius, sigma, mix):
    x = unit(im).astype(np.float32)
    layer = magnified(np.random.normal(size=x.shape[:2], loc=loc, scale=scale)[..., None], z)
    layer[layer < thr] = 0
    picture = Image.fromarray(np.uint8(np.clip(layer.squeeze(), 0, 1) * 255), mode="L")
    layer = (motion(picture, radius, sigma, np.random.uniform(-135, -45)) / 255.)[..., None]
    x = mix * x + (1 - mix) * np.maximum(x, cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None] * 1.5 + 0.5)
    return to_bytes(x + layer + np.rot90(layer, k=2))


def frost(im, a, b):
    texture = frost.texture
    y, x = np.random.randint(0, texture.shape[0] - SIZE), np.random.randint(0, texture.shape[1] - SIZE)
    return np.uint8(np.clip(a * np.array(im) + b * cv2.imdecode(frost.file, 1)[y:y + SIZE, x:x + SIZE][..., [2, 1, 0]], 0, 255))


frost.texture = np.uint8(rng.integers(0, 255, (600, 900, 3)))
frost.file = cv2.imencode(".png", cv2.GaussianBlur(frost.texture, (31, 31), 9))[1]


def plasma(side, decay):
    m = np.zeros((side, side))
    step, wibble = side, 100.
    while step >= 2:
        def noisy(v):
            return v / 4 + wibble * np.random.uniform(-wibble, wibble, v.shape)
        c = m[0:side:step, 0:side:step]
        s = c + np.roll(c, -1, axis=0)
        m[step // 2:side:step, step // 2:side:step] = noisy(s + np.roll(s, -1, axis=1))
        d, u = m[step // 2:side:step, step // 2:side:step], m[0:side:step, 0:side:step]
        m[0:side:step, step // 2:side:step] = noisy(d + np.roll(d, 1, axis=0) + u + np.roll(u, -1, axis=1))
        m[step // 2:side:step, 0:side:step] = noisy(d + np.roll(d, 1, axis=1) + u + np.roll(u, -1, axis=0))
        step //= 2
        wibble /= decay
    m -= m.min()
    return m / m.max()


def fog(im, a, decay):
    x = unit(im)
    top = x.max()
    return to_bytes((x + a * plasma(256, decay)[:SIZE, :SIZE][..., None]) * top / (top + a))


def in_hsv(im, channel, f):
    x = skimage.color.rgb2hsv(unit(im))
    x[:, :, channel] = np.clip(f(x[:, :, channel]), 0, 1)
    return to_bytes(skimage.color.hsv2rgb(x))


def brightness(im, c):
    return in_hsv(im, 2, lambda v: v + c)


def saturate(im, a, b):
    return in_hsv(im, 1, lambda v: v * a + b)


def contrast(im, c):
    x = unit(im)
    mean = np.mean(x, axis=(0, 1), keepdims=True)
    return to_bytes((x - mean) * c + mean)


def elastic_transform(im, alpha, sigma, jitter):
    x = unit(im).astype(np.float32)
    centre, q = np.float32([SIZE // 2, SIZE // 2]), SIZE // 3
    pts = np.float32([centre + q, [centre[0] + q, centre[1] - q], centre - q])
    m = cv2.getAffineTransform(pts, pts + np.random.uniform(-244 * jitter, 244 * jitter, size=pts.shape).astype(np.float32))
    x = cv2.warpAffine(x, m, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101)
    dx, dy = [(smooth(np.random.uniform(-1, 1, (SIZE, SIZE)), 244 * sigma, mode="reflect", truncate=3) * 244 * alpha).astype(np.float32)[..., None] for _ in range(2)]
    gx, gy, gc = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(3))
    at = np.reshape(gy + dy, (-1, 1)), np.reshape(gx + dx, (-1, 1)), np.reshape(gc, (-1, 1))
    return to_bytes(map_coordinates(x, at, order=1, mode="reflect").reshape(x.shape))


def pixelate(im, c):
    n = int(SIZE * c)
    return np.array(im.resize((n, n), Image.BOX).resize((SIZE, SIZE), Image.BOX))


def jpeg_compression(im, q):
    buf = io.BytesIO()
    im.save(buf, "JPEG", quality=q)
    return np.array(Image.open(buf))


def spatter(im, loc, scale, sigma, thr, c4, mud):
    x = unit(im).astype(np.float32)
    layer = smooth(np.random.normal(size=x.shape[:2], loc=loc, scale=scale), sigma)
    layer[layer < thr] = 0
    if mud:
        m = smooth(np.where(layer > thr, 1, 0).astype(np.float32), c4)
        m[m < 0.8] = 0
        return to_bytes(x * (1 - m[..., None]) + np.float32([63, 42, 20]) / 255 * m[..., None])
    layer = np.uint8(layer * 255)
    d = cv2.distanceTransform(255 - cv2.Canny(layer, 50, 150), cv2.DIST_L2, 5)
    d = cv2.equalizeHist(np.uint8(cv2.blur(np.minimum(d, 20), (3, 3))))
    d = cv2.blur(cv2.filter2D(d, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])), (3, 3)).astype(np.float32)
    m = layer[..., None].astype(np.float32) * d[..., None]
    m = m / max(m.max(), 1) * c4
    return to_bytes(x + m * np.float32([175, 238, 238]) / 255)


PARAMETERS = {
    gaussian_noise: [(.08,), (.12,), (.18,), (.26,), (.38,)], shot_noise: [(60,), (25,), (12,), (5,), (3,)],
    impulse_noise: [(.03,), (.06,), (.09,), (.17,), (.27,)], defocus_blur: [(3, .1), (4, .5), (6, .5), (8, .5), (10, .5)],
    glass_blur: [(.7, 1, 2), (.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)], motion_blur: [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
    zoom_blur: [(1.11, .01), (1.16, .01), (1.21, .02), (1.26, .02), (1.31, .03)],
    snow: [(.1, .3, 3, .5, 10, 4, .8), (.2, .3, 2, .5, 12, 4, .7), (.55, .3, 4, .9, 12, 8, .7), (.55, .3, 4.5, .85, 12, 8, .65), (.55, .3, 2.5, .85, 12, 12, .55)],
    frost: [(1, .4), (.8, .6), (.7, .7), (.65, .7), (.6, .75)], fog: [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
    brightness: [(.1,), (.2,), (.3,), (.4,), (.5,)], contrast: [(.4,), (.3,), (.2,), (.1,), (.05,)],
    elastic_transform: [(2, .7, .1), (2, .08, .2), (.05, .01, .02), (.07, .01, .02), (.12, .01, .02)],
    pixelate: [(.6,), (.5,), (.4,), (.3,), (.25,)], jpeg_compression: [(25,), (18,), (15,), (10,), (7,)],
    speckle_noise: [(.15,), (.2,), (.35,), (.45,), (.6,)], gaussian_blur: [(1,), (2,), (3,), (4,), (6,)],
    spatter: [(.65, .3, 4, .69, .6, 0), (.65, .3, 3, .68, .6, 0), (.65, .3, 2, .68, .5, 0), (.65, .3, 1, .65, 1.5, 1), (.67, .4, 1, .65, 1.5, 1)],
    saturate: [(.3, 0), (.1, 0), (2, 0), (5, .1), (20, .2)],
}


def python_ms(f, im, args):
    best, runs = 1e9, 1 if f is glass_blur else 5
    for _ in range(runs):
        n, start = 0, time.process_time()
        while True:
            f(im, *args)
            n += 1
            if runs == 1 or time.process_time() - start > 0.05:
                break
        best = min(best, (time.process_time() - start) / n)
    return 1000 * best


def go_ms():
    out = subprocess.run(["go", "test", "./corrupt", "-run", "xxx", "-bench", "Corruptions", "-benchtime", "0.2s", "-cpu", "1"],
                         check=True, capture_output=True, text=True, env=dict(os.environ, GOMAXPROCS="1")).stdout
    return {(m[1], int(m[2])): float(m[3]) / 1e6 for m in re.finditer(r"Corruptions/(\w+)-(\d)\S*\s+\d+\s+(\d+) ns/op", out)}


def main():
    im = Image.open(sys.argv[1]).convert("RGB").resize((SIZE, SIZE))
    ours = go_ms()
    print("| corruption | here, severity 1 to 5 | Python | ratio |\n|---|---|---|---|")
    for f, params in PARAMETERS.items():
        name = f.__name__
        go = [ours[name, s] for s in range(1, 6)]
        if Wand is None and f in (motion_blur, snow):
            print(f"| {name} | {' '.join('%.2f' % v for v in go)} | needs ImageMagick | |")
            continue
        py = [python_ms(f, im, p) for p in params]
        print(f"| {name} | {' '.join('%.2f' % v for v in go)} | {' '.join('%.2f' % v for v in py)} | {' '.join('%.2f' % (a / b) for a, b in zip(go, py))} |")


if __name__ == "__main__":
    main()
