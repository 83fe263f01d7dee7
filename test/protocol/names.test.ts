import { checkName, checkPrefix, describe, isWellFormed, utf8Bytes } from '@leasehold/protocol'
import fc from 'fast-check'
import t from 'tap'
import { holds, names, refused } from './support.js'

t.test('a name of allowed segments is taken as it is', async (t) => {
  holds(
    t,
    fc.property(names, (name) => checkName(name, 'name') === name && checkPrefix(name, 'prefix') === name),
  )
  for (const name of ['a', 'billing/leader', '...', 'a/.b/c..', 'A.z_0:9@x-/y', 'n'.repeat(255)]) {
    t.equal(checkName(name, 'name'), name)
  }
})

t.test('a refused name hears which field and what is wrong with it', async (t) => {
  const bad: [unknown, RegExp][] = [
    ['', /^holder must not be empty$/],
    ['n'.repeat(256), /^holder must be at most 255 bytes, not 256$/],
    ['é'.repeat(256), /^holder must be at most 255 bytes, not 512$/],
    ['/a', /^holder must not have an empty segment/],
    ['a/', /^holder must not have an empty segment/],
    ['a//b', /^holder must not have an empty segment/],
    ['/', /^holder must not have an empty segment/],
    ['.', /^holder must not have a segment '.' or '..'$/],
    ['..', /^holder must not have a segment/],
    ['a/../b', /^holder must not have a segment/],
    ['./a', /^holder must not have a segment/],
    ['a/.', /^holder must not have a segment/],
    ['a b', /^holder may only have A-Z .*, not " " \(U\+0020\) at 1$/],
    ['a%2Fb', /not "%" \(U\+0025\) at 1$/],
    ['naïve', /not "ï" \(U\+00EF\) at 2$/],
    ['x😀', /not "😀" \(U\+1F600\) at 1$/],
    ['a\u0000', /not "\\u0000" \(U\+0000\) at 1$/],
    ['a\n', /not "\\n" \(U\+000A\) at 1$/],
    ['\ud800', /\(U\+D800\) at 0$/],
    [7, /^holder must be a string, not 7$/],
    [null, /^holder must be a string, not null$/],
    [undefined, /^holder must be a string, not nothing$/],
    [['a'], /^holder must be a string, not an array$/],
  ]
  for (const [value, sentence] of bad) refused(t, () => checkName(value, 'holder'), 'INVALID_ARGUMENT', sentence)
})

t.test('every character outside the list is refused, every one inside is not', async (t) => {
  for (let unit = 0; unit < 0x200; unit++) {
    const name = `a${String.fromCharCode(unit)}b`
    if (/^[A-Za-z0-9._:@/-]$/.test(name[1]!)) t.equal(checkName(name, 'name'), name)
    else refused(t, () => checkName(name, 'name'), 'INVALID_ARGUMENT', /^name may only have/)
  }
})

t.test('a prefix may be empty or end anywhere within a name', async (t) => {
  holds(
    t,
    fc.property(names, fc.nat(), (name, cut) => {
      const prefix = name.slice(0, cut % (name.length + 1))
      return checkPrefix(prefix, 'prefix') === prefix
    }),
  )
  for (const prefix of ['/', 'a//', '//a']) {
    refused(t, () => checkPrefix(prefix, 'prefix'), 'INVALID_ARGUMENT', /^prefix must not have an empty segment/)
  }
  for (const prefix of ['./', 'a/../b', '../']) {
    refused(t, () => checkPrefix(prefix, 'prefix'), 'INVALID_ARGUMENT', /^prefix must not have a segment/)
  }
  refused(t, () => checkPrefix('a b', 'prefix'), 'INVALID_ARGUMENT', /not " " \(U\+0020\) at 1/)
  refused(t, () => checkPrefix('n'.repeat(256), 'prefix'), 'INVALID_ARGUMENT', /at most 255 bytes/)
  refused(t, () => checkPrefix({}, 'prefix'), 'INVALID_ARGUMENT', /must be a string, not an object/)
})

t.test('a long hostile name is judged in no time', async (t) => {
  for (const text of [`${'a/'.repeat(500_000)}/`, '.'.repeat(1_000_000), `${'a.'.repeat(127)}\n`]) {
    refused(t, () => checkName(text, 'name'), 'INVALID_ARGUMENT', /^name/)
  }
})

t.test('the size in UTF-8 is what an encoder makes of the text', async (t) => {
  const units = fc.oneof(
    fc.constantFrom(
      'a',
      '\u007f',
      '\u0080',
      '\u07ff',
      '\u0800',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '😀',
      '\ud800',
      '\udc00',
    ),
    fc.nat({ max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  )
  holds(
    t,
    fc.property(fc.array(units, { maxLength: 12 }), (parts) => {
      const text = parts.join('')
      return utf8Bytes(text) === new TextEncoder().encode(text).length && isWellFormed(text) === isSame(text)
    }),
  )
  function isSame(text: string): boolean {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text)) === text
  }
})

t.test('an error shows a value in a few words, whatever its size', async (t) => {
  t.equal(describe('x'.repeat(1_000)), `the string "${'x'.repeat(40)}..."`)
  t.equal(describe(-0), '-0')
  t.equal(describe(new Uint8Array(9_999)), 'bytes')
  t.equal(describe(Symbol('x')), 'a symbol')
})
