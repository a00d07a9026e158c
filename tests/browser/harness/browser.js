// Owns the browser: one headless Chromium with fake devices a test file, one context a person. Never touches the app's insides;
// a Person presses the buttons that people press.

import { existsSync, mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { repository } from './edge.js'
import { installProbe } from './probe.js'

export const outputFolder = `${repository}tests/output/`
/** Chromium's fake microphone beeps this tone twice a second. */
export const FAKE_MICROPHONE_HZ = 400
// The browser's own stream of a camera now and then loses a frame that is on its way as it ends (a bare page that only reads one does so
// once in some hundred times); a leak of the app would go on with each picture.
const MAX_UNCLOSED = 2
const WAIT_LIMIT_MS = 20_000
const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path))

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // The fake camera's own default is 20 pictures a second.
  '--use-fake-device-for-media-stream=fps=30,device-count=1',
  // Grants every device, and answers "what do you want to share" with a fake monitor.
  '--use-fake-ui-for-media-stream',
]

/** @returns {string} */
export function chromiumPath() {
  if (!executablePath) throw new Error('No Chromium found: install the package "chromium", or name one in the variable CHROMIUM.')
  return executablePath
}

/** @param {{flags?: string[], program?: string}} [options] program: that runs Chromium, if not Chromium itself */
export async function launchBrowser({ flags = [], program = chromiumPath() } = {}) {
  mkdirSync(outputFolder, { recursive: true })
  return chromium.launch({ executablePath: program, headless: true, args: [...FLAGS, ...flags] })
}

/**
 * Somebody with a browser of their own.
 * @param {import('playwright-core').Browser} browser
 * @param {string} name
 * @param {{context?: import('playwright-core').BrowserContextOptions, init?: (() => void), tolerate?: RegExp[]}} [options]
 *   tolerate: messages on the console that this test provokes
 */
export async function person(browser, name, { context: contextOptions = {}, init, tolerate = [] } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...contextOptions })
  context.setDefaultTimeout(WAIT_LIMIT_MS)
  await context.addInitScript(installProbe)
  if (init) await context.addInitScript(init)
  const page = await context.newPage()
  return new Person(name, context, page, tolerate)
}

export class Person {
  /** Errors of the page that nobody expected. @type {string[]} */
  faults = []
  unclosed = 0

  /** @param {string} name @param {import('playwright-core').BrowserContext} context @param {import('playwright-core').Page} page @param {RegExp[]} tolerate */
  constructor(name, context, page, tolerate) {
    this.name = name
    this.context = context
    this.page = page
    const note = (/** @type {string} */ text) => {
      if (!tolerate.some((pattern) => pattern.test(text))) this.faults.push(`${name}: ${text}`)
    }
    page.on('pageerror', (error) => note(`uncaught ${error.stack ?? error.message}`))
    page.on('crash', () => note('the page crashed'))
    page.on('console', (message) => {
      // A picture that nobody closed is a leak that the browser merely mentions.
      if (message.text().includes('garbage collected without being closed')) {
        this.unclosed++
        if (this.unclosed > MAX_UNCLOSED) note(`${this.unclosed} pictures were not closed`)
      } else if (message.type() === 'error') note(`console: ${message.text()} (${message.location().url})`)
    })
  }

  /** @param {string} testid */
  get(testid) {
    return this.page.getByTestId(testid)
  }

  /** Opens the link and stands in the lobby. @param {string} link */
  async open(link) {
    await this.page.goto(link)
    await this.page.locator('[data-screen=lobby]').waitFor()
  }

  /** From the link through the lobby into the call. @param {string} link @param {{audioOnly?: boolean}} [options] */
  async join(link, { audioOnly = false } = {}) {
    await this.open(link)
    await this.get('name').fill(this.name)
    await this.get(audioOnly ? 'join-audio-only' : 'join').click()
    await this.state('connected')
  }

  /** Waits until the header says so. @param {'connecting' | 'connected' | 'reconnecting'} state */
  async state(state) {
    await this.page.locator(`[data-testid=connection-state][data-state=${state}]`).waitFor()
  }

  /** @param {string} name of a participant */
  tile(name) {
    return this.page.locator(`[data-testid=tile][data-name=${JSON.stringify(name)}]`)
  }

  /** The picture of somebody's camera. @param {string} name */
  picture(name) {
    return this.tile(name).getByTestId('tile-video')
  }

  async count() {
    return Number(await this.get('participant-count').textContent())
  }

  /** @param {number} count of participants, oneself included */
  async sees(count) {
    await this.page.waitForFunction((wanted) => document.querySelector('[data-testid=participant-count]')?.textContent === wanted, String(count))
  }

  /**
   * Waits until the element has shown that many different pictures from now on.
   * @param {import('playwright-core').Locator} locator @param {number} [wanted]
   * @returns {Promise<{pictures: number, ms: number, width: number, height: number, colours: number}>}
   */
  async seesMoving(locator, wanted = 20) {
    await locator.waitFor()
    return locator.evaluate((element, wanted) => globalThis.pulseProbe.moving(element, wanted, 15_000), wanted)
  }

  /** Waits for that many onsets of sound in this frequency band in what the page plays. @param {{hz: number, wanted?: number}} options */
  hears({ hz, wanted = 4 }) {
    return this.page.evaluate(({ hz, wanted }) => globalThis.pulseProbe.onsets(hz, wanted, 15_000), { hz, wanted })
  }

  /** Waits for a stretch without any sound. @param {{quietMs?: number}} [options] */
  hearsNothing({ quietMs = 2000 } = {}) {
    return this.page.evaluate((quietMs) => globalThis.pulseProbe.quiet(quietMs, 15_000), quietMs)
  }

  /** @param {string} text */
  async says(text) {
    await this.openPanel('chat')
    await this.get('chat-input').fill(text)
    await this.get('chat-send').click()
  }

  /** @param {'chat' | 'participants'} panel */
  async openPanel(panel) {
    const button = this.get(`control-${panel}`)
    if ((await button.getAttribute('aria-expanded')) !== 'true') await button.click()
  }

  /** @param {string} file name without ending */
  screenshot(file) {
    return this.page.screenshot({ path: `${outputFolder}${file}.png`, animations: 'disabled' })
  }

  async leave() {
    await this.context.close()
  }
}
