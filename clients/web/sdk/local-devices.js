// Owns what the browser tells of devices during a call: listens, asks, and has device-watch.js decide. Never opens a device itself.

import { initialWatch, nextWatchTimeout, watchDevice } from './device-watch.js'
import { listDevices, permissionOf } from './devices.js'
import { PulseError } from './errors.js'

/**
 * @typedef {import('./device-watch.js').Device} Device
 * @typedef {import('./device-watch.js').DeviceSource} DeviceSource
 * @typedef {import('./device-watch.js').WatchEvent} WatchEvent
 *
 * @typedef {object} DeviceHost
 * @property {(source: DeviceSource, deviceId: string, stillWanted: () => boolean) => Promise<Device>} open takes this one into use
 * @property {(source: DeviceSource) => void} stop
 * @property {(source: DeviceSource, reason: 'device' | null) => void} interrupt
 * @property {(name: string, detail: object) => void} emit
 * @property {(devices: import('./devices.js').Devices) => void} onList
 */

/** @type {Record<DeviceSource, keyof import('./devices.js').Devices>} */
const LISTS = { microphone: 'microphones', camera: 'cameras', speaker: 'speakers' }
const SOURCES = /** @type {DeviceSource[]} */ (Object.keys(LISTS))

export class LocalDevices {
  #host
  /** @type {Map<DeviceSource, import('./device-watch.js').Watch>} */
  #watches = new Map(SOURCES.map((source) => [source, initialWatch(source)]))
  /** The tracks that are listened to. @type {Map<DeviceSource, {track: MediaStreamTrack, unlisten: AbortController}>} */
  #tracks = new Map()
  /** Only the newest answer about a source counts. @type {Map<DeviceSource, number>} */
  #turns = new Map()
  /** @type {Map<DeviceSource, ReturnType<typeof setTimeout>>} */
  #timers = new Map()
  /** @type {Set<string>} that were given during this call */
  #granted = new Set()
  #closed = new AbortController()

  /** @param {DeviceHost} host */
  constructor(host) {
    this.#host = host
    const { signal } = this.#closed
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.refresh(), { signal })
    for (const source of /** @type {const} */ (['microphone', 'camera'])) void this.#watchPermission(source, signal)
    void this.refresh()
  }

  /** @param {DeviceSource} source @returns {string} the person's choice */
  wanted(source) {
    return this.#watches.get(source)?.wanted ?? ''
  }

  /** Lists the devices anew and does what follows from it. */
  async refresh() {
    const devices = await listDevices()
    if (this.#closed.signal.aborted) return
    this.#host.onList(devices)
    for (const source of SOURCES) {
      const live = this.#tracks.get(source)?.track.readyState === 'live'
      this.#step(source, { type: 'devices', now: performance.now(), devices: devices[LISTS[source]], live })
    }
  }

  /** This device is in use from now on. @param {DeviceSource} source @param {Device} device @param {MediaStreamTrack | null} track @param {string} [wanted] */
  using(source, device, track, wanted) {
    this.#turn(source)
    this.#tracks.get(source)?.unlisten.abort()
    if (track) this.#listen(source, track)
    this.#step(source, { type: 'using', device, wanted })
  }

  /** @param {DeviceSource} source */
  off(source) {
    this.#turn(source)
    this.#tracks.get(source)?.unlisten.abort()
    this.#tracks.delete(source)
    this.#step(source, { type: 'off' })
  }

  close() {
    this.#closed.abort()
    for (const source of SOURCES) this.off(source)
  }

  /** @param {DeviceSource} source @param {MediaStreamTrack} track */
  #listen(source, track) {
    const unlisten = new AbortController()
    const { signal } = unlisten
    this.#tracks.set(source, { track, unlisten })
    track.addEventListener('ended', () => void this.ended(source), { signal })
    track.addEventListener('mute', () => this.#step(source, { type: 'taken', now: performance.now() }), { signal })
    track.addEventListener('unmute', () => this.#step(source, { type: 'given' }), { signal })
  }

  /** Its track is over. The cause is not told: it is asked for. @param {DeviceSource} source */
  async ended(source) {
    const track = this.#tracks.get(source)?.track
    const [devices, permission] = await Promise.all([listDevices(), source === 'speaker' ? null : permissionOf(source)])
    if (!track || this.#tracks.get(source)?.track !== track) return
    this.#step(source, { type: 'ended', now: performance.now(), devices: devices[LISTS[source]], revoked: this.#isRevoked(source, permission) })
  }

  /** @param {DeviceSource} source @param {PermissionStatus | null} permission */
  #isRevoked(source, permission) {
    return permission?.state === 'denied' || (permission?.state === 'prompt' && this.#granted.has(source))
  }

  /** @param {'microphone' | 'camera'} source @param {AbortSignal} signal */
  async #watchPermission(source, signal) {
    const permission = await permissionOf(source)
    if (!permission || signal.aborted) return
    const note = () => permission.state === 'granted' && this.#granted.add(source)
    note()
    permission.addEventListener('change', () => {
      const granted = permission.state === 'granted'
      // Where the question would only be asked again next time, what is on stays on.
      if (!granted && (!this.#isRevoked(source, permission) || (permission.state === 'prompt' && this.#tracks.get(source)?.track.readyState === 'live'))) return
      note()
      this.#step(source, { type: 'permission', now: performance.now(), granted })
      // Names of devices are told only to who may use them.
      if (granted) void this.refresh()
    }, { signal })
  }

  /** @param {DeviceSource} source */
  #turn(source) {
    const turn = (this.#turns.get(source) ?? 0) + 1
    this.#turns.set(source, turn)
    return () => this.#turns.get(source) === turn
  }

  /** @param {DeviceSource} source @param {WatchEvent} event */
  #step(source, event) {
    const watch = this.#watches.get(source)
    if (!watch) return
    const [next, effects] = watchDevice(watch, event)
    this.#watches.set(source, next)
    clearTimeout(this.#timers.get(source))
    const due = nextWatchTimeout(next)
    if (due !== null && !this.#closed.signal.aborted) {
      this.#timers.set(source, setTimeout(() => this.#step(source, { type: 'tick', now: performance.now() }), Math.max(0, due - performance.now())))
    }
    for (const effect of effects) {
      if (effect.do === 'open') void this.#open(source, effect.deviceId)
      else if (effect.do === 'stop') this.#host.stop(source)
      else if (effect.do === 'interrupt') this.#host.interrupt(source, effect.reason)
      else if (effect.do === 'failed') this.#host.emit('deviceFailed', { source, error: new PulseError(effect.error, { device: source }) })
      else this.#host.emit(effect.do === 'changed' ? 'deviceChanged' : 'deviceRecovered', { source, ...effect.device })
    }
  }

  /** @param {DeviceSource} source @param {string} deviceId */
  async #open(source, deviceId) {
    const isCurrent = this.#turn(source)
    try {
      await this.#host.open(source, deviceId, isCurrent)
    } catch (error) {
      if (isCurrent()) this.#step(source, { type: 'failed', now: performance.now(), error: /** @type {Error} */ (error).name })
    }
  }
}
