/**
 * Finds web addresses in a message. Pure; what it returns are parts of text, never markup.
 */

const ADDRESS = /https?:\/\/[^\s<>"']+/giu
const TRAILING = /[.,;:!?…»”’]+$/u

/**
 * @param {string} text
 * @returns {{text: string, href?: string}[]} parts whose texts together are `text`
 */
export function splitLinks(text) {
  /** @type {{text: string, href?: string}[]} */
  const parts = []
  let from = 0
  for (const match of text.matchAll(ADDRESS)) {
    const address = trim(match[0])
    const href = hrefOf(address)
    if (href === '') continue
    if (match.index > from) parts.push({ text: text.slice(from, match.index) })
    parts.push({ text: address, href })
    from = match.index + address.length
  }
  if (from < text.length) parts.push({ text: text.slice(from) })
  return parts
}

/** Punctuation after an address belongs to the sentence, and so does a bracket it did not open. @param {string} address */
function trim(address) {
  for (;;) {
    let shorter = address.replace(TRAILING, '')
    if (shorter.endsWith(')') && !shorter.includes('(')) shorter = shorter.slice(0, -1)
    if (shorter === address) return address
    address = shorter
  }
}

/** @param {string} address */
function hrefOf(address) {
  try {
    const url = new URL(address)
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : ''
  } catch {
    return ''
  }
}
