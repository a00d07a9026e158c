// Owns the worker: wires socket, publisher, subscriber and speakers together and talks to the page (worker/messages.d.ts).
// Holds no logic of its own beyond that wiring.

import { defaults } from './defaults.js'
import { PulseError, toPlain } from './errors.js'
import { Quality } from './quality.js'
import { Speakers } from './speakers.js'
import { FrameType } from './wire.js'
import { Publisher } from './worker/publisher.js'
import { Shedding } from './worker/shedding.js'
import { Socket } from './worker/socket.js'
import { Subscriber } from './worker/subscriber.js'
import { Subscription } from './worker/subscription.js'

/** Errors of the edge that a person can do nothing about: they say that this SDK, or a message on its way, was wrong. */
const INTERNAL_CODES = new Set([4003, 4005, 4006, 4007, 4012, 4014, 4016, 4017, 4018, 4019, 4035])
let internalErrors = 0
/** Errors of the edge that answer a chat message. */
const CHAT_CODES = new Set([4022, 4023, 4024, 4027, 4036])

const scope = /** @type {WorkerScope} */ (/** @type {unknown} */ (globalThis))
/** @type {import('./worker/messages.js').Post} */
const post = (message, transfer = []) => scope.postMessage(message, transfer)

const subscription = new Subscription()
/** @type {ReturnType<typeof setTimeout> | undefined} */
let subscribing
const speakers = new Speakers()
const quality = new Quality()
/** Sound that was due and that had to be made up, so far. */
let heard = { ms: 0, madeUpMs: 0 }
let handRaised = false
/** Whether the edge leaves pictures out because this side's connection does not carry them. */
let isConstrained = false

const socket = new Socket({
  onState(state, said) {
    const error = state === 'failed' ? said ?? failure() : null
    if (error) release()
    if (state === 'connected') onConnected()
    post({ on: 'state', state, error })
  },
  onControl,
  onMedia: (media) => subscriber.media(media),
  onV1(type, id, payload) {
    if (type === FrameType.AUDIO) subscriber.v1Audio(id, payload)
    else {
      const copy = payload.slice()
      post({ on: 'v1share', participant: id, type, payload: copy }, [copy.buffer])
    }
  },
})
let hasConnected = false
const failure = () => toPlain(new PulseError(hasConnected ? 'connection_lost' : 'connection_failed'))
const mediaFailed = (/** @type {unknown} */ cause) => {
  console.error(cause)
  post({ on: 'error', error: toPlain(new PulseError('media_failed')) })
}
const subscriber = new Subscriber(socket, post, (id, level) => speakers.heard(performance.now(), id, level))
const publisher = new Publisher(socket, {
  onLevel: (level) => speakers.heard(performance.now(), socket.id, level),
  onStalled: (source, reason) => post({ on: 'interrupted', source, reason }),
  onError: mediaFailed,
})
const shedding = new Shedding((limits, limitation) => {
  publisher.setLimits(limits)
  subscription.limits = limits
  resubscribe()
  post({ on: 'limitation', ...limitation })
})

function onConnected() {
  hasConnected = true
  sendSubscription(true)
  publisher.restart()
}

/** The call is over; what is open here is closed, since ending a worker closes no frame. */
function release() {
  publisher.close()
  subscriber.close()
  speakers.clear()
  clearTimeout(subscribing)
}

function sendSubscription(again = false) {
  if (!socket.connected) return
  subscriber.setMaxTemporal(subscription.maxTemporal)
  const message = subscription.next(subscriber.videoTracks, again)
  if (!message) return
  subscriber.pause(message)
  socket.sendControl(FrameType.SUBSCRIBE, message)
}

/** @param {{hand?: boolean, quality?: import('./worker/messages.js').ConnectionQuality}} update */
function sendUpdate(update) {
  if (socket.edgeFeatures.has('update')) socket.sendControl(FrameType.UPDATE, update)
}

/** Something has changed of what is wanted, and more may in the same moment. */
function resubscribe() {
  clearTimeout(subscribing)
  subscribing = setTimeout(sendSubscription, defaults.subscribeMs)
}

/** @param {number} type @param {string} id @param {any} message */
function onControl(type, id, message) {
  switch (type) {
    case FrameType.WELCOME:
      speakers.clear()
      quality.reset()
      isConstrained = false
      // Who resumes has kept it.
      if (handRaised && !message.resumed) sendUpdate({ hand: true })
      subscriber.reset(message.roster.participants)
      publisher.setV1Present(subscriber.hasV1)
      post({ on: 'welcome', id: message.id, edge: socket.edge, uploads: message.uploads, participants: message.roster.participants })
      return
    case FrameType.ROSTER:
      for (const participant of message.joined) subscriber.join(participant)
      for (const { id: gone } of message.left) {
        subscriber.leave(gone)
        speakers.remove(gone)
      }
      publisher.setV1Present(subscriber.hasV1)
      resubscribe()
      post({ on: 'roster', joined: message.joined, updated: message.updated, left: message.left })
      return
    case FrameType.TRACK_CONFIG:
      if (id === socket.id) return
      subscriber.configure(id, message)
      resubscribe()
      post({ on: 'trackConfig', participant: id, track: message })
      return
    case FrameType.TRACK_STOP: {
      const source = subscriber.stop(id, message.track)
      resubscribe()
      if (source) post({ on: 'trackStop', participant: id, source })
      return
    }
    case FrameType.CHAT:
      post({ on: 'chat', participant: id, message })
      return
    case FrameType.KEYFRAME_REQUEST:
      publisher.keyframeRequested(message.track)
      return
    case FrameType.DEMAND:
      publisher.demanded(message)
      return
    case FrameType.CONSTRAINED: {
      const paused = message.tracks.filter((/** @type {any} */ track) => track.paused)
      isConstrained = paused.length > 0
      post({ on: 'constrained', tracks: subscriber.videoTracks.filter((one) => paused.some((/** @type {any} */ each) =>
        each.participant === one.participant && each.track === one.track)) })
      return
    }
    case FrameType.PUBLISHER_ACK:
      publisher.acknowledged(message)
      return
    case FrameType.ERROR: {
      const { name, code, ends } = message
      const error = { name, code, message: message.message }
      if (ends) return
      if (INTERNAL_CODES.has(code)) {
        internalErrors++
        console.warn(error.name, error.message)
      } else if (CHAT_CODES.has(code)) post({ on: 'chatRefused', error })
      else post({ on: 'error', error })
    }
  }
}

