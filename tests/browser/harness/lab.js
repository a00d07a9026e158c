// Owns a world of network namespaces for browsers and edges: the program pulse-lab, run beside the test. Never decides what links do.

import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { chromiumPath } from './browser.js'
import { repository } from './edge.js'

const binary = `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/release/pulse-lab`

/**
 * @param {string[]} flags of `pulse-lab up`
 * @returns {Promise<Lab>} once every host is there
 */
export async function startLab(flags) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run "cargo build --release -p pulse-lab" first.`)
  const child = spawn(binary, ['up', '--json', '--until-stdin-closes', ...flags], { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done) throw new Error(said.trim() || 'pulse-lab ended before it was ready')
  return new Lab(child, lines, JSON.parse(first.value).ready.hosts)
}

export class Lab {
  #child
  #lines
  #folder = mkdtempSync(join(tmpdir(), 'pulse-lab-'))
  hosts

  /**
   * @param {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, any, any>} child
   * @param {AsyncIterator<string>} lines @param {Record<string, {address: string, namespace: string}>} hosts
   */
  constructor(child, lines, hosts) {
    this.#child = child
    this.#lines = lines
    this.hosts = hosts
  }

  /** A command of pulse-lab, such as `set ada up rate=500kbit`. @param {string} line @returns {Promise<any>} its answer */
  async tell(line) {
    this.#child.stdin.write(`${line}\n`)
    const { value } = await this.#lines.next()
    const answer = JSON.parse(value)
    if (answer.error) throw new Error(`${line}: ${answer.error}`)
    return answer
  }

  /** What starts a program on a host. @param {string} host @returns {string[]} to be put before its arguments */
  on(host) {
    return ['ip', 'netns', 'exec', this.hosts[host].namespace]
  }

  /** A program that is Chromium on a host, for whoever can only name a program. @param {string} host @returns {string} */
  chromiumOn(host) {
    const path = join(this.#folder, host)
    writeFileSync(path, `#!/bin/sh\nexec ${this.on(host).join(' ')} ${chromiumPath()} "$@"\n`)
    chmodSync(path, 0o755)
    return path
  }

  async close() {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.stdin.end()
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
