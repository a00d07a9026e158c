/**
 * One participant's tile: picture or initials, name, marks. It attaches the camera track and lets go of it; it places nothing.
 */
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { qualityText, troubleOf } from './marks.js'

/** @typedef {import('../sdk/pulse.js').Room} Room */
/** @typedef {import('../sdk/pulse.js').Participant} Participant */
/** @typedef {import('../sdk/pulse.js').Track} Track */

const AVATAR_COLOURS = 8

/**
 * @typedef {object} Look
 * @property {boolean} picture false: initials only, for whoever receives no video
 * @property {boolean} speaking
 * @property {number} hand its place among the raised hands, 0: not raised
 * @property {boolean} pinned
 */
/** @typedef {{element: HTMLElement, pin: HTMLButtonElement | null, update: (look: Look) => void, close: () => void}} Tile */

/**
 * @param {Participant} participant
 * @param {() => void} onPin
 * @returns {Tile}
 */
export function createTile(participant, onPin) {
  const media = el('div', { class: participant.isLocal ? 'tile-media mirrored' : 'tile-media' })
  const name = el('span', { class: 'tile-name' })
  const initials = el('span')
  const muted = el('span', { class: 'tile-muted', title: 'Microphone off' }, icon('microphoneOff'))
  const cover = el('div', { class: 'tile-cover', hidden: true })
  const handPlace = el('span')
  const hand = el('span', { class: 'mark mark-hand', 'data-testid': 'tile-hand', title: 'Hand raised' }, icon('hand'), handPlace)
  const signal = el('span', { class: 'mark mark-signal', 'data-testid': 'tile-quality' })
  const pin = el('button', { type: 'button', class: 'tile-pin', 'data-testid': 'tile-pin', tabindex: '-1', onclick: onPin })
  const element = el(
    'div',
    { class: 'tile', 'data-testid': 'tile', 'data-participant': participant.id, role: 'group', tabindex: '-1' },
    el('div', { class: `avatar avatar-${colourOf(participant.id)}`, 'aria-hidden': 'true' }, initials),
    media,
    cover,
    el('div', { class: 'tile-marks' }, hand, signal),
    pin,
    el('div', { class: 'tile-plate' }, muted, name),
  )
  const picture = pictureIn(media, 'tile-video')
  let covered = ''

  /** @param {string} text @param {'away' | 'warning' | 'pause'} sign */
  function showCover(text, sign) {
    cover.hidden = text === ''
    if (covered === text) return
    covered = text
    cover.replaceChildren(...(text === '' ? [] : [icon(sign), el('span', {}, text)]))
  }

  return {
    element,
    pin,
    update({ picture: showPicture, speaking, hand: place, pinned }) {
      const shownName = participant.isLocal ? `${participant.name} (you)` : participant.name
      const { microphoneMuted, away, connectionQuality } = participant
      setText(name, shownName)
      setText(initials, initialsOf(participant.name))
      setAttribute(element, 'data-name', participant.name)
      setAttribute(element, 'data-speaking', String(speaking && !microphoneMuted))
      setAttribute(element, 'data-muted', String(microphoneMuted))
      setAttribute(element, 'data-away', String(away))
      setAttribute(element, 'data-pinned', String(pinned))
      muted.hidden = !microphoneMuted

      const track = participant.cameraTrack
      const on = Boolean(track && !track.muted)
      const trouble = track && on && showPicture ? troubleOf(track) : ''
      picture.show(track && on && showPicture && !track.error ? track : null, `Camera of ${participant.name}`)
      if (away) showCover('Reconnecting…', 'away')
      else showCover(trouble, track?.error ? 'warning' : 'pause')

      hand.hidden = place === 0
      setText(handPlace, String(place))
      const quality = away ? '' : qualityText(connectionQuality)
      const shownQuality = connectionQuality === 'poor' || connectionQuality === 'lost' ? quality : ''
      signal.hidden = shownQuality === ''
      if (signal.textContent !== shownQuality) signal.replaceChildren(icon(connectionQuality === 'lost' ? 'away' : 'signalPoor'), el('span', {}, shownQuality))
      setAttribute(element, 'data-quality', connectionQuality)

      const pinLabel = pinned ? `Unpin ${participant.name}` : `Pin ${participant.name}`
      if (pin.getAttribute('aria-label') !== pinLabel) {
        pin.replaceChildren(icon(pinned ? 'unpin' : 'pin'))
        setAttribute(pin, 'aria-label', pinLabel)
        setAttribute(pin, 'title', pinned ? 'Unpin' : 'Pin to the stage')
      }
      const marks = [
        microphoneMuted ? 'microphone off' : '', on ? '' : 'no camera', trouble, away ? 'reconnecting' : '', place > 0 ? `hand raised, number ${place}` : '',
        shownQuality, pinned ? 'pinned' : '',
      ]
      setAttribute(element, 'aria-label', [shownName, ...marks.filter(Boolean)].join(', '))
    },
    close() {
      picture.show(null, '')
      element.remove()
    },
  }
}

