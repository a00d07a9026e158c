// Owns the audio level of the media header (RFC 6464). Pure.

/**
 * @param {Float32Array} samples
 * @param {number} voiceThresholdDbov
 * @returns {number} bit 7 voice, bits 0–6 −dBov
 */
export function audioLevel(samples, voiceThresholdDbov) {
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const rms = Math.sqrt(sum / samples.length)
  const dbov = rms > 0 ? Math.max(-127, Math.min(0, 20 * Math.log10(rms))) : -127
  return (dbov > voiceThresholdDbov ? 0x80 : 0) | Math.round(-dbov)
}

/** @param {number} level of a media header @returns {number} dBov, −127 to 0 */
export const levelDbov = (level) => -(level & 0x7f)
