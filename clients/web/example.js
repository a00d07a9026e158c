// A whole client on top of the SDK, as small as it goes: join, hear, see, share, write. Start here to build your own.

import { isSupported, Room } from './sdk/pulse.js'

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id))
/** @param {string} id */
const valueOf = (id) => /** @type {HTMLInputElement} */ (byId(id)).value
/** @param {string} text */
const say = (text) => (byId('state').textContent = text)
/** @param {unknown} error */
const complain = (error) => say(/** @type {Error} */ (error).message)

const room = new Room()
/** @param {string} name @param {(detail: any) => void} handle */
const on = (name, handle) => room.addEventListener(name, (event) => handle(/** @type {CustomEvent} */ (event).detail))

/** Shows a picture; sound plays by itself. @param {import('./sdk/pulse.js').Track} track @param {string} who */
function show(track, who) {
  if (track.kind !== 'video') return
  const figure = document.createElement('figure')
  const caption = document.createElement('figcaption')
  caption.textContent = `${who}: ${track.source}`
  figure.append(track.attach(), caption)
  byId('pictures').append(figure)
  figures.set(track, figure)
}
/** @type {Map<object, HTMLElement>} */
const figures = new Map()
/** @param {object} track */
const hide = (track) => figures.get(track)?.remove()

on('connectionStateChanged', ({ state, error }) => {
  say(error ? error.message : state)
  byId('call').hidden = state === 'disconnected' || state === 'failed'
  byId('join').hidden = !byId('call').hidden
})
on('trackPublished', ({ participant, track }) => show(track, participant.name))
on('trackUnpublished', ({ track }) => hide(track))
on('localTrackPublished', ({ track }) => show(track, 'You'))
on('localTrackUnpublished', ({ track }) => hide(track))
on('error', ({ error }) => complain(error))
on('chatMessage', ({ message }) => {
  const item = document.createElement('li')
  item.textContent = `${message.participantName}: ${message.text ?? 'an image'}`
  byId('messages').append(item)
})

byId('join').addEventListener('submit', (event) => {
  event.preventDefault()
  const support = isSupported()
  if (!support.ok) return say(support.reason)
  room.connect({ room: valueOf('room'), name: valueOf('name') })
    .then(() => Promise.all([me().setMicrophoneEnabled(true), me().setCameraEnabled(true)]))
    .catch(complain)
})
byId('say').addEventListener('submit', (event) => {
  event.preventDefault()
  room.sendText(valueOf('text')).catch(complain)
})
const me = () => room.localParticipant
byId('microphone').onclick = () => me().setMicrophoneEnabled(me().microphoneMuted).catch(complain)
byId('camera').onclick = () => me().setCameraEnabled(!me().cameraTrack).catch(complain)
byId('screen').onclick = () => me().setScreenShareEnabled(!me().screenTrack).catch(complain)
byId('leave').onclick = () => room.disconnect()
Object.assign(window, { pulseRoom: room })
