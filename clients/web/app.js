/**
 * The app: which screen is shown, and the life of a room from "Join" to "Leave". Everything else is in ui/, everything about the
 * call itself in the SDK.
 *
 * `window.pulseRoom` is the room of the current call, for the console and for tests.
 */
import { Room, isSupported, prepare } from './sdk/pulse.js'
import { showCall } from './ui/call.js'
import { sentenceOf } from './ui/dom.js'
import { isDeviceError } from './ui/faults.js'
import { showLobby } from './ui/lobby.js'
import { applyCameraQuality, loadPreferences } from './ui/preferences.js'
import { isRoomName, linkTo, putRoomInLocation, randomRoom, roomOfLocation } from './ui/roomlink.js'
import { showNotice } from './ui/screens.js'
import { applyTheme } from './ui/theme.js'
import { clearToasts, toastError } from './ui/toast.js'

/** @typedef {import('./ui/lobby.js').JoinChoice} JoinChoice */

const root = /** @type {HTMLElement} */ (document.getElementById('app'))
const preferences = loadPreferences()
applyTheme(preferences.theme)
applyCameraQuality(preferences)
/** @type {{close: () => void} | null} */
let screen = null
/** The call that is going on, if any. @type {Room | null} */
let current = null

/** @template {{close: () => void}} Screen @param {() => Screen} build @returns {Screen} */
function show(build) {
  screen?.close()
  clearToasts()
  const shown = build()
  screen = shown
  return shown
}

/** @param {string} roomName */
function lobby(roomName) {
  prepare()
  show(() => showLobby(root, { roomName, preferences, onJoin: (choice) => void join(roomName, choice) }))
}

function newRoom() {
  const name = randomRoom()
  putRoomInLocation(name)
  lobby(name)
}

/**
 * @param {string} roomName
 * @param {JoinChoice} choice
 */
async function join(roomName, choice) {
  const { receive } = preferences
  const room = new Room({ audioOnly: choice.audioOnly, ...(!choice.audioOnly && (receive === 'high' || receive === 'low') ? { receiveQuality: receive } : {}) })
  current = room
  Object.assign(window, { pulseRoom: room })
  room.addEventListener('connectionStateChanged', (event) => {
    const { state, error } = /** @type {CustomEvent} */ (event).detail
    if (current !== room) return
    if (state === 'failed') failed(roomName, choice, error)
    if (state === 'disconnected') left(roomName, choice, error)
  })
  // Asked for within the press of "Join", or the browser would hold back the sound.
  const connected = room.connect({ room: roomName, name: choice.name })
  const call = show(() => showCall(root, { room, roomName, link: linkTo(roomName), preferences, onLeave: () => leave(roomName, choice) }))
  try {
    await connected
  } catch (error) {
    if (current === room) failed(roomName, choice, error)
    return
  }
  if (current !== room) return
  if (choice.microphone) call.turnOn('microphone')
  if (choice.camera) call.turnOn('camera')
  if (preferences.speakerId === '') return
  await room.setSpeaker(preferences.speakerId).catch((error) => {
    if (current !== room) return
    if (isDeviceError(error)) call.deviceFailed('speaker', error)
    else toastError(error)
  })
}

/** Ends the current call; its events no longer change the screen. */
function end() {
  const room = current
  current = null
  void room?.disconnect().catch(() => {})
}

/**
 * @param {string} roomName
 * @param {JoinChoice} choice
 */
function leave(roomName, choice) {
  end()
  left(roomName, choice)
}

/**
 * @param {string} roomName
 * @param {JoinChoice} choice
 * @param {unknown} [error] why the call ended, where it was not this person's wish
 */
function left(roomName, choice, error) {
  end()
  show(() =>
    showNotice(root, {
      kind: 'left',
      title: error ? 'The call ended' : 'You left the call',
      text: error ? sentenceOf(error) : 'The room stays open while somebody is in it.',
      actions: [
        { label: 'Rejoin', testid: 'rejoin', primary: true, run: () => void join(roomName, choice) },
        { label: 'Start a new room', testid: 'new-room', run: newRoom },
      ],
    }),
  )
}

/**
 * @param {string} roomName
 * @param {JoinChoice} choice
 * @param {unknown} error
 */
function failed(roomName, choice, error) {
  end()
  show(() =>
    showNotice(root, {
      kind: 'failed',
      title: 'Could not connect',
      text: sentenceOf(error),
      actions: [
        { label: 'Try again', testid: 'try-again', primary: true, run: () => void join(roomName, choice) },
        { label: 'Back', testid: 'back', run: () => lobby(roomName) },
      ],
    }),
  )
}

/** Opens what the address says; a link pasted into this page ends the call that goes on in it. */
function open() {
  end()
  if (roomOfLocation() === '') putRoomInLocation(randomRoom())
  if (isRoomName(roomOfLocation())) lobby(roomOfLocation())
  else badLink()
}

function badLink() {
  show(() =>
    showNotice(root, {
      kind: 'failed',
      title: 'This link does not work',
      text: 'A room name has 1 to 64 letters, digits, - or _. Ask for the link again, or start a new room.',
      actions: [{ label: 'Start a new room', testid: 'new-room', primary: true, run: newRoom }],
    }),
  )
}

const support = isSupported()
if (support.ok) {
  addEventListener('hashchange', open)
  open()
} else {
  const roomName = roomOfLocation()
  screen = showNotice(root, {
    kind: 'unsupported',
    title: 'This browser cannot join',
    text: support.reason,
    actions: isRoomName(roomName) ? [{ label: 'Copy the link for another browser', testid: 'invite', run: () => void navigator.clipboard?.writeText(linkTo(roomName)).catch(() => {}) }] : [],
  })
}
