/**
 * The call screen: header, banners, floor, side panel, controls. It shows the room and asks it for changes; joining and what comes
 * after the call belong to app.js.
 */
import { createChat } from './chat.js'
import { createControls } from './controls.js'
import { el, listen, setAttribute, setText } from './dom.js'
import { createFloor } from './floor.js'
import { icon, logo } from './icons.js'
import { copyInvite } from './invite.js'
import { createParticipants } from './participants.js'
import { openSettings } from './settings.js'
import { createStatistics } from './statistics.js'
import { announce, toastError } from './toast.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./tile.js').Participant} Participant */
/** @typedef {import('./controls.js').PanelName} PanelName */

const STATES = { connecting: 'Connecting…', connected: 'Connected', reconnecting: 'Reconnecting…', disconnected: 'Not connected', failed: 'Connection failed' }
const PANELS = { chat: 'Chat', participants: 'Participants', statistics: 'Statistics' }
// Below this the panel covers the call, as a sheet; app.css has the same number.
const SHEET_QUERY = '(max-width: 759px)'

/**
 * @param {HTMLElement} root
 * @param {object} options
 * @param {Room} options.room
 * @param {string} options.roomName
 * @param {string} options.link
 * @param {import('./preferences.js').Preferences} options.preferences
 * @param {() => void} options.onLeave
 * @returns {{close: () => void}}
 */
