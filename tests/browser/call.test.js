// A call of two and three: who joins by the printed link sees and hears the others, soon, and as they are.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { startEdge } from './harness/edge.js'
import { theatre } from './harness/play.js'

const play = theatre()

test('the printed link leads to a room of its own', async () => {
  const edge = await startEdge()
  assert.match(edge.link, /^http:\/\/localhost:\d+\/#[A-Za-z0-9_-]{8,64}$/)
  assert.deepEqual(await edge.stop(), { code: 0, signal: null })
})

play('two people see and hear each other', async ({ enter, edge, note }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(edge.link)
  await bob.join(edge.link)
  for (const [one, other] of [[ada, bob], [bob, ada]]) {
    await one.sees(2)
    const seen = await one.seesMoving(one.picture(other.name), 30)
    assert.deepEqual([seen.width, seen.height], [640, 360])
    note(`${one.name} saw 30 different pictures of ${other.name} in ${seen.ms} ms`)
    const { heard } = await one.hears({ hz: FAKE_MICROPHONE_HZ })
    // The fake microphone beeps each 500 ms; noise would come more often.
    const gaps = heard.slice(1).map((at, index) => at - heard[index])
    assert.ok(gaps.every((gap) => gap > 300), `beeps came at ${heard.join(', ')} ms`)
  }
  await bob.screenshot('call-of-two')
})

play('colours arrive as they were', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'), 5)
  const corner = (/** @type {import('playwright-core').Locator} */ picture) => picture.evaluate((element) => globalThis.pulseProbe.corner(element))
  const own = await corner(ada.picture('Ada'))
  const arrived = await corner(bob.picture('Ada'))
  assert.ok(own.every((value, index) => Math.abs(value - arrived[index]) <= 12), `rgb(${own}) arrived as rgb(${arrived})`)
})

play('a muted microphone is not heard, and is heard again', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  await ada.get('control-microphone').click()
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=true]').waitFor()
  await bob.hearsNothing({ quietMs: 2000 })
  await ada.get('control-microphone').click()
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=false]').waitFor()
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
})

play('who joins a running call sees who is there', async ({ enter, link, note }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'))
  const times = []
  for (const name of ['Cleo', 'Dan', 'Eve']) {
    const late = await enter(name)
    await late.open(link)
    await late.get('name').fill(name)
    const firstPicture = late.page.evaluate(() => globalThis.pulseProbe.firstPictureAfterClick('[data-testid=join]', '[data-testid=tile][data-name=Ada] canvas', 10_000))
    await late.get('join').click()
    times.push(await firstPicture)
    await late.leave()
    await ada.sees(2)
  }
  note(`first picture after pressing Join: ${times.join(', ')} ms`)
})

play('audio only neither sends nor receives a picture, from one click', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link, { audioOnly: true })
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  await ada.hears({ hz: FAKE_MICROPHONE_HZ })
  assert.equal(await ada.tile('Bob').getByTestId('tile-video').count(), 0, 'Ada shows a picture of Bob')
  assert.equal(await bob.tile('Ada').getByTestId('tile-video').count(), 0, 'Bob shows a picture of Ada')
  // Statistics are half a second old at most: two of them apart span what arrives now.
  const videoBytes = () => bob.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then(({ received }) =>
    received.tracks.filter(({ kind }) => kind === 'video').reduce((sum, { bytes }) => sum + bytes, 0)))
  const before = await videoBytes()
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  assert.equal(await videoBytes(), before, 'video still arrives')
  const sent = await bob.page.evaluate(() => globalThis.pulseProbe.freshStatistics().then((all) => all.sent.tracks.map(({ source }) => source)))
  assert.deepEqual(sent, ['microphone'])
  // And back: the link in the banner shows video again.
  await bob.page.getByRole('button', { name: 'Show video' }).click()
  await bob.seesMoving(bob.picture('Ada'))
})
