import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Voices } from '../ui/voices.js'

test('a mark stays through a pause for breath and goes when it is over', () => {
  const voices = new Voices()
  voices.heard(0, ['a'])
  assert.deepEqual([...voices.at(0).marked], ['a'])
  voices.heard(1000, [])
  const pause = voices.at(1500)
  assert.deepEqual([...pause.marked], ['a'])
  assert.equal(pause.next, 1900)
  assert.deepEqual([...voices.at(1900).marked], [])
})

test('syllables do not make the mark flicker', () => {
  const voices = new Voices()
  let changes = 0
  let was = false
  for (let now = 0; now < 10_000; now += 100) {
    voices.heard(now, Math.floor(now / 300) % 2 === 0 ? ['a'] : [])
    const is = voices.at(now).marked.has('a')
    if (is !== was) changes += 1
    was = is
  }
  assert.equal(changes, 1)
})

test('the word goes to who goes on speaking, not to who says yes', () => {
  const voices = new Voices()
  voices.heard(0, ['a'])
  assert.equal(voices.at(0).word, 'a')
  voices.heard(3000, ['b'])
  assert.equal(voices.at(3000).word, 'a')
  voices.heard(3400, ['a'])
  assert.equal(voices.at(5000).word, 'a')
  voices.heard(6000, ['b'])
  const { next } = voices.at(6000)
  assert.equal(next, 6700)
  assert.equal(voices.at(6700).word, 'b')
})

test('the stage changes no more often than every two and a half seconds', () => {
  const voices = new Voices()
  /** @type {number[]} */
  const changes = []
  let was = null
  for (let now = 0; now < 20_000; now += 100) {
    voices.heard(now, [Math.floor(now / 1000) % 2 === 0 ? 'a' : 'b'])
    const { word } = voices.at(now)
    if (word !== was) changes.push(now)
    was = word
  }
  for (const [index, at] of changes.entries()) assert.ok(index === 0 || at - (changes[index - 1] ?? 0) >= 2500, `changed at ${changes}`)
})

test('talking over each other leaves the word where it was', () => {
  const voices = new Voices()
  voices.heard(0, ['a'])
  voices.at(0)
  voices.heard(5000, ['b', 'a'])
  assert.equal(voices.at(9000).word, 'a')
})

test('who spoke last comes first, and who leaves is forgotten', () => {
  const voices = new Voices()
  voices.heard(0, ['a'])
  voices.heard(100, ['b'])
  voices.heard(200, ['c'])
  assert.deepEqual(voices.at(200).recent, ['c', 'b', 'a'])
  voices.remove('c')
  const now = voices.at(300)
  assert.deepEqual(now.recent, ['b', 'a'])
  assert.ok(!now.marked.has('c'))
})
