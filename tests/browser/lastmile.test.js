// A connection that does not carry a picture: the person is told why it stands still, hears on, and sees again once it does.
// Runs in a network of its own, which needs root.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { startBots } from './harness/bots.js'
import { launchBrowser, person } from './harness/browser.js'
import { startEdge } from './harness/edge.js'
import { startLab } from './harness/lab.js'

const PORT = 8443

test('a picture that a slow connection does not carry is paused with a word, and comes back', { timeout: 120_000 }, async (t) => {
  let lab
  try {
    lab = await startLab(['--host', 'edge=lan', '--host', 'bob=lan', '--host', 'ada=delay=20ms'])
  } catch (error) {
    t.skip(`skipped: ${/** @type {Error} */ (error).message}`)
    return
  }
  /** @type {(() => Promise<unknown>)[]} */
  const endings = [() => lab.close()]
  try {
    const { address } = lab.hosts.edge
    const edge = await startEdge({ on: lab.on('edge'), flags: ['--listen', `0.0.0.0:${PORT}`, '--tls-self-signed', '--tls-names', address] })
    endings.push(() => edge.stop())
    const link = `https://${address}:${PORT}/#${randomUUID()}`
    endings.push(startBots(link, ['--insecure', '--name', 'Bob', '--send-only'], lab.on('bob')))
    const browser = await launchBrowser({ program: lab.chromiumOn('ada'), flags: ['--ignore-certificate-errors', '--autoplay-policy=no-user-gesture-required'] })
    endings.push(() => browser.close())
    const ada = await person(browser, 'Ada', { context: { ignoreHTTPSErrors: true } })
    await ada.join(link)
    await ada.seesMoving(ada.picture('Bob'), 10)

    await lab.tell('set ada down rate=100kbit,queue=16KiB')
    const bob = ada.tile('Bob')
    await bob.getByText('your connection is slow').waitFor({ timeout: 30_000 })
    const heard = () => ada.page.evaluate(async () => {
      const { received } = await globalThis.pulseProbe.freshStatistics()
      return received.tracks.find(({ source }) => source === 'microphone').received
    })
    const before = await heard()
    await ada.page.waitForFunction((before) => globalThis.pulseRoom.statistics().received.tracks.find(({ source }) => source === 'microphone').received > before + 100, before)
    assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.connectionQuality), 'poor')

    await lab.tell('set ada down rate=none')
    await bob.getByText('your connection is slow').waitFor({ state: 'detached', timeout: 30_000 })
    await ada.seesMoving(ada.picture('Bob'), 10)
    assert.deepEqual(ada.faults, [])
  } finally {
    for (const end of endings.reverse()) await end()
  }
})
