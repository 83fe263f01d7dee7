import { crc32c } from '@leasehold/server/storage'
import fc from 'fast-check'
import t from 'tap'

/** The definition, bit by bit. */
function plain(bytes: Uint8Array): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc
}

t.test('the check value and the vectors of RFC 3720', async (t) => {
  t.equal(crc32c(Buffer.from('123456789')) >>> 0, 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)) >>> 0, 0x8a9136aa)
  t.equal(crc32c(Buffer.alloc(32, 0xff)) >>> 0, 0x62a8ab43)
  t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, at) => at))) >>> 0, 0x46dd794e)
  t.equal(crc32c(new Uint8Array(0)), 0)
})

t.test('it follows the definition, in one piece and in parts', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const at = Math.min(cut, bytes.length)
      return crc32c(bytes) === plain(bytes) && crc32c(bytes, at, bytes.length, crc32c(bytes, 0, at)) === plain(bytes)
    }),
  )
  t.pass()
})
