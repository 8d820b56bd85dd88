"""Makes formats.json: small files of every kind of BMP, PPM, TIFF and GIF that is read, of palettes
with missing colours and of every EXIF orientation, each with what Pillow makes of it: the size and
the SHA-256 of Image.open(f).convert("RGB"), also after ImageOps.exif_transpose, or that it refuses. The contents
are deflated, in base 64. An exclamation mark in a name says that the file is refused though Pillow
makes something of it, mostly something wrong.

    /usr/bin/python3 make_formats.py        (Pillow 9.4.0, libtiff 4.5.0, libjpeg-turbo 2.1.5)
"""
import base64
import hashlib
import io
import json
import struct
import warnings
import zlib

from PIL import Image, ImageOps

W, H = 13, 9
files = {}


def value(x, y, c, mod=256):
    h = ((x + 1) * 73856093 ^ (y + 1) * 19349663 ^ (c + 1) * 83492791) & 0xFFFFFFFF
    return ((h * 2654435761 & 0xFFFFFFFF) >> 8) % mod


def samples(n, mod=256, w=W, h=H):
    return [[[value(x, y, c, mod) for c in range(n)] for x in range(w)] for y in range(h)]


rgb = Image.new("RGB", (W, H))
rgb.putdata([tuple(value(x, y, c) for c in range(3)) for y in range(H) for x in range(W)])
smooth = Image.new("RGB", (40, 24))
smooth.putdata([((5 * x + 3 * y) % 256, (255 - 4 * x) % 256, (9 * y + x) % 256) for y in range(24) for x in range(40)])
grey = rgb.convert("L")


def saved(img, fmt, **args):
    out = io.BytesIO()
    img.save(out, fmt, **args)
    return out.getvalue()


def bits_row(row, bits):
    """Samples as bytes, the first in the highest bits, or two bytes each."""
    n = 0
    for v in row:
        n = n << bits | v
    pad = -len(row) * bits % 8
    return (n << pad).to_bytes((len(row) * bits + pad) // 8, "big")


# PPM, PGM, PBM
def netpbm():
    for kind, n in ((2, 1), (3, 3), (5, 1), (6, 3)):
        for most in (1, 3, 15, 100, 254, 255, 256, 300, 1023, 4095, 65535):
            head = b"P%d\n# a comment\n%d %d\n%d\n" % (kind, W, H, most)
            vals = [v for row in samples(n, most + 1) for px in row for v in px]
            vals[0], vals[1] = 0, most
            if kind < 5:
                body = b" ".join(b"%d" % v for v in vals) + b"\n"
            elif most < 256:
                body = bytes(vals)
            else:
                body = struct.pack(">%dH" % len(vals), *vals)
            files[f"p{kind}-{most}.ppm"] = head + body
    ones = [[v[0] for v in row] for row in samples(1, 2)]
    files["p4.pbm"] = b"P4 %d %d\n" % (W, H) + b"".join(bits_row(r, 1) for r in ones)
    files["p1.pbm"] = b"P1 %d %d\n" % (W, H) + b"\n".join(b"".join(b"%d" % v for v in r) for r in ones)
    files["p1-spaces.pbm"] = b"P1\n%d\t%d " % (W, H) + b"\n# between\n".join(b" ".join(b"%d" % v for v in r) for r in ones)
    files["p5-low-value.pgm"] = b"P5 3 1 100 " + bytes([50, 100, 200])  # above the largest value
    files["p2-above.pgm"] = b"P2 2 1 100 50 101"
    files["p6-comments.ppm"] = b"P6 # one\n3#two\n # three\r 1\n#\n255\n" + bytes(range(9)) * 11
    files["p3-comments.ppm"] = b"P3 1 1 255 1#2\n3 4 5 6"
    files["p6-two-frames.ppm"] = b"P6 1 1 255 abcP6 1 1 255 xyz"
    files["p6-cut.ppm"] = b"P6 2 2 255 abcabcabcab"
    files["p5-cut.pgm"] = b"P5 2 2 65535 abcabca"
    files["p3-cut.ppm"] = b"P3 2 1 255 1 2 3 4 5"
    files["p4-cut.pbm"] = b"P4 9 2 abc"
    files["p2-word.pgm"] = b"P2 2 1 255 1 x"


# BMP
def bmp(w, h, bits, body, pal=b"", kind=0, size=40, colours=None, masks=b"", offset=None, header=True):
    entry = 3 if size == 12 else 4
    colours = len(pal) // entry if colours is None else colours
    if size == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", size, w, h, 1, bits, kind, len(body), 0, 0, colours, 0)
        if size > 40:
            info += (masks + bytes(size))[: size - 40]
            masks = b""
    at = 14 + len(info) + len(masks) + len(pal) if offset is None else offset
    start = b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at)
    return (start if header else b"") + info + masks + pal + body


