import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Faults, isDeviceError } from '../ui/faults.js'

const error = (/** @type {string} */ name) => Object.assign(new Error(`sentence of ${name}`), { name })
const ids = (/** @type {Faults} */ faults) => faults.list.map(({ id }) => id)

test('one message a device, the latest, and none once it works again', () => {
  const faults = new Faults()
  faults.device('microphone', error('device_in_use'))
  faults.device('microphone', error('device_unplugged'))
  assert.deepEqual(faults.list.map(({ text, label }) => [text, label]), [['sentence of device_unplugged', 'Choose another microphone']])
  faults.device('microphone', null)
  assert.deepEqual(faults.list, [])
})

test('a refusal offers to try again, everything else another device', () => {
  const faults = new Faults()
  faults.device('camera', error('permission_denied'))
  assert.equal(faults.list[0]?.remedy, 'retry-camera')
  faults.device('camera', error('overconstrained'))
  assert.equal(faults.list[0]?.remedy, 'choose-camera')
  faults.device('speaker', error('speaker_failed'))
  assert.ok(faults.list.some(({ remedy }) => remedy === 'choose-speaker'))
  faults.device('screen', error('permission_denied'))
  assert.equal(faults.list.find(({ id }) => id === 'device-screen')?.remedy, null)
})

test('an error nobody knows is shown too, and is no error of a device', () => {
  const faults = new Faults()
  faults.device('camera', error('never_heard_of'))
  assert.equal(faults.list[0]?.text, 'sentence of never_heard_of')
  assert.equal(isDeviceError(error('never_heard_of')), false)
  assert.equal(isDeviceError(error('device_in_use')), true)
})

test('a microphone that failed is not also called silent', () => {
  const faults = new Faults()
  faults.microphoneSilent(true)
  faults.device('microphone', error('device_ended'))
  assert.deepEqual(ids(faults), ['device-microphone'])
  faults.device('microphone', null)
  assert.deepEqual(ids(faults), ['silent'])
  faults.microphoneSilent(false)
  assert.deepEqual(ids(faults), [])
})

test('what is dismissed stays away while it lasts and comes back with the next failure', () => {
  const faults = new Faults()
  faults.limitation('bandwidth')
  faults.dismiss('limit')
  faults.limitation('cpu')
  faults.limitation('bandwidth')
  assert.deepEqual(ids(faults), [], 'the same trouble going on')
  faults.limitation('none')
  faults.limitation('bandwidth')
  assert.deepEqual(ids(faults), ['limit'])
  faults.device('camera', error('device_in_use'))
  faults.dismiss('device-camera')
  faults.device('camera', error('device_in_use'))
  assert.ok(ids(faults).includes('device-camera'), 'somebody pressed the button again')
})

test('warnings stand before hints', () => {
  const faults = new Faults()
  faults.limitation('cpu')
  faults.playback(false)
  assert.deepEqual(ids(faults), ['playback', 'limit'])
  faults.playback(true)
  assert.deepEqual(ids(faults), ['limit'])
})
