"""Makes the files of this folder: small synthetic pictures in every JPEG form
and format that is read, and the SHA-256 of what Pillow makes of them.

    /usr/bin/python3 make.py        (Pillow 9.4.0, libjpeg-turbo 2.1.5, libwebp 1.2.4)
"""
import hashlib
import json
from PIL import Image

W, H = 61, 45


def value(x, y, c):
    """A picture with smooth parts, edges and noise, from integers alone."""
    v = (x * 5 + y * 3 * (c + 1)) % 256
    if (x // 9 + y // 7) % 3 == c:
        v = 255 - v
    h = (x * 73856093 ^ y * 19349663 ^ c * 83492791) & 0xFFFFFFFF
    h = (h * 2654435761) & 0xFFFFFFFF
    return max(0, min(255, v + (h >> 24) % 25 - 12))


rgb = Image.new("RGB", (W, H))
rgb.putdata([tuple(value(x, y, c) for c in range(3)) for y in range(H) for x in range(W)])
grey = rgb.convert("L")
cmyk = rgb.convert("CMYK")
rgba = rgb.copy()
rgba.putalpha(grey)

jobs = {
    "444.jpg": (rgb, dict(quality=90, subsampling=0)),
    "422.jpg": (rgb, dict(quality=80, subsampling=1)),
    "420.jpg": (rgb, dict(quality=75, subsampling=2)),
    "420-low.jpg": (rgb, dict(quality=8, subsampling=2)),
    "progressive.jpg": (rgb, dict(quality=75, subsampling=2, progressive=True)),
    "grey.jpg": (grey, dict(quality=75)),
    "cmyk.jpg": (cmyk, dict(quality=75)),
    "rgba.png": (rgba, {}),
    "palette.png": (rgb.quantize(17), {}),
    "one-bit.png": (grey.convert("1"), {}),
    "colours.gif": (rgb.quantize(31), dict(transparency=3)),
    "lossy.webp": (rgb, dict(quality=70)),
    "lossless.webp": (rgba, dict(lossless=True)),
    "plain.bmp": (rgb, {}),
}
jobs["moving.webp"] = (rgb, dict(save_all=True, append_images=[rgb.rotate(180)], quality=70))
jobs["moving-alpha.webp"] = (rgba, dict(save_all=True, append_images=[rgba.rotate(180)], quality=70))
out = {}
for name, (img, args) in jobs.items():
    img.save(name, **args)
    got = Image.open(name).convert("RGB")
    out[name] = hashlib.sha256(got.tobytes()).hexdigest()

sizes = [(20, 14), (61, 14), (20, 45), (97, 80), (300, 7), (1, 1)]
filters = dict(nearest=0, box=4, bilinear=2, hamming=5, bicubic=3, lanczos=1)
resized = {}
for f, code in filters.items():
    for w, h in sizes:
        resized[f"{f} {w}x{h}"] = hashlib.sha256(rgb.resize((w, h), code).tobytes()).hexdigest()
with open("expected.json", "w") as f:
    json.dump(dict(rgb=out, picture=hashlib.sha256(rgb.tobytes()).hexdigest(), resized=resized), f, indent=1, sort_keys=True)
    f.write("\n")
