// Owns the frame of a test: one edge and one browser a file, fresh people in a room of their own each test, pictures of what failed,
// and the rule that no page may report an error nobody expected.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { launchBrowser, outputFolder, person } from './browser.js'
import { startEdge } from './edge.js'

const TEST_LIMIT_MS = 120_000
// What a page that has failed may take to say how it is; one that hangs says nothing.
const ANSWER_LIMIT_MS = 5000

/**
 * Whoever's errors fail the test: a person of any engine.
 * @typedef {{name: string, faults: string[], leave: () => Promise<void>,
 *   page: {screenshot: (options: {path: string}) => Promise<unknown>, evaluate: (read: () => string) => Promise<string>}}} Watched
 */

/** @param {Promise<unknown>} answer */
const within = (answer) => Promise.race([answer.catch(String), delay(ANSWER_LIMIT_MS, 'no answer', { ref: false })])

/** @param {{flags?: string[], limitMs?: number}} [options] flags of the browser, how long a test may take */
export function theatre({ flags, limitMs = TEST_LIMIT_MS } = {}) {
  /** @type {import('./edge.js').Edge} */
  let edge
  /** @type {import('playwright-core').Browser} */
  let browser
  before(async () => {
    edge = await startEdge()
    browser = await launchBrowser({ flags })
  })
  after(async () => {
    await browser?.close()
    await edge?.stop()
  })

  /**
   * @param {string} title
   * @param {(scene: {edge: import('./edge.js').Edge, browser: import('playwright-core').Browser, room: string, link: string,
   *   enter: (name: string, options?: Parameters<typeof person>[2]) => Promise<import('./browser.js').Person>,
   *   watch: <Somebody extends Watched>(one: Somebody) => Somebody, note: (text: string) => void,
   *   onEnd: (action: () => unknown) => void}) => Promise<void>} act
   */
  function play(title, act) {
    test(title, { timeout: limitMs }, async (t) => {
      /** @type {Watched[]} */
      const people = []
      /** @type {(() => unknown)[]} */
      const endings = []
      const room = randomUUID()
      const watch = (/** @type {any} */ one) => {
        people.push(one)
        return one
      }
      const enter = async (/** @type {string} */ name, /** @type {any} */ personOptions) => watch(await person(browser, name, personOptions))
      try {
        await act({ edge, browser, room, link: edge.linkTo(room), enter, watch, note: (text) => t.diagnostic(text), onEnd: (action) => endings.push(action) })
        assert.deepEqual(people.flatMap(({ faults }) => faults), [], 'errors that a page reported')
      } catch (error) {
        for (const [index, one] of people.entries()) {
          const path = `${outputFolder}failed/${title.replace(/\W+/g, '-')}-${index}.png`
          await within(one.page.screenshot({ path }))
          for (const fault of one.faults) t.diagnostic(fault)
          t.diagnostic(`${one.name}: ${await within(one.page.evaluate(() => JSON.stringify(globalThis.pulseRoom?.statistics())))}`)
        }
        if (edge.log) t.diagnostic(`edge: ${edge.log.slice(-2000)}`)
        throw error
      } finally {
        await Promise.all(people.map((one) => one.leave().catch(() => {})))
        for (const ending of endings.reverse()) await ending()
      }
    })
  }
  return play
}
