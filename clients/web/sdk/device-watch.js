// Owns what becomes of one kind of device in a call, as a pure reducer: unplugged, taken away, forbidden, back again, another default.
// The one rule behind all: what is in use is what the person chose, or they are told. Never touches a device or a clock.

import { defaults } from './defaults.js'

/**
 * @typedef {'microphone' | 'camera' | 'speaker'} DeviceSource
 * @typedef {{deviceId: string, groupId: string, label: string}} Device
 *
 * @typedef {object} Watch
 * @property {DeviceSource} source
 * @property {'off' | 'using' | 'opening' | 'waiting' | 'blocked'} phase waiting: for a device; blocked: for the permission
 * @property {string} wanted the person's choice; '' is the default one
 * @property {Device | null} used null: nothing comes
 * @property {Device[]} devices of this kind, as last listed
 * @property {string[]} tried in this search for a device that works
 * @property {boolean} told whether the person knows that something is wrong
 * @property {boolean} interrupted whether the others know
 * @property {boolean} check whether the list has changed while a device was being opened
 * @property {number | null} retryAt when a device that is there but would not open is tried again
 * @property {number} attempt
 * @property {number | null} takenAt when a device that has gone silent counts as taken
 *
 * @typedef {{type: 'using', device: Device, wanted?: string}
 *   | {type: 'off' | 'given'}
 *   | {type: 'taken' | 'tick', now: number}
 *   | {type: 'devices', now: number, devices: Device[], live: boolean}
 *   | {type: 'ended', now: number, devices: Device[], revoked: boolean}
 *   | {type: 'permission', now: number, granted: boolean}
 *   | {type: 'failed', now: number, error: string}} WatchEvent
 *
 * @typedef {{do: 'open', deviceId: string} | {do: 'stop'} | {do: 'interrupt', reason: 'device' | null} | {do: 'failed', error: string}
 *   | {do: 'changed' | 'recovered', device: Device}} WatchEffect
 * @typedef {[Watch, WatchEffect[]]} Step
 */

const limits = defaults.devices

/** @param {DeviceSource} source @returns {Watch} */
export const initialWatch = (source) => ({
  source, phase: 'off', wanted: '', used: null, devices: [], tried: [], told: false, interrupted: false, check: false, retryAt: null, attempt: 0, takenAt: null,
})

/** @param {Watch} watch @returns {number | null} when `tick` is due */
export const nextWatchTimeout = (watch) => watch.takenAt ?? watch.retryAt

/** @param {Watch} watch @param {WatchEvent} event @returns {Step} */
export function watchDevice(watch, event) {
  if (watch.phase === 'off' && event.type !== 'using') {
    return [event.type === 'devices' ? { ...watch, devices: event.devices } : watch, []]
  }
  switch (event.type) {
    case 'off':
      return [{ ...initialWatch(watch.source), wanted: watch.wanted, devices: watch.devices }, []]
    case 'using':
      return using(watch, event.device, event.wanted ?? watch.wanted)
    case 'devices':
      return listed(watch, event.devices, event.now, event.live)
    case 'ended': {
      if (!watch.used) return [watch, []]
      if (event.revoked) return block(watch)
      const now = { ...watch, devices: event.devices }
      // Another one is on its way in already.
      if (watch.phase === 'opening') return [{ ...now, used: null }, []]
      return lose({ ...now, tried: [] }, isPresent(now) ? 'device_ended' : 'device_unplugged', event.now)
    }
    case 'permission':
      if (!event.granted) return watch.phase === 'blocked' ? [watch, []] : block(watch)
      return watch.phase === 'blocked' ? search({ ...watch, tried: [] }, event.now) : [watch, []]
    case 'failed':
      if (watch.phase !== 'opening') return [watch, []]
      if (event.error.startsWith('permission')) return block(watch)
      // What was in use goes on; that the other one does not is said.
      if (watch.used) return [{ ...watch, phase: 'using' }, [{ do: 'failed', error: 'switch_failed' }]]
      return lose(watch, event.error, event.now)
    case 'taken':
      return [watch.phase === 'using' ? { ...watch, takenAt: event.now + limits.takenAfterMs } : watch, []]
    case 'given': {
      if (watch.takenAt !== null || !watch.used || !watch.interrupted) return [{ ...watch, takenAt: null }, []]
      return [{ ...watch, told: false, interrupted: false }, [{ do: 'interrupt', reason: null }, { do: 'recovered', device: watch.used }]]
    }
    case 'tick':
      if (watch.takenAt !== null && event.now >= watch.takenAt) return interrupt(tell({ ...watch, takenAt: null }, 'device_muted'))
      if (watch.phase === 'waiting' && watch.retryAt !== null && event.now >= watch.retryAt) return search({ ...watch, tried: [] }, event.now)
      return [watch, []]
  }
}

