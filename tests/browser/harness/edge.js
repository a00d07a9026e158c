// Owns the edge under test: the release binary, or the one that PULSE_EDGE names, on free ports; its printed addresses, its end.
// Never builds it. A debug edge reads clients/web from disk, so that a change of the app needs no build.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.PULSE_EDGE ?? `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/release/edge-node`
const START_LIMIT_MS = 10_000
const STOP_LIMIT_MS = 10_000

/**
 * @param {{port?: number, on?: string[], flags?: string[]}} [options] port 0 is any free one; on: what starts a program on a host of a lab
 * @returns {Promise<Edge>} once it has printed where it listens
 */
export async function startEdge({ port = 0, on = [], flags = [] } = {}) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run "cargo build --release -p edge-node" first.`)
  const [program, ...before] = [...on, binary]
  const child = spawn(program, [...before, ...(flags.includes('--listen') ? [] : ['--listen', `localhost:${port}`]), '--ops-addr', '127.0.0.1:0', ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? 'warn' },
  })
  const edge = new Edge(child)
  const timer = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS)
  try {
    await edge.ready
  } finally {
    clearTimeout(timer)
  }
  return edge
}

export class Edge {
  /** The link it prints, with a room that nobody has used. */
  link = ''
  origin = ''
  port = 0
  metricsUrl = ''
  log = ''
  #child
  #exited

  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })))
    child.stderr.setEncoding('utf8').on('data', (text) => (this.log = (this.log + text).slice(-20_000)))
    this.ready = new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [word, url] = line.split(' ')
        if (word === 'open') {
          this.link = url
          this.origin = new URL(url).origin
          this.port = Number(new URL(url).port)
        }
        if (word === 'ops') {
          this.metricsUrl = url
          resolve(undefined)
        }
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`The edge ended with ${code} before it listened: ${this.log}`)))
    })
  }

  /** @param {string} room */
  linkTo(room) {
    return `${this.origin}/#${room}`
  }

  /** Ends it as an operator does. @returns {Promise<{code: number | null, signal: string | null}>} */
  async stop() {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS)
    const result = await this.#exited
    clearTimeout(timer)
    return result
  }

  /** Ends it as a machine that fails does. */
  async kill() {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** Memory it holds, on Linux. @returns {number} */
  get residentBytes() {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1]) * 1024
  }
}
