// Owns a camera that costs as many bits as a real one: a file of moving, noisy texture that Chromium plays as its camera.

import { closeSync, openSync, writeSync } from 'node:fs'

export const WIDTH = 1280
export const HEIGHT = 720
const FRAMES = 45

/** @param {string} path of the file: y4m, 30 frames a second, played in a loop */
export function writeCamera(path) {
  const file = openSync(path, 'w')
  writeSync(file, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F30:1 Ip A1:1 C420jpeg\n`)
  let state = 1
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 24
  // Larger than the picture: the view wanders over it.
  const side = 1536
  const texture = new Uint8Array(side * side)
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) texture[y * side + x] = 96 + 60 * Math.sin(x / 23) * Math.cos(y / 31) + random() / 8
  const chroma = Buffer.alloc((WIDTH * HEIGHT) / 2, 128)
  for (let frame = 0; frame < FRAMES; frame++) {
    const angle = (2 * Math.PI * frame) / FRAMES
    const [left, top] = [Math.round(120 + 100 * Math.cos(angle)), Math.round(400 + 300 * Math.sin(angle))]
    const luma = Buffer.alloc(WIDTH * HEIGHT)
    for (let y = 0; y < HEIGHT; y++) luma.set(texture.subarray((y + top) * side + left, (y + top) * side + left + WIDTH), y * WIDTH)
    writeSync(file, 'FRAME\n')
    writeSync(file, luma)
    writeSync(file, chroma)
  }
  closeSync(file)
}
