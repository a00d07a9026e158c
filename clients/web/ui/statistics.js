/**
 * The statistics panel: the room's counters as they are, once a second while it is open, and as text to send to somebody.
 */
import { el, setText } from './dom.js'
import { toast } from './toast.js'

const REFRESH_MS = 1_000

/** @typedef {import('./tile.js').Room} Room */

/**
 * @param {Room} room
 * @param {AbortSignal} signal
 */
export function createStatistics(room, signal) {
  const table = el('dl', { class: 'statistics', 'data-testid': 'statistics' })
  const element = el('div', { class: 'panel-scroll', tabindex: '0', role: 'region', 'aria-label': 'Counters' }, el('button', { type: 'button', class: 'button', onclick: () => void copy() }, 'Copy as text'), table)
  /** @type {Map<string, HTMLElement>} */
  const values = new Map()
  let timer = 0

  function refresh() {
    const rows = flatten(room.statistics())
    const names = new Set(rows.map(([name]) => name))
    for (const [name, value] of values) {
      if (names.has(name)) continue
      value.parentElement?.remove()
      values.delete(name)
    }
    for (const [name, text] of rows) {
      let value = values.get(name)
      if (!value) {
        value = el('dd')
        values.set(name, value)
        table.append(el('div', {}, el('dt', {}, name), value))
      }
      setText(value, text)
    }
  }

  async function copy() {
    try {
      await navigator.clipboard.writeText(JSON.stringify(room.statistics(), null, 2))
      toast('Statistics copied.')
    } catch {
      toast('The browser refused the clipboard. Select the numbers by hand instead.', 'error')
    }
  }

  /** @param {boolean} open */
  function setOpen(open) {
    clearInterval(timer)
    if (!open) return
    refresh()
    timer = window.setInterval(refresh, REFRESH_MS)
  }
  signal.addEventListener('abort', () => clearInterval(timer))
  return { element, setOpen }
}

/**
 * Nested counters as rows of a dotted name and a readable value.
 * @param {unknown} value
 * @param {string} [prefix]
 * @returns {[string, string][]}
 */
function flatten(value, prefix = '') {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, inner]) => flatten(inner, prefix === '' ? name : `${prefix}.${name}`))
  }
  const text = typeof value === 'number' ? String(Math.round(value * 100) / 100) : String(value ?? '–')
  return [[prefix, text]]
}
