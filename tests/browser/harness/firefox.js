// Owns the second engine: one headless Firefox with fake devices, and the sound server that its audio needs. Never shares a page with
// the first one; a FirefoxPerson presses the same buttons.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import puppeteer from 'puppeteer-core'
import { installProbe } from './probe.js'

const executablePath = [process.env.FIREFOX, '/usr/bin/firefox-esr', '/usr/bin/firefox'].find((path) => path && existsSync(path))
/** Firefox's fake microphone hums this tone without a pause, softly: at −48 dB. */
export const FIREFOX_MICROPHONE = { hz: 1000, atLeastDb: -60 }
const WAIT_LIMIT_MS = 30_000
const SOUND_LIMIT_MS = 10_000
// Three frames: a worker that is not stuck answers within one.
const SNAPSHOT_LIMIT_MS = 50

/** An AudioContext of Firefox stays suspended without a sound server; this one plays to nobody. */
async function startSoundServer() {
  const folder = mkdtempSync(`${tmpdir()}/pulse-sound-`)
  const socket = `${folder}/native`
  const server = spawn('pulseaudio', [
    '-n', '--daemonize=no', '--exit-idle-time=-1', '--use-pid-file=no', '--disable-shm', '-L', 'module-null-sink sink_name=nobody rate=48000',
    '-L', `module-native-protocol-unix socket=${socket} auth-anonymous=1`,
  ], { stdio: 'ignore', env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder } })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  const failed = new Promise((_, reject) => server.once('error', reject))
  const until = Date.now() + SOUND_LIMIT_MS
  while (!existsSync(socket)) {
    if (Date.now() > until || server.exitCode !== null) throw new Error('The sound server did not start: install the package "pulseaudio".')
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, 20))])
  }
  return {
    address: `unix:${socket}`,
    async stop() {
      server.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** @returns {Promise<{enter: (name: string) => Promise<FirefoxPerson>, close: () => Promise<void>}>} */
export async function launchFirefox() {
  if (!executablePath) throw new Error('No Firefox found: install the package "firefox-esr", or name one in the variable FIREFOX.')
  const sound = await startSoundServer()
  try {
    const browser = await puppeteer.launch({
      browser: 'firefox', executablePath, headless: true, defaultViewport: { width: 1280, height: 800 },
      env: { ...process.env, PULSE_SERVER: sound.address },
      extraPrefsFirefox: {
        'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true, 'media.autoplay.default': 0,
        'media.autoplay.blocking_policy': 0,
        // A page that reads a canvas which a worker draws on waits for that worker, which may be waiting for the compositor to give a
        // buffer back: neither goes on before this has passed. 10 s by default, at any page that reads such a canvas; no page of Pulse
        // does, but the probe with each frame.
        'gfx.offscreencanvas.snapshot-timeout-ms': SNAPSHOT_LIMIT_MS,
      },
    })
    return {
      async enter(name) {
        const context = await browser.createBrowserContext()
        const page = await context.newPage()
        page.setDefaultTimeout(WAIT_LIMIT_MS)
        await page.evaluateOnNewDocument(installProbe)
        return new FirefoxPerson(name, page)
      },
      async close() {
        await browser.close()
        await sound.stop()
      },
    }
  } catch (error) {
    await sound.stop()
    throw error
  }
}

export class FirefoxPerson {
  /** Errors of the page. @type {string[]} */
  faults = []

  /** @param {string} name @param {import('puppeteer-core').Page} page */
  constructor(name, page) {
    this.name = name
    this.page = page
    page.on('pageerror', (error) => this.faults.push(`${name}: uncaught ${error}`))
    page.on('console', (message) => {
      if (message.type() === 'error') this.faults.push(`${name}: console: ${message.text()}`)
    })
  }

  /** @param {string} link */
  async join(link) {
    await this.page.goto(link)
    await this.page.waitForSelector('[data-screen=lobby]')
    await this.page.$eval('[data-testid=name]', (input, name) => {
      input.value = name
      input.dispatchEvent(new Event('input', { bubbles: true }))
    }, this.name)
    await this.press('join')
    await this.page.waitForSelector('[data-testid=connection-state][data-state=connected]')
  }

  /** @param {string} testid */
  async press(testid) {
    await this.page.$eval(`[data-testid=${testid}]`, (button) => button.click())
  }

  /** @param {string} name of a participant @param {number} [wanted] different pictures */
  async seesMoving(name, wanted = 20) {
    const selector = `[data-testid=tile][data-name=${JSON.stringify(name)}] [data-testid=tile-video]`
    await this.page.waitForSelector(selector)
    return this.page.$eval(selector, (element, wanted) => globalThis.pulseProbe.moving(element, wanted, 20_000), wanted)
  }

  /** @param {{hz: number, wanted?: number}} options */
  hears({ hz, wanted = 4 }) {
    return this.page.evaluate((hz, wanted) => globalThis.pulseProbe.onsets(hz, wanted, 20_000), hz, wanted)
  }

  statistics() {
    return this.page.evaluate(() => globalThis.pulseRoom.statistics())
  }

  async leave() {
    await this.page.close()
  }
}
