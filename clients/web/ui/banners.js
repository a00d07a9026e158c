/**
 * What is wrong or worth knowing as long as it lasts: one line each above the call, with what to do about it. faults.js decides which
 * faults there are; this keeps their lines in step and runs their remedies.
 */
import { el, setText } from './dom.js'
import { Faults } from './faults.js'
import { icon } from './icons.js'

/** @typedef {import('./faults.js').Remedy} Remedy */

/** @type {Record<string, import('./icons.js').IconName>} */
const SIGNS = { 'device-microphone': 'microphoneOff', 'device-camera': 'cameraOff', 'device-speaker': 'speaker', silent: 'microphoneOff', playback: 'speaker' }

/** @param {(remedy: Remedy) => void} onRemedy */
export function createBanners(onRemedy) {
  const faults = new Faults()
  /** @type {Map<string, {element: HTMLElement, text: string}>} */
  const lines = new Map()
  const reconnecting = el('div', { class: 'banner banner-warning', role: 'alert', hidden: true }, el('span', { class: 'spinner', 'aria-hidden': 'true' }), el('span', { class: 'banner-text' }, 'Connection lost. Reconnecting…'))
  const receivingText = el('span', { class: 'banner-text' })
  const showVideo = el('button', { type: 'button', class: 'link-button', 'data-testid': 'show-video' }, 'Show video')
  const receiving = el('div', { class: 'banner', role: 'status', hidden: true }, icon('headphones'), receivingText, showVideo)
  const holder = el('div', { class: 'banners-faults' })
  const element = el('div', { class: 'banners' }, reconnecting, holder, receiving)

  function update() {
    const list = faults.list
    for (const [id, line] of lines) {
      if (list.some((fault) => fault.id === id && fault.text === line.text)) continue
      line.element.remove()
      lines.delete(id)
    }
    for (const fault of list) {
      if (lines.has(fault.id)) continue
      const { remedy } = fault
      const line = el(
        'div',
        { class: fault.tone === 'warning' ? 'banner banner-warning' : 'banner', role: fault.tone === 'warning' ? 'alert' : 'status', 'data-testid': 'fault', 'data-fault': fault.id },
        icon(SIGNS[fault.id] ?? 'warning'),
        el('span', { class: 'banner-text' }, fault.text),
        remedy && el('button', { type: 'button', class: 'link-button', 'data-testid': remedy === 'start-audio' ? 'start-audio' : 'fault-action', onclick: () => onRemedy(remedy) }, fault.label),
        el('button', { type: 'button', class: 'icon-button', 'aria-label': 'Dismiss', onclick: () => dismiss(fault.id) }, icon('close')),
      )
      lines.set(fault.id, { element: line, text: fault.text })
      if (fault.tone === 'warning') holder.prepend(line)
      else holder.append(line)
    }
  }

  /** @param {string} id */
  function dismiss(id) {
    faults.dismiss(id)
    update()
  }

  return {
    element,
    showVideo,
    /** Changes what is wrong. @param {(faults: Faults) => void} change */
    change(change) {
      change(faults)
      update()
    },
    /** @param {boolean} now */
    setReconnecting(now) {
      reconnecting.hidden = !now
    },
    /** @param {'auto' | 'high' | 'low' | 'audioOnly'} quality */
    setReceiving(quality) {
      receiving.hidden = quality !== 'audioOnly'
      setText(receivingText, receiving.hidden ? '' : 'Audio only: no video is received.')
    },
  }
}
