// Owns the one clock that media is stamped with.

/** Monotonic milliseconds since 1970, the same line in every page of a machine. */
export const nowMs = () => performance.timeOrigin + performance.now()
