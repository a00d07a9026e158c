// Measures how late a call is: picture and sound from one page to another through the real edge, and how soon a late joiner sees.
// Says numbers and whether they meet their bars; judges nothing, so it ends with 0 whenever it could measure.

import { parseArgs } from 'node:util'
import { launchBrowser, person } from '../harness/browser.js'
import { startEdge } from '../harness/edge.js'
import { firstDecodableByteMs } from './edge-client.js'
import { startLoad } from './load.js'
import { connectPeers } from './rtc.js'
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
  process.stdout.write('Usage: tests/latency [--json] [--seconds N]\n\nMeasures a call of two pages on the release edge, N seconds of it (20): idle, then with every core half busy, then beside an\nRTCPeerConnection between the same pages.\n')
  process.exit(options.help ? 0 : 2)
}

/** @type {{name: string, value: number, unit: string, bar: number | null, ok: boolean}[]} */
const results = []

/** @param {string} name @param {number} value @param {string} unit @param {number | null} [bar] the most it may be */
function report(name, value, unit, bar = null) {
  const rounded = Math.round(value * 100) / 100
  results.push({ name, value: rounded, unit, bar, ok: bar === null || rounded <= bar })
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  if (values.length === 0) throw new Error('nothing was measured')
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}

/**
 * Watches and listens to Ada for a time at Bob's. A skew is how much later a beep is heard than the picture of its moment is seen,
 * against the picture that is first seen nearest to it: negative where the picture is behind.
 * @param {import('playwright-core').Page} sender @param {import('playwright-core').Page} receiver
 */
async function measure(sender, receiver) {
  const { seen, unreadable, from, until, heard, targetMs, skewP95Ms } = await receiver.evaluate(async ({ warmUpMs, seconds }) => {
    const { pulseKnown, pulseRoom, pulseHeard } = globalThis
    await new Promise((resolve) => setTimeout(resolve, warmUpMs))
    const from = Date.now()
    const pictures = await pulseKnown.watch(() => document.querySelector('[data-testid=tile][data-name=Ada] canvas'), seconds)
    const { tracks } = pulseRoom.statistics().received
    const of = (/** @type {string} */ wanted) => tracks.find(({ source }) => source === wanted)
    const { targetMs } = of('microphone')
    return { ...pictures, from, until: Date.now(), heard: pulseHeard.filter((at) => at >= from), targetMs, skewP95Ms: of('camera').skewP95Ms }
  }, { warmUpMs: WARM_UP_MS, seconds })
  const beeped = (await sender.evaluate(() => globalThis.pulseKnown.beeped)).filter((at) => at >= from && at <= until - LOST_AFTER_MS)
  const beeps = beeped.flatMap((at) => {
    const onset = heard.find((each) => each >= at)
    return onset - at < LOST_AFTER_MS ? [{ onset, delay: onset - at }] : []
  })
  const skews = beeps.map(({ onset, delay }) => {
    const nearest = seen.reduce((best, each) => (Math.abs(each.at - onset) < Math.abs(best.at - onset) ? each : best))
    return delay - nearest.age
  })
  return { ages: seen.map(({ age }) => age), unreadable, delays: beeps.map(({ delay }) => delay), lost: beeped.length - beeps.length, targetMs, skews, skewP95Ms }
}

const edge = await startEdge()
const browser = await launchBrowser({
  flags: [
    '--autoplay-policy=no-user-gesture-required',
    // For the peer connection, which has no server to ask: plain addresses, that of this machine among them.
    '--disable-features=WebRtcHideLocalIpsWithMdns', '--allow-loopback-in-peer-connection',
  ],
})
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

  await bob.page.evaluate(async () => {
    const heard = await globalThis.pulseKnown.listenAt(globalThis.pulseRoom.outputNode)
    Object.assign(globalThis, { pulseHeard: heard })
  })
  const idle = await measure(ada.page, bob.page)
  report('glass_to_glass_p50', quantile(idle.ages, 0.5), 'ms', 80)
  report('glass_to_glass_p95', quantile(idle.ages, 0.95), 'ms', 140)
  report('glass_to_glass_pictures', idle.ages.length / seconds, '1/s')
  report('glass_to_glass_unreadable', idle.unreadable, 'pictures')
  report('microphone_to_worklet_p50', quantile(idle.delays, 0.5), 'ms', 80)
  report('microphone_to_worklet_p95', quantile(idle.delays, 0.95), 'ms', 120)
  report('microphone_to_worklet_lost', idle.lost, `of ${idle.lost + idle.delays.length} beeps`)
  report('jitter_buffer_target', idle.targetMs, 'ms')
  report('lip_sync_skew_p50', quantile(idle.skews, 0.5), 'ms')
  report('lip_sync_skew_p95', quantile(idle.skews.map(Math.abs), 0.95), 'ms', 60)
  report('lip_sync_skew_p95_by_sdk', idle.skewP95Ms, 'ms', 60)

  const endLoad = startLoad()
  const loaded = await measure(ada.page, bob.page).finally(endLoad)
  report('loaded_glass_to_glass_p50', quantile(loaded.ages, 0.5), 'ms')
  report('loaded_glass_to_glass_p95', quantile(loaded.ages, 0.95), 'ms')
  report('loaded_microphone_to_worklet_p50', quantile(loaded.delays, 0.5), 'ms')
  report('loaded_lip_sync_skew_p50', quantile(loaded.skews, 0.5), 'ms')
  report('loaded_lip_sync_skew_p95', quantile(loaded.skews.map(Math.abs), 0.95), 'ms', 60)
  report('loaded_lip_sync_skew_p95_by_sdk', loaded.skewP95Ms, 'ms', 60)

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

  await ada.get('control-leave').click()
  await bob.get('control-leave').click()
  await connectPeers(ada.page, bob.page)
  const { seen } = await bob.page.evaluate(async ({ warmUpMs, seconds }) => {
    await new Promise((resolve) => setTimeout(resolve, warmUpMs))
    return globalThis.pulseKnown.watch(() => document.getElementById('rtc'), seconds)
  }, { warmUpMs: WARM_UP_MS, seconds })
  const peers = seen.map(({ age }) => age)
  report('rtc_glass_to_glass_p50', quantile(peers, 0.5), 'ms')
  report('rtc_glass_to_glass_p95', quantile(peers, 0.95), 'ms')
  report('glass_to_glass_p50_by_rtc', quantile(idle.ages, 0.5) / quantile(peers, 0.5), 'times', 1.5)
  report('glass_to_glass_p95_by_rtc', quantile(idle.ages, 0.95) / quantile(peers, 0.95), 'times', 1.5)
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
