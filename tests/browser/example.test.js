// The smallest whole client, example.html: what a developer starts from is itself a call that works.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { theatre } from './harness/play.js'

const play = theatre()

play('two example pages see, hear and write to each other, and a page of the app joins them', async ({ enter, edge, room, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  const cleo = await enter('Cleo')
  for (const one of [ada, bob]) {
    await one.page.goto(`${edge.origin}/example.html`)
    await one.page.locator('#room').fill(room)
    await one.page.locator('#name').fill(one.name)
    await one.page.getByRole('button', { name: 'Join' }).click()
    await one.page.getByText('connected', { exact: true }).waitFor()
  }
  const pictureOf = (/** @type {import('./harness/browser.js').Person} */ one, /** @type {string} */ name) =>
    one.page.locator('figure', { hasText: `${name}: camera` }).locator('canvas, video')
  await bob.seesMoving(pictureOf(bob, 'Ada'))
  await ada.seesMoving(pictureOf(ada, 'Bob'))
  await ada.seesMoving(pictureOf(ada, 'You'))
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })

  await ada.page.locator('#text').fill('good morning')
  await ada.page.getByRole('button', { name: 'Send' }).click()
  await bob.page.getByText('Ada: good morning').waitFor()

  await cleo.join(link)
  await cleo.seesMoving(cleo.picture('Ada'), 5)
  // What is scrolled out of view is not received.
  await pictureOf(bob, 'Cleo').scrollIntoViewIfNeeded()
  await bob.seesMoving(pictureOf(bob, 'Cleo'), 5)
  await ada.page.locator('#screen').click()
  const screen = bob.page.locator('figure', { hasText: 'Ada: screen' }).locator('canvas')
  await screen.scrollIntoViewIfNeeded()
  await bob.seesMoving(screen, 5)

  await ada.page.locator('#leave').click()
  await ada.page.locator('#join').waitFor()
  await pictureOf(bob, 'Ada').waitFor({ state: 'detached' })
  assert.equal(await bob.page.evaluate(() => globalThis.pulseRoom.participants.size), 1)
})
