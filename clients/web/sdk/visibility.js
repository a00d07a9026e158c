// Owns which remote pictures a person can see: those of whose elements one is within the view of a page that is shown. What is not seen
// for a while need not come; what is seen again comes at once. Never receives anything itself.

import { defaults } from './defaults.js'

/** @typedef {{track: import('./track.js').Track, elements: Map<Element, boolean>, told: boolean, timer: ReturnType<typeof setTimeout> | undefined}} Entry */

export class Visibility {
  /** @type {Map<string, Entry>} by participant and source */
  #entries = new Map()
  /** @type {Map<Element, string>} */
  #keys = new Map()
  #onChange
  #observer
  #onPage = () => {
    for (const key of this.#entries.keys()) this.#settle(key)
  }

  /** @param {(key: string, visible: boolean) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange
    this.#observer = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        const key = this.#keys.get(target) ?? ''
        this.#entries.get(key)?.elements.set(target, isIntersecting)
        this.#settle(key)
      }
    })
    document.addEventListener('visibilitychange', this.#onPage)
  }

  /** @param {string} key @param {import('./track.js').Track} track of video; it counts as seen for a while */
  add(key, track) {
    this.#entries.set(key, { track, elements: new Map(), told: true, timer: undefined })
    this.#settle(key)
  }

  /** @param {string} key */
  remove(key) {
    const entry = this.#entries.get(key)
    if (!entry) return
    clearTimeout(entry.timer)
    this.#entries.delete(key)
    for (const element of entry.elements.keys()) this.#forget(element)
  }

  /** @param {string} key @param {Element} element */
  attached(key, element) {
    const entry = this.#entries.get(key)
    if (!entry) return
    // Until the observer has looked, where it will be is not known.
    entry.elements.set(element, true)
    this.#keys.set(element, key)
    this.#observer.observe(element)
    this.#settle(key)
  }

  /** @param {string} key @param {Element} element */
  detached(key, element) {
    this.#forget(element)
    this.#entries.get(key)?.elements.delete(element)
    this.#settle(key)
  }

  close() {
    document.removeEventListener('visibilitychange', this.#onPage)
    this.#observer.disconnect()
    for (const key of [...this.#entries.keys()]) this.remove(key)
  }

  /** @param {Element} element */
  #forget(element) {
    this.#keys.delete(element)
    this.#observer.unobserve(element)
  }

  /** @param {string} key */
  #settle(key) {
    const entry = this.#entries.get(key)
    if (!entry) return
    const visible = !document.hidden && [...entry.elements.values()].includes(true)
    if (visible || entry.told === visible) {
      clearTimeout(entry.timer)
      entry.timer = undefined
      if (entry.told !== visible) this.#tell(key, entry, visible)
      return
    }
    entry.timer ??= setTimeout(() => {
      entry.timer = undefined
      // An element that an app shows only with its first picture would never get one.
      if (entry.elements.size > 0 && !entry.track.subscribed) this.#settle(key)
      else this.#tell(key, entry, false)
    }, defaults.unseenAfterMs)
  }

  /** @param {string} key @param {Entry} entry @param {boolean} visible */
  #tell(key, entry, visible) {
    entry.told = visible
    this.#onChange(key, visible)
  }
}
