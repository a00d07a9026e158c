/**
 * Speaks to screen readers through the page's one polite live region. announcements.js decides what and when.
 */
import { Announcements } from './announcements.js'
import { el } from './dom.js'

const announcements = new Announcements()
let timer = 0

/**
 * Says a sentence to screen readers only.
 * @param {string} text
 */
export function announce(text) {
  if (text !== '') add({ kind: 'said', text })
}

/**
 * Tells what somebody did; the same of several people becomes one sentence.
 * @param {import('./announcements.js').Happening} kind
 * @param {string} name
 * @param {string} [text]
 */
export function announceWho(kind, name, text) {
  add({ kind, name, ...(text === undefined ? {} : { text }) })
}

/** @param {import('./announcements.js').Announcement} announcement */
function add(announcement) {
  announcements.add(performance.now(), announcement)
  schedule()
}

function schedule() {
  clearTimeout(timer)
  const { next } = announcements
  if (next !== null) timer = window.setTimeout(speak, Math.max(0, next - performance.now()))
}

function speak() {
  const text = announcements.take(performance.now())
  // A line of its own each time: equal sentences in a row are read again.
  if (text !== '') document.getElementById('announcer')?.replaceChildren(el('p', {}, text))
  schedule()
}
