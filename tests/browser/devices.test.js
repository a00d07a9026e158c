// Devices that fail during a call: each failure is told within a second, and the call goes on without joining again.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { installDeviceLab } from './harness/devices.js'
import { theatre } from './harness/play.js'

const play = theatre({ flags: ['--use-fake-device-for-media-stream=fps=30,device-count=3'] })
/** Whoever causes a fault is told of it within this. */
const TOLD_MS = 1000

/** Two people in a call; the first one's devices are in the test's hands. */
async function call(enter, link, options = {}) {
  const ada = await enter('Ada', { init: installDeviceLab, ...options })
  const bob = await enter('Bob')
  await ada.join(link)
  await bob.join(link)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
  await bob.seesMoving(bob.picture('Ada'), 10)
  await ada.page.evaluate(() => globalThis.deviceLab.listen())
  return { ada, bob }
}

/** Runs something in the page and waits for events; @returns their details and how long the first one took. */
async function causes(one, what, names, argument) {
  const from = await one.page.evaluate(() => globalThis.deviceLab.events.length)
  const heard = await one.page.evaluate(`(async () => {
    const started = performance.now()
    await (${what})(${JSON.stringify(argument ?? null)})
    return deviceLab.wait(${JSON.stringify(names)}, ${from}, started)
  })()`)
  assert.ok(heard[0].afterMs <= TOLD_MS, `${names[0]} after ${heard[0].afterMs} ms`)
  return heard
}

const recovers = async (bob) => {
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
  await bob.seesMoving(bob.picture('Ada'), 10)
}
const inUse = (one, source) => one.page.evaluate((source) => globalThis.deviceLab.inUse(source), source)
const interrupted = (bob, source, reason) => bob.page.waitForFunction(({ source, reason }) => {
  const [ada] = [...globalThis.pulseRoom.participants.values()]
  return (ada?.tracks.get(source)?.interrupted ?? null) === reason
}, { source, reason })

play('switching the microphone and the camera ends at the device that was asked for', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  const lists = await ada.page.evaluate(async () => {
    const { microphones, cameras } = globalThis.pulseRoom.devices
    return { microphone: microphones.map(({ deviceId }) => deviceId), camera: cameras.map(({ deviceId }) => deviceId) }
  })
  assert.ok(lists.microphone.length >= 3 && lists.camera.length === 3, JSON.stringify(lists))
  for (const source of ['microphone', 'camera']) {
    for (const deviceId of [lists[source].at(-1), lists[source].at(-2)]) {
      const [changed] = await causes(ada, '({source, deviceId}) => pulseRoom.switchDevice(source, deviceId)', ['deviceChanged'], { source, deviceId })
      assert.equal(changed.deviceId, deviceId)
      assert.equal((await inUse(ada, source)).deviceId, deviceId)
    }
  }
  await recovers(bob)
  const [back] = await causes(ada, () => globalThis.pulseRoom.switchDevice('microphone', ''), ['deviceChanged'])
  assert.equal(back.deviceId, 'default')
  await recovers(bob)
})

play('a switch that gives another device, no device, or one without sound fails and leaves the old one on', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  for (const trick of ['other', 'missing', 'mute', 'busy']) {
    for (const source of ['microphone', 'camera']) {
      const before = await inUse(ada, source)
      const error = await ada.page.evaluate(async ({ trick, source }) => {
        deviceLab.trick = trick
        const id = globalThis.pulseRoom.devices[`${source}s`].at(-1).deviceId
        const error = await globalThis.pulseRoom.switchDevice(source, id).catch(({ name, message }) => ({ name, message }))
        deviceLab.trick = ''
        return error
      }, { trick, source })
      assert.deepEqual(error, { name: 'switch_failed', message: `The chosen ${source} cannot be used. The one before stays on.` }, `${source}: ${trick}`)
      assert.deepEqual(await inUse(ada, source), before)
    }
  }
  await recovers(bob)
})

