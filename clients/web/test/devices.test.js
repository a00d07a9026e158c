// What becomes of a device in a call: unplugged, ended, taken, forbidden, another default, and the way back from each.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaults } from '../sdk/defaults.js'
import { initialWatch, nextWatchTimeout, watchDevice } from '../sdk/device-watch.js'

const device = (id, groupId = `group of ${id}`) => ({ deviceId: id, groupId, label: `The ${id}` })
const headset = device('headset')
const builtIn = device('builtIn')
const usb = device('usb')
/** As Chromium lists it: an entry of its own that shares the group of the real one. */
const byDefault = (real) => ({ ...real, deviceId: 'default' })

function run(source, ...events) {
  let watch = initialWatch(source)
  let effects = []
  for (const event of events) [watch, effects] = watchDevice(watch, { now: 0, live: true, ...event })
  return { watch, effects, names: effects.map((effect) => effect.do) }
}

const listed = (...devices) => ({ type: 'devices', devices })
const use = (used, wanted = used.deviceId) => ({ type: 'using', device: used, wanted })

test('the microphone in use is unplugged: it is said, and another one is opened', () => {
  for (const fault of [listed(builtIn), { type: 'ended', devices: [builtIn], revoked: false }]) {
    const { effects, watch } = run('microphone', listed(headset, builtIn), use(headset), fault)
    assert.deepEqual(effects, [{ do: 'failed', error: 'device_unplugged' }, { do: 'open', deviceId: '' }])
    const [, back] = watchDevice(watch, { type: 'using', device: builtIn })
    assert.deepEqual(back, [{ do: 'recovered', device: builtIn }])
  }
})

test('the chosen one is taken again when it is plugged in again', () => {
  const { effects, watch } = run('microphone', listed(headset, builtIn), use(headset), listed(builtIn), { type: 'using', device: builtIn }, listed(headset, builtIn))
  assert.deepEqual(effects, [{ do: 'open', deviceId: 'headset' }])
  assert.deepEqual(watchDevice(watch, { type: 'using', device: headset })[1], [{ do: 'changed', device: headset }])
})

test('the last one is unplugged: the others are told, and it comes back by itself', () => {
  const alone = run('camera', listed(usb), use(usb, ''), { type: 'ended', devices: [], revoked: false })
  assert.deepEqual(alone.effects, [{ do: 'failed', error: 'device_unplugged' }, { do: 'interrupt', reason: 'device' }])
  const [opening, effects] = watchDevice(alone.watch, { type: 'devices', devices: [builtIn], now: 1, live: false })
  assert.deepEqual(effects, [{ do: 'open', deviceId: '' }])
  assert.deepEqual(watchDevice(opening, { type: 'using', device: builtIn })[1], [{ do: 'interrupt', reason: null }, { do: 'recovered', device: builtIn }])
})

test('another default is followed by who is on the default one, and by nobody else', () => {
  const before = listed(byDefault(builtIn), builtIn, headset)
  const after = listed(byDefault(headset), builtIn, headset)
  assert.deepEqual(run('microphone', before, use(byDefault(builtIn), ''), after).effects, [{ do: 'open', deviceId: '' }])
  assert.deepEqual(run('microphone', before, use(builtIn), after).effects, [])
  assert.deepEqual(run('microphone', before, use(byDefault(builtIn), ''), before).effects, [])
  assert.deepEqual(run('camera', listed(builtIn), use(builtIn, ''), listed(usb, builtIn)).effects, [], 'a new camera is not turned on unasked')
  assert.deepEqual(run('microphone', listed(builtIn), use(builtIn, ''), listed(headset, builtIn)).effects, [{ do: 'open', deviceId: '' }], 'no default entry')
})

test('the default changes while a device is being opened: the list is looked at again', () => {
  const { effects } = run(
    'microphone', listed(byDefault(builtIn), builtIn, headset), use(byDefault(builtIn), ''), listed(byDefault(headset), builtIn, headset),
    listed(byDefault(builtIn), builtIn, headset), { type: 'using', device: byDefault(headset) },
  )
  assert.deepEqual(effects, [{ do: 'changed', device: byDefault(headset) }, { do: 'open', deviceId: '' }])
})

test('a device that was followed but does not open leaves the old one on, and says so', () => {
  const { effects, watch } = run(
    'microphone', listed(byDefault(builtIn), builtIn), use(byDefault(builtIn), ''), listed(byDefault(headset), builtIn, headset), { type: 'failed', error: 'device_in_use' },
  )
  assert.deepEqual(effects, [{ do: 'failed', error: 'switch_failed' }])
  assert.equal(watch.phase, 'using')
})

