/**
 * The lobby: name, camera and microphone before joining. Owns the preview and releases it when the screen closes.
 * Devices are never a condition: whoever has none, or refuses them, joins all the same.
 */
import { createLocalPreview } from '../sdk/pulse.js'
import { devicePickers } from './devices.js'
import { el, setAttribute, setText } from './dom.js'
import { icon, logo } from './icons.js'
import { copyInvite } from './invite.js'
import { savePreferences } from './preferences.js'
import { linkTo } from './roomlink.js'

const MAX_NAME = 64
const METER_BARS = 12

/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {{name: string, camera: boolean, microphone: boolean, audioOnly: boolean}} JoinChoice */

/**
 * @param {HTMLElement} root
 * @param {object} options
 * @param {string} options.roomName
 * @param {Preferences} options.preferences changed in place and saved
 * @param {(choice: JoinChoice) => void} options.onJoin
 * @returns {{close: () => void}}
 */
export function showLobby(root, { roomName, preferences, onJoin }) {
  const closed = new AbortController()

  const nameField = el('input', {
    id: 'name', type: 'text', name: 'name', maxlength: MAX_NAME, autocomplete: 'name', enterkeyhint: 'go', spellcheck: 'false',
    placeholder: 'How others will see you', value: preferences.name, 'data-testid': 'name', 'aria-describedby': 'name-error',
    oninput: () => complain(''),
  })
  const nameError = el('p', { id: 'name-error', class: 'field-error', role: 'alert' })
  const picture = el('div', { class: 'preview-picture' })
  const pictureNote = el('p', { class: 'preview-note' })
  const deviceNotes = el('div', { class: 'device-notes', role: 'status' })
  const bars = Array.from({ length: METER_BARS }, () => el('span'))
  const meter = el('div', { class: 'meter', role: 'img', 'aria-label': 'Microphone level' }, ...bars)
  const cameraToggle = toggle('camera')
  const microphoneToggle = toggle('microphone')
  const pickers = devicePickers({
    idPrefix: 'lobby',
    selected: { camera: preferences.cameraId, microphone: preferences.microphoneId, speaker: preferences.speakerId },
    onChange: (kind, deviceId) => {
      preferences[`${kind}Id`] = deviceId
      savePreferences(preferences)
      if (kind !== 'speaker') void startPreview()
    },
    signal: closed.signal,
  })

  const form = el(
    'form',
    { class: 'lobby-form', novalidate: true, onsubmit: submit },
    el('h1', {}, 'Ready to join?'),
    el(
      'div',
      { class: 'lobby-room' },
      el('p', {}, 'Room ', el('strong', { class: 'room-name', title: roomName }, roomName)),
      el('button', { type: 'button', class: 'link-button', 'data-testid': 'invite', onclick: () => void copyInvite(linkTo(roomName)) }, icon('invite'), 'Copy link'),
    ),
    el('div', { class: 'field' }, el('label', { for: 'name' }, 'Your name'), nameField, nameError),
    el('button', { type: 'submit', class: 'button button-primary button-large', 'data-testid': 'join' }, 'Join'),
    el(
      'button',
      { type: 'button', class: 'button button-large', 'data-testid': 'join-audio-only', onclick: () => join(true), title: 'Neither sends nor receives video. Good for slow connections.' },
      icon('headphones'),
      'Join with audio only',
    ),
  )
  const screen = el(
    'main',
    { class: 'lobby', 'data-screen': 'lobby' },
    el('header', { class: 'brand' }, logo(), el('span', {}, 'Pulse')),
    el(
      'div',
      { class: 'lobby-columns' },
      el(
        'section',
        { class: 'lobby-devices', 'aria-label': 'Camera and microphone' },
        el('div', { class: 'preview' }, picture, pictureNote, el('div', { class: 'preview-controls' }, microphoneToggle, cameraToggle), meter),
        deviceNotes,
        pickers.element,
      ),
      form,
    ),
  )

  /** @type {import('../sdk/pulse.js').LocalPreview | null} */
  let preview = null
  let attempt = 0
  let meterFrame = 0

  /** @param {'camera' | 'microphone'} kind */
  function toggle(kind) {
    const title = kind === 'camera' ? 'Camera' : 'Microphone'
    const button = el('button', { type: 'button', class: 'round', 'data-testid': `${kind}-toggle`, 'data-tip': title, onclick: press })
    function press() {
      preferences[kind] = !preferences[kind]
      savePreferences(preferences)
      show()
      void startPreview()
    }
    function show() {
      const on = preferences[kind]
      button.replaceChildren(icon(on ? kind : `${kind}Off`))
      setAttribute(button, 'aria-label', title)
      setAttribute(button, 'aria-pressed', String(on))
      setAttribute(button, 'data-on', String(on))
      setAttribute(button, 'data-tip', `${title} ${on ? 'on' : 'off'}`)
    }
    show()
    return button
  }

  /** Brings the preview in line with the switches; the old picture stays until the new one is there. */
  async function startPreview() {
    attempt += 1
    const mine = attempt
    const { camera, microphone, cameraId, microphoneId } = preferences
    setText(pictureNote, camera ? 'Starting the camera…' : 'Your camera is off')
    const next = camera || microphone ? await createLocalPreview({ camera, microphone, cameraId: cameraId || undefined, microphoneId: microphoneId || undefined }) : null
    if (closed.signal.aborted || mine !== attempt) {
      next?.stop()
      return
    }
    if ((cameraId !== '' || microphoneId !== '') && next?.errors.some((error) => error.name === 'device_not_found')) {
      // A device remembered from another day is gone: the default one will do.
      next.stop()
      Object.assign(preferences, { cameraId: '', microphoneId: '' })
      await startPreview()
      return
    }
    preview?.stop()
    preview = next
    picture.replaceChildren()
    if (next?.video) {
      next.video.setAttribute('aria-label', 'Your camera')
      picture.append(next.video)
    }
    setText(pictureNote, next?.video ? '' : camera ? 'No picture from your camera' : 'Your camera is off')
    deviceNotes.replaceChildren(...(next?.errors ?? []).map((error) => el('p', {}, icon('warning'), el('span', {}, error.message))))
    meter.hidden = !microphone
    await pickers.refresh()
  }

  function drawMeter() {
    const level = preview?.level ?? 0
    const lit = Math.round(Math.min(1, level) * METER_BARS)
    bars.forEach((bar, index) => bar.classList.toggle('lit', index < lit))
    meterFrame = requestAnimationFrame(drawMeter)
  }

  /** @param {string} sentence */
  function complain(sentence) {
    setText(nameError, sentence)
    setAttribute(nameField, 'aria-invalid', sentence === '' ? false : 'true')
  }

  /** @param {SubmitEvent} event */
  function submit(event) {
    event.preventDefault()
    join(false)
  }

  /** @param {boolean} audioOnly */
  function join(audioOnly) {
    const name = nameField.value.trim()
    const problem = name === '' ? 'Please enter your name, so that others know who you are.' : /\p{Cc}/u.test(name) ? 'Please use a name without control characters.' : ''
    complain(problem)
    if (problem !== '') {
      nameField.focus()
      return
    }
    preferences.name = name
    savePreferences(preferences)
    onJoin({ name, camera: preferences.camera && !audioOnly, microphone: preferences.microphone, audioOnly })
  }

  root.replaceChildren(screen)
  document.title = 'Join · Pulse'
  if (preferences.name === '') nameField.focus({ preventScroll: true })
  meter.hidden = !preferences.microphone
  void pickers.refresh()
  void startPreview()
  drawMeter()

  return {
    close() {
      closed.abort()
      cancelAnimationFrame(meterFrame)
      preview?.stop()
      preview = null
      screen.remove()
    },
  }
}
