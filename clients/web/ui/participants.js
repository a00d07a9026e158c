/**
 * The list of who is here, with their marks. Rows are kept and changed in place, so that a reader's place in it stays.
 */
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { handOrder, qualityText } from './marks.js'
import { colourOf, initialsOf } from './tile.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./tile.js').Participant} Participant */

/** @param {Room} room */
export function createParticipants(room) {
  /** @type {Map<string, {element: HTMLElement, update: (participant: Participant, hand: number) => void}>} */
  const rows = new Map()
  const list = el('ul', { class: 'people', 'aria-label': 'Participants' })
  const element = el('div', { class: 'panel-scroll', tabindex: '0', role: 'region', 'aria-label': 'List of participants' }, list)

  return {
    element,
    update() {
      const present = [room.localParticipant, ...room.participants.values()]
      const ids = new Set(present.map((participant) => participant.id))
      for (const [id, row] of rows) {
        if (ids.has(id)) continue
        row.element.remove()
        rows.delete(id)
      }
      for (const participant of present) {
        let row = rows.get(participant.id)
        if (!row) {
          row = createRow(participant)
          rows.set(participant.id, row)
          list.append(row.element)
        }
      }
      // Raised hands come first, in the order they went up; everybody else stays where they are.
      const hands = handOrder(present)
      const sorted = [...present].sort((a, b) => (hands.get(a.id) ?? present.length + 1) - (hands.get(b.id) ?? present.length + 1))
      for (const [index, participant] of sorted.entries()) {
        const row = rows.get(participant.id)
        if (!row) continue
        if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null)
        row.update(participant, hands.get(participant.id) ?? 0)
      }
    },
  }
}

/** @param {Participant} participant */
function createRow(participant) {
  const name = el('span', { class: 'person-name' })
  const note = el('span', { class: 'person-note' })
  const microphone = el('span', { class: 'person-mark', role: 'img' })
  const camera = el('span', { class: 'person-mark', role: 'img' })
  const initials = el('span')
  const handPlace = el('span')
  const hand = el('span', { class: 'mark mark-hand', 'data-testid': 'row-hand' }, icon('hand'), handPlace)
  const signal = el('span', { class: 'person-mark person-signal', role: 'img', 'data-testid': 'row-quality' })
  const sharing = el('span', { class: 'person-mark person-mark-share', role: 'img', 'aria-label': 'Sharing the screen', title: 'Sharing the screen' }, icon('share'))
  const element = el(
    'li',
    { class: 'person', 'data-testid': 'participant-row', 'data-participant': participant.id },
    el('div', { class: `avatar avatar-${colourOf(participant.id)}`, 'aria-hidden': 'true' }, initials),
    el('div', { class: 'person-text' }, name, note),
    hand,
    sharing,
    signal,
    microphone,
    camera,
  )
  return {
    element,
    /** @param {Participant} now @param {number} place among the raised hands, 0: not raised */
    update(now, place) {
      setText(initials, initialsOf(now.name))
      hand.hidden = place === 0
      setText(handPlace, String(place))
      setAttribute(hand, 'title', `Hand raised, number ${place}`)
      const quality = now.away ? '' : qualityText(now.connectionQuality)
      signal.hidden = quality === ''
      if (signal.getAttribute('aria-label') !== quality) {
        setAttribute(signal, 'aria-label', quality || false)
        setAttribute(signal, 'title', quality || false)
        signal.replaceChildren(icon(now.connectionQuality === 'lost' ? 'away' : now.connectionQuality === 'poor' ? 'signalPoor' : now.connectionQuality === 'good' ? 'signalGood' : 'signal'))
      }
      setAttribute(signal, 'data-quality', now.connectionQuality)
      setText(name, now.isLocal ? `${now.name} (you)` : now.name)
      setText(note, now.away ? 'Reconnecting…' : now.connectionQuality === 'poor' ? 'Poor connection' : now.protocol === 'v1' ? 'Classic client' : '')
      setAttribute(element, 'data-name', now.name)
      setAttribute(element, 'data-speaking', String(now.isSpeaking && !now.microphoneMuted))
      setAttribute(element, 'data-muted', String(now.microphoneMuted))
      sharing.hidden = !now.screenTrack
      mark(microphone, 'microphone', !now.microphoneMuted)
      mark(camera, 'camera', Boolean(now.cameraTrack && !now.cameraTrack.muted))
    },
  }
}

/**
 * @param {HTMLElement} element
 * @param {'microphone' | 'camera'} kind
 * @param {boolean} on
 */
function mark(element, kind, on) {
  if (element.dataset['on'] === String(on)) return
  element.dataset['on'] = String(on)
  const label = `${kind === 'camera' ? 'Camera' : 'Microphone'} ${on ? 'on' : 'off'}`
  setAttribute(element, 'aria-label', label)
  setAttribute(element, 'title', label)
  element.replaceChildren(icon(on ? kind : `${kind}Off`))
}
