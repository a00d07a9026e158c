// Owns every number of the SDK that can be tuned, each with its reason. Wire limits are not here: they are in wire.js.

export const defaults = Object.freeze({
  agent: 'pulse-web/0.1.0',
  features: Object.freeze(['v1-bridge', 'images', 'demand', 'constrained', 'alternates']),

  connection: Object.freeze({
    // The first retry is at once: most losses are a changed network path. Later ones give a restarting edge room to come up.
    backoffMs: Object.freeze([0, 300, 1200, 2700, 4800, 7000]),
    // Spreads clients that lost the same edge at the same moment; the first retry stays immediate.
    jitterMs: 1000,
    // TCP, TLS and the join; longer than a lossy mobile handshake, shorter than a person's patience.
    joinTimeoutMs: 8000,
    // Coming back, somebody waits and knows the way: a path that was gone is tried anew before the gaps between a system's own tries grow.
    rejoinTimeoutMs: 5000,
    // Where there are other edges: one that is there answers within three round trips of 200 ms, and one that is not may not cost more of the
    // second in which sound is to be back. Elsewhere a handshake is longer, and nothing is gained by giving up early.
    sameEdgeMs: 600, otherEdgeMs: 2000,
    // Two answers may be missing before this side says so and looks for another way; the edge waits for idleLimitMs.
    pingIntervalMs: 1000,
    silenceLimitMs: 2500,
    // After a change of the network: a healthy path answers well within it, and a dead one is not waited for like silence.
    probeMs: 1500,
    // An answer that may be waiting in front of a busy thread is not missing.
    lateTickMs: 300,
    // Timers this late, or a wall clock this far ahead: this thread was asleep. The edge ends a connection that is silent for idleLimitMs.
    sleptMs: 2500, idleLimitMs: 10_000,
    // Beyond this a person has long noticed; a fresh join by hand is more honest than an endless spinner.
    giveUpMs: 120_000,
    // What the worker gets to send LEAVE and close the socket before it is ended.
    closeGraceMs: 500,
  }),

  nearest: Object.freeze({
    // Four edges are measured three times each while a person looks at the lobby; whoever takes longer than this is far away.
    maxEdges: 4, samples: 3, budgetMs: 600,
    // Less is noise, or nothing that anybody hears.
    gainMs: 20, gainShare: 0.2,
  }),

  devices: Object.freeze({
    // A browser mutes a track for a moment while it starts; a program that takes the device keeps it.
    takenAfterMs: 300,
    // No event tells when another program lets a device go; looked for often at first, then at the pace of somebody who has gone for help.
    retryMs: Object.freeze([1000, 2000, 5000, 10_000]),
    // A device that has delivered nothing by then will not; Bluetooth headsets take more than a second.
    firstSampleMs: 3000,
    // Nobody who means to be heard is this silent for this long: below one step of 16 bits there is no room, only zeroes.
    silentAfterMs: 5000, silentPeak: 1 / 32768,
  }),
  // A picture of a hidden page, where frames have to be asked for: moving, and half the work.
  hiddenFrameMs: 66,

  microphone: Object.freeze({ bitrate: 32_000, channels: 1, blockMs: 20, application: 'voip' }),
  screenAudio: Object.freeze({ bitrate: 96_000, channels: 2, blockMs: 20, application: 'audio' }),
  // An Opus encoder that has failed this often is not tried again: sound goes on without it, at a higher rate.
  audioEncoderFaults: 2,
  pcm: Object.freeze({
    // 48 to 16 kHz: 74 dB down from 8.1 kHz on, flat to 6.3 kHz, and 1.6 ms of delay.
    taps: 151, cutoffHz: 7200,
  }),
  // Opus' native rate; also what every AudioContext of the SDK runs at, so nothing is resampled twice.
  sampleRate: 48_000,
  // AudioEncoder queue beyond which a block is dropped: 10 blocks are 200 ms of a stalled encoder.
  audioEncoderQueue: 10,
  // Louder than this a block counts as voice in the media header (RFC 6464, −dBov). Room noise sits near −60.
  voiceThresholdDbov: -50,
  captureClock: Object.freeze({
    // Blocks are late at times, never early: the time between them is their length, and only this share of a lateness is believed.
    drift: 0.01,
    // A difference beyond this is a pause, such as of a muted or a sleeping device.
    jumpMs: 100,
  }),

  // smallSide: the longer side while a page that cannot keep up sheds size. Text on a screen is not readable below it.
  camera: Object.freeze({
    width: 640, height: 360, framerate: 30, bitrate: 500_000, scalabilityMode: 'L1T3',
    maxSide: 1280, smallSide: 320, keyframeIntervalMs: 4000,
  }),
  screen: Object.freeze({
    width: 1920, height: 1080, framerate: 15, bitrate: 1_500_000, scalabilityMode: 'L1T1',
    maxSide: 1920, smallSide: 1280, keyframeIntervalMs: 10_000, repeatMs: 1000,
  }),
  // A deeper encoder queue only adds delay.
  videoEncoderQueue: 2,
  // An encoder that has failed is made anew, but not at the rate of frames: after the first of these, doubled each time up to the second.
  encoderRetryMs: 1000,
  encoderRetryMaxMs: 30_000,
  // A fault this long after the last one is a new one.
  encoderFaultMemoryMs: 60_000,

  codecs: Object.freeze({
    // Level 4 holds 1080p; every decoder and encoder that was tried takes these strings at any size up to that.
    strings: Object.freeze(/** @type {Record<string, string>} */ ({
      vp8: 'vp8', vp9: 'vp09.00.40.08', av1: 'av01.0.08M.08', h264: 'avc1.42E028',
    })),
    // Best first. AV1 needs a third fewer bits at this size and has tools for screens; it costs twice the time of VP8.
    camera: Object.freeze(['av1', 'vp9', 'h264']),
    screen: Object.freeze(['av1', 'vp9']),
    // Fewer cores than this have better things to do.
    strongCores: 4,
    // Each switch costs a keyframe and an encoder's start. Away from what a subscriber cannot decode it is at once.
    switchIntervalMs: 30_000,
    // People arrive one after the other.
    settleMs: 2000,
  }),

  shed: Object.freeze({
    // One window is `statisticsMs`; two seconds of trouble are no hiccup.
    troubleWindows: 4,
    // What has been given up shows its effect after this long.
    settleMs: 3000,
    // Timers of the worker this late on average: frames wait as long. Beyond asleepMs the machine was.
    lagMs: 50, asleepMs: 5000,
    // An encoder at work for more of the window has no room for the next, harder scene.
    busyShare: 0.8, skippedShare: 0.1,
    // Back up after this long without trouble; after twice as long each time that trouble came back within relapseMs.
    upAfterMs: 10_000, maxUpAfterMs: 160_000, relapseMs: 15_000,
    // In this order. Layers go on the way in, the rate and the size on the way out.
    rungs: Object.freeze([
      { step: 'layers', maxTemporal: 1 }, { step: 'layers', maxTemporal: 0 },
      { step: 'framerate', divisor: 2 }, { step: 'framerate', divisor: 3 },
      { step: 'size', small: true },
      // Who speaks, and whoever spoke before.
      { step: 'hiddenVideo', onStage: 4 }, { step: 'hiddenVideo', onStage: 1 },
    ]),
  }),
  // Several receivers that lose the same frame ask at nearly the same time.
  forcedKeyframeIntervalMs: 500,

  uplink: Object.freeze({
    // Under way at most on a path that has shown no queue: two keyframes of a camera. On one that has: three chunks, beyond what it carries.
    startBytes: 65_536, floorBytes: 3000,
    // What may be under way beyond one round trip, of the 150 ms that are allowed; audio waits behind it.
    slackMs: 120,
    // When even the fastest of the last frames was this late, the path queues, and is taken for narrow for a while after.
    delayLimitMs: 100, narrowMs: 60_000,
    // A path without a queue, but for the wobble of busy machines.
    clearMs: 50,
    // Acknowledgements come each 100 ms; so long after one was due the path stands still.
    silentMs: 400,
    // Shorter than this a rate is that of a burst; a lower one is believed by this at a time. The round trip is believed to have grown by 2 % a second.
    rateWindowMs: 400, believeLower: 0.7, forgetRtt: 1.002,
  }),
  // Frames are left out before they wait longer than queueMs; what a path that stands still has kept for maxWaitMs is of no use.
  pacer: Object.freeze({ queueMs: 100, maxWaitMs: 1000 }),

  rate: Object.freeze({
    // What pictures may use at first together, in bits a second; on a path that carries more it doubles in 2 s.
    start: 600_000,
    // Down to what was carried, less what sound takes and a queue needs to empty; by this at least and not further than that at once.
    carriedShare: 0.75, downFactor: 0.85, downLeast: 0.5, downAfterMs: 500,
    // Up in these steps to near where trouble began, or on a path where none did; from there by probes, rarer each time that one fails.
    upFactor: 1.3, upAfterMs: 700, nearCeiling: 0.9, probeFactor: 1.1, probeAfterMs: 2500, maxProbeAfterMs: 5000,
    // Below this a picture is worth less than the bits; frames are skipped instead.
    minShare: 0.08,
    // A share too small for the usual picture: frames that nothing needs go unsent, which helps at once; then they are not encoded either,
    // which leaves their bits to the others; then size, since a large keyframe alone would take a second.
    rungs: Object.freeze([
      { below: 0.5, step: 'layers', thin: true }, { below: 0.4, step: 'framerate', thin: false, divisor: 2 }, { below: 0.35, step: 'size', small: true },
    ]),
    releaseFactor: 1.3,
  }),

  jitter: Object.freeze({
    // How long after the fastest packets' arrival the first one plays, before anything is known of the path.
    startMs: 25,
    // The audio thread takes 10 ms at once, and a quantum more at times; decoding takes its part.
    reserveMs: 13,
    gulpMs: 10,
    // A path that loses 3 % at 200 ms needs as much to be understood; beyond it conversation breaks down, and concealing is better than waiting.
    maxTargetMs: 600,
    // So many of the last two minutes' packets may be late, fewer where some are lost. Long, so that a stall a minute costs its own gap and
    // not delay after it; what has become worse is followed by the next rule.
    lateShare: 0.0105, missedWeight: 1.8, leastLateShare: 0.0015, memoryMs: 120_000, maxMemory: 6000,
    // A twentieth of what came in the last seconds may be late, where what came together counts once: a path that has become worse is
    // followed within some packets.
    recentShare: 0.05, recentMs: 3000, togetherMs: 8,
    // The first moments, with a page that loads and a path that warms up, are not remembered.
    warmUpMs: 2000,
    // The fastest packets of one to two periods count: 200 ppm of drift are 2 ms by then.
    periodMs: 5000,
    // Slower by so much at once is another path, not drift.
    pathMs: 5,
    // As fast as playing 4 % faster follows without cutting.
    fallMsPerS: 40,
    // Later or earlier than that no packet comes by itself; so many that agree are right all the same: their clock or numbering has jumped.
    doubtMs: 1000, pathDropMs: 60, agreeMs: 10, believeAfter: 10,
    // Too late by less is left as it is; too early is a risk.
    slackMs: 3, shortMs: 1,
    settlePackets: 10,
    // Excess beyond this is cut, packet by packet, instead of squeezed: it came from a stall, not from drift.
    cutMs: 90,
    // What comes with the first packets is what waited for a joiner or through a pause: cut at once.
    startCutMs: 500,
    // Concealed at most in a row; longer gaps are silence.
    maxConcealMs: 120,
    // Packets held behind a gap.
    maxHeld: 50,
    // A longer gap is a new numbering.
    maxGap: 500,
    // Numbers remembered to know repeated packets from late ones.
    remembered: 128,
    // Packets over which the reported delay is smoothed.
    smoothing: 50,
  }),
  stretch: Object.freeze({
    // Faster or slower by up to 4 % goes unnoticed; one period of a deep voice may be spent at once.
    share: 0.04, maxCreditMs: 15,
    // Root mean square below which a block is a pause (−50 dBov): stretched at any rate.
    quiet: 0.003,
    overlapMs: 5,
    // Pitch periods: 400 Hz and above (several at once) to 67 Hz.
    minLagMs: 2.5, maxLagMs: 15,
    // A period may be longer than what is wanted by this.
    overMs: 2,
    // A seam has to fit this well, or anyhow once so much is wanted; a longer period that fits better by this is waited for.
    fit: 0.9, fitWithinMs: 70, fitMore: 0.01,
  }),
  // The last period again as it was for so long, then fading: longer it would sound like a machine.
  conceal: Object.freeze({ holdMs: 10, fadeMs: 50 }),
  soundDecoder: Object.freeze({
    // A decoder that has failed is made anew after this, doubled each time up to the second.
    retryMs: 1000, maxRetryMs: 30_000,
    // Packets in a decoder: a second's. More is a decoder that is stuck.
    maxQueue: 50,
    // 20 ms.
    pcmBytes: 640,
  }),
  // Frames per channel of a playout ring: a power of two, above the largest target plus one v1 block.
  ringFrames: 65_536,
  playout: Object.freeze({
    // What an audio thread takes at once at most, in the setups seen.
    gulpMs: 10,
    // Between gulps the place follows the clock a little too fast, held back by what was taken: so it finds the rhythm of the gulps.
    chase: 1.02,
    // A reader that takes nothing for so long does not play (a suspended context).
    stillMs: 250,
    // Packets in the ring: 1.4 s of the shortest, 2.5 ms, and some.
    maxMarks: 600,
  }),
  // How often the playout worklet reports its depth when memory cannot be shared.
  depthReportMs: 20,

  sync: Object.freeze({
    // A picture may be this much ahead of its sound: less than the 45 ms from which ITU-R BT.1359 finds either side noticed, and it
    // keeps most of the sound's extra delay away from the picture.
    leadMs: 40,
    // Beyond the largest delay that sound can have (jitter.maxTargetMs and a stretch of backlog).
    maxWaitMs: 600,
    // Decoded pictures cost a decoder its buffers: 10 are a third of a second of a camera.
    maxPictures: 10,
    // The sound's clock moves in the steps of its callbacks; a jump beyond is a stall or a cut and taken at once.
    smoothing: 0.1, jumpMs: 60,
    loggedSkews: 300,
  }),

  video: Object.freeze({
    keyframeRequestMs: 500,
    // A decoder that failed is made anew after 100, 200, 400 … ms, at most 4 s apart; after so many in a row the track says it.
    retryMs: 100, maxRetryMs: 4000, failuresShown: 4,
    // Held bytes of frames whose config has not arrived; beside the number of them below.
    maxHeldBytes: 1_048_576,
    // A picture that has not come to the screen after this long never will: the page is hidden.
    unseenLimitMs: 1000,
    // Larger pictures (4096 x 2304 and a little) are refused: one alone takes 14 MB, and no screen here is larger.
    maxPixels: 10_000_000,
    // Frames being put together at once per layer; on an ordered transport one is the rule.
    maxPartialFrames: 8,
    // Frames a decoder may hold before new ones are dropped until a keyframe.
    maxDecodeQueue: 30,
    // Frames held for a track config that has not arrived yet.
    maxHeldFrames: 64,
    maxHeldTracks: 32,
  }),

  speakers: Object.freeze({
    // Smoothing of the level; shorter flickers between syllables, longer lags behind a turn.
    smoothingMs: 300,
    // A speaker stays one through the pauses between words.
    holdMs: 500,
    onDbov: -45,
    reportMs: 100,
  }),

  // A glance elsewhere, a scroll there and back: what is unseen for less goes on, and coming back costs no keyframe.
  unseenAfterMs: 3000,

  quality: Object.freeze({
    // MOS borders after G.107 annex B: R 80 and above satisfies, below 70 many are dissatisfied.
    excellentMos: 4.02, goodMos: 3.6,
    margin: 0.1,
    // Packet-loss robustness (Bpl) with concealment, as G.113 gives it for packets of 20 ms.
    lossRobustness: 25,
    // Each half second's share in what counts: 3 s until two thirds of a change have arrived.
    smoothing: 0.17,
    intervalMs: 2000,
  }),

  chat: Object.freeze({ echoTimeoutMs: 10_000, maxMessages: 500 }),
  statisticsMs: 500,
  // Tiles come and go in groups; what is wanted is said once for each.
  subscribeMs: 50,

  // The original's; how its sound and shares are played and recorded is in v1/defaults.js, which is loaded with what does that.
  v1: Object.freeze({ sampleRate: 44_100, blockFrames: 16_384 }),
})
