// How large the SDK is that a call loads: every module once, minified and compressed as one file. What is loaded for a preview and
// when a v1 member is in the room, what separate bundles come to, and what an edge serves to its own app, is said beside it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { brotliCompressSync } from 'node:zlib'
import { build } from 'esbuild'
import { minify } from 'terser'
import { repository } from './harness/edge.js'

const LIMIT_BYTES = 35_000
const sdk = `${repository}clients/web/sdk/`
// What a page loads: each of these is fetched and run by itself.
const entries = ['pulse.js', 'worker.js', 'recv/playout.worklet.js', 'send/capture.worklet.js']

// Loaded before a call: what looks for its edge, and by a lobby that shows a preview. In one: once a v1 member is there.
const later = ['./nearest.js', './preview.js', './v1/shares.js', './v1/share-recorder.js', '../v1/audio.js', '../v1/microphone.js']

/** @param {string[]} external @returns {Promise<string[]>} one minified text a bundle */
async function bundles(external) {
  const { outputFiles } = await build({
    entryPoints: entries.map((entry) => sdk + entry), bundle: true, splitting: true, minify: true, format: 'esm', write: false, outdir: 'out', external,
  })
  return Promise.all(outputFiles.map(async ({ text }) => (await minify(text, { module: true, ecma: 2020, compress: { passes: 3, sequences: false } })).code ?? ''))
}

test(`the SDK is at most ${LIMIT_BYTES / 1000} kB`, async (t) => {
  const compressed = (/** @type {Uint8Array | string} */ text) => brotliCompressSync(text).length
  const loaded = await bundles(later)
  const total = compressed(loaded.join(''))
  const separate = loaded.reduce((sum, text) => sum + compressed(text), 0)
  const whole = compressed((await bundles([])).join(''))
  const files = readdirSync(sdk, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const served = files.reduce((sum, file) => sum + compressed(readFileSync(sdk + file)), 0)
  t.diagnostic(`${total} bytes, of at most ${LIMIT_BYTES}; as ${loaded.length} bundles ${separate}; with the preview and what v1 members need ${whole}; as ${files.length} source files with their comments ${served}`)
  assert.ok(total <= LIMIT_BYTES, `${total} bytes`)
})
