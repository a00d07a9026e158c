// Seeded traces of packet arrivals, and the players they are measured with: the jitter buffer in front of a simulated decoder, ring and
// audio thread, and the best constant delay. All times in ms. Nothing here reads a clock.

import { defaults } from '../sdk/defaults.js'
import { JitterBuffer } from '../sdk/recv/jitter.js'
import { Stretcher } from '../sdk/recv/stretch.js'

export const PACKET_MS = 20
const FRAMES_PER_MS = 48

/** Numbers from 0 to 1, the same in every run (mulberry32). @param {number} seed */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const exponential = (random, mean) => -mean * Math.log(1 - random())
/** Heavy tail, as queues behind others' traffic have. */
const pareto = (random, least, shape) => least / (1 - random()) ** (1 / shape)

/**
 * A trace: `sent[i]` is packet i's capture time on the sender's clock, `fastest[i]` when it would have come at the earliest, `arrived[i]` when
 * it came (Infinity: lost), all but the first on the receiver's clock.
 * @param {number} minutes
 * @param {(i: number, at: number) => number} extra how much later than the fastest packet i comes
 * @param {{ordered?: boolean, ppm?: number, transitMs?: number}} [options] ordered: what comes after a late one waits for it (TCP)
 */
export function trace(minutes, extra, { ordered = true, ppm = 0, transitMs = 40 } = {}) {
  const sent = []
  const fastest = []
  const arrived = []
  let last = 0
  for (let i = 0; i * PACKET_MS < minutes * 60_000; i++) {
    sent[i] = 5_000_000 + i * PACKET_MS
    fastest[i] = i * PACKET_MS * (1 + ppm * 1e-6) + transitMs
    arrived[i] = fastest[i] + extra(i, fastest[i])
    if (ordered && arrived[i] < Infinity) arrived[i] = last = Math.max(last, arrived[i])
  }
  return { sent, fastest, arrived }
}

/** Stalls by a renewal process: what comes during one waits for its end. @param {() => number} random */
function stalls(random, everyMs, lengthMs) {
  let from = exponential(random, everyMs)
  let until = from + lengthMs()
  return (at) => {
    while (at >= until) {
      from = until + exponential(random, everyMs)
      until = from + lengthMs()
    }
    return at >= from ? until - at : 0
  }
}

/** Times of one state and of another, in turns. */
function phases(random, meanMs) {
  let index = 0
  let until = exponential(random, meanMs[0])
  return (at) => {
    while (at >= until) {
      index = (index + 1) % meanMs.length
      until += exponential(random, meanMs[index])
    }
    return index
  }
}

