/**
 * The screens with one thing to say: failed, left, unsupported. A title, a sentence, what to do next.
 */
import { el } from './dom.js'
import { logo } from './icons.js'

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} testid
 * @property {boolean} [primary]
 * @property {() => void} run
 */

/**
 * @param {HTMLElement} root
 * @param {{kind: 'failed' | 'left' | 'unsupported', title: string, text: string, actions: Action[]}} notice
 * @returns {{close: () => void}}
 */
export function showNotice(root, { kind, title, text, actions }) {
  const heading = el('h1', { tabindex: '-1' }, title)
  const buttons = actions.map(({ label, testid, primary, run }) =>
    el('button', { type: 'button', class: primary ? 'button button-primary' : 'button', 'data-testid': testid, onclick: run }, label),
  )
  const screen = el(
    'main',
    { class: 'notice', 'data-screen': kind },
    el('div', { class: 'notice-card' }, logo(), heading, el('p', {}, text), buttons.length > 0 && el('div', { class: 'notice-actions' }, ...buttons)),
  )
  root.replaceChildren(screen)
  document.title = `${title} · Pulse`
  // Focus moves with the screen, so that keyboards and screen readers are where the eyes are.
  const [first] = buttons
  if (first) first.focus()
  else heading.focus()
  return { close: () => screen.remove() }
}
