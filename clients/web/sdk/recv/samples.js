// Owns what is done to decoded samples: shortening a block without a click, and filling a gap. Pure.

/**
 * Keeps the first and the last sample and cross-fades between, so that the block joins its neighbours.
 * @param {Float32Array} plane
 * @param {number} keep share to keep, 0.5 to 1
 * @returns {Float32Array<ArrayBuffer>}
 */
export function shorten(plane, keep) {
  const length = Math.round(plane.length * keep)
  const offset = plane.length - length
  const out = new Float32Array(length)
  for (let i = 0; i < length; i++) {
    const weight = length > 1 ? i / (length - 1) : 1
    out[i] = plane[i] * (1 - weight) + plane[i + offset] * weight
  }
  return out
}

/**
 * What stands in for lost samples: the last block backwards, so that it joins without a jump, fading to silence.
 * @param {Float32Array | undefined} last
 * @param {number} frames
 * @returns {Float32Array<ArrayBuffer>}
 */
export function conceal(last, frames) {
  const out = new Float32Array(frames)
  if (!last) return out
  const voiced = Math.min(frames, last.length)
  for (let i = 0; i < voiced; i++) out[i] = last[last.length - 1 - i] * 0.7 * (1 - i / voiced)
  return out
}

/** Duration of an Opus packet by its first byte (RFC 6716 section 3.1). @param {Uint8Array} packet @returns {number} ms, 20 if unreadable */
export function opusDurationMs(packet) {
  const toc = packet[0] ?? 0
  const config = toc >> 3
  const frame = config < 12 ? [10, 20, 40, 60][config & 3] : config < 16 ? [10, 20][config & 1] : [2.5, 5, 10, 20][config & 3]
  const code = toc & 3
  const count = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 63
  return frame * count || 20
}
