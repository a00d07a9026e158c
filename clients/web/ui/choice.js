/**
 * Small controls of the settings: one of several, and on or off. Native inputs underneath, so keyboards and screen readers know them.
 */
import { el, setText } from './dom.js'

/**
 * @template {string} T
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.label
 * @param {readonly {value: T, label: string, note?: string}[]} options.choices
 * @param {T} options.value
 * @param {(value: T) => void} options.onChange
 */
export function choiceRow({ name, label, choices, value, onChange }) {
  const note = el('p', { class: 'choice-note' }, noteOf(value))
  const boxes = choices.map((choice) => {
    const id = `choice-${name}-${choice.value}`
    const box = el('input', { type: 'radio', name, id, value: choice.value, 'data-testid': `${name}-${choice.value}`, onchange: () => pick(choice.value) })
    box.checked = choice.value === value
    return el('span', { class: 'choice' }, box, el('label', { for: id }, choice.label))
  })

  /** @param {T} chosen */
  function noteOf(chosen) {
    return choices.find((choice) => choice.value === chosen)?.note ?? ''
  }

  /** @param {T} chosen */
  function pick(chosen) {
    setText(note, noteOf(chosen))
    onChange(chosen)
  }
  return el('fieldset', { class: 'choices' }, el('legend', {}, label), el('div', { class: 'choice-bar' }, ...boxes), note)
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string} note
 * @param {boolean} checked
 * @param {(on: boolean) => void} onChange
 */
export function switchRow(id, label, note, checked, onChange) {
  const box = el('input', { type: 'checkbox', role: 'switch', id: `switch-${id}`, 'data-testid': id, 'aria-describedby': `switch-${id}-note`, onchange: () => onChange(box.checked) })
  box.checked = checked
  return el('div', { class: 'switch' }, el('label', { for: box.id }, label), el('p', { id: `switch-${id}-note` }, note), box)
}