/**
 * What this person shares, as a tile: a small picture of it, what it is, and how to end it.
 * @param {Track} track
 * @param {() => void} onStop
 * @returns {Tile}
 */
export function createShareTile(track, onStop) {
  const media = el('div', { class: 'tile-media' })
  const element = el(
    'div',
    { class: 'tile share-tile', 'data-testid': 'share-tile', role: 'group', tabindex: '-1', 'aria-label': 'Your shared screen' },
    media,
    el('div', { class: 'share-note' }, icon('share'), el('p', {}, 'You are sharing your screen.'), el('button', { type: 'button', class: 'button', 'data-testid': 'share-stop', onclick: onStop }, 'Stop sharing')),
  )
  const picture = pictureIn(media, 'share-preview')
  picture.show(track, 'Your shared screen')
  return {
    element,
    pin: null,
    update() {},
    close() {
      picture.show(null, '')
      element.remove()
    },
  }
}

/**
 * Keeps the picture of at most one track in a holder: attaches it, turns it visible with its first frame, detaches it.
 * @param {HTMLElement} holder
 * @param {string} testid
 */
export function pictureIn(holder, testid) {
  /** @type {Track | null} */
  let shown = null
  /** @type {HTMLElement | null} */
  let element = null
  let watching = new AbortController()

  return {
    /**
     * @param {Track | null} track
     * @param {string} label
     */
    show(track, label) {
      if (track === shown) return
      watching.abort()
      if (shown && element) shown.detach(element)
      holder.replaceChildren()
      shown = track
      element = null
      setAttribute(holder, 'data-picture', track ? 'waiting' : false)
      setAttribute(holder, 'data-upright', false)
      setAttribute(holder, 'role', track ? 'img' : false)
      setAttribute(holder, 'aria-label', track ? label : false)
      if (!track) return
      watching = new AbortController()
      element = track.attach()
      element.dataset['testid'] = testid
      // The holder speaks for it: an element that plays video cannot be an image itself.
      element.setAttribute('aria-hidden', 'true')
      holder.append(element)
      const visible = () => {
        // An upright picture in a wide tile is shown whole: cropping it would cut heads off.
        setAttribute(holder, 'data-upright', track.width > 0 && track.height > track.width ? 'true' : false)
        setAttribute(holder, 'data-picture', 'shown')
      }
      const { signal } = watching
      track.addEventListener('firstFrame', visible, { signal })
      track.addEventListener('resized', visible, { signal })
      if (track.isLocal || track.width > 0) visible()
    },
  }
}

/** @param {string} name */
export function initialsOf(name) {
  const words = name.trim().split(/\s+/u)
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]]
  return letters.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase()
}

/** The same person has the same colour on every page. @param {string} id */
export function colourOf(id) {
  let sum = 0
  for (const letter of id) sum = (sum * 31 + letter.charCodeAt(0)) % 65_521
  return sum % AVATAR_COLOURS
}