test('every device is tried once, then all of them again after a while', () => {
  let { watch, effects } = run('microphone', listed(headset, builtIn), use(headset), { type: 'ended', devices: [headset, builtIn], revoked: false })
  assert.deepEqual(effects, [{ do: 'failed', error: 'device_ended' }, { do: 'open', deviceId: 'headset' }])
  const opened = ['headset']
  for (let turn = 0; turn < 3; turn++) {
    [watch, effects] = watchDevice(watch, { type: 'failed', error: 'device_in_use', now: 10 })
    for (const effect of effects) if (effect.do === 'open') opened.push(effect.deviceId)
  }
  assert.deepEqual(opened, ['headset', '', 'builtIn'])
  assert.deepEqual(effects, [{ do: 'interrupt', reason: 'device' }], 'told once, and not for each attempt')
  assert.equal(nextWatchTimeout(watch), 10 + defaults.devices.retryMs[0])
  assert.deepEqual(watchDevice(watch, { type: 'tick', now: nextWatchTimeout(watch) })[1], [{ do: 'open', deviceId: 'headset' }])
})

test('a permission that is taken back stops the device; given again, it goes on', () => {
  const granted = { type: 'permission', granted: true }
  for (const fault of [{ type: 'permission', granted: false }, { type: 'ended', devices: [usb], revoked: true }]) {
    const { watch, effects } = run('camera', listed(usb), use(usb, ''), fault)
    assert.deepEqual(effects, [{ do: 'stop' }, { do: 'failed', error: 'permission_revoked' }, { do: 'interrupt', reason: 'device' }])
    assert.deepEqual(watchDevice(watch, listed(usb))[1], [], 'nobody is asked again unasked')
    assert.deepEqual(watchDevice(watch, { ...granted, now: 0 })[1], [{ do: 'open', deviceId: '' }])
  }
})

test('a device that is taken away for longer than a blink is told; given back, it goes on', () => {
  const { watch } = run('microphone', listed(usb), use(usb), { type: 'taken' })
  const at = nextWatchTimeout(watch)
  assert.equal(at, defaults.devices.takenAfterMs)
  assert.deepEqual(watchDevice(watch, { type: 'given' }), [{ ...watch, takenAt: null }, []])
  const [taken, effects] = watchDevice(watch, { type: 'tick', now: at })
  assert.deepEqual(effects, [{ do: 'failed', error: 'device_muted' }, { do: 'interrupt', reason: 'device' }])
  assert.deepEqual(watchDevice(taken, { type: 'given' })[1], [{ do: 'interrupt', reason: null }, { do: 'recovered', device: usb }])
})

test('an empty list beside a device that works means nothing; beside one that ended it does', () => {
  assert.deepEqual(run('microphone', listed(usb), use(usb), listed()).effects, [])
  assert.equal(run('microphone', listed(usb), use(usb), { ...listed(), live: false }).effects[0].error, 'device_unplugged')
})

test('what is off is left alone', () => {
  assert.deepEqual(run('microphone', listed(usb), use(usb), { type: 'off' }, listed()).effects, [])
  assert.equal(run('microphone', use(usb), { type: 'off' }).watch.wanted, 'usb', 'but the choice is kept')
})

test('whatever happens, a microphone in use that is not the chosen one is being changed, or was told', () => {
  const all = [headset, builtIn, usb]
  let seed = 7
  const next = (/** @type {number} */ below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below
  for (let round = 0; round < 500; round++) {
    let watch = initialWatch('microphone')
    let plugged = all
    let actual = headset
    let told = false
    const step = (event) => {
      const [after, effects] = watchDevice(watch, { now: round, live: true, ...event })
      watch = after
      for (const effect of effects) {
        if (effect.do === 'failed') told = true
        if (effect.do === 'recovered' || effect.do === 'changed') told = effect.device.deviceId !== watch.wanted && told
      }
    }
    step(listed(...all))
    step(use(actual))
    for (let turn = 0; turn < 30; turn++) {
      if (watch.phase === 'opening' && next(2)) {
        const asked = watch.used ? watch.wanted : (watch.tried.at(-1) || plugged[0]?.deviceId)
        const found = plugged.find(({ deviceId }) => deviceId === asked)
        if (found && next(4)) {
          actual = found
          step({ type: 'using', device: found })
        } else step({ type: 'failed', error: 'device_in_use' })
      } else {
        plugged = all.filter(() => next(3))
        step({ ...listed(...plugged), live: plugged.includes(actual) })
      }
      const right = watch.used?.deviceId === watch.wanted
      assert.ok(right || watch.phase !== 'using' || told || !plugged.some(({ deviceId }) => deviceId === watch.wanted), JSON.stringify(watch))
      if (watch.phase === 'using') assert.equal(watch.used.deviceId, actual.deviceId)
    }
  }
})
