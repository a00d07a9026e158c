/**
 * What is said to screen readers, and when: what happens at the same time becomes one sentence, and there is never more than one
 * sentence in PAUSE_MS. Pure: time is an argument; announcer.js speaks.
 */

// Arrivals come in groups; the first waits a little for the others.
const GATHER_MS = 250
// A sentence needs this long to be read out.
const PAUSE_MS = 2_000
const MAX_WAITING = 60
const MAX_NAMED = 3
const MAX_TEXT = 200

/** @typedef {'joined' | 'left' | 'hand' | 'handDown' | 'away' | 'back' | 'sharing' | 'message'} Happening */
/** @typedef {{kind: Happening, name: string, text?: string} | {kind: 'said', text: string}} Announcement */

/** @type {Record<Happening, [one: string, several: string]>} */
const WORDS = {
  joined: ['joined', 'joined'],
  left: ['left', 'left'],
  hand: ['raised a hand', 'raised their hands'],
  handDown: ['lowered the hand', 'lowered their hands'],
  away: ['is reconnecting', 'are reconnecting'],
  back: ['is back', 'are back'],
  sharing: ['is sharing a screen', 'are sharing their screens'],
  message: ['wrote', 'wrote'],
}

export class Announcements {
  /** @type {Announcement[]} */
  #waiting = []
  #from = -Infinity
  /** How many were dropped because too much happened at once. */
  dropped = 0

  /** @param {number} now @param {Announcement} announcement */
  add(now, announcement) {
    if (this.#waiting.length === 0) this.#from = Math.max(this.#from, now + GATHER_MS)
    // What a person did and took back within a breath is nothing to say.
    const opposite = announcement.kind === 'said' ? -1 : this.#waiting.findIndex((other) => undoes(other, announcement))
    if (opposite >= 0) {
      this.#waiting.splice(opposite, 1)
      return
    }
    this.#waiting.push(announcement)
    if (this.#waiting.length <= MAX_WAITING) return
    this.#waiting.shift()
    this.dropped += 1
  }

  /** When there is something to say. @returns {number | null} */
  get next() {
    return this.#waiting.length === 0 ? null : this.#from
  }

  /** @param {number} now @returns {string} what is to be said now; empty: nothing */
  take(now) {
    if (this.#waiting.length === 0 || now < this.#from) return ''
    const waiting = this.#waiting
    this.#waiting = []
    this.#from = now + PAUSE_MS
    return sentencesOf(waiting)
  }
}

/** @type {Partial<Record<Happening, Happening>>} */
const OPPOSITES = { left: 'joined', handDown: 'hand', back: 'away' }

/** @param {Announcement} earlier @param {Announcement} later */
function undoes(earlier, later) {
  return earlier.kind !== 'said' && later.kind !== 'said' && earlier.name === later.name && OPPOSITES[later.kind] === earlier.kind
}

/** @param {Announcement[]} waiting */
function sentencesOf(waiting) {
  const said = waiting.flatMap((each) => (each.kind === 'said' ? [each.text] : []))
  const sentences = said.filter((text, index) => said.indexOf(text) === index)
  for (const kind of /** @type {Happening[]} */ (Object.keys(WORDS))) {
    const those = waiting.flatMap((each) => (each.kind === kind ? [each] : []))
    const [only] = those
    if (!only) continue
    if (kind === 'message') sentences.push(those.length === 1 ? shorten(`${only.name}: ${only.text ?? ''}`) : `${those.length} new messages from ${list(those)}`)
    else sentences.push(`${list(those)} ${WORDS[kind][new Set(those.map(({ name }) => name)).size > 1 ? 1 : 0]}`)
  }
  return sentences.join('. ')
}

/** @param {{name: string}[]} those */
function list(those) {
  const names = [...new Set(those.map(({ name }) => name))]
  if (names.length === 1) return names[0] ?? ''
  const shown = names.length > MAX_NAMED ? [...names.slice(0, MAX_NAMED - 1), `${names.length - MAX_NAMED + 1} others`] : names
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

/** @param {string} text */
const shorten = (text) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text)
