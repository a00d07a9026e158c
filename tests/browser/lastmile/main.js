// Measures browsers behind bad last miles: Chromium in a network namespace, the edge in another, real TCP between them.
// Says numbers and whether they meet their bars; judges nothing, so it ends with 0 whenever it could measure.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startBots } from '../harness/bots.js'
import { launchBrowser, person } from '../harness/browser.js'
import { startEdge } from '../harness/edge.js'
import { startLab } from '../harness/lab.js'
import { HEIGHT, WIDTH, writeCamera } from './camera.js'
import { installListener } from './listener.js'

const EDGE_PORT = 8443
const SECURE = ['--ignore-certificate-errors', '--autoplay-policy=no-user-gesture-required']
// A word is of use in a conversation, and a picture beside it, when it comes this long after it was caught at most.
const ON_TIME = { audio: 250, video: 400 }

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '30' }, only: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const seconds = Number(options.seconds)
if (options.help || !(seconds > 0)) {
  process.stdout.write('Usage: node tests/browser/lastmile/main.js [--json] [--seconds N] [--only uplink|lossy|blackhole]\n')
  process.exit(options.help ? 0 : 2)
}

/** @type {{name: string, value: number | null, unit: string, bar: number | null, ok: boolean}[]} */
const results = []

/** @param {string} name @param {number} value @param {string} unit @param {{atMost?: number, atLeast?: number}} [bar] */
function report(name, value, unit, { atMost, atLeast } = {}) {
  const rounded = Math.round(value * 100) / 100
  const ok = (atMost === undefined || rounded <= atMost) && (atLeast === undefined || rounded >= atLeast)
  const row = { name, value: Number.isFinite(rounded) ? rounded : null, unit, bar: atMost ?? atLeast ?? null, ok }
  results.push(row)
  if (options.json) process.stdout.write(`${JSON.stringify(row)}\n`)
  else process.stderr.write(`${name} ${row.value} ${unit}${row.bar === null ? '' : `, bar ${row.bar}: ${ok ? 'met' : 'missed'}`}\n`)
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

/**
 * A world with an edge, and somebody in a browser behind a link.
 * @param {{link: string, congestion?: string, flags?: string[], act: (scene: Scene) => Promise<void>}} options
 * @typedef {{lab: import('../harness/lab.js').Lab, edge: import('../harness/edge.js').Edge, link: string, room: string, ada: import('../harness/browser.js').Person}} Scene
 */
async function world({ link: spec, congestion, flags = [], act }) {
  const lab = await startLab(['--seed', '1', '--host', 'edge=lan', '--host', 'bob=lan', '--host', `ada=${spec}`, ...(congestion ? ['--congestion', `edge=${congestion}`] : [])])
  /** @type {(() => Promise<unknown>)[]} */
  const endings = [() => lab.close()]
  try {
    const { address } = lab.hosts.edge
    const edge = await startEdge({
      on: lab.on('edge'),
      flags: ['--listen', `0.0.0.0:${EDGE_PORT}`, '--tls-self-signed', '--tls-names', address, ...(congestion ? ['--tcp-congestion', congestion] : [])],
    })
    endings.push(() => edge.stop())
    const room = randomUUID()
    const link = `https://${address}:${EDGE_PORT}/#${room}`
    const browser = await launchBrowser({ program: lab.chromiumOn('ada'), flags: [...SECURE, ...flags] })
    endings.push(() => browser.close())
    const ada = await person(browser, 'Ada', { context: { ignoreHTTPSErrors: true }, tolerate: [/./] })
    await act({ lab, edge, link, room, ada })
  } finally {
    for (const end of endings.reverse()) await end()
  }
}

/** A camera of 720p on an uplink of 500 kbit/s, which ends. */
async function uplink() {
  const folder = mkdtempSync(join(tmpdir(), 'pulse-camera-'))
  const camera = join(folder, 'camera.y4m')
  writeCamera(camera)
  try {
    await world({
      link: 'delay=20ms,up.rate=500kbit,up.queue=64KiB', flags: [`--use-file-for-fake-video-capture=${camera}`],
      act: async ({ lab, room, link, ada }) => {
        const other = await launchBrowser({ program: lab.chromiumOn('bob'), flags: SECURE })
        try {
          const listener = await (await other.newContext({ ignoreHTTPSErrors: true })).newPage()
          await listener.goto(`${new URL(link).origin}/app.css`)
          await listener.evaluate(installListener, { room, name: 'Bob' })
          await ada.open(link)
          await ada.page.evaluate(async ({ width, height }) => {
            const { setCameraSize } = await import('/sdk/pulse.js')
            setCameraSize({ width, height, framerate: 30 })
          }, { width: WIDTH, height: HEIGHT })
          await ada.get('name').fill('Ada')
          const from = Date.now()
          await ada.get('join').click()
          await ada.state('connected')
          await sleep((5 + seconds) * 1000)
          const frames = await listener.evaluate(() => globalThis.pulseFrames)
          const narrow = await ada.page.evaluate(() => globalThis.pulseProbe.freshStatistics())
          await lab.tell('set ada up rate=none')
          const backMs = await ada.page.evaluate(async ({ width }) => {
            const since = performance.now()
            for (;;) {
              const { sent } = await globalThis.pulseProbe.freshStatistics()
              const picture = sent.tracks.find(({ source }) => source === 'camera')
              if (sent.videoRateShare === 1 && picture.config.codedWidth === width && picture.fps >= 20) return performance.now() - since
              if (performance.now() - since > 60_000) return NaN
            }
          }, { width: WIDTH })
          const of = (/** @type {number} */ track, /** @type {number} */ after) => frames.filter((each) => each.track === track && each.last && each.at - each.ageMs >= after)
          const [audio, video] = [of(0, from + 5000), of(1, from + 5000)]
          // Settled is when the last of the first seconds is over in which a twentieth of the words or half of the pictures were too old.
          const old = (/** @type {number} */ track, /** @type {number} */ second, /** @type {number} */ share) => {
            const ages = of(track, from + second * 1000).filter(({ at, ageMs }) => at - ageMs < from + (second + 1) * 1000).map(({ ageMs }) => ageMs)
            return ages.length > 0 && quantile(ages, share) > (track === 0 ? ON_TIME.audio : ON_TIME.video)
          }
          const unsettled = Array.from({ length: 15 }, (_, second) => second).filter((second) => old(0, second, 0.95) || old(1, second, 0.5))
          // What never came is late too.
          const sequences = audio.map(({ sequence }) => sequence)
          const sentAudio = Math.max(...sequences) - Math.min(...sequences) + 1
          report('uplink_audio_on_time', (100 * audio.filter(({ ageMs }) => ageMs <= ON_TIME.audio).length) / sentAudio, '%', { atLeast: 99 })
          report('uplink_audio_age_p50', quantile(audio.map(({ ageMs }) => ageMs), 0.5), 'ms')
          report('uplink_audio_age_p95', quantile(audio.map(({ ageMs }) => ageMs), 0.95), 'ms')
          report('uplink_audio_age_p99', quantile(audio.map(({ ageMs }) => ageMs), 0.99), 'ms')
          report('uplink_video_age_p50', quantile(video.map(({ ageMs }) => ageMs), 0.5), 'ms')
          report('uplink_video_age_p95', quantile(video.map(({ ageMs }) => ageMs), 0.95), 'ms', { atMost: 400 })
          report('uplink_video_pictures', video.length / seconds, '1/s')
          report('uplink_settled', (unsettled.at(-1) ?? -1) + 1, 's', { atMost: 5 })
          report('uplink_video_share', 100 * narrow.sent.videoRateShare, '% of the usual bitrate')
          report('uplink_back_to_720p', backMs / 1000, 's', { atMost: 15 })
        } finally {
          await other.close()
        }
      },
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * Somebody who listens over a path that loses.
 * @param {string} name @param {string} link @param {string} congestion @param {{concealed: number, delayMs: number}} bars
 * @param {string[]} [flags] of who speaks: with a picture of 150 kbit/s, unless it says otherwise
 */
async function lossy(name, link, congestion, bars, flags = []) {
  await world({
    link, congestion,
    act: async ({ lab, link, ada }) => {
      const end = startBots(link, ['--insecure', '--send-only', ...flags], lab.on('bob'))
      try {
        await ada.join(link)
        const { before, after, delays } = await ada.page.evaluate(async (seconds) => {
          const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
          const read = async () => (await globalThis.pulseProbe.freshStatistics()).received.tracks.find(({ source }) => source === 'microphone')
          while (!((await read())?.received > 500)) await wait(200)
          const before = await read()
          const delays = []
          const until = performance.now() + seconds * 1000
          while (performance.now() < until) {
            await wait(500)
            delays.push((await read()).delayMs)
          }
          return { before, after: await read(), delays }
        }, 2 * seconds)
        const since = (/** @type {string} */ counter) => after[counter] - before[counter]
        const playedMs = since('received') * 20
        report(`${name}_audio_concealed`, (100 * (since('concealedMs') + since('underrunMs'))) / playedMs, '%', { atMost: bars.concealed })
        report(`${name}_playout_delay`, delays.reduce((sum, ms) => sum + ms, 0) / delays.length, 'ms', { atMost: bars.delayMs })
        report(`${name}_playout_delay_p95`, quantile(delays, 0.95), 'ms')
        report(`${name}_audio_packets`, since('received') / (2 * seconds), '1/s')
      } finally {
        await end()
      }
    },
  })
}

/** Nothing passes for ten seconds, and then everything. */
async function blackhole() {
  await world({
    link: 'delay=20ms',
    act: async ({ lab, link, ada }) => {
      const end = startBots(link, ['--insecure', '--name', 'Bob'], lab.on('bob'))
      try {
        await ada.join(link)
        await ada.sees(2)
        await ada.page.waitForFunction(() => globalThis.pulseRoom.statistics().received?.tracks.some(({ decoded }) => decoded > 20))
        await ada.page.evaluate(() => {
          const { pulseRoom } = globalThis
          const times = { states: /** @type {{state: string, at: number}[]} */ ([]) }
          pulseRoom.addEventListener('connectionStateChanged', ({ detail: { state } }) => times.states.push({ state, at: Date.now() }))
          Object.assign(globalThis, { pulseTimes: times })
        })
        const from = Date.now()
        await lab.tell('blackhole ada on')
        await ada.state('reconnecting')
        const shown = Date.now() - from
        await sleep(10_000 - (Date.now() - from))
        await lab.tell('blackhole ada off')
        const back = Date.now()
        const live = await ada.page.evaluate(async () => {
          const { pulseRoom } = globalThis
          const count = () => {
            const tracks = pulseRoom.statistics().received?.tracks ?? []
            const of = (/** @type {string} */ source, /** @type {string} */ counter) => tracks.find((track) => track.source === source)?.[counter] ?? 0
            return [of('microphone', 'received'), of('camera', 'drawn')]
          }
          const before = count()
          for (;;) {
            const now = count()
            if (now[0] > before[0] && now[1] > before[1]) return Date.now()
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        })
        await ada.state('connected')
        await sleep(11_000)
        const people = await ada.count()
        report('blackhole_state_shown', shown / 1000, 's', { atMost: 3 })
        report('blackhole_media_live_after', (live - back) / 1000, 's', { atMost: 1.5 })
        report('blackhole_ghosts', people - 2, 'people', { atMost: 0 })
      } finally {
        await end()
      }
    },
  })
}

const wanted = (/** @type {string} */ name) => options.only === '' || options.only === name
if (wanted('uplink')) await uplink()
if (wanted('lossy')) {
  await lossy('3%_200ms_bbr', '3%-200ms', 'bbr', { concealed: 2, delayMs: 450 })
  await lossy('3%_200ms_cubic', '3%-200ms', 'cubic', { concealed: 2, delayMs: 700 })
  await lossy('3%_200ms_cubic_voice_alone', '3%-200ms', 'cubic', { concealed: 2, delayMs: 700 }, ['--no-video'])
  await lossy('1%_40ms_bbr', '1%-40ms', 'bbr', { concealed: 0.5, delayMs: 150 })
  await lossy('1%_40ms_cubic', '1%-40ms', 'cubic', { concealed: 0.5, delayMs: 150 })
}
if (wanted('blackhole')) await blackhole()
if (!options.json) {
  process.stdout.write('\n| what | figure | bar | met |\n|---|---|---|---|\n')
  for (const { name, value, unit, bar, ok } of results) process.stdout.write(`| ${name} | ${value} ${unit} | ${bar ?? ''} | ${bar === null ? '' : ok ? 'yes' : 'no'} |\n`)
}