for (const source of ['microphone', 'camera']) {
  play(`a ${source} that is unplugged is replaced, and taken again when it is back`, async ({ enter, link }) => {
    const { ada, bob } = await call(enter, link)
    // The browser's third fake camera is one of depth, whose picture hardly moves.
    const id = await ada.page.evaluate((source) => globalThis.pulseRoom.devices[`${source}s`].at(source === 'camera' ? 1 : -1).deviceId, source)
    await ada.page.evaluate(({ source, id }) => globalThis.pulseRoom.switchDevice(source, id), { source, id })
    const [failed, recovered] = await causes(ada, '(id) => deviceLab.unplug(id)', ['deviceFailed', 'deviceRecovered'], id)
    assert.deepEqual([failed.source, failed.error.name, failed.error.message], [source, 'device_unplugged', `The ${source} was unplugged.`])
    assert.notEqual(recovered.deviceId, id)
    assert.deepEqual(await inUse(ada, source), { deviceId: recovered.deviceId, live: true })
    await recovers(bob)
    const [again] = await causes(ada, '(id) => deviceLab.plug(id)', ['deviceChanged'], id)
    assert.equal(again.deviceId, id)
    assert.deepEqual(await inUse(ada, source), { deviceId: id, live: true })
    await recovers(bob)
  })

  play(`without any ${source} the others are told, and it comes back by itself`, async ({ enter, link }) => {
    const { ada, bob } = await call(enter, link)
    const [failed] = await causes(ada, '(source) => deviceLab.unplugAll(source)', ['deviceFailed', 'trackInterrupted'], source)
    assert.equal(failed.error.name, 'device_unplugged')
    await ada.page.getByText(failed.error.message).first().waitFor()
    await interrupted(bob, source, 'device')
    await causes(ada, () => globalThis.deviceLab.plugAll(), ['trackInterrupted', 'deviceRecovered'])
    await interrupted(bob, source, null)
    await recovers(bob)
  })

  play(`a ${source} that ends without a reason is opened again`, async ({ enter, link }) => {
    const { ada, bob } = await call(enter, link)
    const [failed] = await causes(ada, '(source) => deviceLab.end(source)', ['deviceFailed', 'deviceRecovered'], source)
    assert.equal(failed.error.name, 'device_ended')
    await recovers(bob)
  })

  play(`a ${source} that another program takes is told, and goes on when it is given back`, async ({ enter, link }) => {
    const { ada, bob } = await call(enter, link)
    const [failed] = await causes(ada, "(source) => deviceLab.track(source).dispatchEvent(new Event('mute'))", ['deviceFailed', 'trackInterrupted'], source)
    assert.equal(failed.error.name, 'device_muted')
    await interrupted(bob, source, 'device')
    await causes(ada, "(source) => deviceLab.track(source).dispatchEvent(new Event('unmute'))", ['deviceRecovered'], source)
    await interrupted(bob, source, null)
    await recovers(bob)
  })

  play(`the permission for the ${source} is taken back in the call, and given again`, async ({ enter, link }) => {
    const { ada, bob } = await call(enter, link)
    const [failed] = await causes(ada, '(source) => deviceLab.permit(source, false)', ['deviceFailed', 'trackInterrupted'], source)
    assert.equal(failed.error.name, 'permission_revoked')
    assert.match(failed.error.message, new RegExp(`Access to the ${source} was taken back`))
    await ada.page.getByText(failed.error.message).first().waitFor()
    assert.equal((await inUse(ada, source)).live, false, 'nothing is captured without a permission')
    await interrupted(bob, source, 'device')
    await causes(ada, '(source) => deviceLab.permit(source, true)', ['deviceRecovered'], source)
    await interrupted(bob, source, null)
    await recovers(bob)
  })
}

play('who is on the default microphone follows it to another one', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  const before = await ada.page.evaluate(() => globalThis.deviceLab.track('microphone').getSettings().groupId)
  const [changed] = await causes(ada, () => globalThis.deviceLab.changeDefault(), ['deviceChanged'])
  assert.equal(changed.source, 'microphone')
  assert.notEqual(changed.groupId, before)
  await recovers(bob)
})

