// Broken connections: the app says so, comes back by itself, and everybody is there once with moving pictures and sound.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { startEdge } from './harness/edge.js'
import { theatre } from './harness/play.js'
import { startProxy } from './harness/proxy.js'

const play = theatre()
// What a browser says of a socket that is broken on purpose.
const BROKEN_SOCKET = [/WebSocket connection to .* failed/, /net::ERR_/]

/** @param {import('./harness/browser.js').Person} one @param {import('./harness/browser.js').Person} other */
async function inTouch(one, other) {
  for (const [here, there] of [[one, other], [other, one]]) {
    await here.seesMoving(here.picture(there.name), 20)
    await here.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 3 })
  }
}

/** @param {import('./harness/browser.js').Person} one */
const idOf = (one) => one.page.evaluate(() => globalThis.pulseRoom.localParticipant.id)

play('a cut connection comes back, with everything and without a ghost', async ({ enter, edge, room, link, onEnd, note }) => {
  const proxy = await startProxy(edge.port)
  onEnd(() => proxy.close())
  const ada = await enter('Ada')
  const bob = await enter('Bob', { tolerate: BROKEN_SOCKET })
  await ada.join(link)
  await bob.join(`${proxy.origin}/#${room}`)
  await inTouch(ada, bob)
  const id = await idOf(bob)

  proxy.cut()
  await bob.state('reconnecting')
  await bob.page.getByText('Connection lost. Reconnecting…').waitFor()
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-away=true]').waitFor()
  await bob.screenshot('reconnecting')
  const restored = performance.now()
  proxy.restore()
  await bob.state('connected')
  note(`connected ${Math.round(performance.now() - restored)} ms after the network was back`)
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-away=false]').waitFor()
  await inTouch(ada, bob)
  await ada.sees(2)
  await bob.sees(2)
  assert.equal(await ada.get('tile').count(), 2)
  assert.equal(await idOf(bob), id, 'it is the same participant')
  await bob.says('back again')
  await ada.openPanel('chat')
  await ada.get('chat-message').getByText('back again').waitFor()
})

play('a screen share survives a cut connection', async ({ enter, edge, room, link, onEnd }) => {
  const proxy = await startProxy(edge.port)
  onEnd(() => proxy.close())
  const ada = await enter('Ada')
  const bob = await enter('Bob', { tolerate: BROKEN_SOCKET })
  await ada.join(link)
  await bob.join(`${proxy.origin}/#${room}`)
  await bob.get('control-share').click()
  await ada.seesMoving(ada.get('stage-video'), 10)
  proxy.cut()
  await bob.state('reconnecting')
  proxy.restore()
  await bob.state('connected')
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-away=false]').waitFor()
  await ada.seesMoving(ada.get('stage-video'), 10)
})

play('an edge that stops says so, and the call goes on when it is back', async ({ enter, onEnd, note }) => {
  let edge = await startEdge()
  onEnd(() => edge.stop())
  const ada = await enter('Ada', { tolerate: BROKEN_SOCKET })
  const bob = await enter('Bob', { tolerate: BROKEN_SOCKET })
  await ada.join(edge.link)
  await bob.join(edge.link)
  await inTouch(ada, bob)
  const { port } = edge
  assert.deepEqual(await edge.stop(), { code: 0, signal: null })
  for (const one of [ada, bob]) {
    await one.state('reconnecting')
    await one.page.getByText('Connection lost. Reconnecting…').waitFor()
  }
  edge = await startEdge({ port })
  const started = performance.now()
  await ada.state('connected')
  await bob.state('connected')
  note(`both connected ${Math.round(performance.now() - started)} ms after the edge was back`)
  await inTouch(ada, bob)
  await ada.sees(2)
  await bob.sees(2)
})

play('an edge that cannot be reached is said in a sentence, and trying again works', async ({ enter, edge, room, onEnd }) => {
  const proxy = await startProxy(edge.port)
  onEnd(() => proxy.close())
  const ada = await enter('Ada', { tolerate: BROKEN_SOCKET })
  await ada.open(`${proxy.origin}/#${room}`)
  await ada.get('name').fill('Ada')
  await ada.get('join').click()
  await ada.state('connected')
  await ada.get('control-leave').click()
  await ada.page.locator('[data-screen=left]').waitFor()
  proxy.cut()
  await ada.get('rejoin').click()
  const failed = ada.page.locator('[data-screen=failed]')
  await failed.waitFor()
  assert.match(await failed.locator('p').first().textContent(), /could not be reached.*try again/)
  proxy.restore()
  await ada.get('try-again').click()
  await ada.state('connected')
})
