/**
 * One participant's tile: picture or initials, name, marks. It attaches the camera track and lets go of it; it places nothing.
 */
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'

/** @typedef {import('../sdk/pulse.js').Room} Room */
/** @typedef {import('../sdk/pulse.js').Participant} Participant */
/** @typedef {import('../sdk/pulse.js').Track} Track */

const AVATAR_COLOURS = 8

/** @typedef {{element: HTMLElement, update: (showPicture: boolean) => void, close: () => void}} Tile */

/**
 * @param {Participant} participant
 * @returns {Tile}
 */
export function createTile(participant) {
  const media = el('div', { class: participant.isLocal ? 'tile-media mirrored' : 'tile-media' })
  const name = el('span', { class: 'tile-name' })
  const muted = el('span', { class: 'tile-muted', title: 'Microphone off' }, icon('microphoneOff'))
  const away = el('div', { class: 'tile-away' }, icon('away'), el('span', {}, 'Reconnecting…'))
  const element = el(
    'div',
    { class: 'tile', 'data-testid': 'tile', 'data-participant': participant.id, role: 'group' },
    el('div', { class: `avatar avatar-${colourOf(participant.id)}`, 'aria-hidden': 'true' }, el('span', {}, initialsOf(participant.name))),
    media,
    away,
    el('div', { class: 'tile-plate' }, muted, name),
  )
  const picture = pictureIn(media, 'tile-video')

  return {
    element,
    /** @param {boolean} showPicture false: initials only, for whoever receives no video */
    update(showPicture) {
      const shownName = participant.isLocal ? `${participant.name} (you)` : participant.name
      setText(name, shownName)
      setAttribute(element, 'data-name', participant.name)
      setAttribute(element, 'data-speaking', String(participant.isSpeaking && !participant.microphoneMuted))
      setAttribute(element, 'data-muted', String(participant.microphoneMuted))
      setAttribute(element, 'data-away', String(participant.away))
      muted.hidden = !participant.microphoneMuted
      away.hidden = !participant.away
      const track = participant.cameraTrack
      picture.show(track && !track.muted && showPicture ? track : null, `Camera of ${participant.name}`)
      const marks = [participant.microphoneMuted ? 'microphone off' : '', track && !track.muted ? '' : 'no camera', participant.away ? 'reconnecting' : '']
      setAttribute(element, 'aria-label', [shownName, ...marks.filter(Boolean)].join(', '))
    },
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
  let watching = new AbortController()

  return {
    /**
     * @param {Track | null} track
     * @param {string} label
     */
    show(track, label) {
      if (track === shown) return
      watching.abort()
      if (shown) shown.detach()
      holder.replaceChildren()
      shown = track
      setAttribute(holder, 'data-picture', track ? 'waiting' : false)
      if (!track) return
      watching = new AbortController()
      const element = track.attach()
      element.dataset['testid'] = testid
      element.setAttribute('role', 'img')
      element.setAttribute('aria-label', label)
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
