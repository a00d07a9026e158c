// A call between two engines: Chromium and Firefox hear and see each other.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { FIREFOX_MICROPHONE, launchFirefox } from './harness/firefox.js'
import { theatre } from './harness/play.js'

const play = theatre()

play('Chromium and Firefox hear and see each other', async ({ enter, link, note, onEnd }) => {
  const firefox = await launchFirefox()
  onEnd(() => firefox.close())
  const ada = await enter('Ada')
  const fox = await firefox.enter('Fox')
  await ada.join(link)
  await fox.join(link)
  await ada.sees(2)

  const [there, back] = await Promise.all([fox.seesMoving('Ada'), ada.seesMoving(ada.picture('Fox'))])
  note(`Firefox saw ${there.pictures} pictures in ${there.ms} ms (${there.width}x${there.height}), Chromium ${back.pictures} in ${back.ms} ms (${back.width}x${back.height})`)
  const [heardThere, heardBack] = await Promise.all([
    fox.hears({ hz: FAKE_MICROPHONE_HZ }),
    ada.page.evaluate(({ hz, atLeastDb }) => globalThis.pulseProbe.steady(hz, 4000, 20_000, atLeastDb), FIREFOX_MICROPHONE),
  ])
  note(`Firefox heard beeps at ${heardThere.heard} ms; Chromium the tone in ${Math.round(heardBack.share * 100)} % of ${heardBack.looks} looks`)
  // Two browsers and a sound server share the machine; how free of gaps sound is is measured elsewhere.
  assert.ok(heardBack.share > 0.7, `the tone of Firefox was there in ${heardBack.share} of the time`)

  const statistics = await fox.statistics()
  for (const track of statistics.received.tracks) note(`Firefox: ${JSON.stringify(track)}`)
  for (const track of statistics.sent.tracks) note(`Firefox sends: ${JSON.stringify(track)}`)
  assert.deepEqual(fox.faults, [])
})
