/**
 * Who is marked as speaking, and who has the word. Steadies what the SDK hears, so that a mark does not flicker with every breath and
 * the stage does not jump at a cough. Pure: time is an argument.
 */

// A mark stays through the pauses between sentences.
const MARK_HOLD_MS = 900
// Who speaks this long is taking the word; a "yes" is shorter.
const TAKES_WORD_MS = 700
// The stage changes no sooner again.
const STAGE_HOLD_MS = 2_500

export class Voices {
  /** When each was last heard speaking. @type {Map<string, number>} */
  #heardAt = new Map()
  /** @type {string[]} */
  #speaking = []
  /** Who leads the speakers now, and since when. */
  #leader = ''
  #leadsSince = 0
  /** @type {string | null} */
  #word = null
  #wordAt = -Infinity

  /**
   * @param {number} now
   * @param {string[]} speaking loudest first
   */
  heard(now, speaking) {
    for (const id of this.#speaking) this.#heardAt.set(id, now)
    this.#speaking = [...speaking]
    for (const id of speaking) {
      // Out and in again: the newest come last.
      this.#heardAt.delete(id)
      this.#heardAt.set(id, now)
    }
    // As long as the leader speaks, being louder for a moment does not take the word.
    if (!speaking.includes(this.#leader)) {
      this.#leader = speaking[0] ?? ''
      this.#leadsSince = now
    }
  }

  /** @param {string} id */
  remove(id) {
    this.#heardAt.delete(id)
    this.#speaking = this.#speaking.filter((other) => other !== id)
    if (this.#word === id) this.#word = null
    if (this.#leader === id) this.#leader = ''
  }

  /**
   * @param {number} now
   * @returns {{marked: Set<string>, word: string | null, recent: string[], next: number | null}} who is marked, who has the word,
   *   who spoke last (newest first), and when to ask again
   */
  at(now) {
    const marked = new Set(this.#speaking)
    let next = Infinity
    for (const [id, heardAt] of this.#heardAt) {
      if (marked.has(id)) continue
      const until = heardAt + MARK_HOLD_MS
      if (until <= now) continue
      marked.add(id)
      next = Math.min(next, until)
    }
    if (this.#leader !== '' && this.#leader !== this.#word) {
      const from = this.#word === null ? now : Math.max(this.#leadsSince + TAKES_WORD_MS, this.#wordAt + STAGE_HOLD_MS)
      if (from <= now) {
        this.#word = this.#leader
        this.#wordAt = now
      } else next = Math.min(next, from)
    }
    return { marked, word: this.#word, recent: [...this.#heardAt.keys()].reverse(), next: next === Infinity ? null : next }
  }
}
