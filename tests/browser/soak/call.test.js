// A call of half an hour: pictures move and sound is heard to its end, neither the pages nor the edge grow with time, every picture is
// closed, and sound hardly ever runs dry. What people do now and then, such as sharing a screen, is done again and again.

import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { FAKE_MICROPHONE_HZ } from '../harness/browser.js'
import { countFrames, framesOf } from '../harness/frames.js'
import { theatre } from '../harness/play.js'

const seconds = Number(process.env.PULSE_SOAK_SECONDS ?? 1800)
// Two thirds of the time is left to see growth in; before that caches and compiled code settle.
const SETTLED_SHARE = 1 / 3
const ALLOWED_GROWTH = 1.25
const ALLOWED_GROWTH_BYTES = 8 * 2 ** 20
const MAX_UNDERRUNS_A_MINUTE = 1
// Every five minutes somebody stops a camera and a share and begins again.
const TURN_SECONDS = 300
// Looking at memory stops the page for a moment.
const MEMORY_SECONDS = 60
// The call goes on between two looks at it, as one does that nobody measures.
const LOOK_SECONDS = 20
const play = theatre({ limitMs: seconds * 1000 + 300_000 })

/** @typedef {import('../harness/browser.js').Person} Person */

play('a long call stays alive and does not grow', async ({ enter, edge, link, note }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  const both = /** @type {const} */ ([['ada', ada], ['bob', bob]])
  for (const [, one] of both) {
    // The lobby has the worker already.
    await one.open(link)
    await countFrames(one)
    await one.get('name').fill(one.name)
    await one.get('join').click()
    await one.state('connected')
  }
  await ada.get('control-share').click()
  await bob.get('stage-video').waitFor()
  // Counts workers too, and collects garbage first.
  const heapOf = (/** @type {Person} */ one) => one.page.evaluate(() => performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes))
  const underrunsOf = async (/** @type {Person} */ one) => {
    const { received } = await one.page.evaluate(() => globalThis.pulseProbe.freshStatistics())
    return received.tracks.find(({ source }) => source === 'microphone').ringUnderruns
  }
  /** @type {{ada: number, bob: number, edge: number} | null} */
  let settled = null
  let last = { ada: 0, bob: 0, edge: 0 }
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  const dry = { ada: await underrunsOf(ada), bob: await underrunsOf(bob) }
  const from = performance.now()
  let turnAt = TURN_SECONDS
  let lookAt = 0
  for (let passed = 0; passed < seconds; passed = (performance.now() - from) / 1000) {
    await bob.seesMoving(bob.picture('Ada'), 30)
    await bob.seesMoving(bob.get('stage-video'), 5)
    await ada.seesMoving(ada.picture('Bob'), 30)
    await bob.hears({ hz: FAKE_MICROPHONE_HZ })
    if (passed >= turnAt) {
      turnAt += TURN_SECONDS
      await ada.get('control-share').click()
      await bob.get('stage').waitFor({ state: 'hidden' })
      await ada.get('control-camera').click()
      await bob.picture('Ada').waitFor({ state: 'detached' })
      await ada.get('control-camera').click()
      await ada.get('control-share').click()
      await bob.get('stage-video').waitFor()
    }
    if (passed >= lookAt) {
      lookAt += MEMORY_SECONDS
      last = { ada: await heapOf(ada), bob: await heapOf(bob), edge: edge.residentBytes }
      if (!settled && passed >= seconds * SETTLED_SHARE) settled = last
      const sizes = Object.entries(last).map(([who, bytes]) => `${who} ${(bytes / 2 ** 20).toFixed(1)} MiB`)
      note(`${Math.round(passed)} s: ${sizes.join(', ')}; underruns: ada ${await underrunsOf(ada)}, bob ${await underrunsOf(bob)}`)
    }
    await sleep(LOOK_SECONDS * 1000)
  }
  const minutes = (performance.now() - from) / 60_000
  for (const [who, one] of both) {
    const underruns = (await underrunsOf(one)) - dry[who]
    note(`${who}: ${underruns} underruns in ${minutes.toFixed(1)} minutes`)
    assert.ok(underruns <= MAX_UNDERRUNS_A_MINUTE * minutes, `${underruns} underruns at ${who}'s`)
  }
  if (settled) {
    for (const who of /** @type {const} */ (['ada', 'bob', 'edge'])) {
      assert.ok(last[who] <= settled[who] * ALLOWED_GROWTH + ALLOWED_GROWTH_BYTES, `${who} grew from ${settled[who]} to ${last[who]} bytes`)
    }
  }
  assert.ok(settled || seconds < 3 * MEMORY_SECONDS, 'memory was looked at often enough')
  // Once nothing is sent any more, nothing is held.
  for (const [, one] of both) await one.get('control-camera').click()
  await ada.get('control-share').click()
  await bob.get('stage').waitFor({ state: 'hidden' })
  for (const [who, one] of both) {
    const until = performance.now() + 10_000
    let frames = await framesOf(one)
    while (frames.open > 0 && performance.now() < until) {
      await sleep(100)
      frames = await framesOf(one)
    }
    note(`${who}: ${frames.seen} pictures, ${frames.open} not closed; the browser mentions ${one.unclosed} that its own streams lost`)
    assert.ok(frames.seen > seconds * 10, 'pictures were counted')
    assert.equal(frames.open, 0, `pictures that ${who}'s page did not close`)
  }
})
