// A call between pages of different edges, with core a process of its own: the same as on one edge, and it goes on when core or an
// edge is gone.

import assert from 'node:assert/strict'
import { FAKE_MICROPHONE_HZ } from './harness/browser.js'
import { startCluster } from './harness/cluster.js'
import { theatre } from './harness/play.js'

const play = theatre()

play('two people at different edges see, hear and write to each other', async ({ enter, room, note, onEnd }) => {
  const cluster = await startCluster(['fra/fra-1', 'sgp/sgp-1'])
  onEnd(() => cluster.stop())
  const [ada, bob] = [await enter('Ada'), await enter('Bob')]
  await ada.join(cluster.edges[0].linkTo(room))
  await bob.join(cluster.edges[1].linkTo(room))
  for (const [one, other] of [[ada, bob], [bob, ada]]) {
    await one.sees(2)
    const seen = await one.seesMoving(one.picture(other.name), 30)
    assert.deepEqual([seen.width, seen.height], [640, 360])
    note(`${one.name} saw 30 different pictures of ${other.name} in ${seen.ms} ms`)
    const { heard } = await one.hears({ hz: FAKE_MICROPHONE_HZ })
    const gaps = heard.slice(1).map((at, index) => at - heard[index])
    assert.ok(gaps.every((gap) => gap > 300), `beeps came at ${heard.join(', ')} ms`)
  }
  await ada.says('hello over there')
  await bob.openPanel('chat')
  await bob.get('chat-message').getByText('hello over there').waitFor()
  await bob.screenshot('call-across-edges')

  // Core is killed: nobody notices.
  await cluster.core.end('SIGKILL')
  await ada.hears({ hz: FAKE_MICROPHONE_HZ })
  await bob.seesMoving(bob.picture('Ada'), 20)
  await bob.state('connected')
})

play('who is at an edge that is killed goes on at another', async ({ enter, room, note, onEnd }) => {
  const cluster = await startCluster(['fra/fra-1', 'sgp/sgp-1'])
  onEnd(() => cluster.stop())
  const [ada, bob] = [await enter('Ada', { tolerate: [/WebSocket/] }), await enter('Bob')]
  await ada.join(cluster.edges[0].linkTo(room))
  await bob.join(cluster.edges[1].linkTo(room))
  await bob.sees(2)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  const before = Date.now()
  await cluster.edges[0].kill()
  const other = cluster.edges[1].origin.replace('http', 'ws')
  await ada.page.waitForFunction((other) => {
    const { state, edge } = globalThis.pulseRoom.statistics()
    return state === 'connected' && edge.startsWith(other)
  }, other)
  note(`connected at another edge ${Date.now() - before} ms after the kill`)
  await bob.hears({ hz: FAKE_MICROPHONE_HZ })
  await ada.hears({ hz: FAKE_MICROPHONE_HZ })
  await ada.seesMoving(ada.picture('Bob'), 20)
  // The same person as before: nobody is there twice.
  await bob.sees(2)
})
