/**
 * The control bar and its keyboard shortcuts: microphone, camera, screen, hand, panels, leaving. The room's state is the truth;
 * a button shows it and asks for its opposite.
 */
import { hasScreenShare } from '../sdk/pulse.js'
import { announce } from './announcer.js'
import { el, setAttribute, setText } from './dom.js'
import { isDeviceError } from './faults.js'
import { icon } from './icons.js'
import { actionOf } from './shortcuts.js'
import { toast, toastError } from './toast.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {'chat' | 'participants' | 'statistics'} PanelName */

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {Preferences} options.preferences
 * @param {(panel: PanelName) => void} options.onPanel
 * @param {() => void} options.onMore
 * @param {() => void} options.onHelp
 * @param {(source: 'microphone' | 'camera' | 'screen', error: Error) => void} options.onDeviceError what could not be turned on
 * @param {() => void} options.onLeave
 * @param {AbortSignal} options.signal
 */
export function createControls({ room, preferences, onPanel, onMore, onHelp, onDeviceError, onLeave, signal }) {
  const me = room.localParticipant
  const devices = {
    microphone: {
      on: () => !me.microphoneMuted,
      set: (/** @type {boolean} */ on) => me.setMicrophoneEnabled(on, { deviceId: preferences.microphoneId || undefined }),
      labels: ['Turn on microphone (M)', 'Turn off microphone (M)'],
      said: ['Your microphone is off', 'Your microphone is on'],
    },
    camera: {
      on: () => Boolean(me.cameraTrack && !me.cameraTrack.muted),
      set: (/** @type {boolean} */ on) => me.setCameraEnabled(on, { deviceId: preferences.cameraId || undefined }),
      labels: ['Turn on camera (V)', 'Turn off camera (V)'],
      said: ['Your camera is off', 'Your camera is on'],
    },
    share: {
      on: () => Boolean(me.screenTrack),
      set: (/** @type {boolean} */ on) => me.setScreenShareEnabled(on),
      labels: ['Share your screen (S)', 'Stop sharing (S)'],
      said: ['You stopped sharing your screen', 'Your screen is shared'],
    },
    hand: {
      on: () => me.handRaised,
      set: async (/** @type {boolean} */ on) => me.setHandRaised(on),
      labels: ['Raise your hand (H)', 'Lower your hand (H)'],
      said: ['Your hand is down', 'Your hand is raised'],
    },
  }
  /** @typedef {keyof typeof devices} Device */
  /** What each is to become, while it is on its way there: a device may take seconds to open. @type {Map<Device, {on: boolean}>} */
  const wishes = new Map()
  const isOn = (/** @type {Device} */ device) => wishes.get(device)?.on ?? devices[device].on()
  /** The space bar is held down to talk. */
  let talking = false

  const unread = el('span', { class: 'badge', hidden: true })
  const hands = el('span', { class: 'badge badge-hand', hidden: true })
  const buttons = {
    microphone: button('control-microphone', () => void press('microphone')),
    camera: button('control-camera', () => void press('camera')),
    share: button('control-share', () => void press('share')),
    hand: button('control-hand', () => void press('hand')),
    chat: button('control-chat', () => onPanel('chat'), 'Chat (C)', icon('chat'), unread),
    participants: button('control-participants', () => onPanel('participants'), 'Participants (P)', icon('participants'), hands),
    more: button('control-more', onMore, 'More: devices, video quality, layout, statistics', icon('more')),
    leave: button('control-leave', onLeave, 'Leave the call', icon('leave'), el('span', { class: 'leave-text', 'aria-hidden': 'true' }, 'Leave')),
  }
  buttons.leave.classList.add('round-leave')
  // Phones' browsers cannot share a screen; a button that can only fail is left out.
  buttons.share.hidden = !hasScreenShare()
  const element = el(
    'div',
    { class: 'controls', role: 'group', 'aria-label': 'Call controls' },
    el('div', { class: 'controls-group' }, buttons.microphone, buttons.camera, buttons.share, buttons.hand),
    el('div', { class: 'controls-group' }, buttons.chat, buttons.participants, buttons.more),
    el('div', { class: 'controls-group' }, buttons.leave),
  )

  /** @param {Device} device */
  async function press(device) {
    // The browser asks what to share; only its answer counts.
    if (room.state === 'connecting' || (device === 'share' && wishes.has(device))) return
    const on = !isOn(device)
    if (await turn(device, on)) announce(devices[device].said[Number(on)] ?? '')
  }

  /** Steps of one device are taken in order: the last wish is what it ends as. @param {Device} device @param {boolean} on */
  async function turn(device, on) {
    const wish = { on }
    wishes.set(device, wish)
    update()
    try {
      await devices[device].set(on)
      return wishes.get(device) === wish
    } catch (error) {
      if (signal.aborted) return false
      const source = device === 'share' ? 'screen' : device
      if (isDeviceError(error) && source !== 'hand') onDeviceError(source, /** @type {Error} */ (error))
      // Who closes the browser's dialog has changed their mind; that is no failure.
      else if (nameOf(error) !== 'share_cancelled') toastError(error)
      return false
    } finally {
      if (wishes.get(device) === wish) wishes.delete(device)
      update()
    }
  }

  function update() {
    if (signal.aborted) return
    for (const device of /** @type {Device[]} */ (Object.keys(devices))) {
      const on = isOn(device)
      const shown = buttons[device]
      const label = devices[device].labels[Number(on)] ?? ''
      if (shown.dataset['on'] !== String(on)) {
        const name = device === 'hand' ? 'hand' : device === 'share' ? (on ? 'shareOff' : 'share') : on ? device : /** @type {const} */ (`${device}Off`)
        shown.replaceChildren(icon(name))
      }
      setAttribute(shown, 'data-on', String(on))
      setAttribute(shown, 'aria-label', label)
      setAttribute(shown, 'data-tip', label)
      setAttribute(shown, 'aria-busy', wishes.has(device) ? 'true' : false)
    }
  }

  /** @param {boolean} on */
  function talk(on) {
    if (talking === on) return
    talking = on
    setAttribute(buttons.microphone, 'data-talking', on)
    me.setMicrophoneEnabled(on, { deviceId: preferences.microphoneId || undefined }).then(update, (error) => {
      talking = false
      setAttribute(buttons.microphone, 'data-talking', false)
      if (isDeviceError(error)) onDeviceError('microphone', error)
      else if (!signal.aborted) toastError(error)
    })
  }

  /** @param {KeyboardEvent} event */
  function keydown(event) {
    if (talking && event.key === ' ') event.preventDefault()
    if (event.defaultPrevented) return
    const target = event.target instanceof Element ? event.target : null
    const action = actionOf({
      key: event.key, modified: event.ctrlKey || event.metaKey || event.altKey, repeated: event.repeat, enabled: preferences.shortcuts,
      typing: Boolean(target?.closest('input, textarea, select, [contenteditable]')),
      // A button that was pressed by mouse keeps the focus without showing it; space then means to talk.
      onControl: Boolean(target?.closest('button, a, summary')?.matches(':focus-visible')),
      inDialog: document.querySelector('dialog[open]') !== null,
    })
    if (!action || room.state === 'connecting') return
    if (action === 'talk' && !me.microphoneMuted) return
    event.preventDefault()
    if (action === 'talk') talk(true)
    else if (action === 'chat' || action === 'participants') onPanel(action)
    else if (action === 'help') onHelp()
    else if (action !== 'share' || !buttons.share.hidden) void press(action)
  }
  document.addEventListener('keydown', keydown, { signal })
  document.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !talking) return
    event.preventDefault()
    talk(false)
  }, { signal })
  // A key let go of in another window is never heard of here.
  addEventListener('blur', () => talk(false), { signal })
  update()

  return {
    element,
    update,
    /** @param {number} count */
    setUnread(count) {
      unread.hidden = count === 0
      setText(unread, count > 99 ? '99+' : String(count))
      const label = count === 0 ? 'Chat (C)' : `Chat (C), ${count} unread`
      setAttribute(buttons.chat, 'aria-label', label)
      setAttribute(buttons.chat, 'data-tip', label)
    },
    /** @param {number} count */
    setHands(count) {
      hands.hidden = count === 0
      setText(hands, String(count))
      const label = count === 0 ? 'Participants (P)' : `Participants (P), ${count} ${count === 1 ? 'hand' : 'hands'} raised`
      setAttribute(buttons.participants, 'aria-label', label)
      setAttribute(buttons.participants, 'data-tip', label)
    },
    /** @param {PanelName | null} open */
    setPanel(open) {
      setAttribute(buttons.chat, 'aria-expanded', String(open === 'chat'))
      setAttribute(buttons.participants, 'aria-expanded', String(open === 'participants'))
    },
    /** @param {PanelName} panel */
    focusPanelButton(panel) {
      const target = panel === 'statistics' ? buttons.more : buttons[panel]
      target.focus()
      // On a phone the list of participants is opened from the header.
      if (document.activeElement !== target) buttons.more.focus()
    },
    /** What was chosen in the lobby, or failed and is tried once more. @param {'microphone' | 'camera'} device */
    turnOn(device) {
      if (!isOn(device)) void turn(device, true)
    },
    /** Shares the screen, or stops. */
    share() {
      void press('share')
    },
    /** Tells that the browser's own bar ended the share. */
    shareEnded() {
      toast('You stopped sharing your screen.')
      update()
    },
  }

  /**
   * @param {string} testid
   * @param {() => void} onclick
   * @param {string} [label]
   * @param {...Node} content
   */
  function button(testid, onclick, label, ...content) {
    return el('button', { type: 'button', class: 'round', 'data-testid': testid, 'aria-label': label, 'data-tip': label, onclick }, ...content)
  }
}

/** @param {unknown} error */
function nameOf(error) {
  return error instanceof Error ? error.name : ''
}
