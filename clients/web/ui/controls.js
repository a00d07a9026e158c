/**
 * The control bar and its keyboard shortcuts: microphone, camera, screen, panels, leaving. The room's state is the truth;
 * a button shows it and asks for its opposite.
 */
import { hasScreenShare } from '../sdk/pulse.js'
import { el, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { announce, toast, toastError } from './toast.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {'chat' | 'participants' | 'statistics'} PanelName */

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {Preferences} options.preferences
 * @param {(panel: PanelName) => void} options.onPanel
 * @param {() => void} options.onMore
 * @param {() => void} options.onLeave
 * @param {AbortSignal} options.signal
 */
export function createControls({ room, preferences, onPanel, onMore, onLeave, signal }) {
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
      said: ['You stopped sharing your screen', 'You are sharing your screen'],
    },
  }
  /** @typedef {keyof typeof devices} Device */
  /** @type {Set<Device>} */
  const busy = new Set()

  const unread = el('span', { class: 'badge', hidden: true })
  const buttons = {
    microphone: button('control-microphone', () => void press('microphone')),
    camera: button('control-camera', () => void press('camera')),
    share: button('control-share', () => void press('share')),
    chat: button('control-chat', () => onPanel('chat'), 'Chat (C)', icon('chat'), unread),
    participants: button('control-participants', () => onPanel('participants'), 'Participants', icon('participants')),
    more: button('control-more', onMore, 'More: devices, audio only, statistics', icon('more')),
    leave: button('control-leave', onLeave, 'Leave the call', icon('leave'), el('span', { class: 'leave-text', 'aria-hidden': 'true' }, 'Leave')),
  }
  buttons.leave.classList.add('round-leave')
  // Phones' browsers cannot share a screen; a button that can only fail is left out.
  buttons.share.hidden = !hasScreenShare()
  const element = el(
    'div',
    { class: 'controls', role: 'toolbar', 'aria-label': 'Call controls' },
    el('div', { class: 'controls-group' }, buttons.microphone, buttons.camera, buttons.share),
    el('div', { class: 'controls-group' }, buttons.chat, buttons.participants, buttons.more),
    el('div', { class: 'controls-group' }, buttons.leave),
  )

  /** @param {Device} device */
  async function press(device) {
    if (busy.has(device) || room.state === 'connecting') return
    busy.add(device)
    const on = !devices[device].on()
    update()
    try {
      await devices[device].set(on)
      announce(devices[device].said[Number(on)] ?? '')
    } catch (error) {
      // Who closes the browser's dialog has changed their mind; that is no failure.
      if (nameOf(error) !== 'share_cancelled') toastError(error)
    } finally {
      busy.delete(device)
      update()
    }
  }

  function update() {
    if (signal.aborted) return
    for (const device of /** @type {Device[]} */ (Object.keys(devices))) {
      const on = devices[device].on()
      const shown = buttons[device]
      const label = devices[device].labels[Number(on)] ?? ''
      if (shown.dataset['on'] !== String(on)) {
        const name = device === 'share' ? (on ? 'shareOff' : 'share') : on ? device : /** @type {const} */ (`${device}Off`)
        shown.replaceChildren(icon(name))
      }
      setAttribute(shown, 'data-on', String(on))
      setAttribute(shown, 'aria-label', label)
      setAttribute(shown, 'data-tip', label)
      setAttribute(shown, 'aria-busy', busy.has(device) ? 'true' : false)
    }
  }

  document.addEventListener(
    'keydown',
    (event) => {
      if (!preferences.shortcuts || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return
      const target = event.target
      if (target instanceof HTMLElement && target.closest('input, textarea, select, dialog, [contenteditable]')) return
      if (document.querySelector('dialog[open]')) return
      const action = { m: () => void press('microphone'), v: () => void press('camera'), s: () => !buttons.share.hidden && void press('share'), c: () => onPanel('chat') }[event.key.toLowerCase()]
      if (!action) return
      event.preventDefault()
      action()
    },
    { signal },
  )
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
    /** @param {PanelName | null} open */
    setPanel(open) {
      setAttribute(buttons.chat, 'aria-expanded', String(open === 'chat'))
      setAttribute(buttons.participants, 'aria-expanded', String(open === 'participants'))
    },
    /** @param {PanelName} panel */
    focusPanelButton(panel) {
      const target = panel === 'statistics' ? buttons.more : buttons[panel]
      target.focus()
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