/** @type {Record<string, (seed: number) => ReturnType<typeof trace>>} ten minutes each */
export const traces = {
  'quiet LAN': (seed) => {
    const random = seeded(seed)
    return trace(10, () => exponential(random, 0.7) + (random() < 0.002 ? 15 * random() : 0), { transitMs: 2 })
  },
  // Neighbours' traffic: retries of some ms all the time, and in busy times stalls of up to 120 ms as rates are searched and channels scanned.
  'busy Wi-Fi': (seed) => {
    const random = seeded(seed)
    const phase = phases(random, [25_000, 12_000])
    const calm = stalls(random, 4000, () => 10 + 30 * random())
    const busy = stalls(random, 700, () => Math.min(120, pareto(random, 15, 1.6)))
    return trace(10, (_, at) => exponential(random, 2.5) + (phase(at) ? busy(at) + exponential(random, 5) : calm(at)), { transitMs: 12 })
  },
  // The scheduler's grid, a delay that wanders with the cell's load, and a handover a minute.
  'LTE, handovers': (seed) => {
    const random = seeded(seed)
    let wander = 10
    const handover = stalls(random, 60_000, () => 150 + 300 * random())
    return trace(10, (_, at) => {
      wander = Math.max(0, Math.min(60, wander + (random() - 0.5) * 2 + (12 - wander) * 0.004))
      return wander + 8 * random() + exponential(random, 3) + handover(at)
    }, { transitMs: 45 })
  },
  // A lost segment: nothing comes for a round trip or a timeout, then all at once.
  'TCP stalls': (seed) => {
    const random = seeded(seed)
    const lost = stalls(random, 8000, () => (random() < 0.85 ? 60 + 60 * random() : 200 + 250 * random()))
    return trace(10, (_, at) => exponential(random, 1.5) + lost(at), { transitMs: 30 })
  },
  // Datagrams between edges: each on its own, some lost in short runs, some overtaken.
  'reorder and loss': (seed) => {
    const random = seeded(seed)
    let losing = false
    return trace(10, () => {
      losing = random() < (losing ? 0.3 : 0.0035)
      return losing ? Infinity : exponential(random, 4) + (random() < 0.02 ? 15 + 30 * random() : 0)
    }, { ordered: false, transitMs: 50 })
  },
  // A sender's clock 150 ppm off behind a queue that others fill now and then.
  'drift and jitter': (seed) => {
    const random = seeded(seed)
    const phase = phases(random, [15_000, 8000, 3000])
    let queue = 0
    return trace(10, (_, at) => {
      const load = phase(at)
      queue = Math.max(0, queue + (random() - [0.9, 0.45, 0.4][load]) * 12)
      return Math.min(queue, 90) + exponential(random, 2)
    }, { ppm: 150, transitMs: 35 })
  },
}

/**
 * The best constant delay: the smallest after the fastest arrival at which at most `share` of the packets are late or lost. A packet is in time
 * if it is there when the audio thread takes it, one gulp before its sound is due: so is what the jitter buffer plays.
 * @param {ReturnType<typeof trace>} given @param {number} gulpMs @param {number} [share]
 */
export function bestConstantDelay({ fastest, arrived }, gulpMs, share = 0.01) {
  const late = arrived.map((at, i) => at - fastest[i]).sort((a, b) => a - b)
  return late[Math.ceil(late.length * (1 - share)) - 1] + gulpMs
}

/** Ten seconds of something like speech: voiced syllables with gliding pitch, unvoiced noise and pauses. */
export function speech(seconds = 10, seed = 1) {
  const random = seeded(seed)
  const samples = new Float32Array(seconds * 48_000)
  let phase = 0
  for (let at = 0; at < samples.length;) {
    const kind = random()
    const length = Math.round((kind < 0.6 ? 120 + 200 * random() : kind < 0.75 ? 50 + 60 * random() : 80 + 300 * random()) * FRAMES_PER_MS)
    const pitch = 90 + 130 * random()
    const glide = (random() - 0.5) * 40
    for (let i = 0; i < length && at < samples.length; i++, at++) {
      const swell = Math.sin((Math.PI * i) / length) ** 0.5
      phase += (2 * Math.PI * (pitch + (glide * i) / length)) / 48_000
      const noise = random() - 0.5
      if (kind < 0.6) {
        for (let h = 1; h <= 8; h++) samples[at] += (0.25 / h) * Math.sin(h * phase + h * h)
        samples[at] = (samples[at] * swell) + noise * 0.004
      } else samples[at] = noise * (kind < 0.75 ? 0.1 * swell : 0.002)
    }
  }
  return samples
}

/**
 * Plays a trace through the jitter buffer and the real stretching into a ring that an audio thread empties, as the playout worklet does: it
 * begins at the ring's target, stops where there is nothing, and begins again.
 * @param {ReturnType<typeof trace>} given
 * @param {{limits?: typeof defaults.jitter, gulpFrames?: number, decodeMs?: number, samples?: Float32Array, firstSequence?: number, cardPpm?: number,
 *   onPacket?: (state: {i: number, now: number, delayMs: number, depthMs: number, targetMs: number}) => void}} [options]
 *   cardPpm: how much faster than the clock the sound card plays
 */
