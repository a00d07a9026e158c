/**
 * What is wrong right now and what to do about it: at most one message a cause, from its beginning to its end. Pure; banners.js shows.
 */

/** @typedef {'microphone' | 'camera' | 'speaker' | 'screen'} DeviceSource */
/** @typedef {'choose-microphone' | 'choose-camera' | 'choose-speaker' | 'retry-microphone' | 'retry-camera' | 'start-audio' | 'receive-less'} Remedy */
/** @typedef {{id: string, tone: 'warning' | 'info', text: string, remedy: Remedy | null, label: string}} Fault */

const NAMES = { microphone: 'microphone', camera: 'camera', speaker: 'speaker', screen: 'screen share' }

// The SDK's errors of devices: their sentences say which device and what to do.
const DEVICE = new Set([
  'permission_denied', 'permission_dismissed', 'permission_system', 'permission_revoked', 'device_not_found', 'device_in_use', 'device_failed',
  'device_unplugged', 'device_ended', 'device_muted', 'overconstrained', 'switch_failed', 'speaker_failed',
])

/** Whether a person, not a device, stands in the way. @param {{name: string}} error */
export const isRefusal = ({ name }) => name.startsWith('permission_')

/** Errors of a device: the fault that tells them makes a notice of its own superfluous. @param {unknown} error */
export function isDeviceError(error) {
  return error instanceof Error && DEVICE.has(error.name)
}

/**
 * @param {DeviceSource} source
 * @param {{name: string, message: string}} error
 * @returns {Fault}
 */
export function deviceFault(source, error) {
  const text = error.message
  const id = `device-${source}`
  if (source === 'screen') return { id, tone: 'warning', text, remedy: null, label: '' }
  if (isRefusal(error) && source !== 'speaker') return { id, tone: 'warning', text, remedy: `retry-${source}`, label: 'Try again' }
  return { id, tone: 'warning', text, remedy: `choose-${source}`, label: `Choose another ${NAMES[source]}` }
}

/** @type {Fault} */
const SILENT = { id: 'silent', tone: 'warning', text: 'Your microphone hears nothing. It may be muted at its own switch.', remedy: 'choose-microphone', label: 'Choose another microphone' }
/** @type {Fault} */
const HELD_BACK = { id: 'playback', tone: 'warning', text: 'Your browser holds back the sound.', remedy: 'start-audio', label: 'Turn sound on' }
/** @type {Record<string, Fault>} */
const LIMITS = {
  cpu: { id: 'limit', tone: 'info', text: 'This device is busy: some video is reduced so that sound stays clear.', remedy: 'receive-less', label: 'Receive less video' },
  bandwidth: { id: 'limit', tone: 'info', text: 'Your connection is slow: some video is reduced so that sound stays clear.', remedy: 'receive-less', label: 'Receive less video' },
}

export class Faults {
  /** @type {Map<string, Fault>} */
  #now = new Map()
  /** Dismissed while they last: they come back only after they were gone. @type {Set<string>} */
  #dismissed = new Set()

  /** @param {DeviceSource} source @param {{name: string, message: string} | null} error null: it works again */
  device(source, error) {
    this.#set(`device-${source}`, error && deviceFault(source, error), true)
  }

  /** @param {boolean} silent */
  microphoneSilent(silent) {
    this.#set('silent', silent ? SILENT : null)
  }

  /** @param {boolean} canPlay */
  playback(canPlay) {
    this.#set('playback', canPlay ? null : HELD_BACK)
  }

  /** @param {string} reason 'none', 'cpu' or 'bandwidth' */
  limitation(reason) {
    this.#set('limit', LIMITS[reason] ?? null)
  }

  /** @param {string} id */
  dismiss(id) {
    this.#dismissed.add(id)
  }

  /** What is to be shown, warnings first. @returns {Fault[]} */
  get list() {
    const shown = [...this.#now.values()].filter(({ id }) => !this.#dismissed.has(id))
    // A microphone that failed hears nothing; that is one thing to say.
    const one = this.#now.has('device-microphone') ? shown.filter(({ id }) => id !== 'silent') : shown
    return one.sort((a, b) => Number(a.tone === 'info') - Number(b.tone === 'info'))
  }

  /** @param {string} id @param {Fault | null} fault @param {boolean} [again] a new failure is shown even where the last was dismissed */
  #set(id, fault, again = false) {
    // Trouble that goes on in another form has been dismissed already.
    if (!fault || again) this.#dismissed.delete(id)
    if (fault) this.#now.set(id, fault)
    else this.#now.delete(id)
  }
}
