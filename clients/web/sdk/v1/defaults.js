// Owns the numbers of what is loaded once a v1 member is there, each with its reason; the others are in ../defaults.js.

export const v1Defaults = Object.freeze({
  // A block is 372 ms; this much silence before the first one lets the next be late.
  leadMs: 100,
  // More than this waiting ahead of a new block is backlog.
  maxDepthMs: 600,
  // No block for this long: the member has muted (v1 has no message for it).
  silentAfterMs: 1200,
  shareSliceMs: 500,
  shareBitrate: 1_500_000,
  // A late joiner's picture starts at a keyframe.
  shareKeyframeMs: 2000,
  shareTargetS: 0.5,
  shareMinRate: 0.8,
  shareMaxRate: 1.5,
  // Further behind than this is jumped over, not caught up with.
  shareJumpS: 3,
  // Played media that is kept in the SourceBuffer.
  shareKeepS: 10,
  // Chunks waiting for the SourceBuffer: 15 s of them.
  shareQueue: 30,
})
