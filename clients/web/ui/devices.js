/**
 * Pickers for camera, microphone and speaker, kept in step with what is plugged in, and a sound to try the speaker. Chooses nothing by
 * itself.
 */
import { listDevices } from '../sdk/pulse.js'
import { el, setText } from './dom.js'
import { icon } from './icons.js'
import { playChime } from './soundcheck.js'
import { toast } from './toast.js'

/** @typedef {'camera' | 'microphone' | 'speaker'} DeviceKind */

/** @type {Record<DeviceKind, {label: string, list: 'cameras' | 'microphones' | 'speakers'}>} */
const KINDS = {
  camera: { label: 'Camera', list: 'cameras' },
  microphone: { label: 'Microphone', list: 'microphones' },
  speaker: { label: 'Speaker', list: 'speakers' },
}

/**
 * Builds the three pickers. A browser that lists no speakers has one way to be heard; only the test sound is left.
 * @param {object} options
 * @param {string} options.idPrefix keeps ids unique where two sets of pickers exist
 * @param {() => Record<DeviceKind, string>} options.selected device ids; empty: the default
 * @param {(kind: DeviceKind, deviceId: string, label: string) => void} options.onChange
 * @param {AbortSignal} options.signal
 */
export function devicePickers({ idPrefix, selected, onChange, signal }) {
  /** @type {Map<DeviceKind, HTMLSelectElement>} */
  const pickers = new Map()
  const element = el('div', { class: 'pickers' })
  const testText = el('span', {}, 'Test')
  const test = el('button', { type: 'button', class: 'button button-small', 'data-testid': 'speaker-test', 'aria-label': 'Test the speaker: plays a short sound', onclick: () => void chime() }, testText)
  for (const kind of /** @type {DeviceKind[]} */ (Object.keys(KINDS))) {
    const id = `${idPrefix}-${kind}`
    const select = el('select', { id, 'data-testid': `${kind}-select`, onchange: () => onChange(kind, select.value, select.selectedOptions[0]?.label ?? kind) })
    pickers.set(kind, select)
    element.append(el('div', { class: 'picker', 'data-kind': kind }, el('label', { for: id }, icon(kind), el('span', {}, KINDS[kind].label)), select, kind === 'speaker' && test))
  }

  async function chime() {
    setText(testText, 'Playing…')
    test.disabled = true
    try {
      await playChime(pickers.get('speaker')?.value ?? '')
    } catch {
      toast('That speaker cannot be used. Please choose another.', 'error')
    } finally {
      setText(testText, 'Test')
      test.disabled = false
    }
  }

  async function refresh() {
    const devices = await listDevices().catch(() => ({ cameras: [], microphones: [], speakers: [] }))
    if (signal.aborted) return
    for (const [kind, select] of pickers) {
      const list = devices[KINDS[kind].list]
      const wanted = selected()[kind]
      if (list.length === 0) {
        // Before access is given a browser names no devices, as if there were none.
        select.replaceChildren(el('option', { value: '' }, `Default ${kind}`))
      } else {
        select.replaceChildren(...list.map((device, index) => el('option', { value: device.deviceId }, device.label || `${KINDS[kind].label} ${index + 1}`)))
        const known = list.find((device) => device.deviceId === wanted)
        select.value = known ? known.deviceId : (list[0]?.deviceId ?? '')
      }
      select.disabled = list.length === 0
    }
  }

  navigator.mediaDevices?.addEventListener('devicechange', () => void refresh(), { signal })
  return { element, refresh, focus: (/** @type {DeviceKind} */ kind) => pickers.get(kind)?.focus() }
}
