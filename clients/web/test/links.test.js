import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitLinks } from '../ui/links.js'

/** @param {string} text */
const links = (text) => splitLinks(text).flatMap((part) => (part.href ? [part.text] : []))

test('the parts together are the message', () => {
  for (const text of ['', 'hello', 'see https://a.example/x?y=1#z, or http://b.example.', '(https://a.example/)', 'https://']) {
    assert.equal(splitLinks(text).map((part) => part.text).join(''), text)
  }
})

test('punctuation of the sentence is not part of the address', () => {
  assert.deepEqual(links('Look: https://a.example/b. And (http://c.example/d)!'), ['https://a.example/b', 'http://c.example/d'])
  assert.deepEqual(links('https://a.example/wiki/Pulse_(physics)'), ['https://a.example/wiki/Pulse_(physics)'])
})

test('only web addresses become links', () => {
  assert.deepEqual(links('javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.example'), [])
  assert.deepEqual(links('https://'), [])
})
