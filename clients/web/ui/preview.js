/**
 * Camera and microphone before a call, each opened and closed on its own, and what stands in their way. Owns the previews and releases
 * them; lobby.js shows them.
 */
import { createLocalPreview } from '../sdk/pulse.js'
import { isRefusal } from './faults.js'
import { permissionOf } from './permissions.js'

/** @typedef {'camera' | 'microphone'} Device */
/** @typedef {import('../sdk/preview.js').LocalPreview} LocalPreview */
/**
 * `ask`: the browser has not been asked yet · `asking`: its question is open, or the device starts · `blocked`: it said no.
 * @typedef {'off' | 'ask' | 'asking' | 'on' | 'blocked' | 'failed'} DeviceState
 */

export class Preview {
  /** @type {Record<Device, {state: DeviceState, preview: LocalPreview | null, error: Error | null, attempt: number}>} */
  #devices = {
    camera: { state: 'off', preview: null, error: null, attempt: 0 },
    microphone: { state: 'off', preview: null, error: null, attempt: 0 },
  }
  /** Devices open one after the other: two questions at once confuse. @type {Promise<unknown>} */
  #order = Promise.resolve()
  #changed
  #closed = false

  /** @param {(device: Device) => void} changed */
  constructor(changed) {
    this.#changed = changed
  }

  /** @param {Device} device */
  state(device) {
    return this.#devices[device].state
  }

  /** @param {Device} device */
  error(device) {
    return this.#devices[device].error
  }

  get video() {
    return this.#devices.camera.preview?.video ?? null
  }

  /** 0 to 1 */
  get level() {
    return this.#devices.microphone.preview?.level ?? 0
  }

  /**
   * Brings a device in line with what is wanted. Without `ask` the browser's question is not provoked.
   * @param {Device} device
   * @param {{on: boolean, deviceId: string, ask: boolean}} wanted
   * @returns {Promise<void>}
   */
  set(device, { on, deviceId, ask }) {
    const entry = this.#devices[device]
    entry.attempt += 1
    const mine = entry.attempt
    if (!on) this.#show(device, 'off', null, null)
    else this.#order = this.#order.then(() => this.#open(device, deviceId, ask, mine))
    return /** @type {Promise<void>} */ (this.#order)
  }

  close() {
    this.#closed = true
    for (const entry of Object.values(this.#devices)) {
      entry.attempt += 1
      entry.preview?.stop()
      entry.preview = null
    }
  }

  /** @param {Device} device @param {string} deviceId @param {boolean} ask @param {number} mine */
  async #open(device, deviceId, ask, mine) {
    const entry = this.#devices[device]
    const stale = () => this.#closed || entry.attempt !== mine
    const permission = await permissionOf(device)
    if (stale()) return
    if (permission === 'prompt' && !ask) {
      this.#show(device, 'ask', null, null)
      return
    }
    this.#show(device, 'asking', entry.preview, null)
    const wanted = { camera: device === 'camera', microphone: device === 'microphone', [`${device}Id`]: deviceId || undefined }
    let next = await createLocalPreview(wanted)
    if (deviceId !== '' && next.errors.some(({ name }) => name === 'device_not_found' || name === 'overconstrained')) {
      // A device remembered from another day is gone: the default one will do.
      next.stop()
      next = await createLocalPreview({ ...wanted, [`${device}Id`]: undefined })
    }
    if (stale()) {
      next.stop()
      return
    }
    const error = next.errors[0] ?? null
    if (error) next.stop()
    this.#show(device, error ? (isRefusal(error) ? 'blocked' : 'failed') : 'on', error ? null : next, error)
  }

  /** @param {Device} device @param {DeviceState} state @param {LocalPreview | null} preview @param {Error | null} error */
  #show(device, state, preview, error) {
    const entry = this.#devices[device]
    if (entry.preview !== preview) entry.preview?.stop()
    Object.assign(entry, { state, preview, error })
    if (!this.#closed) this.#changed(device)
  }
}
