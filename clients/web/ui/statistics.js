/**
 * The statistics panel: first what a person wants to know, then every counter, once a second while it is open; and all of it to copy.
 */
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { readingsOf } from './readings.js'
import { toast } from './toast.js'

const REFRESH_MS = 1_000

/** @typedef {import('./tile.js').Room} Room */

/**
 * @param {Room} room
 * @param {AbortSignal} signal
 */
export function createStatistics(room, signal) {
  const label = el('strong', { 'data-testid': 'quality-label' })
  const tone = el('div', { class: 'reading-quality' }, icon('signal'), el('div', {}, label, el('span', {}, 'Your call')))
  const values = { mos: el('dd', { 'data-testid': 'reading-mos' }), roundTrip: el('dd', { 'data-testid': 'reading-rtt' }), edge: el('dd', { 'data-testid': 'reading-edge' }), up: el('dd', { 'data-testid': 'reading-up' }), down: el('dd', { 'data-testid': 'reading-down' }) }
  const summary = el(
    'dl',
    { class: 'readings' },
    el('div', {}, el('dt', {}, 'Sound (MOS)'), values.mos),
    el('div', {}, el('dt', {}, 'Round trip'), values.roundTrip),
    el('div', {}, el('dt', {}, 'Sending'), values.up),
    el('div', {}, el('dt', {}, 'Receiving'), values.down),
    el('div', {}, el('dt', {}, 'Server'), values.edge),
  )
  const people = el('div', { class: 'reading-people', 'data-testid': 'reading-people' })
  const counters = el('dl', { class: 'statistics', 'data-testid': 'statistics' })
  const details = el('details', { class: 'counters', ontoggle: () => refresh() }, el('summary', {}, 'All counters'), counters)
  const element = el(
    'div',
    { class: 'panel-scroll', tabindex: '0', role: 'region', 'aria-label': 'Call statistics' },
    tone, summary, people,
    el('button', { type: 'button', class: 'button', 'data-testid': 'statistics-copy', onclick: () => void copy() }, icon('copy'), 'Copy as JSON'),
    details,
  )
  /** @type {Map<string, HTMLElement>} */
  const cells = new Map()
  /** @type {import('./readings.js').Before | null} */
  let before = null
  let timer = 0

  function refresh() {
    const statistics = room.statistics()
    const names = new Map([['', `${room.localParticipant.name} (you)`], ...[...room.participants.values()].map(({ id, name }) => /** @type {[string, string]} */ ([id, name]))])
    const { readings, before: next } = readingsOf(statistics, names, performance.now(), before)
    before = next
    setText(label, readings.label)
    setAttribute(tone, 'data-quality', readings.tone)
    for (const name of /** @type {(keyof typeof values)[]} */ (Object.keys(values))) setText(values[name], readings[name])
    showPeople(readings.people)
    if (details.open) showCounters(flatten(statistics))
  }

  /** @param {import('./readings.js').Readings['people']} those */
  function showPeople(those) {
    const key = JSON.stringify(those)
    if (people.dataset['key'] === key) return
    people.dataset['key'] = key
    people.replaceChildren(
      ...those.filter(({ lines }) => lines.length > 0).map(({ name, lines }) =>
        el('table', {}, el('caption', {}, name), el('tbody', {}, ...lines.map(({ source, values: shown }) => el('tr', {}, el('th', { scope: 'row' }, source), el('td', {}, shown.join(' · ') || 'nothing yet'))))),
      ),
    )
  }

  /** @param {[string, string][]} rows */
  function showCounters(rows) {
    const names = new Set(rows.map(([name]) => name))
    for (const [name, value] of cells) {
      if (names.has(name)) continue
      value.parentElement?.remove()
      cells.delete(name)
    }
    for (const [name, text] of rows) {
      let value = cells.get(name)
      if (!value) {
        value = el('dd')
        cells.set(name, value)
        counters.append(el('div', {}, el('dt', {}, name), value))
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
    before = null
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
