// Chat: text and images reach everybody, as they were written.

import assert from 'node:assert/strict'
import { theatre } from './harness/play.js'

const play = theatre()

play('text arrives both ways, with who wrote it', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await ada.says('Hello Bob')
  // Bob's panel is closed: the button tells him.
  await bob.page.getByRole('button', { name: 'Chat (C), 1 unread' }).waitFor()
  await bob.says('Hello Ada, see https://example.org/a?b=1.')
  for (const [one, authors] of [[ada, ['You', 'Bob']], [bob, ['Ada', 'You']]]) {
    const messages = one.get('chat-message')
    await messages.nth(1).waitFor()
    assert.deepEqual(await messages.locator('.bubble').allTextContents(), ['Hello Bob', 'Hello Ada, see https://example.org/a?b=1.'])
    assert.deepEqual(await messages.locator('.chat-author').allTextContents(), authors)
    assert.equal(await one.get('chat-pending').count(), 0)
  }
  assert.equal(await ada.get('chat-message').nth(1).locator('a').getAttribute('href'), 'https://example.org/a?b=1')
})

play('markup in a message stays text', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  const text = '<img src=x onerror="window.broken=1"><b>bold</b>\n&amp; javascript:alert(1) 👋🏽 שלום'
  await bob.openPanel('chat')
  await ada.says(text)
  await bob.get('chat-message').waitFor()
  assert.equal(await bob.get('chat-message').locator('.bubble').textContent(), text)
  assert.equal(await bob.get('chat-message').locator('img, b, a').count(), 0)
  assert.equal(await bob.page.evaluate(() => 'broken' in globalThis), false)
})

play('a pasted image arrives and is shown', async ({ enter, link }) => {
  const ada = await enter('Ada')
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.openPanel('chat')
  await ada.openPanel('chat')
  await ada.get('chat-input').evaluate(async (field) => {
    const canvas = new OffscreenCanvas(120, 80)
    const context = canvas.getContext('2d')
    context.fillStyle = 'rgb(200, 30, 60)'
    context.fillRect(0, 0, 120, 80)
    const clipboardData = new DataTransfer()
    clipboardData.items.add(new File([await canvas.convertToBlob({ type: 'image/png' })], 'red.png', { type: 'image/png' }))
    field.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
  })
  for (const one of [ada, bob]) {
    const image = one.get('chat-image')
    await image.waitFor()
    const shown = await image.evaluate(async (element) => {
      await element.decode()
      const canvas = new OffscreenCanvas(element.naturalWidth, element.naturalHeight)
      const context = canvas.getContext('2d')
      context.drawImage(element, 0, 0)
      return { width: element.naturalWidth, height: element.naturalHeight, pixel: [...context.getImageData(60, 40, 1, 1).data] }
    })
    assert.deepEqual(shown, { width: 120, height: 80, pixel: [200, 30, 60, 255] })
  }
  await bob.screenshot('chat-image')
})
