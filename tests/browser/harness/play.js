// Owns the frame of a test: one edge and one browser a file, fresh people in a room of their own each test, pictures of what failed,
// and the rule that no page may report an error nobody expected.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { launchBrowser, outputFolder, person } from './browser.js'
import { startEdge } from './edge.js'

const TEST_LIMIT_MS = 120_000

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
   *   note: (text: string) => void, onEnd: (action: () => unknown) => void}) => Promise<void>} act
   */
  function play(title, act) {
    test(title, { timeout: limitMs }, async (t) => {
      /** @type {import('./browser.js').Person[]} */
      const people = []
      /** @type {(() => unknown)[]} */
      const endings = []
      const room = randomUUID()
      const enter = async (/** @type {string} */ name, /** @type {any} */ personOptions) => {
        const one = await person(browser, name, personOptions)
        people.push(one)
        return one
      }
      try {
        await act({ edge, browser, room, link: edge.linkTo(room), enter, note: (text) => t.diagnostic(text), onEnd: (action) => endings.push(action) })
        assert.deepEqual(people.flatMap(({ faults }) => faults), [], 'errors that a page reported')
      } catch (error) {
        for (const [index, one] of people.entries()) {
          await one.page.screenshot({ path: `${outputFolder}failed/${title.replace(/\W+/g, '-')}-${index}.png` }).catch(() => {})
          for (const fault of one.faults) t.diagnostic(fault)
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