export function play({ sent, fastest, arrived }, options = {}) {
  const { limits, gulpFrames = 480, decodeMs = 2, samples = speech(), firstSequence = 0, cardPpm = 0, onPacket } = options
  const jitter = new JitterBuffer({ limits })
  const stretcher = new Stretcher()
  const blocks = Math.floor(samples.length / 960)
  const gulpMs = gulpFrames / FRAMES_PER_MS / (1 + cardPpm * 1e-6)
  const startFrames = Math.round(defaults.jitter.reserveMs * FRAMES_PER_MS)
  const ring = { depth: 0, playing: false, started: false, dry: 0, underruns: 0, due: 0 }
  /** What the decoder has not given out yet. @type {{at: number, frames: number, write: () => void}[]} */
  let decoding = []
  let inserted = 0
  let started = false
  const delays = { sum: 0, count: 0 }

  /** One quantum of the worklet. */
  const quantum = () => {
    if (!ring.playing && ring.depth >= Math.max(128, startFrames)) ring.playing = ring.started = true
    if (!ring.playing) {
      if (ring.started) ring.dry += 128
      return
    }
    const read = Math.min(128, ring.depth)
    ring.depth -= read
    if (read === 128) return
    ring.dry += 128 - read
    ring.playing = false
    ring.underruns++
  }
  let quanta = 0
  const advance = (until) => {
    for (;;) {
      const next = Math.min(decoding[0]?.at ?? Infinity, ring.due)
      if (next > until) return
      if (decoding[0]?.at === next) decoding.shift()?.write()
      else {
        ring.due += gulpMs
        for (quanta += gulpFrames / 128; quanta >= 1; quanta--) quantum()
      }
    }
  }
  const depthMs = () => (ring.depth + decoding.reduce((sum, { frames }) => sum + frames, 0)) / FRAMES_PER_MS
  const write = (now, playables) => {
    for (const item of playables) {
      const at = now + decodeMs
      if (item.kind === 'packet') {
        const i = (item.packet.sequence - firstSequence) >>> 0
        if (item.drop) {
          decoding.push({ at, frames: 0, write: () => {} })
          continue
        }
        const delayMs = now + depthMs() - fastest[i]
        delays.sum += delayMs
        delays.count++
        onPacket?.({ i, now, delayMs, depthMs: depthMs(), targetMs: jitter.targetMs })
        decoding.push({ at, frames: 960, write: () => {
          const block = i % blocks
          ring.depth += stretcher.process([samples.subarray(block * 960, block * 960 + 960)], item.stretchMs)[0].length
        } })
        started = true
      } else {
        const frames = Math.round(item.durationMs * FRAMES_PER_MS)
        if (item.kind === 'silence' && started) inserted += item.durationMs
        decoding.push({ at: decoding.at(-1)?.at ?? now, frames, write: () => { ring.depth += frames } })
      }
    }
  }

  const events = arrived.map((at, i) => ({ at, i })).filter(({ at }) => at < Infinity).sort((a, b) => a.at - b.at || a.i - b.i)
  ring.due = events[0].at + 3
  for (const { at, i } of events) {
    for (let due = jitter.nextTimeout(); due !== null && due <= at; due = jitter.nextTimeout()) {
      // A timer fires a little late.
      const now = due + 1
      advance(now)
      write(now, jitter.poll(now, depthMs()))
    }
    advance(at)
    write(at, jitter.push(at, { sequence: (firstSequence + i) >>> 0, capturedMs: sent[i], payload: new Uint8Array(0) }, depthMs()))
  }
  const { counters } = jitter
  const dryMs = ring.dry / FRAMES_PER_MS
  const playedMs = sent.length * PACKET_MS
  return {
    meanDelayMs: delays.sum / delays.count,
    concealed: (dryMs + inserted + counters.concealedMs) / playedMs,
    dryMs, insertedMs: inserted, ringUnderruns: ring.underruns, depthMs: depthMs(), jitter, counters, stretched: stretcher.counters,
  }
}