/** @param {import('./worker/messages.js').ToWorker} message */
function onMessage(message) {
  switch (message.do) {
    case 'connect':
      hasConnected = handRaised = false
      publisher.setVideoCodecs(message.videoCodecs)
      return socket.connect(message)
    case 'disconnect':
      socket.disconnect()
      release()
      return
    case 'networkChanged':
      return socket.networkChanged()
    case 'publishAudio':
      return publisher.publishAudio(message.source, message.port)
    case 'publishVideo':
      return publisher.publishVideo(message.source)
    case 'frame':
      return publisher.pushFrame(message.source, message.frame)
    case 'unpublish':
      return publisher.unpublish(message.source)
    case 'mute':
      return publisher.mute(message.source, message.muted)
    case 'interrupt':
      return publisher.interrupt(message.source, message.reason)
    case 'playout':
      return subscriber.playout(message)
    case 'attach':
      return subscriber.attach(message)
    case 'detach':
      return subscriber.detach(message.canvasId)
    case 'subscribe':
      subscription.quality = message.quality
      return sendSubscription()
    case 'visible':
      subscription.setVisible(message.participant, message.source, message.visible)
      return resubscribe()
    case 'update':
      handRaised = message.hand
      return sendUpdate({ hand: message.hand })
    case 'chat': {
      const { nonce, text, image } = message
      return socket.sendControl(FrameType.CHAT, text === undefined ? { nonce, image } : { nonce, text })
    }
    case 'v1share':
      if (socket.connected) socket.sendFrame(message.type, message.payload)
  }
}

/** Rates of the last interval, by track. @type {Map<string, {frames: number, bytes: number}>} */
let last = new Map()

function reportStatistics() {
  const sent = publisher.statistics()
  const received = subscriber.statistics()
  const overload = received.tracks.reduce((sum, track) => sum + (/** @type {any} */ (track).overload ?? 0), 0)
  shedding.window(performance.now(), publisher, overload)
  /** @type {typeof last} */
  const next = new Map()
  const rate = (/** @type {string} */ key, /** @type {any} */ track) => {
    const frames = track.decoded ?? track.frames ?? track.packets ?? 0
    const before = last.get(key) ?? { frames, bytes: track.bytes }
    next.set(key, { frames, bytes: track.bytes })
    const perSecond = 1000 / defaults.statisticsMs
    return { ...track, fps: (frames - before.frames) * perSecond, bitsPerSecond: (track.bytes - before.bytes) * 8 * perSecond }
  }
  sent.tracks = sent.tracks.map((track) => rate(`sent/${track.source}`, track))
  received.tracks = received.tracks.map((track) => rate(`${track.participantId}/${track.source}`, track))
  last = next
  judge(sent, received)
  const rttMs = Math.round(socket.rttMs * 10) / 10
  const connection = { ...socket.counters, internalErrors }
  post({ on: 'statistics', statistics: { edge: socket.edge, region: socket.region, rttMs, connection, limitation: shedding.statistics(), quality: { mos: quality.mos, rttMs, label: quality.word }, sent, received } })
}

/** @param {{uplinkDelayMs: number}} sent @param {{tracks: any[]}} received */
function judge(sent, received) {
  const now = performance.now()
  const sound = received.tracks.filter(({ kind, delayMs }) => kind === 'audio' && delayMs !== undefined)
  const sum = (/** @type {(track: any) => number} */ of) => sound.reduce((total, track) => total + (of(track) || 0), 0)
  const next = { ms: sum(({ packets }) => packets * defaults.microphone.blockMs), madeUpMs: sum(({ concealedMs }) => concealedMs) }
  const madeUpMs = Math.max(0, next.madeUpMs - heard.madeUpMs)
  const ms = Math.max(0, next.ms - heard.ms) + madeUpMs
  heard = next
  // Not before the first answer: a way of no length is no way.
  if (!socket.connected || socket.rttMs === 0) return
  const playoutMs = Math.max(0, ...sound.map(({ delayMs }) => delayMs))
  const sample = { rttMs: socket.rttMs, playoutMs, uplinkMs: sent.uplinkDelayMs || 0, lostShare: ms > 0 ? madeUpMs / ms : 0, constrained: isConstrained }
  if (!quality.update(now, sample) || !quality.word) return
  sendUpdate({ quality: quality.word })
  post({ on: 'quality', quality: quality.word, mos: Math.round(quality.mos * 100) / 100 })
}

function reportSpeakers() {
  const now = performance.now()
  shedding.tick(now, defaults.speakers.reportMs)
  if (!socket.connected) return
  const report = speakers.report(now)
  if (subscription.spoke(report.speaking)) resubscribe()
  post({ on: 'speakers', ...report })
}

scope.onmessage = (/** @type {MessageEvent} */ { data }) => onMessage(data)
setInterval(reportStatistics, defaults.statisticsMs)
setInterval(reportSpeakers, defaults.speakers.reportMs)
