/**
 * The call screen: header, banners, floor, side panel, controls. It shows the room and asks it for changes; joining and what comes
 * after the call belong to app.js.
 */
import { announce, announceWho } from './announcer.js'
import { createBanners } from './banners.js'
import { createChat } from './chat.js'
import { createControls } from './controls.js'
import { el, listen, setAttribute, setText } from './dom.js'
import { createFloor } from './floor.js'
import { openHelp } from './help.js'
import { icon, logo } from './icons.js'
import { copyInvite } from './invite.js'
import { qualityText } from './marks.js'
import { createParticipants } from './participants.js'
import { applyCameraQuality, savePreferences } from './preferences.js'
import { openSettings } from './settings.js'
import { createStatistics } from './statistics.js'
import { toastError } from './toast.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./tile.js').Participant} Participant */
/** @typedef {import('./tile.js').Track} Track */
/** @typedef {import('./controls.js').PanelName} PanelName */
/** @typedef {import('./devices.js').DeviceKind} DeviceKind */
/** @typedef {import('./faults.js').DeviceSource} DeviceSource */

const STATES = { connecting: 'Connecting…', connected: 'Connected', reconnecting: 'Reconnecting…', disconnected: 'Not connected', failed: 'Connection failed' }
const PANELS = { chat: 'Chat', participants: 'Participants', statistics: 'Statistics' }
// Below this the panel covers the call, as a sheet; app.css has the same number.
const SHEET_QUERY = '(max-width: 759px)'
const CHANGES = [
  'participantUpdated', 'trackPublished', 'trackUnpublished', 'trackMuted', 'trackUnmuted', 'trackSubscribed', 'trackUnsubscribed',
  'trackSubscriptionFailed', 'trackInterrupted', 'trackStreamStateChanged', 'localTrackPublished', 'connectionQualityChanged',
]

/**
 * @param {HTMLElement} root
 * @param {object} options
 * @param {Room} options.room
 * @param {string} options.roomName
 * @param {string} options.link
 * @param {import('./preferences.js').Preferences} options.preferences
 * @param {() => void} options.onLeave
 * @returns {{close: () => void, turnOn: (device: 'microphone' | 'camera') => void, deviceFailed: (source: DeviceSource, error: Error) => void}}
 */
