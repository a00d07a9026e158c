// The capture time of what plays now, for lip sync.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PlayedTime } from '../sdk/recv/played.js'

/** Reads a ring that holds one packet of 960 frames each 20 ms, gulp by gulp, and asks at odd moments. */
function listen(gulpFrames, from = 0, stepMs = 1.7) {
  const played = new PlayedTime()
  const answers = []
  for (let i = 0; i < 60; i++) played.mark((from + i * 960) | 0, 5000 + i * 20)
  for (let now = 100; now < 1100; now += stepMs) {
    const read = (from + Math.floor(((now - 100) * 48) / gulpFrames + 1) * gulpFrames) | 0
    answers.push({ now, at: played.at(now, read, true) })
  }
  return answers
}

for (const gulp of [128, 480]) {
  test(`between gulps of ${gulp} frames time goes on evenly`, () => {
    const answers = listen(gulp)
    for (let i = 1; i < answers.length; i++) {
      const [before, { now, at }] = [answers[i - 1], answers[i]]
      assert.ok(at >= before.at, 'never backwards')
      if (now > 300) assert.ok(Math.abs(at - (5000 + now - 100)) <= 3.5, `${now}: ${at}`)
    }
  })
}

test('positions wrap', () => {
  const [first, ...rest] = listen(480, 0x7fff_ff00 | 0)
  assert.ok(rest.every(({ at }, i) => at >= (i ? rest[i - 1].at : first.at)))
  assert.ok(Math.abs(rest.at(-1).at - 6000) < 5)
})

test('nothing plays: nothing is known', () => {
  const played = new PlayedTime()
  assert.equal(played.at(0, 0, true), null, 'nothing written')
  played.mark(0, 5000)
  assert.equal(played.at(1, 0, false), null, 'waits for its target')
  assert.ok(played.at(2, 480, true) >= 5000)
  assert.equal(played.at(1000, 480, true), null, 'the context is suspended')
  played.reset()
  assert.equal(played.at(1001, 480, true), null)
})

test('stretched samples do not lead beyond the next packet, lost ones go on', () => {
  const played = new PlayedTime()
  played.mark(0, 1000)
  played.mark(1000, 1020)
  assert.equal(played.at(0, 990, true), 1020, 'expanded')
  assert.ok(played.at(100, 1000 + 48 * 30, true) > 1040)
})
