// Owns feature detection: the one place that asks what this browser can do.

/** @returns {{ok: true} | {ok: false, reason: string}} whether this browser can take part in a call */
export function isSupported() {
  if (!globalThis.isSecureContext) {
    return { ok: false, reason: 'This page was not opened securely. Please open it by https or on localhost.' }
  }
  /** @type {[string, boolean][]} */
  const needed = [
    ['WebCodecs', ['VideoEncoder', 'VideoDecoder', 'AudioDecoder'].every((name) => name in globalThis)],
    ['AudioWorklet', 'AudioWorkletNode' in globalThis],
    ['OffscreenCanvas', 'OffscreenCanvas' in globalThis && 'transferControlToOffscreen' in HTMLCanvasElement.prototype],
    ['camera and microphone access', 'mediaDevices' in navigator],
    ['workers', 'Worker' in globalThis],
  ]
  const missing = needed.filter(([, present]) => !present).map(([name]) => name)
  if (missing.length === 0) return { ok: true }
  return { ok: false, reason: `This browser lacks ${missing.join(', ')}. Please use a current Chrome, Edge or Firefox.` }
}

/** Whether frames of a camera can be handed to the worker as a stream. */
export const hasTrackProcessor = () => 'MediaStreamTrackProcessor' in globalThis

/** Whether samples can be shared with the audio thread; needs COOP and COEP. */
export const hasSharedMemory = () => globalThis.crossOriginIsolated === true && 'SharedArrayBuffer' in globalThis

/** Whether this browser can share a screen; those of phones cannot. */
export const hasScreenShare = () => 'getDisplayMedia' in (navigator.mediaDevices ?? {})

export const canChooseSpeaker = () => 'setSinkId' in AudioContext.prototype

/** @param {string} mime @returns {boolean} whether a v1 share of this type can be shown */
export const canPlayShare = (mime) => 'MediaSource' in globalThis && MediaSource.isTypeSupported(mime)

/** Whether sound can be encoded; without that it is sent as it is. */
export const hasAudioEncoder = () => 'AudioEncoder' in globalThis

/** Whether this browser's H.264 encoder looks far ahead, whatever it is asked for: that of Firefox is 1.4 s late. */
const isH264Late = () => /Firefox/.test(navigator.userAgent)

/**
 * @param {Record<string, VideoEncoderConfig>} configs by codec
 * @returns {Promise<string[]>} the codecs of which this browser encodes such a picture
 */
export async function encodableCodecs(configs) {
  const asked = Object.entries(configs).map(async ([codec, config]) => {
    if (codec === 'h264' && isH264Late()) return []
    const { supported } = await VideoEncoder.isConfigSupported(config).catch(() => ({ supported: false }))
    return supported ? [codec] : []
  })
  return (await Promise.all(asked)).flat()
}

/** Video codecs that a client may lack, each with a string of it that every decoder of it takes. */
const OPTIONAL_CODECS = Object.entries({ vp9: 'vp09.00.10.08', av1: 'av01.0.04M.08', h264: 'avc1.42E01F' })

/** @returns {Promise<string[]>} the features of hello for what can be decoded beside what everybody can */
export async function decodeFeatures() {
  const features = OPTIONAL_CODECS.map(async ([name, codec]) => {
    const { supported } = await VideoDecoder.isConfigSupported({ codec }).catch(() => ({ supported: false }))
    return supported ? [`decode-${name}`] : []
  })
  return (await Promise.all(features)).flat()
}
