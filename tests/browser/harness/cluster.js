// Owns a cluster under test: certificates, a core and edges, each a process of its own on loopback. Never builds them.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { repository, startEdge } from './edge.js'

const folderOfBinaries = process.env.PULSE_BIN ?? `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/release`
const START_LIMIT_MS = 10_000

/** @param {string[]} edges each REGION/ID @returns {Promise<Cluster>} once all of them know each other */
export async function startCluster(edges) {
  const folder = mkdtempSync(`${tmpdir()}/pulse-cluster-`)
  const certificates = (/** @type {string} */ name) => [
    '--cluster-cert', `${folder}/certs/${name}.pem`, '--cluster-key', `${folder}/certs/${name}-key.pem`, '--cluster-ca', `${folder}/certs/ca.pem`,
  ]
  execFileSync(`${folderOfBinaries}/edge-node`, ['certs', 'init', `${folder}/certs`, '--core', 'one', ...edges.flatMap((edge) => ['--edge', edge])])
  const core = new Core(certificates('core-one'))
  const cluster = new Cluster(folder, core)
  try {
    const at = await core.ready
    for (const edge of edges) {
      const [region, id] = edge.split('/')
      const flags = ['--region', region, '--edge-id', id, '--core', at, '--backbone-addr', '127.0.0.1:0', ...certificates(`edge-${id}`)]
      cluster.edges.push(await startEdge({ flags }))
    }
    // A page may connect to the edges that were known when it was served.
    await Promise.all(cluster.edges.map((edge) => untilListed(edge, edges.length)))
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

/** @param {import('./edge.js').Edge} edge @param {number} count */
async function untilListed(edge, count) {
  const until = Date.now() + START_LIMIT_MS
  for (;;) {
    const answer = await fetch(`${edge.origin}/v1/nearest`)
    const { edges } = await answer.json()
    if (edges.length === count) return
    if (Date.now() > until) throw new Error(`${edge.origin} knows ${edges.length} of ${count} edges.`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A core that prints where edges dial. */
class Core {
  #child
  #exited

  /** @param {string[]} flags */
  constructor(flags) {
    this.#child = spawn(`${folderOfBinaries}/pulse-core`, ['--listen', '127.0.0.1:0', '--http-addr', '127.0.0.1:0', ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? 'warn' },
    })
    this.#exited = new Promise((resolve) => this.#child.once('exit', resolve))
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), START_LIMIT_MS)
    /** Where edges dial. @type {Promise<string>} */
    this.ready = new Promise((resolve, reject) => {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const found = /^edges udp (.+)$/.exec(line)
        if (found) resolve(found[1])
      })
      this.#child.once('error', reject)
      this.#child.once('exit', (code) => reject(new Error(`Core ended with ${code} before it listened.`)))
    })
    this.ready.finally(() => clearTimeout(timer)).catch(() => {})
  }

  /** @param {NodeJS.Signals} signal */
  async end(signal) {
    this.#child.kill(signal)
    await this.#exited
  }
}

class Cluster {
  /** @type {import('./edge.js').Edge[]} */
  edges = []

  /** @param {string} folder @param {Core} core */
  constructor(folder, core) {
    this.folder = folder
    this.core = core
  }

  async stop() {
    await Promise.all(this.edges.map((edge) => edge.stop()))
    await this.core.end('SIGTERM')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
