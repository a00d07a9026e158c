// Owns who is speaking, from the levels in media headers. Pure: time is an argument.

import { defaults } from './defaults.js'
import { levelDbov } from './send/level.js'

export class Speakers {
  /** @type {Map<string, {loudness: number, at: number, voiceAt: number, speaking: boolean}>} */
  #members = new Map()
  #limits

  /** @param {typeof defaults.speakers} [limits] */
  constructor(limits = defaults.speakers) {
    this.#limits = limits
  }

  /** @param {number} now @param {string} id @param {number} level of a media header */
  heard(now, id, level) {
    const member = this.#members.get(id) ?? { loudness: 0, at: now, voiceAt: -Infinity, speaking: false }
    const dbov = levelDbov(level)
    const weight = 1 - Math.exp(-Math.max(20, now - member.at) / this.#limits.smoothingMs)
    const amplitude = dbov <= -127 ? 0 : 10 ** (dbov / 20)
    member.loudness += (amplitude - member.loudness) * weight
    member.at = now
    if (level & 0x80 && dbov > this.#limits.onDbov) member.voiceAt = now
    this.#members.set(id, member)
  }

  /** @param {string} id */
  remove(id) {
    this.#members.delete(id)
  }

  clear() {
    this.#members.clear()
  }

  /**
   * @param {number} now
   * @returns {{levels: [string, number][], speaking: string[]}} levels 0 to 1; who speaks, loudest first
   */
  report(now) {
    /** @type {[string, number][]} */
    const levels = []
    const speaking = []
    for (const [id, member] of this.#members) {
      const idle = now - member.at
      if (idle > 100) member.loudness *= Math.exp(-Math.min(idle, 100) / this.#limits.smoothingMs)
      member.speaking = now - member.voiceAt < this.#limits.holdMs
      // −60 dBov to −6 dBov fill the meter.
      const dbov = member.loudness > 0 ? 20 * Math.log10(member.loudness) : -127
      levels.push([id, Math.max(0, Math.min(1, (dbov + 60) / 54))])
      if (member.speaking) speaking.push({ id, loudness: member.loudness })
    }
    speaking.sort((a, b) => b.loudness - a.loudness)
    return { levels, speaking: speaking.map(({ id }) => id) }
  }
}
