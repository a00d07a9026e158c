/**
 * Short notices that go by themselves. Holds at most MAX_TOASTS; the oldest goes first.
 */
import { el, sentenceOf } from './dom.js'
import { icon } from './icons.js'

const MAX_TOASTS = 4
const SHOWN_MS = 6_000

/** @type {Map<HTMLElement, {text: string, timer: number}>} */
const shown = new Map()

/**
 * @param {string} text
 * @param {'info' | 'error'} [kind]
 */
export function toast(text, kind = 'info') {
  for (const [element, entry] of shown) if (entry.text === text) remove(element)
  while (shown.size >= MAX_TOASTS) {
    const [oldest] = shown.keys()
    if (oldest) remove(oldest)
  }
  const element = el(
    'div',
    { class: `toast toast-${kind}`, 'data-testid': 'toast', role: kind === 'error' ? 'alert' : 'status' },
    icon(kind === 'error' ? 'warning' : 'check'),
    el('p', {}, text),
    el('button', { class: 'icon-button', type: 'button', 'aria-label': 'Dismiss', onclick: () => remove(element) }, icon('close')),
  )
  const start = () => window.setTimeout(() => remove(element), SHOWN_MS)
  const entry = { text, timer: start() }
  // Whoever reads it or is about to press its button keeps it.
  const hold = () => clearTimeout(entry.timer)
  const release = () => {
    clearTimeout(entry.timer)
    entry.timer = start()
  }
  element.addEventListener('pointerenter', hold)
  element.addEventListener('focusin', hold)
  element.addEventListener('pointerleave', release)
  element.addEventListener('focusout', release)
  shown.set(element, entry)
  document.getElementById('toasts')?.append(element)
}

/** @param {unknown} error */
export function toastError(error) {
  toast(sentenceOf(error), 'error')
}

/** Takes every notice away, as when the screen changes. */
export function clearToasts() {
  for (const element of [...shown.keys()]) remove(element)
}

/** @param {HTMLElement} element */
function remove(element) {
  clearTimeout(shown.get(element)?.timer)
  shown.delete(element)
  element.remove()
}
