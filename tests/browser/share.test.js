// Screen sharing: what one shares the others see on the stage, moving and in its size, until it stops.

import assert from 'node:assert/strict'
import { theatre } from './harness/play.js'

const play = theatre()

play('a shared screen takes the stage and leaves it', async ({ enter, link, note }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.seesMoving(bob.picture('Ada'))
  await ada.get('control-share').click()
  await ada.page.getByText('You are sharing your screen.').first().waitFor()
  const screen = bob.get('stage-video')
  // The fake monitor is 1280 x 720, paints a clock and a moving shape.
  const seen = await bob.seesMoving(screen, 15)
  assert.deepEqual([seen.width, seen.height], [1280, 720])
  note(`15 different pictures of the screen in ${seen.ms} ms`)
  await bob.page.getByText('Ada’s screen').waitFor()
  // The stage is the largest thing in view, and the picture fills it without being distorted.
  const box = await screen.boundingBox()
  assert.ok(box.width >= 600, `the stage is ${box.width} wide`)
  await bob.seesMoving(bob.picture('Ada'), 10)
  await bob.screenshot('share')

  const cleo = await enter('Cleo')
  await cleo.join(link)
  const late = await cleo.seesMoving(cleo.get('stage-video'), 10)
  assert.deepEqual([late.width, late.height], [1280, 720], 'who joins later sees it too')

  await ada.get('control-share').click()
  await bob.get('stage').waitFor({ state: 'hidden' })
  await cleo.get('stage').waitFor({ state: 'hidden' })
  await bob.seesMoving(bob.picture('Ada'), 10)
})

play('of two shared screens either can be chosen', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  const cleo = await enter('Cleo')
  for (const one of [ada, bob, cleo]) await one.join(link, { audioOnly: one === bob })
  await ada.get('control-share').click()
  await cleo.page.getByText('Ada’s screen').waitFor()
  await cleo.seesMoving(cleo.get('stage-video'), 5)
  await bob.get('control-share').click()
  await cleo.page.getByText('Bob’s screen').waitFor()
  await cleo.seesMoving(cleo.get('stage-video'), 5)
  await cleo.get('stage').getByRole('button', { name: 'Ada', exact: true }).click()
  await cleo.page.getByText('Ada’s screen').waitFor()
  await cleo.seesMoving(cleo.get('stage-video'), 5)
  await ada.get('control-leave').click()
  await cleo.page.getByText('Bob’s screen').waitFor()
  await cleo.seesMoving(cleo.get('stage-video'), 5)
})
