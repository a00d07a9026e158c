// Measures how late a call is: picture and sound from one page to another through the real edge, and how soon a late joiner sees.
// Says numbers and whether they meet their bars; judges nothing, so it ends with 0 whenever it could measure.

import { parseArgs } from 'node:util'
import { launchBrowser, person } from '../harness/browser.js'
import { startEdge } from '../harness/edge.js'
import { firstDecodableByteMs } from './edge-client.js'
import { installKnownDevices } from './sources.js'

// The app of one second ago is still starting: decoders warm up, the jitter buffer finds its depth.
const WARM_UP_MS = 5000
const LATE_PAGES = 5
const LATE_SOCKETS = 20
// A beep that took longer is taken for lost; beeps are at least this far apart.
const LOST_AFTER_MS = 550

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '20' }, help: { type: 'boolean', short: 'h', default: false } },
})
const seconds = Number(options.seconds)
if (options.help || !(seconds > 0)) {
  process.stdout.write('Usage: tests/latency [--json] [--seconds N]\n\nMeasures a call of two pages on the release edge, N seconds of it (20).\n')
  process.exit(options.help ? 0 : 2)
}

/** @type {{name: string, value: number, unit: string, bar: number | null, ok: boolean}[]} */
const results = []

/** @param {string} name @param {number} value @param {string} unit @param {number | null} [bar] the most it may be */
function report(name, value, unit, bar = null) {
  const rounded = Math.round(value * 10) / 10
  results.push({ name, value: rounded, unit, bar, ok: bar === null || rounded <= bar })
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  if (values.length === 0) throw new Error('nothing was measured')
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}

const edge = await startEdge()
const browser = await launchBrowser({ flags: ['--autoplay-policy=no-user-gesture-required'] })
try {
  // The ears and the fake microphone bring worklets that the app's content policy, rightly, does not know.
  const known = { init: installKnownDevices, context: { bypassCSP: true } }
  const ada = await person(browser, 'Ada', known)
  const bob = await person(browser, 'Bob', known)
  await ada.join(edge.link)
  await bob.join(edge.link)
  await bob.picture('Ada').waitFor()
  // One way is measured: Bob's own beeps would hide Ada's.
  await bob.get('control-microphone').click()
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-muted=true]').waitFor()

  const measured = bob.page.evaluate(async ({ warmUpMs, seconds }) => {
    const { pulseKnown, pulseRoom } = globalThis
    const heard = await pulseKnown.listenAt(pulseRoom.outputNode)
    await new Promise((resolve) => setTimeout(resolve, warmUpMs))
    const from = Date.now()
    const picture = await pulseKnown.watch(() => document.querySelector('[data-testid=tile][data-name=Ada] canvas'), seconds)
    const microphone = pulseRoom.statistics().received.tracks.find(({ source }) => source === 'microphone')
    return { ...picture, from, until: Date.now(), heard: heard.filter((at) => at >= from), targetMs: microphone?.targetMs ?? 0 }
  }, { warmUpMs: WARM_UP_MS, seconds })
  const { ages, unreadable, from, until, heard, targetMs } = await measured
  const beeped = (await ada.page.evaluate(() => globalThis.pulseKnown.beeped)).filter((at) => at >= from && at <= until - LOST_AFTER_MS)
  const delays = beeped.map((at) => heard.find((onset) => onset >= at) - at).filter((delay) => delay < LOST_AFTER_MS)

  report('glass_to_glass_p50', quantile(ages, 0.5), 'ms', 80)
  report('glass_to_glass_p95', quantile(ages, 0.95), 'ms', 140)
  report('glass_to_glass_pictures', ages.length / seconds, '1/s')
  report('glass_to_glass_unreadable', unreadable, 'pictures')
  report('microphone_to_worklet_p50', quantile(delays, 0.5), 'ms', 80)
  report('microphone_to_worklet_p95', quantile(delays, 0.95), 'ms', 120)
  report('microphone_to_worklet_lost', beeped.length - delays.length, `of ${beeped.length} beeps`)
  report('jitter_buffer_target', targetMs, 'ms')

  const pictures = []
  for (let turn = 0; turn < LATE_PAGES; turn++) {
    const late = await person(browser, `Late ${turn}`, known)
    await late.open(edge.link)
    await late.get('name').fill(late.name)
    const first = late.page.evaluate(() => globalThis.pulseProbe.firstPictureAfterClick('[data-testid=join]', '[data-testid=tile][data-name=Ada] canvas', 10_000))
    await late.get('join').click()
    pictures.push(await first)
    await late.leave()
    await ada.sees(2)
  }
  report('late_join_first_picture_p50', quantile(pictures, 0.5), 'ms', 1000)
  report('late_join_first_picture_max', Math.max(...pictures), 'ms')

  const plain = await browser.newPage()
  await plain.goto(`${edge.origin}/app.css`)
  const url = `${edge.origin.replace('http', 'ws')}/v2`
  const room = new URL(edge.link).hash.slice(1)
  const bytes = []
  for (let turn = 0; turn < LATE_SOCKETS; turn++) {
    bytes.push(await plain.evaluate(firstDecodableByteMs, [url, room]))
  }
  report('late_join_first_byte_p50', quantile(bytes, 0.5), 'ms', 20)
  report('late_join_first_byte_p95', quantile(bytes, 0.95), 'ms')
} finally {
  await browser.close()
  await edge.stop()
}

if (options.json) {
  for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`)
} else {
  const width = Math.max(...results.map(({ name }) => name.length))
  for (const { name, value, unit, bar, ok } of results) {
    process.stdout.write(`${name.padEnd(width)}  ${String(value).padStart(8)} ${unit.padEnd(14)} ${bar === null ? '' : `${ok ? 'ok    ' : 'MISSED'} (at most ${bar})`}`.trimEnd() + '\n')
  }
}
