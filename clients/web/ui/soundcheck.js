/**
 * A short, soft chime on a speaker, so that one hears whether it is the right one. Owns its audio context and closes it.
 */

// Two notes, a fourth apart: unlike any ring tone, and heard on small speakers.
const NOTES_HZ = [587.33, 783.99]
const NOTE_S = 0.45
const GAIN = 0.22

/**
 * @param {string} deviceId '' is the default speaker
 * @returns {Promise<void>} once it has sounded
 */
export async function playChime(deviceId) {
  const context = new AudioContext()
  try {
    // Whoever could choose a speaker has a browser that can play on it.
    const chooser = /** @type {AudioContext & {setSinkId?: (id: string) => Promise<void>}} */ (context)
    if (deviceId !== '') await chooser.setSinkId?.(deviceId)
    await context.resume()
    const ended = NOTES_HZ.map((frequency, index) => play(context, frequency, context.currentTime + 0.05 + index * NOTE_S * 0.55))
    await Promise.all(ended)
  } finally {
    await context.close()
  }
}

/**
 * @param {AudioContext} context
 * @param {number} frequency
 * @param {number} at
 * @returns {Promise<void>}
 */
function play(context, frequency, at) {
  const tone = new OscillatorNode(context, { type: 'sine', frequency })
  const volume = new GainNode(context, { gain: 0 })
  tone.connect(volume).connect(context.destination)
  volume.gain.setValueAtTime(0, at)
  volume.gain.linearRampToValueAtTime(GAIN, at + 0.02)
  volume.gain.exponentialRampToValueAtTime(0.001, at + NOTE_S)
  tone.start(at)
  tone.stop(at + NOTE_S)
  return new Promise((resolve) => tone.addEventListener('ended', () => resolve(), { once: true }))
}
