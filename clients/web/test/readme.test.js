// What the README lists is what the SDK has.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')

test('every error that arises in the browser is in the README', () => {
  const errors = read('sdk/errors.js')
  const table = errors.slice(errors.indexOf('const LOCAL'), errors.indexOf('export class'))
  const names = [...table.matchAll(/^ {2}(\w+): '/gm)].map(([, name]) => name)
  assert.ok(names.length > 20)
  assert.deepEqual(names.filter((name) => !readme.includes(`\`${name}\``)), [])
})

test('every event of a room is in the README', () => {
  const sources = ['pulse', 'people', 'local-participant', 'local-devices'].map((file) => read(`sdk/${file}.js`)).join('\n')
  const names = new Set([...sources.matchAll(/emit\('(\w+)'/g)].map(([, name]) => name))
  assert.ok(names.size > 15)
  assert.deepEqual([...names].filter((name) => !readme.includes(`\`${name}\``)), [])
})
