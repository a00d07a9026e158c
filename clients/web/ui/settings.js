/**
 * The "More" dialog: devices, audio only, shortcuts, statistics. Applies each choice at once; there is nothing to save.
 */
import { devicePickers } from './devices.js'
import { el } from './dom.js'
import { icon } from './icons.js'
import { openDialog } from './invite.js'
import { savePreferences } from './preferences.js'
import { toastError } from './toast.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./preferences.js').Preferences} Preferences */

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {Preferences} options.preferences
 * @param {(on: boolean) => void} options.onAudioOnly
 * @param {() => void} options.onStatistics
 * @param {AbortSignal} options.signal
 */
export function openSettings({ room, preferences, onAudioOnly, onStatistics, signal }) {
  const closed = new AbortController()
  const me = room.localParticipant
  const pickers = devicePickers({
    idPrefix: 'call',
    selected: { camera: preferences.cameraId, microphone: preferences.microphoneId, speaker: preferences.speakerId },
    onChange: (kind, deviceId) => {
      preferences[`${kind}Id`] = deviceId
      savePreferences(preferences)
      // A device that is off is only remembered, for when it is turned on.
      if (kind === 'microphone' && !me.microphoneMuted) me.setMicrophoneEnabled(true, { deviceId }).catch(toastError)
      if (kind === 'camera' && me.cameraTrack) me.setCameraEnabled(true, { deviceId }).catch(toastError)
      if (kind === 'speaker') room.setSpeaker(deviceId).catch(toastError)
    },
    signal: closed.signal,
  })
  const dialog = openDialog(
    'More',
    pickers.element,
    switchRow('audio-only', 'Audio only', 'Neither sends nor receives video. Good for slow connections.', !room.videoEnabled, onAudioOnly),
    switchRow('shortcuts', 'Keyboard shortcuts', 'M microphone, V camera, S share, C chat', preferences.shortcuts, (on) => {
      preferences.shortcuts = on
      savePreferences(preferences)
    }),
    el(
      'button',
      {
        type: 'button',
        class: 'button',
        'data-testid': 'open-statistics',
        onclick: () => {
          dialog.close()
          onStatistics()
        },
      },
      icon('statistics'),
      'Statistics',
    ),
  )
  dialog.addEventListener('close', () => closed.abort())
  signal.addEventListener('abort', () => dialog.close(), { signal: closed.signal })
  void pickers.refresh()
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string} note
 * @param {boolean} checked
 * @param {(on: boolean) => void} onChange
 */
function switchRow(id, label, note, checked, onChange) {
  const box = el('input', { type: 'checkbox', role: 'switch', id: `switch-${id}`, 'data-testid': id, 'aria-describedby': `switch-${id}-note`, onchange: () => onChange(box.checked) })
  box.checked = checked
  return el(
    'div',
    { class: 'switch' },
    el('label', { for: box.id }, label),
    el('p', { id: `switch-${id}-note` }, note),
    box,
  )
}
