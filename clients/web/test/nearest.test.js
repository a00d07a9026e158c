// Which edge a page joins: who is measured, and what is worth leaving the page's own edge for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { candidates, choose, findEdges, readList } from '../sdk/nearest.js'

const OWN = 'https://own.example'
const edge = (name, region = name, draining = false) => ({ id: name, region, url: `https://${name}.example`, draining })
const measured = (own, ...others) => [{ url: OWN, roundTripMs: own }, ...others.map((roundTripMs, index) => ({ url: `https://e${index}.example`, roundTripMs }))]

test('the own edge is measured, and others of as many regions as there is room for', () => {
  const edges = [edge('own', 'fra'), edge('fra-2', 'fra'), edge('fra-3', 'fra'), edge('sgp'), edge('sgp-2', 'sgp'), edge('iad')]
  for (const random of [0, 0.3, 0.6, 0.99]) {
    const urls = candidates(edges, OWN, random)
    assert.equal(urls.length, defaults.nearest.maxEdges)
    assert.equal(urls[0], OWN)
    const regions = urls.slice(1).map((url) => edges.find((one) => one.url === url).region)
    assert.deepEqual(regions.toSorted(), ['fra', 'iad', 'sgp'])
  }
  assert.deepEqual(candidates([], OWN, 0.5), [OWN])
  assert.deepEqual(candidates([edge('own')], OWN, 0.5), [OWN])
})

test('the edge that answers is the own one, by whatever address the page knows it', () => {
  const behindProxy = { ...edge('own'), url: 'http://10.0.0.1:8080', own: true }
  assert.deepEqual(candidates([behindProxy, edge('sgp')], 'http://localhost:9090', 0), ['http://localhost:9090', 'https://sgp.example'])
})

test('pages spread over edges of one region', () => {
  const edges = Array.from({ length: 6 }, (_, index) => edge(`e${index}`, 'fra'))
  const seen = new Set(Array.from({ length: 12 }, (_, step) => candidates(edges, OWN, step / 12)).flat())
  assert.equal(seen.size, 7)
})

test('nobody is sent to an edge that stops, or from a secure page to an insecure one', () => {
  const insecure = { ...edge('plain'), url: 'http://plain.example' }
  assert.deepEqual(candidates([edge('going', 'r', true), insecure], OWN, 0), [OWN])
  assert.deepEqual(candidates([insecure, edge('sgp')], 'http://localhost:8080', 0), ['http://localhost:8080', insecure.url, 'https://sgp.example'])
})

test('the own edge is left only for a gain that a person may notice', () => {
  const { gainMs } = defaults.nearest
  assert.deepEqual(choose(measured(5, 1), false), [OWN])
  assert.deepEqual(choose(measured(gainMs + 9, 10), false), [OWN], 'by a millisecond too little')
  assert.deepEqual(choose(measured(gainMs + 10, 10), false), ['https://e0.example', OWN])
  assert.deepEqual(choose(measured(200, 170), false), [OWN], 'a sixth is not worth it')
  assert.deepEqual(choose(measured(200, 160, 90), false), ['https://e1.example', OWN], 'the best of them')
})

test('who does not answer is not chosen, and is left if it is the own one', () => {
  assert.deepEqual(choose(measured(80, null, null), false), [OWN])
  assert.deepEqual(choose(measured(null, 300), false), ['https://e0.example', OWN])
  assert.deepEqual(choose(measured(null, null), false), [OWN])
})

test('an edge that stops is left for any other', () => {
  assert.deepEqual(choose(measured(5, 90), true), ['https://e0.example', OWN])
  assert.deepEqual(choose(measured(5, null), true), [OWN])
})

test('an answer that is no list is an empty one', () => {
  for (const answer of [null, 1, {}, { edges: 1 }, { edges: [null, 1, {}, { url: 'wss://a' }, { url: 'https://a/b' }] }]) assert.deepEqual(readList(answer), [])
  assert.equal(readList({ edges: [edge('sgp')] }).length, 1)
})

/** Stands for edges that answer after so many ms each. */
function edges(t, delays, list) {
  const asked = []
  t.mock.method(globalThis, 'fetch', async (address, { signal }) => {
    const url = new URL(address)
    asked.push(url.href)
    const delay = delays[url.origin]
    if (delay === undefined) throw new TypeError('Failed to fetch')
    await new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, delay)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(signal.reason)
      })
    })
    return { ok: true, json: async () => list, text: async () => 'ok' }
  })
  return asked
}

test('measuring asks each edge a few times and keeps to its time', async (t) => {
  const list = { edges: [edge('own'), edge('near'), edge('far'), edge('dead')] }
  const asked = edges(t, { [OWN]: 60, 'https://near.example': 2, 'https://far.example': 5000 }, list)
  const begun = performance.now()
  assert.deepEqual(await findEdges(OWN), ['https://near.example', OWN])
  assert.ok(performance.now() - begun < defaults.nearest.budgetMs + 400)
  assert.equal(asked.filter((url) => url.startsWith('https://near.example/healthz')).length, defaults.nearest.samples)
  assert.equal(new Set(asked).size, asked.length, 'each address is another, so that each has its own timing')
})

test('without a list, or without others on it, nothing is measured', async (t) => {
  const asked = edges(t, { [OWN]: 1 }, { edges: [edge('own')] })
  assert.deepEqual(await findEdges(OWN), [OWN])
  assert.deepEqual(asked, [`${OWN}/v1/nearest`])
  assert.deepEqual(await findEdges('https://unreachable.example'), ['https://unreachable.example'])
})
