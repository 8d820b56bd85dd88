// The usual Node way: sharp decodes and resizes, onnxruntime-node runs the model.
// The next batch is prepared while the model runs. Pixels are not Pillow's: sharp
// shrinks JPEGs while it decodes them.
//
//   node way.js model.onnx folder-of-images
const fs = require('fs')
const path = require('path')
const ort = require('onnxruntime-node')
const sharp = require('sharp')

const [model, root] = process.argv.slice(2)
const batch = 8
const side = 224
const mean = [0.485, 0.456, 0.406]
const std = [0.229, 0.224, 0.225]

function files(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap((e) =>
    e.isDirectory() ? files(path.join(dir, e.name)) : [path.join(dir, e.name)])
}

async function load(names) {
  const data = new Float32Array(names.length * 3 * side * side)
  await Promise.all(names.map(async (name, i) => {
    const image = sharp(name).toColourspace('srgb').removeAlpha()
    const { width, height } = await image.metadata()
    const scale = 256 / Math.min(width, height)
    const w = Math.max(256, Math.trunc(width * scale))
    const h = Math.max(256, Math.trunc(height * scale))
    const pixels = await image.resize(w, h, { fit: 'fill', kernel: 'linear' })
      .extract({ left: (w - side) >> 1, top: (h - side) >> 1, width: side, height: side }).raw().toBuffer()
    const n = side * side
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < n; p++) data[(i * 3 + c) * n + p] = (pixels[3 * p + c] / 255 - mean[c]) / std[c]
    }
  }))
  return new ort.Tensor('float32', data, [names.length, 3, side, side])
}

async function main() {
  const session = await ort.InferenceSession.create(model)
  const input = session.inputNames[0]
  const all = files(root)
  await session.run({ [input]: await load(all.slice(0, batch)) })
  const start = process.hrtime.bigint()
  let next = load(all.slice(0, batch))
  let n = 0
  for (let at = 0; at < all.length; at += batch) {
    const now = await next
    if (at + batch < all.length) next = load(all.slice(at + batch, at + 2 * batch))
    const out = await session.run({ [input]: now })
    n += out[session.outputNames[0]].dims[0]
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9
  console.log(JSON.stringify({ images: n, images_per_s: n / seconds, seconds }))
}

main()
