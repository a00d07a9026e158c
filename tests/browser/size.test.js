// How large the SDK is: every module once, minified and compressed as one file. What separate bundles for the page, the worker and the
// worklets come to, and what an edge serves to its own app, is said beside it.

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

test(`the SDK is at most ${LIMIT_BYTES / 1000} kB`, async (t) => {
  const { outputFiles } = await build({
    entryPoints: entries.map((entry) => sdk + entry), bundle: true, splitting: true, minify: true, format: 'esm', write: false, outdir: 'out',
  })
  const compressed = (/** @type {Uint8Array | string} */ text) => brotliCompressSync(text).length
  const minified = await Promise.all(outputFiles.map(async ({ text }) => (await minify(text, { module: true })).code ?? ''))
  const total = compressed(minified.join(''))
  const separate = minified.reduce((sum, text) => sum + compressed(text), 0)
  const files = readdirSync(sdk, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const served = files.reduce((sum, file) => sum + compressed(readFileSync(sdk + file)), 0)
  t.diagnostic(`${total} bytes, of at most ${LIMIT_BYTES}; as ${outputFiles.length} bundles ${separate}; as ${files.length} source files with their comments ${served}`)
  assert.ok(total <= LIMIT_BYTES, `${total} bytes`)
})