export function showCall(root, { room, roomName, link, preferences, onLeave }) {
  const closed = new AbortController()
  const { signal } = closed
  /** @type {PanelName | null} */
  let openPanel = null
  let unread = 0
  let scheduled = false
  let handsKnown = 0
  /** What a person was before the last change, for what is said about it. @type {WeakMap<Participant, {away: boolean, hand: boolean}>} */
  const known = new WeakMap()

  const chat = createChat({ room, onUnread: showUnread, signal })
  const participants = createParticipants(room)
  const statistics = createStatistics(room, signal)
  const floor = createFloor({ room, link, view: viewOf, signal })
  const banners = createBanners(remedy)
  banners.showVideo.addEventListener('click', () => receive(preferences.receive === 'low' || preferences.receive === 'high' ? preferences.receive : 'auto'))
  const controls = createControls({
    room, preferences, onPanel: togglePanel, onMore: () => settings(), onHelp: () => openHelp(preferences.shortcuts), onDeviceError: deviceFailed, onLeave, signal,
  })

  const state = el('span', { class: 'state', 'data-testid': 'connection-state', role: 'status' }, el('span', { class: 'state-dot', 'aria-hidden': 'true' }), el('span', { class: 'state-text' }))
  const stateText = /** @type {HTMLElement} */ (state.lastElementChild)
  const count = el('span', { 'data-testid': 'participant-count' })
  const countButton = el('button', { type: 'button', class: 'header-button', 'data-testid': 'header-participants', onclick: () => togglePanel('participants') }, icon('participants'), count)
  const header = el(
    'header',
    { class: 'call-header' },
    el('div', { class: 'call-title' }, logo(), el('span', { title: roomName, 'aria-hidden': 'true' }, roomName)),
    state,
    countButton,
    el('button', { type: 'button', class: 'header-button', 'data-testid': 'invite', 'aria-label': 'Invite: copy the link', onclick: () => void copyInvite(link) }, icon('invite'), el('span', {}, 'Invite')),
  )

  const panelTitle = el('h2', { id: 'panel-title', tabindex: '-1' })
  const panelBody = el('div', { class: 'panel-body' })
  const panel = el(
    'section',
    { class: 'panel', 'aria-labelledby': 'panel-title', hidden: true },
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
  const screen = el('main', { class: 'call', 'data-screen': 'call', onkeydown: escape }, heading, header, banners.element, middle, panel, controls.element, connecting)

  /** @returns {import('./layout.js').View} */
  function viewOf() {
    const { view } = preferences
    return view === 'grid' || view === 'speaker' ? view : 'auto'
  }

  /** @param {KeyboardEvent} event */
  function escape(event) {
    if (event.key !== 'Escape' || event.defaultPrevented || !openPanel) return
    event.preventDefault()
    closePanel()
  }

  /** @param {DeviceKind} [choose] whose picker gets the focus */
  function settings(choose) {
    openSettings({ room, preferences, onReceive: receive, onView: update, onCamera: askCameraAnew, onOpen: open, ...(choose ? { choose } : {}), signal })
  }

  /** @param {'participants' | 'statistics' | 'help' | 'share' | 'invite'} name */
  function open(name) {
    if (name === 'help') openHelp(preferences.shortcuts)
    else if (name === 'share') controls.share()
    else if (name === 'invite') void copyInvite(link)
    else if (openPanel !== name) togglePanel(name)
  }

  /** @param {import('./faults.js').Remedy} action */
  function remedy(action) {
    switch (action) {
      case 'start-audio':
        return void room.startAudio().catch(toastError)
      case 'receive-less':
        return receive('low')
      case 'retry-microphone':
        return controls.turnOn('microphone')
      case 'retry-camera':
        return controls.turnOn('camera')
      default:
        return settings(/** @type {DeviceKind} */ (action.replace('choose-', '')))
    }
  }

  /** @param {DeviceSource} source @param {Error} error */
  function deviceFailed(source, error) {
    banners.change((faults) => faults.device(source, error))
  }

  /** @param {DeviceSource} source */
  function deviceWorks(source) {
    banners.change((faults) => faults.device(source, null))
  }

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
    setAttribute(countButton, 'aria-expanded', String(openPanel === 'participants'))
    setAttribute(screen, 'data-panel', openPanel !== null)
    coverUnderSheet()
  }

  const sheet = matchMedia(SHEET_QUERY)
  /** What lies under the sheet, or under the overlay, is out of reach of keyboards and screen readers too. */
  function coverUnderSheet() {
    const covered = openPanel !== null && sheet.matches
    for (const part of [header, banners.element, middle, controls.element]) part.inert = covered || room.state === 'connecting'
  }
  sheet.addEventListener('change', coverUnderSheet, { signal })

  /** @param {Room['receiveQuality']} quality */
  function receive(quality) {
    const before = room.receiveQuality
    room.setReceiveQuality(quality)
    if (quality !== 'audioOnly') {
      // Audio only is for this call; the others are remembered.
      preferences.receive = quality
      savePreferences(preferences)
    } else if (room.localParticipant.cameraTrack) room.localParticipant.setCameraEnabled(false).catch(toastError)
    if (quality === 'audioOnly') announce('Audio only is on')
    else if (before === 'audioOnly') announce('Video is on')
    update()
  }

  /** What it is asked for has changed. */
  function askCameraAnew() {
    applyCameraQuality(preferences)
    const me = room.localParticipant
    if (me.cameraTrack) me.setCameraEnabled(false).then(() => me.setCameraEnabled(true)).catch(toastError)
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
      const hands = floor.hands().size
      if (hands !== handsKnown) controls.setHands(hands)
      handsKnown = hands
      const total = room.participants.size + 1
      setText(count, String(total))
      setAttribute(countButton, 'aria-label', `${total} ${total === 1 ? 'participant' : 'participants'}`)
      banners.setReceiving(room.receiveQuality)
      banners.change((faults) => faults.playback(room.canPlayAudio || room.state === 'connecting'))
      showState()
    })
  }

  function showState() {
    const { connectionQuality } = room.localParticipant
    const poor = room.state === 'connected' && (connectionQuality === 'poor' || connectionQuality === 'lost')
    setAttribute(state, 'data-state', room.state)
    setAttribute(state, 'data-quality', connectionQuality)
    setText(stateText, poor ? qualityText('poor') : STATES[room.state])
    banners.setReconnecting(room.state === 'reconnecting')
  }

  function stateChanged() {
    showState()
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

  /** Tells what somebody did about themselves. @param {Participant} participant */
  function tell(participant) {
    const before = known.get(participant) ?? { away: false, hand: false }
    const now = { away: participant.away, hand: participant.handRaised }
    known.set(participant, now)
    if (participant.isLocal || room.state !== 'connected') return
    if (now.hand !== before.hand) announceWho(now.hand ? 'hand' : 'handDown', participant.name)
    if (now.away !== before.away) announceWho(now.away ? 'away' : 'back', participant.name)
  }

  for (const type of CHANGES) listen(room, type, update, signal)
  listen(room, 'connectionStateChanged', stateChanged, signal)
  listen(room, 'participantUpdated', ({ participant }) => tell(participant), signal)
  listen(room, 'participantJoined', (/** @type {{participant: Participant}} */ { participant }) => {
    // Who was here already is not news.
    if (room.state === 'connected') announceWho('joined', participant.name)
    known.set(participant, { away: participant.away, hand: participant.handRaised })
    update()
  }, signal)
  listen(room, 'participantLeft', (/** @type {{participant: Participant}} */ { participant }) => {
    // When the call itself ends, everybody goes at once; that is one thing to say, and the next screen says it.
    if (room.state === 'connected') announceWho('left', participant.name)
    update()
  }, signal)
  listen(room, 'trackPublished', (/** @type {{participant: Participant, track: Track}} */ { participant, track }) => {
    if (track.source === 'screen') announceWho('sharing', participant.name)
  }, signal)
  listen(room, 'localTrackPublished', (/** @type {{track: Track}} */ { track }) => {
    if (track.source === 'microphone' || track.source === 'camera') deviceWorks(track.source)
  }, signal)
  listen(room, 'trackUnmuted', (/** @type {{participant: Participant, track: Track}} */ { participant, track }) => {
    if (participant.isLocal && track.source === 'microphone') deviceWorks('microphone')
  }, signal)
  listen(room, 'localTrackUnpublished', (/** @type {{track: Track, reason: string}} */ { track, reason }) => {
    if (track.source === 'screen' && reason === 'ended') controls.shareEnded()
    update()
  }, signal)
  listen(room, 'deviceFailed', ({ source, error }) => deviceFailed(source, error), signal)
  listen(room, 'deviceRecovered', ({ source }) => deviceWorks(source), signal)
  listen(room, 'deviceChanged', ({ source }) => deviceWorks(source), signal)
  listen(room, 'microphoneSilent', ({ silent }) => banners.change((faults) => faults.microphoneSilent(silent)), signal)
  listen(room, 'qualityLimitationChanged', ({ reason }) => banners.change((faults) => faults.limitation(reason)), signal)
  listen(room, 'audioPlaybackChanged', update, signal)
  listen(room, 'activeSpeakersChanged', () => openPanel === 'participants' && participants.update(), signal)
  listen(room, 'error', ({ error }) => toastError(error), signal)

  root.replaceChildren(screen)
  showTitle()
  controls.setPanel(null)
  stateChanged()

  return {
    turnOn: controls.turnOn,
    deviceFailed,
    close() {
      closed.abort()
      screen.remove()
    },
  }
}
