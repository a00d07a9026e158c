/**
 * The lobby: name, camera and microphone before joining. Devices are never a condition: whoever has none, or refuses them, joins all
 * the same; what stands in their way is said where they are, with what to do.
 */
import { devicePickers } from './devices.js'
import { el, setAttribute, setText } from './dom.js'
import { deviceFault } from './faults.js'
import { icon, logo } from './icons.js'
import { copyInvite } from './invite.js'
import { watchPermissions } from './permissions.js'
import { savePreferences } from './preferences.js'
import { Preview } from './preview.js'
import { linkTo } from './roomlink.js'

const MAX_NAME = 64
const METER_BARS = 12
const DEVICES = /** @type {const} */ (['camera', 'microphone'])

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
  const allow = el('button', { type: 'button', class: 'button button-primary', 'data-testid': 'allow-devices', onclick: () => startAll(true) }, 'Allow camera and microphone')
  const ask = el(
    'div',
    { class: 'preview-ask', 'data-testid': 'permission-ask', hidden: true },
    el('p', {}, 'Do you want to be seen and heard?'),
    el('p', {}, 'Your browser asks once before Pulse may use your camera and microphone.'),
    allow,
  )
  const notes = { camera: el('div', { class: 'device-note' }), microphone: el('div', { class: 'device-note' }) }
  const bars = Array.from({ length: METER_BARS }, () => el('span'))
  const meter = el('div', { class: 'meter', role: 'img', 'aria-label': 'Microphone level' }, ...bars)
  const cameraToggle = toggle('camera')
  const microphoneToggle = toggle('microphone')
  const pickers = devicePickers({
    idPrefix: 'lobby',
    selected: () => ({ camera: preferences.cameraId, microphone: preferences.microphoneId, speaker: preferences.speakerId }),
    onChange: (kind, deviceId) => {
      preferences[`${kind}Id`] = deviceId
      savePreferences(preferences)
      if (kind !== 'speaker') start(kind, true)
    },
    signal: closed.signal,
  })
  const preview = new Preview(showDevice)

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
        el('div', { class: 'preview' }, picture, pictureNote, ask, el('div', { class: 'preview-controls' }, microphoneToggle, cameraToggle), meter),
        el('div', { class: 'device-notes', role: 'status' }, notes.camera, notes.microphone),
        pickers.element,
      ),
      form,
    ),
  )

  let meterFrame = 0

  /** @param {'camera' | 'microphone'} kind */
  function toggle(kind) {
    const title = kind === 'camera' ? 'Camera' : 'Microphone'
    const button = el('button', { type: 'button', class: 'round', 'data-testid': `${kind}-toggle`, 'data-tip': title, onclick: press })
    function press() {
      preferences[kind] = !preferences[kind]
      savePreferences(preferences)
      show()
      start(kind, true)
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

  /** @param {'camera' | 'microphone'} device @param {boolean} mayAsk whether the browser may be made to ask now */
  function start(device, mayAsk) {
    void preview.set(device, { on: preferences[device], deviceId: preferences[`${device}Id`], ask: mayAsk }).then(() => pickers.refresh())
  }

  /** @param {boolean} mayAsk */
  function startAll(mayAsk) {
    for (const device of DEVICES) start(device, mayAsk)
  }

  /** @param {'camera' | 'microphone'} device */
  function showDevice(device) {
    const state = preview.state(device)
    const error = preview.error(device)
    const note = notes[device]
    const fault = error && deviceFault(device, error)
    setAttribute(note, 'data-state', state)
    setAttribute(note, 'data-testid', fault ? `${device}-problem` : false)
    note.replaceChildren(
      ...(fault
        ? [icon(`${device}Off`), el('p', {}, fault.text), el('button', { type: 'button', class: 'link-button', 'data-testid': `${device}-retry`, onclick: () => start(device, true) }, 'Try again')]
        : []),
    )
    const asks = DEVICES.filter((each) => preview.state(each) === 'ask')
    ask.hidden = asks.length === 0
    setText(allow, asks.length === 2 ? 'Allow camera and microphone' : `Allow ${asks[0] ?? 'camera'}`)
    meter.hidden = preview.state('microphone') !== 'on'
    const { video } = preview
    if (video !== picture.firstChild) picture.replaceChildren(...(video ? [video] : []))
    video?.setAttribute('aria-hidden', 'true')
    setAttribute(picture, 'role', video ? 'img' : false)
    setAttribute(picture, 'aria-label', video ? 'Your camera' : false)
    const says = { off: 'Your camera is off', ask: '', asking: video ? '' : 'Starting the camera…', on: '', blocked: 'Your camera is blocked', failed: 'No picture from your camera' }
    setText(pictureNote, ask.hidden ? says[preview.state('camera')] : '')
  }

  function drawMeter() {
    const { level } = preview
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
    // What does not work here will not work there; whoever turns it on in the call is told again.
    const usable = (/** @type {'camera' | 'microphone'} */ device) => preferences[device] && !['blocked', 'failed'].includes(preview.state(device))
    onJoin({ name, camera: usable('camera') && !audioOnly, microphone: usable('microphone'), audioOnly })
  }

  root.replaceChildren(screen)
  document.title = 'Join · Pulse'
  if (preferences.name === '') nameField.focus({ preventScroll: true })
  meter.hidden = true
  void pickers.refresh()
  startAll(false)
  // Whoever allows a device in the browser's own settings is not asked to press anything here.
  void watchPermissions(() => startAll(false), closed.signal)
  drawMeter()

  return {
    close() {
      closed.abort()
      cancelAnimationFrame(meterFrame)
      preview.close()
      screen.remove()
    },
  }
}