def bmp_rows(bits, w=W, h=H):
    stride = (w * bits + 31) // 32 * 4
    out = b""
    for row in samples(1, 1 << min(bits, 8), w * max(bits // 8, 1), h):
        line = bits_row([v[0] for v in row], min(bits, 8))
        out += line + b"\xaa" * (stride - len(line))
    return out


def colours(n, entry=4):
    return b"".join(bytes([value(i, 1, 7), value(i, 2, 7), value(i, 3, 7), 0][:entry]) for i in range(n))


def bitmaps():
    for bits in (1, 4, 8, 16, 24, 32):
        pal = colours(1 << bits) if bits <= 8 else b""
        pal3 = colours(1 << bits, 3) if bits <= 8 else b""
        body = bmp_rows(bits)
        files[f"{bits}.bmp"] = bmp(W, H, bits, body, pal)
        files[f"{bits}-down.bmp"] = bmp(W, -H, bits, body, pal)
        files[f"{bits}-os2.bmp"] = bmp(W, H, bits, body, pal3, size=12)
        files[f"{bits}-unpadded.bmp"] = bmp(W, H, bits, body[: len(body) - (-W * bits // 8) % -4 or len(body)], pal)
        for size in (64, 108, 124):
            files[f"{bits}-{size}.bmp"] = bmp(W, H, bits, body, pal, size=size)
        files[f"{bits}-cut.bmp"] = bmp(W, H, bits, body, pal)[:-5 - W * bits // 8]
        files[f"{bits}.dib"] = bmp(W, H, bits, body, pal, header=False)
        files[f"{bits}-no-offset.bmp"] = bmp(W, H, bits, body, pal, offset=0)
        if bits <= 8:
            n = max(1, (1 << bits) * 2 // 3)
            files[f"{bits}-few.bmp"] = bmp(W, H, bits, body, colours(n))
            files[f"{bits}-offset.bmp"] = bmp(W, H, bits, body, pal, offset=54)
    ramp = b"".join(bytes([i, i, i, 0]) for i in range(256))
    ends = bytes([0, 0, 0, 0, 255, 255, 255, 0])
    files["8-grey.bmp"] = bmp(W, H, 8, bmp_rows(8), ramp)
    files["8-grey-few.bmp"] = bmp(W, H, 8, bmp_rows(8), ramp[:400])
    files["1-grey.bmp"] = bmp(W, H, 1, bmp_rows(1), ends)
    files["1-white-first.bmp"] = bmp(W, H, 1, bmp_rows(1), ends[4:] + ends[:4])
    files["8-black-white!.bmp"] = bmp(W, H, 8, bmp_rows(8), ends)
    files["4-ramp!.bmp"] = bmp(W, H, 4, bmp_rows(4), ramp[:64])
    files["257.bmp"] = bmp(W, H, 8, bmp_rows(8), colours(257))
    pack = lambda *m: struct.pack("<%dI" % len(m), *m)
    masks = {
        16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0xF00, 0xF0, 0xF, 0xF000), (0x7C00, 0x3E0, 0x1F, 0x8000)],
        24: [(0xFF0000, 0xFF00, 0xFF, 0)],
        32: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
             (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0, 0, 0, 0), (0xFF, 0xFF00, 0xFF0000, 0)],
    }
    for bits, sets in masks.items():
        for i, m in enumerate(sets):
            for size in (40, 64, 108, 124):
                files[f"{bits}-masks{i}-{size}.bmp"] = bmp(W, H, bits, bmp_rows(bits), size=size, kind=3,
                                                           masks=pack(*(m[:3] if size == 40 else m)))
    files["jpeg.bmp"] = bmp(W, H, 0, saved(rgb, "JPEG"), kind=4)
    files["2.bmp"] = bmp(W, H, 2, bmp_rows(2), colours(4))
    # run lengths: runs, pixels as they are, ends of rows
    rows8, rows4 = b"", b""
    for y in range(H):
        rows8 += bytes([5, y, 0, 3, 7 * y, 200, 9, 0, 4, 1 + y]) + (bytes([1, 77, 0, 0]) if y % 2 else bytes([0, 0]))
        rows4 += bytes([5, 0x1A + y, 0, 4, 0x2C, 0x90 + y, 4, 0x31 * (y % 5)]) + bytes([0, 0])
    files["rle8.bmp"] = bmp(W, H, 8, rows8 + b"\0\1", colours(256), kind=1)
    files["rle8-grey.bmp"] = bmp(W, H, 8, rows8 + b"\0\1", ramp, kind=1)
    files["rle8-down.bmp"] = bmp(W, -H, 8, rows8 + b"\0\1", colours(256), kind=1)
    files["rle8-no-end.bmp"] = bmp(W, H, 8, rows8, colours(256), kind=1)
    files["rle8-long-runs.bmp"] = bmp(W, H, 8, b"".join(bytes([20, y, 0, 0]) for y in range(H)) + b"\0\1", colours(256), kind=1)
    files["rle8-cut.bmp"] = bmp(W, H, 8, rows8[:60], colours(256), kind=1)
    files["rle8-early-end.bmp"] = bmp(W, H, 8, rows8[:60] + b"\0\1", colours(256), kind=1)
    files["rle8-delta!.bmp"] = bmp(W, H, 8, rows8[:12] + b"\0\2\3\1" + rows8 + rows8, colours(256), kind=1)
    files["rle4.bmp"] = bmp(W, H, 4, rows4 + b"\0\1", colours(16), kind=2)
    files["rle4-odd.bmp"] = bmp(W, H, 4, b"".join(bytes([0, 3, 0x12, 0x30 + y, 10, 0x45, 0, 0]) for y in range(H)), colours(16), kind=2)
    files["rle4-few.bmp"] = bmp(W, H, 4, rows4 + b"\0\1", colours(5), kind=2)
    files["rle8-black-white.bmp"] = bmp(W, H, 8, rows8 + b"\0\1", ends, kind=1)


# TIFF
def tiff(tags, blobs, big=False, order="<", lengths=True, tiled=False):
    """A TIFF file of one directory; blobs are its strips or tiles."""
    word, fmt = (8, "Q") if big else (4, "I")
    head = (b"II" if order == "<" else b"MM") + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    tags = dict(tags)
    offsets, counts = (324, 325) if tiled else (273, 279)
    tags[offsets] = ("I", [0] * len(blobs))
    if lengths:
        tags[counts] = ("I", [len(b) for b in blobs])
    fixed = len(head) + (8 if big else 2) + len(tags) * (4 + 2 * word) + word
    kinds = {"B": 1, "H": 3, "I": 4, "7": 7, "h": 8, "f": 11}

    def build(places):
        out, extra = b"", b""
        for tag, (kind, vals) in sorted(tags.items()):
            if tag == offsets:
                vals = places
            raw = bytes(vals) if kind == "7" else struct.pack(order + "%d%s" % (len(vals), kind), *vals)
            out += struct.pack(order + "HH" + fmt, tag, kinds[kind], len(vals))
            if len(raw) <= word:
                out += raw + bytes(word - len(raw))
            else:
                out += struct.pack(order + fmt, fixed + len(extra))
                extra += raw + bytes(len(raw) % 2)
        n = struct.pack(order + ("Q" if big else "H"), len(tags))
        return head + n + out + bytes(word) + extra

    at = len(build([0] * len(blobs)))
    places = []
    for b in blobs:
        places.append(at)
        at += len(b)
    return build(places) + b"".join(blobs)


def reverse(b):
    return bytes(int(f"{v:08b}"[::-1], 2) for v in b)


def pack_tiff(photo, bits, n, extra=(), fmt=1, order="<", planar=1, rows=4, tile=None, compress=None, predictor=1,
              fill=1, big=False, palette=None, orientation=None, width=W, height=H, one_bits=False):
    px = samples(n, min(1 << bits, 1 << 16), width, height)
    if bits == 32:
        px = [[[v * 300 - 4000 for v in p] for p in r] for r in samples(n, 256, width, height)]
    if bits == 16 and photo < 2:
        px = [[[v % 700 if (x + y) % 2 else v for v in p] for x, p in enumerate(r)] for y, r in enumerate(px)]
    tw, th = tile or (width, rows)
    blobs = []
    for plane in range(n) if planar == 2 else [None]:
        for y in range(0, height, th):
            for x in range(0, width, tw):
                blob = b""
                for r in range(y, y + th if tile else min(y + th, height)):
                    row = []
                    for c in range(x, x + tw):
                        p = px[min(r, height - 1)][min(c, width - 1)]
                        row += p if plane is None else [p[plane]]
                    k = len(p) if plane is None else 1
                    if predictor == 2:
                        row = [v if i < k else (v - row[i - k]) % (1 << bits) for i, v in enumerate(row)]
                    if bits <= 8:
                        blob += bits_row(row, bits)
                    elif bits == 16:
                        blob += struct.pack(order + "%dH" % len(row), *[v & 0xFFFF for v in row])
                    elif fmt == 3:
                        blob += struct.pack(order + "%df" % len(row), *[v / 7 for v in row])
                    else:
                        blob += struct.pack(order + "%dI" % len(row), *[v & 0xFFFFFFFF for v in row])
                blobs.append(blob)
    code = {None: 1, "deflate": 8, "old-deflate": 32946, "packbits": 32773}[compress]
    if compress in ("deflate", "old-deflate"):
        blobs = [zlib.compress(b) for b in blobs]
    elif compress == "packbits":
        blobs = [b"".join(bytes([len(b[i:i + 100]) - 1]) + b[i:i + 100] for i in range(0, len(b), 100)) for b in blobs]
    if fill == 2:
        blobs = [reverse(b) for b in blobs]
    tags = {256: ("I", [width]), 257: ("H", [height]), 258: ("H", [bits] * (1 if one_bits else n)), 259: ("H", [code]),
            262: ("H", [photo]), 277: ("H", [n]), 284: ("H", [planar])}
    if fmt != 1:
        tags[339] = ("H", [fmt] * n)
    if extra:
        tags[338] = ("H", list(extra))
    if predictor != 1:
        tags[317] = ("H", [predictor])
    if fill != 1:
        tags[266] = ("H", [fill])
    if orientation:
        tags[274] = ("H", [orientation])
    if tile:
        tags[322], tags[323] = ("H", [tw]), ("H", [th])
    else:
        tags[278] = ("H", [rows])
    if photo == 3:
        size = palette or 1 << bits
        tags[320] = ("H", [value(i, c, 9, 65536) for c in range(3) for i in range(size)])
    return tiff(tags, blobs, big, order, tiled=bool(tile))


def tiffs():
    kinds = {
        "grey1": (1, 1, 1), "white1": (0, 1, 1), "grey2": (1, 2, 1), "white2": (0, 2, 1), "grey4": (1, 4, 1), "white4": (0, 4, 1),
        "grey8": (1, 8, 1), "white8": (0, 8, 1), "grey16": (1, 16, 1), "white16": (0, 16, 1), "grey32": (1, 32, 1),
        "la": (1, 8, 2, (2,)), "rgb": (2, 8, 3), "rgba": (2, 8, 4, (2,)), "rgbx": (2, 8, 4, (0,)), "rgb-premultiplied": (2, 8, 4, (1,)),
        "rgb4": (2, 8, 4), "rgbxx": (2, 8, 5, (0, 0)), "rgbax": (2, 8, 5, (2, 0)), "rgb-premultiplied-x": (2, 8, 5, (1, 0)), "rgb16": (2, 16, 3),
        "rgba16": (2, 16, 4, (2,)), "rgbx16": (2, 16, 4, (0,)), "rgb16-premultiplied": (2, 16, 4, (1,)),
        "pal1": (3, 1, 1), "pal2": (3, 2, 1), "pal4": (3, 4, 1), "pal8": (3, 8, 1), "pal-alpha": (3, 8, 2, (2,)),
        "cmyk": (5, 8, 4), "cmykx": (5, 8, 5, (0,)), "cmyk16": (5, 16, 4),
    }
    for name, k in kinds.items():
        for order, mark in (("<", ""), (">", "-mm")):
            files[f"{name}{mark}.tif"] = pack_tiff(*k, order=order)
            files[f"{name}{mark}-deflate.tif"] = pack_tiff(*k, order=order, compress="deflate")
        files[f"{name}-tiles.tif"] = pack_tiff(*k, tile=(16, 16), width=19, height=17)
        files[f"{name}-tiles-deflate.tif"] = pack_tiff(*k, tile=(16, 16), width=19, height=17, compress="deflate")
        files[f"{name}-reversed{'!' if name == 'grey16' else ''}.tif"] = pack_tiff(*k, fill=2)
        if k[1] >= 8:
            files[f"{name}-predictor.tif"] = pack_tiff(*k, compress="deflate", predictor=2)
            files[f"{name}-mm-predictor.tif"] = pack_tiff(*k, compress="deflate", predictor=2, order=">")
        if k[2] > 1:
            mark = "!" if k[1] == 16 or name == "rgb4" else ""
            packed = "!" if name == "rgb4" else ""
            files[f"{name}-planes{mark}.tif"] = pack_tiff(*k, planar=2)
            files[f"{name}-planes-deflate{packed}.tif"] = pack_tiff(*k, planar=2, compress="deflate", predictor=2)
            files[f"{name}-planes-tiles{mark}.tif"] = pack_tiff(*k, planar=2, tile=(16, 16), width=19, height=17)
    for fmt, bits in ((2, 16), (2, 32), (3, 32)):
        for photo in (0, 1):
            for order, mark in (("<", ""), (">", "-mm")):
                files[f"format{fmt}-{bits}-photo{photo}{mark}.tif"] = pack_tiff(photo, bits, 1, fmt=fmt, order=order)
                swapped = "!" if bits == 32 and mark else ""
                files[f"format{fmt}-{bits}-photo{photo}{mark}-deflate{swapped}.tif"] = pack_tiff(photo, bits, 1, fmt=fmt, order=order, compress="deflate")
    files["rgb-packbits.tif"] = pack_tiff(2, 8, 3, compress="packbits")
    files["rgb-old-deflate.tif"] = pack_tiff(2, 8, 3, compress="old-deflate")
    files["rgb-big.tif"] = pack_tiff(2, 8, 3, big=True)
    files["rgb-big-mm.tif"] = pack_tiff(2, 8, 3, big=True, order=">")
    files["rgb-one-bits.tif"] = pack_tiff(2, 8, 3, one_bits=True)
    files["pal8-few.tif"] = pack_tiff(3, 8, 1, palette=100)
    files["rgb-cut.tif"] = pack_tiff(2, 8, 3)[:-30]
    files["rgb-deflate-cut.tif"] = pack_tiff(2, 8, 3, compress="deflate")[:-30]
    files["lab!.tif"] = pack_tiff(8, 8, 3)
    files["ycc-raw!.tif"] = pack_tiff(6, 8, 3)
    for o in range(1, 9):
        files[f"orientation{o}.tif"] = pack_tiff(2, 8, 3, orientation=o)
        files[f"orientation{o}-deflate.tif"] = pack_tiff(2, 8, 3, orientation=o, compress="deflate")
    one = grey.convert("1")
    pictures = {"rgb": rgb, "smooth": smooth, "grey": grey, "palette": rgb.quantize(17), "cmyk": rgb.convert("CMYK"), "one": one}
    for name, im in pictures.items():
        for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
            files[f"pillow-{name}-{c}.tif"] = saved(im, "TIFF", compression=c)
    for c in ("group3", "group4", "tiff_ccitt"):
        mark = "!" if c == "tiff_ccitt" else ""
        files[f"pillow-one-{c}{mark}.tif"] = saved(one, "TIFF", compression=c)
        files[f"pillow-one-black-{c}{mark}.tif"] = saved(one, "TIFF", compression=c, tiffinfo={262: 1})
        files[f"pillow-one-white-{c}{mark}.tif"] = saved(one, "TIFF", compression=c, tiffinfo={262: 0})
    for name in ("rgb", "smooth", "grey"):
        files[f"pillow-{name}-jpeg.tif"] = saved(pictures[name], "TIFF", compression="jpeg")
        files[f"pillow-{name}-jpeg-rows.tif"] = saved(pictures[name], "TIFF", compression="jpeg", tiffinfo={278: 8})
    files["pillow-ycc-jpeg.tif"] = saved(smooth.convert("YCbCr"), "TIFF", compression="jpeg")
    files["pillow-cmyk-jpeg!.tif"] = saved(pictures["cmyk"], "TIFF", compression="jpeg")
    files["pillow-lzw-predictor.tif"] = saved(smooth, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    files["pillow-frames.tif"] = saved(rgb, "TIFF", save_all=True, append_images=[smooth])


# GIF and PNG
def lzw(indices, bits):
    """Pixels as codes without any string: the table is cleared before it grows into longer codes."""
    n = used = 0
    out = bytearray()
    codes = []
    for i, v in enumerate(indices):
        if i % ((1 << bits) - 2) == 0:
            codes.append(1 << bits)
        codes.append(v)
    for c in codes + [(1 << bits) + 1]:
        n |= c << used
        used += bits + 1
        while used >= 8:
            out.append(n & 255)
            n, used = n >> 8, used - 8
    out += bytes([n & 255] if used else [])
    blocks = b"".join(bytes([len(out[i:i + 255])]) + out[i:i + 255] for i in range(0, len(out), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(size, frame, bits, own=b"", common=b"", clear=None, interlaced=False, indices=None):
    flags = lambda p: 0x80 | (len(p) // 3).bit_length() - 2 if p else 0
    x, y, w, h = frame
    out = b"GIF89a" + struct.pack("<HHBBB", *size, flags(common), 1, 0) + common
    if clear is not None:
        out += b"!\xfe\x03abc\0!\xf9\x04" + bytes([1, 0, 0, clear]) + b"\0"
    out += b"," + struct.pack("<HHHHB", x, y, w, h, flags(own) | 64 * interlaced) + own
    order = list(range(h))
    if interlaced:
        order = [r for a, s in ((0, 8), (4, 8), (2, 4), (1, 2)) for r in range(a, h, s)]
    px = [value(c, r, 3, 1 << bits) for r in order for c in range(w)]
    return out + lzw(px, bits) + b";"


def gifs():
    pal = lambda n, k=0: bytes(value(i, c, 20 + k) for i in range(n) for c in range(3))
    ramp = lambda n: bytes(i for i in range(n) for _ in range(3))
    for name, frame in (("whole", (0, 0, W, H)), ("small", (3, 2, 7, 5)), ("corner", (0, 0, 5, 4)), ("outside", (8, 6, 9, 7))):
        for mark, args in (("", dict(common=pal(8))), ("-own", dict(common=pal(8), own=pal(8, 1))), ("-own-only", dict(own=pal(8, 1))),
                           ("-none", {}), ("-ramp", dict(common=ramp(8))), ("-own-ramp", dict(common=pal(8), own=ramp(8))),
                           ("-few", dict(common=pal(4)))):
            for clear in (None, 0, 5, 200):
                c = "" if clear is None else f"-clear{clear}"
                files[f"{name}{mark}{c}.gif"] = gif((W, H), frame, 3, clear=clear, **args)
        files[f"{name}-interlaced.gif"] = gif((W, H), frame, 3, common=pal(8), interlaced=True)
    for h in (1, 2, 3, 4, 5, 17):
        files[f"interlaced{h}.gif"] = gif((5, h), (0, 0, 5, h), 3, common=pal(8), interlaced=True)
    files["pillow.gif"] = saved(smooth.quantize(200), "GIF")
    files["pillow-frames.gif"] = saved(smooth.quantize(60), "GIF", save_all=True, append_images=[smooth.rotate(180).quantize(50)])
    files["cut.gif"] = gif((W, H), (0, 0, W, H), 3, common=pal(8))[:-20]
    files["cut-header.gif"] = gif((W, H), (0, 0, W, H), 3, common=pal(8))[:30]
    files["no-frame.gif"] = b"GIF89a" + struct.pack("<HHBBB", 3, 3, 0, 0, 0) + b";"

    def png(bits, n, trns=b""):
        chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
        rows = b"".join(b"\0" + bits_row([v[0] for v in r], bits) for r in samples(1, 1 << bits))
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, 3, 0, 0, 0)) + chunk(b"PLTE", pal(n))
                + (chunk(b"tRNS", trns) if trns else b"") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

    for bits, n in ((1, 1), (2, 3), (4, 9), (8, 100), (8, 256), (1, 256), (4, 17)):
        files[f"palette{bits}-{n}.png"] = png(bits, n)
        files[f"palette{bits}-{n}-clear.png"] = png(bits, n, b"\0")


# EXIF
def exif(o, order="<", kind="H", count=1):
    vals = struct.pack(order + kind * count, *([o] * count))
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHI", 8, 1, 274, {"B": 1, "H": 3, "I": 4}[kind], count) + \
        (vals + bytes(4))[:4] + bytes(4)


def orientations():
    for o in range(0, 10):
        tag = b"Exif\0\0" + exif(o, "<>"[o % 2])
        files[f"exif{o}.jpg"] = saved(smooth, "JPEG", exif=tag, quality=85, subsampling=2)
        files[f"exif{o}.png"] = saved(rgb, "PNG", exif=tag)
        files[f"exif{o}.webp"] = saved(rgb, "WEBP", exif=tag, lossless=True)
    files["exif-long.jpg"] = saved(smooth, "JPEG", exif=b"Exif\0\0" + exif(6, kind="I"))
    files["exif-byte.jpg"] = saved(smooth, "JPEG", exif=b"Exif\0\0" + exif(6, kind="B"))
    files["exif-two.jpg"] = saved(smooth, "JPEG", exif=b"Exif\0\0" + exif(6, count=2))
    xmp = '<x xmlns:tiff="t" tiff:Orientation="8"/>'
    from PIL.PngImagePlugin import PngInfo
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    files["xmp.png"] = saved(rgb, "PNG", pnginfo=info)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<tiff:Orientation>3</tiff:Orientation>", zip=True)
    files["xmp-packed.png"] = saved(rgb, "PNG", pnginfo=info)
    info = PngInfo()
    raw = (b"Exif\0\0" + exif(5)).hex()
    info.add_text("Raw profile type exif", "\nexif\n%8d\n" % (len(raw) // 2) + "\n".join(raw[i:i + 72] for i in range(0, len(raw), 72)) + "\n", zip=True)
    files["raw-profile.png"] = saved(rgb, "PNG", pnginfo=info)


def pillow(data):
    """What Pillow makes of a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            im = Image.open(io.BytesIO(data))
            out = im.convert("RGB")
            res = dict(size=out.size, rgb=hashlib.sha256(out.tobytes()).hexdigest())
            if im.format != "TIFF":
                turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
                if turned.tobytes() != out.tobytes() or turned.size != out.size:
                    res["turned"] = hashlib.sha256(turned.tobytes()).hexdigest()
            return res
    except Exception as e:
        return dict(error=type(e).__name__)


if __name__ == "__main__":
    for part in (netpbm, bitmaps, tiffs, gifs, orientations):
        part()
    rows = []
    for name in sorted(files):
        rows.append(json.dumps(dict(name=name, data=base64.b64encode(zlib.compress(files[name], 9)).decode(), **pillow(files[name]))))
    with open("formats.json", "w") as f:
        f.write("[\n" + ",\n".join(rows) + "\n]\n")
