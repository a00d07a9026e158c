// Owns what Pulse is compared with: the same known devices through an RTCPeerConnection between the same two pages.

/**
 * @param {import('playwright-core').Page} from @param {import('playwright-core').Page} to
 * @returns {Promise<void>} once the picture plays in an element with the id `rtc`
 */
export async function connectPeers(from, to) {
  const offer = await from.evaluate(async () => {
    const peer = new RTCPeerConnection()
    Object.assign(globalThis, { rtcPeer: peer })
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true })
    for (const track of stream.getTracks()) peer.addTrack(track, stream)
    await peer.setLocalDescription()
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve(undefined)
    })
    return peer.localDescription?.sdp
  })
  const answer = await to.evaluate(async (sdp) => {
    const peer = new RTCPeerConnection()
    Object.assign(globalThis, { rtcPeer: peer })
    const video = document.createElement('video')
    video.id = 'rtc'
    video.autoplay = true
    document.body.append(video)
    peer.ontrack = ({ streams }) => (video.srcObject = streams[0])
    await peer.setRemoteDescription({ type: 'offer', sdp })
    await peer.setLocalDescription()
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve(undefined)
    })
    return peer.localDescription?.sdp
  }, offer)
  await from.evaluate((sdp) => globalThis.rtcPeer.setRemoteDescription({ type: 'answer', sdp }), answer)
  await to.waitForFunction(() => {
    const video = /** @type {HTMLVideoElement | null} */ (document.getElementById('rtc'))
    return (video?.videoWidth ?? 0) > 0
  })
}
