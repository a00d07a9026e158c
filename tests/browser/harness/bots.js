// Owns the program `pulse bot`: people that show a picture and speak without a browser. Never builds it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { repository } from './edge.js'

const binary = process.env.PULSE_BOT ?? `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/release/pulse`

/**
 * @param {string} link @param {string[]} flags of `pulse bot` @param {string[]} [on] what starts a program on a host of a lab
 * @returns {() => Promise<void>} ends them
 */
export function startBots(link, flags, on = []) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run "cargo build --release -p pulse-client" first.`)
  const [program, ...before] = [...on, binary]
  const child = spawn(program, [...before, 'bot', link, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] })
  const ended = once(child, 'exit')
  return async () => {
    child.kill('SIGINT')
    await ended
  }
}
