// Runs a model on float32 tensors of a file, little-endian, and prints its logits as JSON.
//
//   node logits.js MODEL FILE N C H W
const fs = require('node:fs')
const ort = require('onnxruntime-node')

async function main() {
  const [model, file, ...dims] = process.argv.slice(2)
  const session = await ort.InferenceSession.create(model)
  const bytes = fs.readFileSync(file)
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  const input = new ort.Tensor('float32', values, dims.map(Number))
  const out = await session.run({ [session.inputNames[0]]: input })
  console.log(JSON.stringify({ inputs: session.inputNames, outputs: session.outputNames, logits: [...out[session.outputNames[0]].data] }))
}

main()
