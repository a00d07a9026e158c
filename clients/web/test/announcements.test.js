import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Announcements } from '../ui/announcements.js'

/** @param {Announcements} announcements */
function everything(announcements) {
  const said = []
  for (let { next } = announcements; next !== null; next = announcements.next) said.push({ at: next, text: announcements.take(next) })
  return said
}

test('those who come together are one sentence', () => {
  const announcements = new Announcements()
  for (const [index, name] of ['Ada', 'Bob', 'Cleo', 'Dan', 'Eve'].entries()) announcements.add(index * 40, { kind: 'joined', name })
  assert.deepEqual(everything(announcements), [{ at: 250, text: 'Ada, Bob and 3 others joined' }])
})

test('one, two and three names are all named', () => {
  for (const [names, sentence] of /** @type {const} */ ([[['Ada'], 'Ada raised a hand'], [['Ada', 'Bob'], 'Ada and Bob raised their hands'], [['Ada', 'Bob', 'Cy'], 'Ada, Bob and Cy raised their hands']])) {
    const announcements = new Announcements()
    for (const name of names) announcements.add(0, { kind: 'hand', name })
    assert.equal(announcements.take(250), sentence)
  }
})

test('never more than one sentence in two seconds, however much happens', () => {
  const announcements = new Announcements()
  /** @type {number[]} */
  const at = []
  for (let now = 0; now < 20_000; now += 50) {
    announcements.add(now, { kind: 'message', name: `P${now}`, text: 'hello' })
    if (announcements.take(now) !== '') at.push(now)
  }
  assert.ok(at.length >= 8)
  for (const [index, each] of at.entries()) assert.ok(index === 0 || each - (at[index - 1] ?? 0) >= 2000)
})

test('what is taken back at once is not said', () => {
  const announcements = new Announcements()
  announcements.add(0, { kind: 'hand', name: 'Ada' })
  announcements.add(100, { kind: 'handDown', name: 'Ada' })
  assert.equal(announcements.next, null)
  announcements.add(200, { kind: 'away', name: 'Ada' })
  announcements.add(300, { kind: 'back', name: 'Bob' })
  assert.equal(announcements.take(450), 'Ada is reconnecting. Bob is back')
})

test('a message is read, several are counted', () => {
  const announcements = new Announcements()
  announcements.add(0, { kind: 'message', name: 'Ada', text: 'Shall we?' })
  assert.equal(announcements.take(250), 'Ada: Shall we?')
  for (const name of ['Ada', 'Ada', 'Bob']) announcements.add(1000, { kind: 'message', name, text: 'x' })
  assert.equal(announcements.take(1250), '', 'the last sentence is still being read')
  assert.equal(announcements.take(2250), '3 new messages from Ada and Bob')
})

test('what is said of oneself comes first and once', () => {
  const announcements = new Announcements()
  announcements.add(0, { kind: 'joined', name: 'Ada' })
  announcements.add(10, { kind: 'said', text: 'Your microphone is off' })
  announcements.add(20, { kind: 'said', text: 'Your microphone is off' })
  assert.equal(announcements.take(250), 'Your microphone is off. Ada joined')
})

test('the queue is bounded and counts what it dropped', () => {
  const announcements = new Announcements()
  for (let index = 0; index < 100; index += 1) announcements.add(0, { kind: 'message', name: `P${index}` })
  assert.equal(announcements.dropped, 40)
  assert.match(announcements.take(250), /^60 new messages from P40, P41 and 58 others$/)
})
