// Clients of the original wire (v1) and the app in one room: they see, hear and read each other.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { installClassicClient } from './harness/classic.js'
import { theatre } from './harness/play.js'

const play = theatre()
const TONE_HZ = 1000

/**
 * A page that is a v1 client and nothing else.
 * @param {{enter: any, edge: any, room: string}} scene @param {string} name @param {string} [query]
 */
async function enterClassic({ enter, edge, room }, name, query = '') {
  const classic = await enter(name, { init: installClassicClient, tolerate: [/favicon\.ico/] })
  // Any document of the edge without a script is a secure context to begin from.
  await classic.page.goto(`${edge.origin}/app.css`)
  const url = `${edge.origin.replace('http', 'ws')}/room/${room}${query}`
  await classic.page.evaluate(([url, name]) => { globalThis.me = new globalThis.ClassicClient(url, name) }, [url, name])
  return classic
}

play('an empty room is not found without a key, and is created with one', async (scene) => {
  const lost = await enterClassic(scene, 'Lost')
  await lost.page.waitForFunction(() => globalThis.me.closed !== null)
  assert.deepEqual(await lost.page.evaluate(() => globalThis.me.closed), { code: 4004, reason: 'Room not found' })
  const host = await enterClassic(scene, 'Host', '?key=secret')
  await host.page.waitForFunction(() => globalThis.me.users.length === 1)
})

play('presence and chat go both ways', async (scene) => {
  const ada = await scene.enter('Ada')
  await ada.join(scene.link)
  const classic = await enterClassic(scene, 'Vera')
  await ada.tile('Vera').waitFor()
  await ada.sees(2)
  await classic.page.waitForFunction(() => globalThis.me.users.length === 2)
  assert.deepEqual((await classic.page.evaluate(() => globalThis.me.users.map(({ name }) => name))).sort(), ['Ada', 'Vera'])

  await ada.says('Hello Vera')
  await classic.page.waitForFunction(() => globalThis.me.chats.length === 1)
  const [chat] = await classic.page.evaluate(() => globalThis.me.chats)
  assert.equal(chat.text, 'Hello Vera')
  assert.ok(Math.abs(chat.at - Date.now()) < 60_000, `said at ${chat.at}`)

  await classic.page.evaluate(() => globalThis.me.say('Hello Ada ✓'))
  await ada.get('chat-message').nth(1).waitFor()
  assert.equal(await ada.get('chat-message').nth(1).locator('.bubble').textContent(), 'Hello Ada ✓')
  assert.equal(await ada.get('chat-message').nth(1).locator('.chat-author').textContent(), 'Vera')

  await classic.page.evaluate(async () => {
    const canvas = new OffscreenCanvas(40, 30)
    canvas.getContext('2d').fillRect(0, 0, 40, 30)
    globalThis.me.sendImage(new Uint8Array(await (await canvas.convertToBlob({ type: 'image/png' })).arrayBuffer()))
  })
  await ada.get('chat-image').waitFor()
  assert.equal(await ada.get('chat-image').evaluate((image) => image.decode().then(() => image.naturalWidth)), 40)

  await ada.get('control-leave').click()
  await classic.page.waitForFunction(() => globalThis.me.users.length === 1)
  await ada.get('rejoin').click()
  await ada.state('connected')
  await ada.tile('Vera').waitFor()
  await classic.page.evaluate(() => globalThis.me.socket.close())
  await ada.tile('Vera').waitFor({ state: 'detached' })
})

