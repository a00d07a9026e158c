// Owns the answer to "when was captured what is playing now": where in the ring each packet's samples begin, and the reader's place.
// Pure: time and the ring's positions are arguments. Positions are 32-bit frame counts that wrap.

import { defaults } from '../defaults.js'

const framesPerMs = defaults.sampleRate / 1000

export class PlayedTime {
  /** In order of position; what has been played is removed. @type {{position: number, capturedMs: number}[]} */
  #marks = []
  /** Where the reader is, between its gulps too. @type {{at: number, position: number, read: number, movedAt: number} | null} */
  #clock = null

  /** Samples captured from `capturedMs` on are about to be written at `position`. @param {number} position @param {number} capturedMs */
  mark(position, capturedMs) {
    if (this.#marks.length >= defaults.playout.maxMarks) this.#marks.shift()
    this.#marks.push({ position, capturedMs })
  }

  /**
   * @param {number} now
   * @param {number} read the ring's read position
   * @param {boolean} playing
   * @returns {number | null} capture time of what is handed out right now; null when nothing plays
   */
  at(now, read, playing) {
    const position = this.#follow(now, read)
    if (!playing || position === null) return null
    const marks = this.#marks
    while (marks.length > 1 && ((position - marks[1].position) | 0) >= 0) marks.shift()
    const ahead = marks.length ? (position - marks[0].position) | 0 : -1
    if (ahead < 0) return null
    // Stretched samples take longer than what they were; time waits for the next packet then.
    return Math.min(marks[0].capturedMs + ahead / framesPerMs, marks[1]?.capturedMs ?? Infinity)
  }

  /** A new ring. */
  reset() {
    this.#marks = []
    this.#clock = null
  }

  /**
   * The reader takes a quantum or a gulp at once and hands it out evenly: between, the place follows the clock, never beyond what was taken.
   * @param {number} now @param {number} read
   */
  #follow(now, read) {
    const clock = this.#clock
    if (!clock || ((read - clock.read) | 0) > defaults.sampleRate) {
      this.#clock = { at: now, position: read, read, movedAt: now }
      return read
    }
    if (((read - clock.read) | 0) > 0) {
      clock.read = read
      clock.movedAt = now
    }
    const elapsed = Math.max(0, now - clock.at)
    clock.at = Math.max(clock.at, now)
    const wanted = Math.round(elapsed * framesPerMs * defaults.playout.chase)
    const gap = (clock.read - clock.position) | 0
    const least = gap - defaults.playout.gulpMs * framesPerMs
    clock.position = (clock.position + Math.max(least, Math.min(wanted, gap))) | 0
    return now - clock.movedAt > defaults.playout.stillMs ? null : clock.position
  }
}
