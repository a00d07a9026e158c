/**
 * Pickers for camera, microphone and speaker, kept in step with what is plugged in. Chooses nothing by itself.
 */
import { listDevices } from '../sdk/pulse.js'
import { el } from './dom.js'
import { icon } from './icons.js'

/** @typedef {'camera' | 'microphone' | 'speaker'} DeviceKind */

/** @type {Record<DeviceKind, {label: string, list: 'cameras' | 'microphones' | 'speakers'}>} */
const KINDS = {
  camera: { label: 'Camera', list: 'cameras' },
  microphone: { label: 'Microphone', list: 'microphones' },
  speaker: { label: 'Speaker', list: 'speakers' },
}

/**
 * Builds the three pickers. A browser that lists no speakers gets no speaker picker.
 * @param {object} options
 * @param {string} options.idPrefix keeps ids unique where two sets of pickers exist
 * @param {Record<DeviceKind, string>} options.selected device ids; empty: the default
 * @param {(kind: DeviceKind, deviceId: string) => void} options.onChange
 * @param {AbortSignal} options.signal
 * @returns {{element: HTMLElement, refresh: () => Promise<void>}}
 */
export function devicePickers({ idPrefix, selected, onChange, signal }) {
  /** @type {Map<DeviceKind, {row: HTMLElement, select: HTMLSelectElement}>} */
  const pickers = new Map()
  const element = el('div', { class: 'pickers' })
  for (const kind of /** @type {DeviceKind[]} */ (Object.keys(KINDS))) {
    const id = `${idPrefix}-${kind}`
    const select = el('select', { id, 'data-testid': `${kind}-select`, onchange: () => onChange(kind, select.value) })
    const row = el('div', { class: 'picker' }, el('label', { for: id }, icon(kind), el('span', {}, KINDS[kind].label)), select)
    row.hidden = kind === 'speaker'
    pickers.set(kind, { row, select })
    element.append(row)
  }

  async function refresh() {
    const devices = await listDevices().catch(() => ({ cameras: [], microphones: [], speakers: [] }))
    if (signal.aborted) return
    for (const [kind, { row, select }] of pickers) {
      const list = devices[KINDS[kind].list]
      const wanted = select.value || selected[kind]
      if (list.length === 0) {
        // Before access is given a browser names no devices, as if there were none.
        select.replaceChildren(el('option', { value: '' }, `Default ${kind}`))
      } else {
        select.replaceChildren(...list.map((device, index) => el('option', { value: device.deviceId }, device.label || `${KINDS[kind].label} ${index + 1}`)))
        const known = list.find((device) => device.deviceId === wanted)
        select.value = known ? known.deviceId : (list[0]?.deviceId ?? '')
      }
      select.disabled = list.length === 0
      row.hidden = kind === 'speaker' && list.length === 0
    }
  }

  navigator.mediaDevices?.addEventListener('devicechange', () => void refresh(), { signal })
  return { element, refresh }
}