export function showCall(root, { room, roomName, link, preferences, onLeave }) {
  const closed = new AbortController()
  const { signal } = closed
  /** @type {PanelName | null} */
  let openPanel = null
  let unread = 0
  let scheduled = false

  const chat = createChat({ room, onUnread: showUnread, signal })
  const participants = createParticipants(room)
  const statistics = createStatistics(room, signal)
  const floor = createFloor(room, link, signal)
  const controls = createControls({
    room,
    preferences,
    onPanel: togglePanel,
    onMore: () => openSettings({ room, preferences, onAudioOnly: setAudioOnly, onStatistics: () => togglePanel('statistics'), signal }),
    onLeave,
    signal,
  })

  const state = el('span', { class: 'state', 'data-testid': 'connection-state', role: 'status' }, el('span', { class: 'state-dot', 'aria-hidden': 'true' }), el('span', { class: 'state-text' }))
  const stateText = /** @type {HTMLElement} */ (state.lastElementChild)
  const count = el('span', { 'data-testid': 'participant-count' })
  const countButton = el('button', { type: 'button', class: 'header-button', onclick: () => togglePanel('participants') }, icon('participants'), count)
  const header = el(
    'header',
    { class: 'call-header' },
    el('div', { class: 'call-title' }, logo(), el('span', { title: roomName, 'aria-hidden': 'true' }, roomName)),
    state,
    countButton,
    el('button', { type: 'button', class: 'header-button', 'data-testid': 'invite', 'aria-label': 'Invite: copy the link', onclick: () => void copyInvite(link) }, icon('invite'), el('span', {}, 'Invite')),
  )

  const reconnecting = el('div', { class: 'banner banner-warning', role: 'alert', hidden: true }, el('span', { class: 'spinner', 'aria-hidden': 'true' }), 'Connection lost. Reconnecting…')
  const sharing = el(
    'div',
    { class: 'banner', role: 'status', hidden: true },
    icon('share'),
    'You are sharing your screen.',
    el('button', { type: 'button', class: 'link-button', onclick: () => void room.localParticipant.setScreenShareEnabled(false).catch(toastError) }, 'Stop sharing'),
  )
  const silent = el(
    'div',
    { class: 'banner banner-warning', role: 'alert', hidden: true },
    icon('speaker'),
    'Your browser holds back the sound.',
    el('button', { type: 'button', class: 'button button-primary', 'data-testid': 'start-audio', onclick: () => void room.startAudio().catch(toastError) }, 'Click to hear'),
  )
  const audioOnly = el(
    'div',
    { class: 'banner', role: 'status', hidden: true },
    icon('headphones'),
    'Audio only: no video is received.',
    el('button', { type: 'button', class: 'link-button', onclick: () => setAudioOnly(false) }, 'Show video'),
  )
  const banners = el('div', { class: 'banners' }, reconnecting, silent, audioOnly, sharing)

  const panelTitle = el('h2', { id: 'panel-title', tabindex: '-1' })
  const panelBody = el('div', { class: 'panel-body' })
  const panel = el(
    'section',
    { class: 'panel', 'aria-labelledby': 'panel-title', hidden: true, onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && closePanel() },
    el('header', {}, panelTitle, el('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close', 'data-testid': 'panel-close', onclick: closePanel }, icon('close'))),
    panelBody,
  )
  const connecting = el(
    'div',
    { class: 'overlay' },
    el('div', { class: 'overlay-card', role: 'status' }, el('span', { class: 'pulse', 'aria-hidden': 'true' }, logo()), el('p', {}, 'Connecting…')),
    el('button', { type: 'button', class: 'button', 'data-testid': 'cancel', onclick: onLeave }, 'Cancel'),
  )
  const middle = el('div', { class: 'call-main' }, floor.element)
  const heading = el('h1', { class: 'visually-hidden' }, `Call in room ${roomName}`)
  const screen = el('main', { class: 'call', 'data-screen': 'call' }, heading, header, banners, middle, panel, controls.element, connecting)

  /** @param {PanelName} name */
  function togglePanel(name) {
    if (openPanel === name) {
      closePanel()
      return
    }
    openPanel = name
    setText(panelTitle, PANELS[name])
    panelBody.replaceChildren({ chat, participants, statistics }[name].element)
    setAttribute(panel, 'data-panel', name)
    panel.hidden = false
    settlePanel()
    if (name !== 'chat') panelTitle.focus()
  }

  function closePanel() {
    if (!openPanel) return
    const was = openPanel
    openPanel = null
    panel.hidden = true
    settlePanel()
    controls.focusPanelButton(was)
  }

  function settlePanel() {
    chat.setOpen(openPanel === 'chat')
    statistics.setOpen(openPanel === 'statistics')
    controls.setPanel(openPanel)
    setAttribute(screen, 'data-panel', openPanel !== null)
    coverUnderSheet()
  }

  const sheet = matchMedia(SHEET_QUERY)
  /** What lies under the sheet, or under the overlay, is out of reach of keyboards and screen readers too. */
  function coverUnderSheet() {
    const covered = openPanel !== null && sheet.matches
    for (const part of [header, banners, middle, controls.element]) part.inert = covered || room.state === 'connecting'
  }
  sheet.addEventListener('change', coverUnderSheet, { signal })

  /** @param {boolean} on */
  function setAudioOnly(on) {
    room.setVideoEnabled(!on)
    if (on && room.localParticipant.cameraTrack) room.localParticipant.setCameraEnabled(false).catch(toastError)
    announce(on ? 'Audio only is on' : 'Video is on')
    update()
  }

  /** @param {number} now */
  function showUnread(now) {
    unread = now
    controls.setUnread(now)
    showTitle()
  }

  function showTitle() {
    document.title = `${unread > 0 ? `(${unread}) ` : ''}${roomName} · Pulse`
  }

  /** Brings everything in line with the room, once for any number of events at a time. */
  function update() {
    if (scheduled) return
    scheduled = true
    queueMicrotask(() => {
      scheduled = false
      if (signal.aborted) return
      floor.update()
      participants.update()
      controls.update()
      const total = room.participants.size + 1
      setText(count, String(total))
      setAttribute(countButton, 'aria-label', `${total} ${total === 1 ? 'participant' : 'participants'}`)
      audioOnly.hidden = room.videoEnabled
      sharing.hidden = !room.localParticipant.screenTrack
      silent.hidden = room.canPlayAudio || room.state === 'connecting'
    })
  }

  function showState() {
    setAttribute(state, 'data-state', room.state)
    setText(stateText, STATES[room.state])
    reconnecting.hidden = room.state !== 'reconnecting'
    const wasConnecting = !connecting.hidden
    connecting.hidden = room.state !== 'connecting'
    coverUnderSheet()
    if (wasConnecting && connecting.hidden && !signal.aborted) {
      announce('You joined the call')
      floor.element.tabIndex = -1
      floor.element.focus({ preventScroll: true })
    }
    update()
  }

  for (const type of ['participantUpdated', 'trackPublished', 'trackUnpublished', 'trackMuted', 'trackUnmuted', 'localTrackPublished', 'audioPlaybackChanged']) {
    listen(room, type, update, signal)
  }
  listen(room, 'connectionStateChanged', showState, signal)
  listen(room, 'participantJoined', (/** @type {{participant: Participant}} */ { participant }) => {
    announce(`${participant.name} joined`)
    update()
  }, signal)
  listen(room, 'participantLeft', (/** @type {{participant: Participant}} */ { participant }) => {
    // When the call itself ends, everybody goes at once; that is one thing to say, and the next screen says it.
    if (room.state === 'connected') announce(`${participant.name} left`)
    update()
  }, signal)
  listen(room, 'trackPublished', (/** @type {{participant: Participant, track: import('./tile.js').Track}} */ { participant, track }) => {
    if (track.source === 'screen') announce(`${participant.name} is sharing a screen`)
  }, signal)
  listen(room, 'localTrackUnpublished', (/** @type {{track: import('./tile.js').Track, reason: string}} */ { track, reason }) => {
    if (track.source === 'screen' && reason === 'ended') controls.shareEnded()
    update()
  }, signal)
  listen(room, 'activeSpeakersChanged', () => openPanel === 'participants' && participants.update(), signal)
  listen(room, 'error', ({ error }) => toastError(error), signal)

  root.replaceChildren(screen)
  showTitle()
  controls.setPanel(null)
  showState()

  return {
    close() {
      closed.abort()
      screen.remove()
    },
  }
}
