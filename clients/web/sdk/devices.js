// Owns the browser's devices: opening them with the SDK's constraints, listing them, and the preview before a call.
// Turns the browser's exceptions into PulseErrors; never publishes anything.

import { defaults } from './defaults.js'
import { PulseError } from './errors.js'
import { hasScreenShare, hasTrackProcessor } from './support.js'

/** @typedef {import('./device-watch.js').Device} Device */

/** @param {unknown} error @param {'microphone' | 'camera' | 'screen'} device @returns {Promise<PulseError>} */
async function deviceError(error, device) {
  if (error instanceof PulseError) return error
  const { name, message } = /** @type {Error} */ (error)
  const named = (/** @type {string} */ pulseName) => new PulseError(pulseName, { cause: error, device })
  switch (name) {
    case 'NotAllowedError':
      if (device === 'screen') return named('share_cancelled')
      if (/system/i.test(message)) return named('permission_system')
      // Who closes the question is asked again; who refuses is not.
      return named((await permissionOf(device))?.state === 'prompt' ? 'permission_dismissed' : 'permission_denied')
    case 'SecurityError':
      return named('permission_denied')
    case 'NotFoundError':
      return named('device_not_found')
    case 'OverconstrainedError':
      return named('overconstrained')
    case 'NotReadableError':
      return named('device_in_use')
    case 'AbortError':
      return named(device === 'screen' ? 'share_cancelled' : 'device_in_use')
    default:
      return named('device_failed')
  }
}

/** @param {'microphone' | 'camera'} source @returns {Promise<PermissionStatus | null>} null where the browser does not tell */
export const permissionOf = async (source) => navigator.permissions?.query({ name: /** @type {any} */ (source) }).catch(() => null) ?? null

/** @param {MediaStreamConstraints} constraints @returns {Promise<MediaStream>} */
async function open(constraints) {
  if (!navigator.mediaDevices) throw new PulseError('insecure_context')
  try {
    return await navigator.mediaDevices.getUserMedia(constraints)
  } catch (error) {
    throw await deviceError(error, constraints.audio ? 'microphone' : 'camera')
  }
}

const exactly = (/** @type {string | undefined} */ id) => (id ? { deviceId: { exact: id } } : {})

/** @param {string} [deviceId] */
export const openMicrophone = (deviceId) => open({
  audio: { ...exactly(deviceId), echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } },
})

/** @type {{width: number, height: number, framerate: number}} */
let cameraSize = defaults.camera

/**
 * What cameras are asked for from now on, in all calls of this page; they give what comes nearest. Bits follow the size.
 * @param {{width: number, height: number, framerate: number}} size in pixels and frames a second
 */
export function setCameraSize(size) {
  cameraSize = size
}

/** @param {string} [deviceId] */
export const openCamera = (deviceId) => open({
  video: {
    ...exactly(deviceId),
    width: { ideal: cameraSize.width }, height: { ideal: cameraSize.height }, frameRate: { ideal: cameraSize.framerate },
  },
})

/** @param {MediaStream} stream @returns {Device} where it comes from */
export function deviceOf(stream) {
  const [track] = stream.getTracks()
  const { deviceId = '', groupId = '' } = track.getSettings()
  return { deviceId, groupId, label: track.label }
}

/** @param {MediaStream} stream */
export function stopStream(stream) {
  for (const track of stream.getTracks()) track.stop()
}

/**
 * Exactly this device, and only if something comes from it.
 * @param {'microphone' | 'camera'} source @param {string} deviceId '' is the default one
 * @returns {Promise<MediaStream>}
 */
export async function openVerified(source, deviceId) {
  const stream = await (source === 'microphone' ? openMicrophone : openCamera)(deviceId)
  const given = deviceOf(stream).deviceId
  if ((deviceId === '' || given === deviceId) && (await delivers(stream.getTracks()[0]))) return stream
  stopStream(stream)
  throw new PulseError('device_failed', { device: source, cause: `asked for ${deviceId}, given ${given}` })
}

/** @param {MediaStreamTrack} track @returns {Promise<boolean>} whether a first frame or block comes from it */
async function delivers(track) {
  // Sound that cannot be looked at: a device that gives none mutes its track.
  if (!hasTrackProcessor()) return track.kind === 'video' ? showsFrame(track) : track.readyState === 'live' && !track.muted
  // The processor's own copy: the track itself is read by others.
  const copy = track.clone()
  const reader = new MediaStreamTrackProcessor({ track: copy }).readable.getReader()
  const timer = setTimeout(() => void reader.cancel(), defaults.devices.firstSampleMs)
  const { value } = await reader.read()
  clearTimeout(timer)
  value?.close()
  void reader.cancel()
  copy.stop()
  return value !== undefined
}

/** @param {MediaStreamTrack} track @returns {Promise<boolean>} */
async function showsFrame(track) {
  const video = createVideo(new MediaStream([track]))
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer
  const shown = await new Promise((resolve) => {
    video.requestVideoFrameCallback(() => resolve(true))
    timer = setTimeout(resolve, defaults.devices.firstSampleMs, false)
  })
  clearTimeout(timer)
  video.srcObject = null
  return shown
}

/** @param {DisplayMediaStreamOptions} [options] added to the SDK's own @returns {Promise<MediaStream>} */
export async function openScreen(options) {
  if (!hasScreenShare()) throw new PulseError(navigator.mediaDevices ? 'not_supported' : 'insecure_context')
  try {
    return await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { ideal: defaults.screen.framerate, max: 30 } },
      // What is played is wanted as it is, not cleaned up as speech.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      ...options,
    })
  } catch (error) {
    throw await deviceError(error, 'screen')
  }
}

/** @typedef {{microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}} Devices */

/** @returns {Promise<Devices>} */
export async function listDevices() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? []
  const of = (/** @type {MediaDeviceKind} */ kind) => devices.filter((device) => device.kind === kind && device.deviceId !== '')
  return { microphones: of('audioinput'), cameras: of('videoinput'), speakers: of('audiooutput') }
}

/**
 * Camera picture and microphone level before a call. Loaded when it is asked for.
 * @param {{camera: boolean, microphone: boolean, cameraId?: string, microphoneId?: string}} wanted
 * @returns {Promise<import('./preview.js').LocalPreview>}
 */
export async function createLocalPreview(wanted) {
  const { LocalPreview } = await import('./preview.js')
  const preview = new LocalPreview()
  await preview.start(wanted)
  return preview
}

/** A muted element that shows a local stream. @param {MediaStream} stream @returns {HTMLVideoElement} */
export function createVideo(stream) {
  const video = document.createElement('video')
  video.muted = true
  video.playsInline = true
  video.autoplay = true
  video.srcObject = stream
  // Detaching while it starts is no error.
  video.play().catch(() => {})
  return video
}