play('devices that cannot be opened are said in a sentence, each its own, and the button works later', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  await ada.page.evaluate(() => globalThis.pulseRoom.localParticipant.setCameraEnabled(false))
  const cases = [
    ['NotAllowedError', 'Permission dismissed', 'permission_dismissed', 'prompt'], ['NotAllowedError', 'Permission denied', 'permission_denied', 'denied'],
    ['NotAllowedError', 'Permission denied by system', 'permission_system', 'granted'], ['NotFoundError', '', 'device_not_found', 'granted'],
    ['NotReadableError', '', 'device_in_use', 'granted'], ['AbortError', '', 'device_in_use', 'granted'],
  ]
  for (const [name, message, expected, permission] of cases) {
    const [failed] = await causes(ada, `({name, message, permission}) => {
      deviceLab.refuse = { name, message, permission }
      return pulseRoom.localParticipant.setCameraEnabled(true).then(() => 'opened', (error) => error.name)
    }`, ['deviceFailed'], { name, message, permission })
    assert.equal(failed.error.name, expected)
    assert.match(failed.error.message, /camera/)
    await ada.page.getByText(failed.error.message).first().waitFor()
  }
  await ada.page.evaluate(() => {
    deviceLab.refuse = null
    return globalThis.pulseRoom.localParticipant.setCameraEnabled(true)
  })
  await recovers(bob)
})

play('a chosen device that is not there any more is replaced by the default one, which is said', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  const [failed] = await causes(ada, async () => {
    await globalThis.pulseRoom.localParticipant.setCameraEnabled(false)
    await globalThis.pulseRoom.localParticipant.setCameraEnabled(true, { deviceId: 'gone' })
  }, ['deviceFailed'])
  assert.equal(failed.error.name, 'overconstrained')
  assert.equal(failed.error.message, 'The chosen camera is not there or cannot do what was asked. Another one is used.')
  await recovers(bob)
})

play('a microphone that gives only zeroes is told, until there is sound', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  // The browser's own switch of a track: zeroes come, as from a headset with its own switch off.
  await ada.page.evaluate(() => (globalThis.deviceLab.track('microphone').enabled = false))
  const [silent] = await ada.page.evaluate(() => globalThis.deviceLab.wait(['microphoneSilent'], 0, performance.now()))
  assert.equal(silent.silent, true)
  const [sound] = await causes(ada, () => (globalThis.deviceLab.track('microphone').enabled = true), ['microphoneSilent'])
  assert.equal(sound.silent, false)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ, wanted: 2 })
})

play('a share that is stopped in the bar of the browser is over for everybody', async ({ enter, link }) => {
  const { ada, bob } = await call(enter, link)
  await ada.get('control-share').click()
  await bob.seesMoving(bob.get('stage-video'), 5)
  const [stopped] = await causes(ada, () => globalThis.deviceLab.end('screen'), ['localTrackUnpublished'])
  assert.equal(stopped.reason, 'ended')
  await bob.page.waitForFunction(() => ![...globalThis.pulseRoom.participants.values()][0].screenTrack)
})

play('a speaker that is unplugged gives way to the default one', async ({ enter, link }) => {
  const { ada } = await call(enter, link)
  const id = await ada.page.evaluate(() => globalThis.pulseRoom.devices.speakers.at(-1)?.deviceId)
  assert.ok(id, 'there is a speaker to choose')
  await ada.page.evaluate((id) => globalThis.pulseRoom.switchDevice('speaker', id), id)
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.audioContext.sinkId), id)
  const [failed, recovered] = await causes(ada, '(id) => deviceLab.unplug(id)', ['deviceFailed', 'deviceRecovered'], id)
  assert.deepEqual([failed.source, failed.error.name, recovered.source], ['speaker', 'device_unplugged', 'speaker'])
  assert.equal(await ada.page.evaluate(() => globalThis.pulseRoom.audioContext.sinkId), '')
})
