/**
 * The "More" dialog: layout, received video, own camera, devices, appearance, keyboard. Applies each choice at once; there is nothing to save.
 */
import { hasScreenShare } from '../sdk/pulse.js'
import { choiceRow, switchRow } from './choice.js'
import { devicePickers } from './devices.js'
import { openDialog } from './dialog.js'
import { el, sentenceOf, setAttribute, setText } from './dom.js'
import { icon } from './icons.js'
import { savePreferences } from './preferences.js'
import { applyTheme } from './theme.js'

/** @typedef {import('./tile.js').Room} Room */
/** @typedef {import('./preferences.js').Preferences} Preferences */
/** @typedef {import('./devices.js').DeviceKind} DeviceKind */
/** @typedef {import('./layout.js').View} View */
/** @typedef {Room['receiveQuality']} Quality */

/** @type {readonly {value: View, label: string, note: string}[]} */
const VIEWS = [
  { value: 'auto', label: 'Automatic', note: 'Everybody in a grid; a stage while somebody shares or is pinned.' },
  { value: 'grid', label: 'Grid', note: 'Everybody in a grid, and shared screens on the stage.' },
  { value: 'speaker', label: 'Speaker', note: 'Whoever has the word is on the stage.' },
]
/** @type {readonly {value: Quality, label: string, note: string}[]} */
const QUALITIES = [
  { value: 'auto', label: 'Automatic', note: 'As good as your connection and this device allow.' },
  { value: 'high', label: 'High', note: 'Always everything. Needs a fast connection.' },
  { value: 'low', label: 'Low data', note: 'Fewer pictures a second, less data.' },
  { value: 'audioOnly', label: 'Audio only', note: 'Neither sends nor receives video. Good for slow connections.' },
]
/** @type {readonly {value: 'standard' | 'high', label: string, note: string}[]} */
const CAMERAS = [
  { value: 'standard', label: 'Standard', note: '640 × 360. Enough for tiles, easy on this device.' },
  { value: 'high', label: 'High', note: '1280 × 720, three times the data. Less is sent while your connection does not carry it.' },
]
const THEMES = /** @type {const} */ ([{ value: 'system', label: 'System' }, { value: 'light', label: 'Light' }, { value: 'dark', label: 'Dark' }])

/**
 * @param {object} options
 * @param {Room} options.room
 * @param {Preferences} options.preferences
 * @param {(quality: Quality) => void} options.onReceive
 * @param {() => void} options.onView
 * @param {() => void} options.onCamera
 * @param {(name: 'participants' | 'statistics' | 'help' | 'share' | 'invite') => void} options.onOpen
 * @param {DeviceKind} [options.choose] whose picker gets the focus
 * @param {AbortSignal} options.signal
 */
export function openSettings({ room, preferences, onReceive, onView, onCamera, onOpen, choose, signal }) {
  const closed = new AbortController()
  const me = room.localParticipant
  const result = el('p', { class: 'device-result', role: 'status', 'data-testid': 'device-result' })

  /** @param {DeviceKind} kind @param {string} deviceId @param {string} label */
  async function change(kind, deviceId, label) {
    const before = preferences[`${kind}Id`]
    preferences[`${kind}Id`] = deviceId
    savePreferences(preferences)
    // A device that is off is only remembered, for when it is turned on.
    const inUse = kind === 'speaker' || (kind === 'microphone' ? !me.microphoneMuted : Boolean(me.cameraTrack))
    setAttribute(result, 'data-tone', false)
    if (!inUse) {
      setText(result, `${label} is used once you turn your ${kind} on.`)
      return
    }
    setText(result, `Switching to ${label}…`)
    try {
      await room.switchDevice(kind, deviceId)
      setText(result, `${label} is in use now.`)
      setAttribute(result, 'data-tone', 'good')
    } catch (error) {
      preferences[`${kind}Id`] = before
      savePreferences(preferences)
      setText(result, `${label} could not be used. ${sentenceOf(error)}`)
      setAttribute(result, 'data-tone', 'bad')
      void pickers.refresh()
    }
  }

  const pickers = devicePickers({
    idPrefix: 'call',
    selected: () => ({ camera: preferences.cameraId, microphone: preferences.microphoneId, speaker: preferences.speakerId }),
    onChange: (kind, deviceId, label) => void change(kind, deviceId, label),
    signal: closed.signal,
  })
  /** @param {'participants' | 'statistics' | 'help' | 'share' | 'invite'} name @param {import('./icons.js').IconName} sign @param {string} label */
  const open = (name, sign, label) =>
    el('button', { type: 'button', class: 'quick', 'data-testid': `open-${name}`, onclick: () => {
      dialog.close()
      onOpen(name)
    } }, icon(sign), el('span', {}, label))
  const share = open('share', me.screenTrack ? 'shareOff' : 'share', me.screenTrack ? 'Stop sharing' : 'Share screen')
  share.classList.add('quick-narrow')
  share.hidden = !hasScreenShare()

  const dialog = openDialog(
    'More',
    el('div', { class: 'quicks' }, open('participants', 'participants', 'People'), share, open('invite', 'invite', 'Copy link'), open('statistics', 'statistics', 'Statistics'), open('help', 'keyboard', 'Keyboard')),
    el('section', { class: 'settings-part', 'aria-labelledby': 'settings-devices' }, el('h3', { id: 'settings-devices' }, 'Devices'), pickers.element, result),
    choiceRow({ name: 'view', label: 'Layout', choices: VIEWS, value: VIEWS.find(({ value }) => value === preferences.view)?.value ?? 'auto', onChange: (view) => {
      preferences.view = view
      savePreferences(preferences)
      onView()
    } }),
    choiceRow({ name: 'receive', label: 'Video you receive', choices: QUALITIES, value: room.receiveQuality, onChange: onReceive }),
    choiceRow({ name: 'camera-quality', label: 'Your camera', choices: CAMERAS, value: preferences.cameraQuality === 'high' ? 'high' : 'standard', onChange: (quality) => {
      preferences.cameraQuality = quality
      savePreferences(preferences)
      onCamera()
    } }),
    choiceRow({ name: 'theme', label: 'Appearance', choices: THEMES, value: THEMES.find(({ value }) => value === preferences.theme)?.value ?? 'system', onChange: (theme) => {
      preferences.theme = theme
      savePreferences(preferences)
      applyTheme(theme)
    } }),
    switchRow('shortcuts', 'Keyboard shortcuts', 'Single keys such as M for the microphone, Space to talk', preferences.shortcuts, (on) => {
      preferences.shortcuts = on
      savePreferences(preferences)
    }),
  )
  dialog.dataset['testid'] = 'settings-dialog'
  dialog.addEventListener('close', () => closed.abort())
  signal.addEventListener('abort', () => dialog.close(), { signal: closed.signal })
  void pickers.refresh().then(() => choose && pickers.focus(choose))
}
