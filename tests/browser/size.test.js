// How much a page that embeds the SDK has to fetch: the façade, the worker and the worklets, bundled, minified and compressed.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { brotliCompressSync } from 'node:zlib'
import { build } from 'esbuild'
import { repository } from './harness/edge.js'

const LIMIT_BYTES = 35_000
const sdk = `${repository}clients/web/sdk/`
// What a page loads: each of these is fetched and run by itself.
const entries = ['pulse.js', 'worker.js', 'recv/playout.worklet.js', 'send/capture.worklet.js']

test(`the SDK is at most ${LIMIT_BYTES / 1000} kB`, async (t) => {
  const { outputFiles } = await build({
    entryPoints: entries.map((entry) => sdk + entry), bundle: true, splitting: true, minify: true, format: 'esm', write: false, outdir: 'out',
  })
  const bytes = outputFiles.map(({ contents }) => brotliCompressSync(contents).length)
  const total = bytes.reduce((sum, each) => sum + each, 0)
  entries.forEach((entry, index) => t.diagnostic(`${entry}: ${bytes[index]} bytes`))
  const files = readdirSync(sdk, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const served = files.reduce((sum, file) => sum + brotliCompressSync(readFileSync(sdk + file)).length, 0)
  t.diagnostic(`together ${total} bytes, of at most ${LIMIT_BYTES}; as it is in the source, ${files.length} files with their comments: ${served} bytes`)
  assert.ok(total <= LIMIT_BYTES, `${total} bytes`)
})