/** @param {Watch} watch @param {Device} device @param {string} wanted @returns {Step} */
function using(watch, device, wanted) {
  /** @type {WatchEffect[]} */
  const effects = []
  if (watch.interrupted) effects.push({ do: 'interrupt', reason: null })
  if (watch.told) effects.push({ do: 'recovered', device })
  else if (watch.used && !isSame(watch.used, device)) effects.push({ do: 'changed', device })
  /** @type {Watch} */
  const next = { ...initialWatch(watch.source), phase: 'using', wanted, used: device, devices: watch.devices }
  if (!watch.check) return [next, effects]
  const [checked, more] = settle(next)
  return [checked, [...effects, ...more]]
}

/** @param {Watch} watch @param {Device[]} devices @param {number} now @param {boolean} live whether what is in use still delivers @returns {Step} */
function listed(watch, devices, now, live) {
  const before = watch.devices
  const next = { ...watch, devices }
  switch (watch.phase) {
    case 'using':
      // An empty list beside a device that works says that the browser does not list it, not that it is gone.
      if (!isPresent(next) && (devices.length > 0 || !live)) return lose({ ...next, tried: [] }, 'device_unplugged', now)
      return settle(next, before)
    case 'opening':
      return [{ ...next, check: true }, []]
    case 'waiting':
      return search({ ...next, tried: [] }, now)
    default:
      return [next, []]
  }
}

/** The device in use is there: is it the right one? @param {Watch} watch @param {Device[]} [before] @returns {Step} */
function settle(watch, before = watch.devices) {
  const { source, wanted, used, devices } = watch
  if (!used) return [watch, []]
  const better = wanted === ''
    ? source === 'microphone' && isOtherDefault(used, devices, before)
    : used.deviceId !== wanted && devices.some(({ deviceId }) => deviceId === wanted)
  return better ? [{ ...watch, phase: 'opening', check: false }, [{ do: 'open', deviceId: wanted }]] : [watch, []]
}

/** @param {Device} used @param {Device[]} devices @param {Device[]} before @returns {boolean} */
function isOtherDefault(used, devices, before) {
  const listed = devices.find(({ deviceId }) => deviceId === 'default')
  if (listed) {
    if (used.groupId === '' || listed.groupId === '' || listed.groupId === used.groupId) return false
    // Who is on another one is so by the browser's own settings, until the default changes.
    return used.deviceId === 'default' || listed.groupId !== before.find(({ deviceId }) => deviceId === 'default')?.groupId
  }
  // Where no entry says which is the default one, it is the first; its change alone counts, since not every browser keeps to that.
  const [first] = devices
  return first !== undefined && first.deviceId !== before[0]?.deviceId && first.deviceId !== used.deviceId
}

/** @param {Watch} watch @param {string} error @param {number} now @returns {Step} */
function lose(watch, error, now) {
  const [told, effects] = tell({ ...watch, used: null, takenAt: null }, error)
  const [next, more] = search(told, now)
  return [next, [...effects, ...more]]
}

/** Opens the best device that was not tried yet, or waits for one. @param {Watch} watch @param {number} now @returns {Step} */
function search(watch, now) {
  const ids = watch.devices.map(({ deviceId }) => deviceId)
  const candidates = ids.length === 0 ? [] : [...(watch.wanted && ids.includes(watch.wanted) ? [watch.wanted] : []), '', ...ids]
  const deviceId = candidates.find((id) => !watch.tried.includes(id))
  if (deviceId !== undefined) {
    return [{ ...watch, phase: 'opening', retryAt: null, check: false, tried: [...watch.tried, deviceId] }, [{ do: 'open', deviceId }]]
  }
  const wait = limits.retryMs[Math.min(watch.attempt, limits.retryMs.length - 1)]
  const retryAt = ids.length > 0 ? now + wait : null
  return interrupt([{ ...watch, phase: 'waiting', retryAt, attempt: watch.attempt + 1 }, []])
}

/** @param {Watch} watch @returns {Step} */
function block(watch) {
  const [next, effects] = interrupt(tell({ ...watch, phase: 'blocked', used: null, retryAt: null, takenAt: null }, 'permission_revoked'))
  return [next, [{ do: 'stop' }, ...effects]]
}

/** One cause is told once, whatever follows from it. @param {Watch} watch @param {string} error @returns {Step} */
const tell = (watch, error) => (watch.told ? [watch, []] : [{ ...watch, told: true }, [{ do: 'failed', error }]])

/** @param {Step} step @returns {Step} */
const interrupt = ([watch, effects]) => (watch.interrupted
  ? [watch, effects]
  : [{ ...watch, interrupted: true }, [...effects, { do: 'interrupt', reason: 'device' }]])

/** @param {Watch} watch @returns {boolean} whether the device in use is listed */
function isPresent({ used, devices }) {
  if (!used || used.deviceId === '') return used !== null
  return devices.some(({ deviceId, groupId }) => (used.deviceId === 'default' && used.groupId !== '' ? groupId === used.groupId : deviceId === used.deviceId))
}

/** @param {Device} one @param {Device} other */
const isSame = (one, other) => one.deviceId === other.deviceId && one.groupId === other.groupId