play('a v1 member is heard in the app, and hears it', async (scene) => {
  const ada = await scene.enter('Ada')
  await ada.join(scene.link)
  const classic = await enterClassic(scene, 'Vera')
  await ada.tile('Vera').waitFor()
  await classic.page.evaluate((hz) => globalThis.me.startTone(hz), TONE_HZ)
  await ada.hears({ hz: TONE_HZ, wanted: 1 })
  await ada.page.locator('[data-testid=tile][data-name=Vera][data-muted=false]').waitFor()
  const steady = await ada.page.evaluate((hz) => globalThis.pulseProbe.steady(hz, 3000, 15_000), TONE_HZ)
  scene.note(`the tone was there in ${Math.round(steady.share * 100)} % of ${steady.looks} looks`)
  assert.ok(steady.share > 0.9, `the tone was there in ${Math.round(steady.share * 100)} % of looks`)

  const adaId = await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.id)
  await classic.page.waitForFunction(([id, hz]) => globalThis.me.toneIn(id, hz) > 0.1, [adaId, FAKE_MICROPHONE_HZ])
  const blocks = await classic.page.evaluate((id) => globalThis.me.audioFrom.get(id).map(({ length }) => length), adaId)
  assert.ok(blocks.every((length) => length === 16_384), `blocks of ${blocks.join(', ')} samples`)

  await classic.page.evaluate(() => globalThis.me.stopTone())
  await ada.hearsNothing()
  await ada.page.locator('[data-testid=tile][data-name=Vera][data-muted=true]').waitFor()
  await ada.get('control-microphone').click()
  // Blocks on their way still arrive; then there are none.
  await classic.page.evaluate((id) => new Promise((resolve, reject) => {
    const { me } = globalThis
    let [last, since] = [me.audioFrom.get(id).at(-1), performance.now()]
    const limit = since + 10_000
    const timer = setInterval(() => {
      const now = performance.now()
      if (me.audioFrom.get(id).at(-1) !== last) [last, since] = [me.audioFrom.get(id).at(-1), now]
      if (now - since > 1500 || now > limit) clearInterval(timer)
      if (now - since > 1500) resolve()
      else if (now > limit) reject(new Error('a muted member still sends sound'))
    }, 20)
  }), adaId)
})

play('a v1 share plays in the app', async (scene) => {
  const ada = await scene.enter('Ada')
  await ada.join(scene.link)
  const classic = await enterClassic(scene, 'Vera')
  await ada.tile('Vera').waitFor()
  await classic.page.evaluate(() => globalThis.me.startShare())
  await ada.page.getByText('Vera’s screen').waitFor()
  const video = ada.get('stage-video')
  const seen = await ada.seesMoving(video, 20)
  assert.deepEqual([seen.width, seen.height], [480, 270])
  assert.ok(await video.evaluate((element) => element.currentTime > 0 && !element.paused))
  // Who joins later sees it too.
  const bob = await scene.enter('Bob')
  await bob.join(scene.link)
  await bob.seesMoving(bob.get('stage-video'), 10)
  await classic.page.evaluate(() => globalThis.me.stopShare())
  await ada.get('stage').waitFor({ state: 'hidden' })
  await bob.get('stage').waitFor({ state: 'hidden' })
})

play("the app's share plays at a v1 member", async (scene) => {
  const ada = await scene.enter('Ada')
  await ada.join(scene.link)
  const early = await enterClassic(scene, 'Vera')
  await ada.tile('Vera').waitFor()
  await ada.get('control-share').click()
  const playing = async (/** @type {import('./harness/browser.js').Person} */ one) => {
    await one.page.waitForFunction(() => globalThis.me.shares.at(-1)?.chunks.length > 0)
    assert.match(await one.page.evaluate(() => globalThis.me.shares.at(-1).mime), /^video\/webm;\s?codecs=/)
    const video = await one.page.evaluateHandle(() => globalThis.me.playShare())
    return one.page.evaluate((element) => globalThis.pulseProbe.moving(element, 10, 20_000), video)
  }
  const seen = await playing(early)
  assert.deepEqual([seen.width, seen.height], [1280, 720])
  const late = await enterClassic(scene, 'Vito')
  const seenLate = await playing(late)
  assert.deepEqual([seenLate.width, seenLate.height], [1280, 720])
  await ada.get('control-share').click()
  await early.page.waitForFunction(() => globalThis.me.shares.at(-1).stopped)
  const types = new Set([...(await early.page.evaluate(() => globalThis.me.types)), ...(await late.page.evaluate(() => globalThis.me.types))])
  assert.deepEqual([...types].filter((type) => ![1, 3, 5, 6, 7, 8].includes(type)), [], 'types that v1 does not know')
})
