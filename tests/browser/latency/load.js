// Owns the load that a call is measured under: one process for each core, busy half of the time in turns of 20 ms.

import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

const BUSY = `for (;;) {
  const from = performance.now()
  while (performance.now() - from < 20);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}`

/** @returns {() => void} ends it */
export function startLoad() {
  const workers = Array.from({ length: availableParallelism() }, () => spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }))
  return () => workers.forEach((worker) => worker.kill())
}
