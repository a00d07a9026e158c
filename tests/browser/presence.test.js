// Presence: what one does with microphone, camera and name shows at the others, and who leaves is gone.

import assert from 'node:assert/strict'
import { theatre } from './harness/play.js'

const play = theatre()

play('mute, camera and leaving show at the other side', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.sees(2)
  await bob.seesMoving(bob.picture('Ada'), 5)
  await bob.openPanel('participants')
  const row = bob.page.locator('[data-testid=participant-row][data-name=Ada]')

  await ada.get('control-microphone').click()
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=true]').waitFor()
  await row.getByRole('img', { name: 'Microphone off' }).waitFor()
  await ada.get('control-microphone').click()
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-muted=false]').waitFor()

  await ada.get('control-camera').click()
  await bob.picture('Ada').waitFor({ state: 'detached' })
  await row.getByRole('img', { name: 'Camera off' }).waitFor()
  await ada.get('control-camera').click()
  await bob.seesMoving(bob.picture('Ada'), 10)

  await ada.get('control-leave').click()
  await ada.page.locator('[data-screen=left]').waitFor()
  await bob.tile('Ada').waitFor({ state: 'detached' })
  await row.waitFor({ state: 'detached' })
  await bob.sees(1)

  await ada.get('rejoin').click()
  await ada.state('connected')
  await bob.seesMoving(bob.picture('Ada'), 10)
  await bob.sees(2)
})

play('who closes the page is gone at once', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.sees(2)
  await bob.page.goto('about:blank')
  await ada.tile('Bob').waitFor({ state: 'detached' })
  await ada.sees(1)
})

play('a name shows exactly as it was typed', async ({ enter, link }) => {
  const odd = `<i onmouseover="x">Zoë & Ödön</i> 'q' "d" 👩🏽‍🚀 名前`
  const ada = await enter(odd)
  const bob = await enter('Bob')
  await bob.join(link)
  await ada.join(link)
  await bob.sees(2)
  await bob.openPanel('participants')
  const names = await bob.get('tile').locator('.tile-name').allTextContents()
  assert.ok(names.includes(odd), `the tiles say ${JSON.stringify(names)}`)
  assert.deepEqual(await bob.get('participant-row').locator('.person-name').allTextContents(), ['Bob (you)', odd])
  assert.equal(await bob.page.locator('[data-testid=tile] i, [data-testid=participant-row] i').count(), 0)
  await ada.says('here')
  await bob.openPanel('chat')
  assert.equal(await bob.get('chat-message').locator('.chat-author').textContent(), odd)
  await bob.screenshot('odd-name')
})

play('whoever speaks is marked, and whoever is silent is not', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.get('control-microphone').click()
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-muted=true]').waitFor()
  await ada.page.locator('[data-testid=tile][data-name=Bob][data-speaking=false]').waitFor()
  await bob.page.locator('[data-testid=tile][data-name=Ada][data-speaking=true]').waitFor()
})

play('without a name nobody joins, and the lobby says why', async ({ enter, link }) => {
  const ada = await enter('Ada')
  await ada.open(link)
  await ada.get('join').click()
  await ada.page.getByText('Please enter your name').waitFor()
  assert.equal(await ada.page.locator('[data-screen=lobby]').count(), 1)
})
