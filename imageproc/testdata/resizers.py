"""What other libraries make of the synthetic picture of make.py, for resizers_test.go.

    /usr/bin/python3 resizers.py                  writes resizers.json
    /usr/bin/python3 resizers.py live SEED COUNT  writes cases of cv2.resize to stdout

Versions: OpenCV 4.6.0 (Debian 12's python3-opencv, without Intel's IPP), Pillow 9.4.0, PyTorch
1.13, torchvision 0.14, numpy 1.24. TensorFlow is not needed: its bilinear is PyTorch's without
align_corners and antialias, the others are written here from the description of its kernels,
positions in float32 and sums in float64.
"""
import base64
import hashlib
import json
import struct
import sys

import cv2
import numpy as np

CV = dict(nearest=cv2.INTER_NEAREST, bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC, area=cv2.INTER_AREA, lanczos=cv2.INTER_LANCZOS4)


def picture(w, h):
    """make.py's picture, of any size."""
    x, y, c = np.meshgrid(np.arange(w), np.arange(h), np.arange(3), indexing="xy")
    v = (x * 5 + y * 3 * (c + 1)) % 256
    v = np.where((x // 9 + y // 7) % 3 == c, 255 - v, v)
    k = (x * 73856093 ^ y * 19349663 ^ c * 83492791) & 0xFFFFFFFF
    k = (k * 2654435761) & 0xFFFFFFFF
    return np.clip(v + (k >> 24) % 25 - 12, 0, 255).astype(np.uint8)


def live(seed, count):
    """Filter, channels, both widths and heights (little-endian int32), then both pictures."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        sw, sh, w, h = (int(v) for v in rng.integers(1, [20, 120, 400][i % 3], 4))
        if i % 7 == 0:  # whole factors
            sw, sh = w * int(rng.integers(1, 6)), h * int(rng.integers(1, 6))
        for shape in (sh, sw, 3), (sh, sw):
            a = rng.integers(0, 256, shape, dtype=np.uint8)
            if i % 2:
                a = cv2.blur(a, (3, 3))
            if i % 5 == 4:  # extremes overflow, where anything does
                a = ((a > 127) * 255).astype(np.uint8)
            for f, code in enumerate(CV.values()):
                b = cv2.resize(a, (w, h), interpolation=code)
                sys.stdout.buffer.write(struct.pack("<6i", f, len(shape) ** 2 // 3, sw, sh, w, h) + a.tobytes() + b.tobytes())


def sha(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()


def floats(a):
    return base64.b64encode(np.ascontiguousarray(a, dtype="<f4").tobytes()).decode()


f32 = np.float32


def tf_axis(n_in, n_out, f):
    """The matrix n_out x n_in of tf.image.resize's weights."""
    m = np.zeros((n_out, n_in))
    scale = f32(n_in) / f32(n_out)
    for i in range(n_out):
        if f == "nearest":
            m[i, min(int(np.floor((f32(i) + f32(0.5)) * scale)), n_in - 1)] = 1
        elif f == "bicubic":  # Keys, a = -0.5, looked up in steps of 1/1024; renormalised at borders
            centre = (f32(i) + f32(0.5)) * scale - f32(0.5)
            at = int(np.floor(centre))
            t = np.rint(float((centre - f32(at)) * f32(1024))) / 1024
            for j in range(-1, 3):
                if 0 <= at + j < n_in:
                    d = abs(t - j)
                    m[i, at + j] = 1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
            m[i] /= m[i].sum()
        else:  # area: the overlap of cells
            lo, hi = float(f32(i) * scale), float(f32(i + 1) * scale)
            for j in range(int(np.floor(lo)), int(np.ceil(hi))):
                m[i, min(j, n_in - 1)] += min(hi, j + 1) - max(lo, j)
            m[i] /= scale
    return m


def tf_resize(a, w, h, f):
    if f == "bilinear":
        import torch
        t = torch.from_numpy(a.astype(np.float64)).permute(2, 0, 1)[None]
        return torch.nn.functional.interpolate(t, (h, w), mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()
    return np.einsum("yi,xj,ijc->yxc", tf_axis(a.shape[0], h, f), tf_axis(a.shape[1], w, f), a.astype(np.float64))


# The preprocessing of projects, as they write it.


def mlperf(img):
    """MLPerf inference, vision/classification_and_detection/python/dataset.py, pre_process_vgg."""
    h, w, _ = img.shape
    side = int(100.0 * 224 / 87.5)
    size = (side, int(side * h / w)) if h > w else (int(side * w / h), side)
    img = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
    h, w, _ = img.shape
    left, top = int((w - 224) / 2), int((h - 224) / 2)
    img = np.asarray(img[top:top + 224, left:left + 224], dtype="float32")
    img -= np.array([123.68, 116.78, 103.94], dtype=np.float32)
    return img, size, (left, top)


def paddleclas(img):
    """PaddleClas, ppcls/data/preprocess/ops/operators.py: ResizeImage, CropImage, NormalizeImage."""
    h, w, _ = img.shape
    percent = 256.0 / min(w, h)
    size = (int(round(w * percent)), int(round(h * percent)))
    img = cv2.resize(img, size, interpolation=cv2.INTER_LINEAR)
    h, w, _ = img.shape
    left, top = (w - 224) // 2, (h - 224) // 2
    img = img[top:top + 224, left:left + 224]
    mean, std = np.array([0.485, 0.456, 0.406], "float32"), np.array([0.229, 0.224, 0.225], "float32")
    return (img.astype("float32") * np.float32(1 / 255.0) - mean) / std, size, (left, top)


def keras(img, mode):
    """Keras, applications/imagenet_utils.py, after utils.load_img(target_size=(224, 224))."""
    from PIL import Image
    x = np.asarray(Image.fromarray(img).resize((224, 224), Image.NEAREST), dtype="float32").copy()
    if mode == "tf":
        x /= 127.5
        x -= 1.0
        return x
    if mode == "torch":
        x /= 255.0
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    else:
        x = x[..., ::-1].copy()
        mean, std = [103.939, 116.779, 123.68], [1, 1, 1]
    for c in range(3):
        x[..., c] -= mean[c]
        if mode == "torch":
            x[..., c] /= std[c]
    return x


def keep_ratio(w, h, target, longest):
    """timm, ResizeKeepRatio.get_params: target is height, width."""
    ratio_h, ratio_w = h / target[0], w / target[1]
    ratio = max(ratio_h, ratio_w) * longest + min(ratio_h, ratio_w) * (1.0 - longest)
    return round(w / ratio), round(h / ratio)


def letterbox(w, h, target):
    """Ultralytics, LetterBox: the size, and left and top of the border."""
    r = min(target[0] / h, target[1] / w)
    nw, nh = int(round(w * r)), int(round(h * r))
    return nw, nh, int(round((target[1] - nw) / 2 - 0.1)), int(round((target[0] - nh) / 2 - 0.1))


def resize_with_pad(w, h, target):
    """TensorFlow, image_ops_impl.py, _resize_image_with_pad_common: as letterbox."""
    th, tw = f32(target[0]), f32(target[1])
    ratio = max(f32(w) / tw, f32(h) / th)
    fw, fh = f32(w) / ratio, f32(h) / ratio
    return int(np.floor(fw)), int(np.floor(fh)), max(0, int(np.floor((tw - fw) / 2))), max(0, int(np.floor((th - fh) / 2)))


def main():
    import torch
    from PIL import Image
    from torchvision.transforms import functional as F
    out = {}
    pairs = [
        (61, 45, 61, 45), (64, 48, 32, 24), (63, 45, 21, 15), (60, 40, 30, 10), (60, 40, 15, 8), (1, 1, 5, 7), (1, 9, 3, 3), (9, 1, 4, 4),
        (5, 5, 1, 1), (61, 45, 61, 20), (61, 45, 20, 45), (61, 45, 37, 23), (61, 45, 97, 80), (61, 45, 122, 90), (61, 45, 300, 7),
        (61, 45, 7, 300), (2, 2, 31, 29), (500, 375, 341, 256), (333, 500, 256, 384), (640, 480, 256, 192), (640, 427, 224, 224),
        (224, 224, 256, 256), (1200, 30, 64, 64), (127, 129, 63, 65),
    ]
    cv = {}
    for sw, sh, w, h in pairs:
        a = picture(sw, sh)
        for name, code in CV.items():
            cv[f"{name} {sw}x{sh} {w}x{h}"] = sha(cv2.resize(a, (w, h), interpolation=code))
    out["opencv"] = cv
    grey = {}
    for w, h in (20, 14), (61, 45), (75, 50):
        a = picture(61, 45)
        for name, code in CV.items():
            g = cv2.cvtColor(a, cv2.COLOR_RGB2GRAY)
            grey[f"opencv {name} {w}x{h}"] = sha(cv2.resize(g, (w, h), interpolation=code))
        for name, code in dict(nearest=0, box=4, bilinear=2, hamming=5, bicubic=3, lanczos=1).items():
            grey[f"pillow {name} {w}x{h}"] = sha(np.asarray(Image.fromarray(a).convert("L").resize((w, h), code)))
    out["grey"] = grey

    tf = {}
    for sw, sh, w, h in [(23, 17, 9, 8), (9, 7, 20, 15), (12, 8, 6, 4), (12, 9, 4, 3), (1, 5, 3, 2), (7, 1, 3, 4), (2, 3, 9, 11), (23, 17, 23, 9), (23, 17, 23, 17)]:
        for f in "nearest", "bilinear", "bicubic", "area":
            tf[f"{f} {sw}x{sh} {w}x{h}"] = floats(tf_resize(picture(sw, sh), w, h, f))
    out["tensorflow"] = tf

    recipes = {}
    for w, h in (500, 375), (333, 500), (256, 343), (640, 427), (224, 224):
        img = picture(w, h)
        x, size, at = mlperf(img)
        recipes[f"mlperf-resnet50 {w}x{h}"] = dict(size=size, at=at, sha256=sha(x))
        x, size, at = paddleclas(img)
        recipes[f"paddleclas {w}x{h}"] = dict(size=size, at=at, sum=float(x.astype(np.float64).sum()), first=[float(v) for v in x.reshape(-1)[:12]])
        for mode in "caffe", "torch":
            recipes[f"keras-{mode} {w}x{h}"] = dict(sha256=sha(keras(img, mode)))
        x = keras(img, "tf")
        recipes[f"keras-tf {w}x{h}"] = dict(sum=float(x.astype(np.float64).sum()), first=[float(v) for v in x.reshape(-1)[:12]])
    out["recipes"] = recipes

    shapes = [(500, 375), (375, 500), (333, 500), (61, 45), (1, 1), (1, 700), (1000, 3), (1536, 1539), (1539, 1536), (447, 449), (640, 427), (224, 224)]
    targets = [(224, 224), (256, 256), (240, 320), (320, 240), (7, 5)]
    out["keepRatio"] = [dict(image=s, target=t, cover=keep_ratio(*s, t, 0.0), contain=keep_ratio(*s, t, 1.0)) for s in shapes for t in targets]
    out["letterbox"] = [dict(image=s, target=t, box=letterbox(*s, t), tensorflow=resize_with_pad(*s, t)) for s in shapes for t in targets]

    fill = {}
    for w, h, tw, th in (61, 45, 64, 64), (45, 61, 40, 70), (20, 21, 25, 25), (90, 30, 33, 77):
        img = Image.fromarray(picture(w, h))  # timm's center_crop_or_pad
        left, top = max(0, (tw - w) // 2), max(0, (th - h) // 2)
        img = F.pad(img, [left, top, max(0, (tw - w + 1) // 2), max(0, (th - h + 1) // 2)], fill=(124, 116, 104))
        fill[f"{w}x{h} {tw}x{th}"] = sha(np.asarray(F.center_crop(img, (th, tw))))
    out["fill"] = fill

    with open("resizers.json", "w") as f:
        json.dump(out, f, indent=1, sort_keys=True)
        f.write("\n")


if sys.argv[1:2] == ["live"]:
    live(int(sys.argv[2]), int(sys.argv[3]))
else:
    main()
