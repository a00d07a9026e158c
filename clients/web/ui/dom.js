/**
 * Builds elements and listens to events. Never touches innerHTML: all text from people ends up in text nodes.
 */

/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} AttributeValue */

/**
 * An element with attributes and children. `onclick: fn` adds a listener; false, null and undefined leave an attribute or child out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, AttributeValue>} [attributes]
 * @param {...(Node | string | false | null | undefined)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value)
  for (const child of children) if (child) element.append(child)
  return element
}

/**
 * Sets, changes or (false, null, undefined) removes one attribute.
 * @param {Element} element
 * @param {string} name
 * @param {AttributeValue} value
 */
export function setAttribute(element, name, value) {
  if (typeof value === 'function') element.addEventListener(name.slice(2), value)
  else if (value === false || value === null || value === undefined) element.removeAttribute(name)
  else {
    const text = value === true ? '' : String(value)
    if (element.getAttribute(name) !== text) element.setAttribute(name, text)
  }
}

/**
 * Sets text only when it differs, so that assistive technology is not told about what did not change.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

/**
 * Listens to a custom event of the SDK until `signal` aborts; the handler gets the event's detail.
 * @param {EventTarget} target
 * @param {string} type
 * @param {(detail: any) => void} handler
 * @param {AbortSignal} signal
 */
export function listen(target, type, handler, signal) {
  target.addEventListener(type, (event) => handler(/** @type {CustomEvent} */ (event).detail), { signal })
}

/**
 * The sentence of an error for people.
 * @param {unknown} error
 */
export function sentenceOf(error) {
  return error instanceof Error && error.message ? error.message : 'Something went wrong. Please try again.'
}
