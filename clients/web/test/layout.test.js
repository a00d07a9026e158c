import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neighbour, Order, pagesOf, stageOf } from '../ui/layout.js'

const call = { view: /** @type {const} */ ('auto'), pinned: null, sharers: [], chosen: '', speaker: null, remotes: ['a', 'b'] }

test('a grid has no stage until somebody shares or is pinned', () => {
  assert.equal(stageOf(call), null)
  assert.deepEqual(stageOf({ ...call, sharers: ['a'] }), { id: 'a', source: 'screen' })
  assert.deepEqual(stageOf({ ...call, pinned: { id: 'b', source: 'camera' } }), { id: 'b', source: 'camera' })
})

test('a pin wins over a share, a choice over the newest share, and the newest over the others', () => {
  assert.deepEqual(stageOf({ ...call, sharers: ['a'], pinned: { id: 'b', source: 'camera' } }), { id: 'b', source: 'camera' })
  assert.deepEqual(stageOf({ ...call, sharers: ['a', 'b'] }), { id: 'b', source: 'screen' })
  assert.deepEqual(stageOf({ ...call, sharers: ['a', 'b'], chosen: 'a' }), { id: 'a', source: 'screen' })
  assert.deepEqual(stageOf({ ...call, sharers: ['b'], chosen: 'a' }), { id: 'b', source: 'screen' }, 'a choice that stopped sharing')
})

test('in the speaker view the stage belongs to who has the word, never to oneself', () => {
  const speaker = { ...call, view: /** @type {const} */ ('speaker') }
  assert.deepEqual(stageOf({ ...speaker, speaker: 'b' }), { id: 'b', source: 'camera' })
  assert.deepEqual(stageOf({ ...speaker, speaker: 'me' }), { id: 'a', source: 'camera' })
  assert.equal(stageOf({ ...speaker, remotes: [] }), null)
  assert.equal(stageOf({ ...call, view: 'grid', speaker: 'b' }), null)
})

const people = Array.from({ length: 60 }, (_, index) => `p${index}`)

test('tiles stay where they are while nothing happens, whatever the order they are told in', () => {
  const order = new Order()
  const first = order.settle([...people, 'me'], 'me', [], 20)
  assert.deepEqual(order.settle(['me', ...people.toReversed()], 'me', [], 20), first)
  assert.equal(first.indexOf('me'), 19, 'oneself stands last on the first page')
  assert.equal(new Set(first).size, 61)
})

test('whoever speaks off the page trades places with whom in view has been silent longest, and nobody else moves', () => {
  const order = new Order()
  const before = order.settle([...people, 'me'], 'me', ['p3', 'p18'], 20)
  const after = order.settle([...people, 'me'], 'me', ['p50', 'p3', 'p18'], 20)
  assert.ok(after.indexOf('p50') < 20)
  assert.ok(after.indexOf('p3') < 20 && after.indexOf('p18') < 20)
  assert.equal(before.filter((id, index) => after[index] !== id).length, 2)
  assert.deepEqual(order.settle([...people, 'me'], 'me', ['p3', 'p50', 'p18'], 20), after, 'whoever is in view stays there')
})

test('more speakers than places: the newest are in view', () => {
  const order = new Order()
  const lively = people.toReversed()
  const shown = order.settle([...people, 'me'], 'me', lively, 5).slice(0, 5)
  assert.deepEqual(new Set(shown), new Set(['p59', 'p58', 'p57', 'p56', 'me']))
})

test('who leaves is gone, who comes is added at the end', () => {
  const order = new Order()
  order.settle(['a', 'b', 'c', 'me'], 'me', [], 10)
  assert.deepEqual(order.settle(['a', 'c', 'd', 'me'], 'me', [], 10), ['a', 'c', 'd', 'me'])
  assert.deepEqual(order.settle(['a', 'c'], '', [], 10), ['a', 'c'])
})

test('a page holds what can be read, and everybody is on one', () => {
  for (const [width, height, most] of [[1240, 640, 25], [370, 690, 14], [3800, 1900, 49], [620, 250, 6]]) {
    for (const count of [1, 2, 9, 50, 100]) {
      const { perPage, pages } = pagesOf({ count, width: Number(width), height: Number(height), gap: 10 })
      assert.ok(perPage >= 1 && perPage <= Number(most), `${width}x${height}: ${perPage} on a page`)
      assert.ok(perPage * pages >= count && perPage * (pages - 1) < count)
    }
  }
  assert.equal(pagesOf({ count: 9, width: 1240, height: 640, gap: 10 }).pages, 1)
  assert.ok(pagesOf({ count: 50, width: 1240, height: 640, gap: 10 }).pages > 1)
})

test('arrow keys lead to the tile beside, above and below, and on to the next row', () => {
  const rects = [0, 1, 2, 3, 4].map((index) => ({ x: (index % 3) * 100, y: Math.floor(index / 3) * 100, width: 90, height: 90 }))
  assert.equal(neighbour(rects, 0, 'ArrowRight'), 1)
  assert.equal(neighbour(rects, 1, 'ArrowDown'), 4)
  assert.equal(neighbour(rects, 4, 'ArrowUp'), 1)
  assert.equal(neighbour(rects, 2, 'ArrowRight'), 3, 'the next row')
  assert.equal(neighbour(rects, 3, 'ArrowLeft'), 2)
  assert.equal(neighbour(rects, 4, 'ArrowDown'), -1)
  assert.equal(neighbour(rects, 3, 'Home'), 0)
  assert.equal(neighbour(rects, 0, 'End'), 4)
  assert.equal(neighbour([], 0, 'ArrowDown'), -1)
})
