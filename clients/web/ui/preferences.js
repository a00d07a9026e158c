/**
 * What this browser remembers of its person: name, devices and switches. Storage may be refused; then a visit remembers nothing.
 */

import { setCameraSize } from '../sdk/pulse.js'

const KEY = 'pulse'
const CAMERAS = { standard: { width: 640, height: 360, framerate: 30 }, high: { width: 1280, height: 720, framerate: 30 } }

/**
 * @typedef {object} Preferences
 * @property {string} name
 * @property {boolean} camera joins with the camera on
 * @property {boolean} microphone joins with the microphone on
 * @property {string} cameraId empty: the browser's default
 * @property {string} microphoneId
 * @property {string} speakerId
 * @property {boolean} shortcuts single-letter shortcuts in a call
 * @property {string} view how a call is laid out: auto, grid or speaker
 * @property {string} receive how much video is received: auto, high or low
 * @property {string} cameraQuality what the camera is asked for: standard or high
 * @property {string} theme system, light or dark
 */

/** @type {Preferences} */
const DEFAULTS = { name: '', camera: true, microphone: true, cameraId: '', microphoneId: '', speakerId: '', shortcuts: true, view: 'auto', receive: 'auto', cameraQuality: 'standard', theme: 'system' }

/** @returns {Preferences} */
export function loadPreferences() {
  const preferences = { ...DEFAULTS }
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}')
    if (typeof stored !== 'object' || stored === null) return preferences
    for (const key of /** @type {(keyof Preferences)[]} */ (Object.keys(DEFAULTS))) {
      if (typeof stored[key] === typeof DEFAULTS[key]) Object.assign(preferences, { [key]: stored[key] })
    }
  } catch {
    // Refused or unreadable storage means defaults.
  }
  return preferences
}

/** @param {Preferences} preferences */
export function savePreferences(preferences) {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences))
  } catch {
    // Nothing is lost but convenience.
  }
}

/** Cameras that are opened from now on give it. @param {Preferences} preferences */
export function applyCameraQuality({ cameraQuality }) {
  setCameraSize(cameraQuality === 'high' ? CAMERAS.high : CAMERAS.standard)
}
