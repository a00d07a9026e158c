// A long call: pictures move and sound is heard to its end, neither the pages nor the edge grow with time, no picture leaks and sound
// hardly ever runs dry. What people do now and then in half an hour, such as sharing a screen, is done many times as often here.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from '../harness/browser.js'
import { theatre } from '../harness/play.js'

const seconds = Number(process.env.PULSE_SOAK_SECONDS ?? 1800)
// Two thirds of the time is left to see growth in; before that caches and compiled code settle.
const SETTLED_SHARE = 1 / 3
const ALLOWED_GROWTH = 1.25
const ALLOWED_GROWTH_BYTES = 8 * 2 ** 20
const MAX_UNDERRUNS_A_MINUTE = 1
const play = theatre({ limitMs: seconds * 1000 + 300_000 })

play('a long call stays alive and does not grow', async ({ enter, edge, link, note }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.get('control-share').click()
  await bob.get('stage-video').waitFor()
  // Counts workers too, and collects garbage first.
  const heapOf = (/** @type {import('../harness/browser.js').Person} */ one) =>
    one.page.evaluate(() => performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes))
  /** @type {{ada: number, bob: number, edge: number} | null} */
  let settled = null
  let last = { ada: 0, bob: 0, edge: 0 }
  const underrunsOf = async (/** @type {import('../harness/browser.js').Person} */ one) => {
    const { received } = await one.page.evaluate(() => globalThis.pulseProbe.freshStatistics())
    return received.tracks.find(({ source }) => source === 'microphone').ringUnderruns
  }
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  const dry = { ada: await underrunsOf(ada), bob: await underrunsOf(bob) }
  const from = performance.now()
  for (let passed = 0; passed < seconds; passed = (performance.now() - from) / 1000) {
    await bob.seesMoving(bob.picture('Ada'), 30)
    await bob.seesMoving(bob.get('stage-video'), 5)
    await ada.seesMoving(ada.picture('Bob'), 30)
    await bob.hears({ hz: FAKE_MICROPHONE_HZ })
    // What people do in a call, so that what is made for it is seen to be let go of.
    await ada.get('control-share').click()
    await bob.get('stage').waitFor({ state: 'hidden' })
    await ada.get('control-camera').click()
    await bob.picture('Ada').waitFor({ state: 'detached' })
    await ada.get('control-camera').click()
    await ada.get('control-share').click()
    await bob.get('stage-video').waitFor()
    last = { ada: await heapOf(ada), bob: await heapOf(bob), edge: edge.residentBytes }
    if (!settled && passed >= seconds * SETTLED_SHARE) settled = last
    note(`${Math.round(passed)} s: ${Object.entries(last).map(([who, bytes]) => `${who} ${(bytes / 2 ** 20).toFixed(1)} MiB`).join(', ')}`)
  }
  const minutes = (performance.now() - from) / 60_000
  for (const [who, one] of /** @type {const} */ ([['ada', ada], ['bob', bob]])) {
    const underruns = (await underrunsOf(one)) - dry[who]
    note(`${who}: ${underruns} underruns in ${minutes.toFixed(1)} minutes, ${one.unclosed} pictures not closed`)
    assert.ok(underruns <= MAX_UNDERRUNS_A_MINUTE * minutes, `${underruns} underruns at ${who}'s`)
    assert.equal(one.unclosed, 0, `pictures that ${who}'s page did not close`)
  }
  assert.ok(settled)
  for (const who of /** @type {const} */ (['ada', 'bob', 'edge'])) {
    assert.ok(last[who] <= settled[who] * ALLOWED_GROWTH + ALLOWED_GROWTH_BYTES, `${who} grew from ${settled[who]} to ${last[who]} bytes`)
  }
})
