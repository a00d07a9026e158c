// Owns the low-pass filter of every change of sample rate. Pure.

/**
 * A sinc under a Blackman window, whose sum is 1.
 * @param {number} taps
 * @param {number} cutoff share of the sample rate
 * @returns {Float32Array}
 */
export function lowPass(taps, cutoff) {
  const kernel = Float32Array.from({ length: taps }, (_, i) => {
    const x = 2 * Math.PI * cutoff * (i - (taps - 1) / 2)
    const at = (2 * Math.PI * (i + 0.5)) / taps
    return (x ? Math.sin(x) / x : 1) * (0.42 - 0.5 * Math.cos(at) + 0.08 * Math.cos(2 * at))
  })
  const sum = kernel.reduce((total, tap) => total + tap, 0)
  return kernel.map((tap) => tap / sum)
}
