import fc from 'fast-check'
import t from 'tap'
import { Seen } from './seen.js'

const used = (...counts: number[]) => Uint32Array.from(counts)

t.test('what used fewer unknown ones stands for what used more, and not the other way round', async (t) => {
  const seen = new Seen()
  t.ok(seen.add('p', used(1, 1)))
  t.notOk(seen.add('p', used(1, 1)))
  t.notOk(seen.add('p', used(2, 1)))
  t.ok(seen.add('p', used(0, 2)), 'neither more nor less')
  t.ok(seen.add('q', used(1, 1)), 'another place')
  t.ok(seen.add('p', used(0, 0)), 'less than all')
  t.equal(seen.size, 2, 'the least alone are kept')
})

t.test('it says what keeping everything would say', async () => {
  const counts = fc.array(fc.nat(3), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('p', 'q'), counts), { maxLength: 40 }), (all) => {
      const seen = new Seen()
      const before: [string, number[]][] = []
      for (const [place, one] of all) {
        const expected = !before.some(([other, less]) => other === place && less.every((n, i) => n <= one[i]!))
        if (seen.add(place, used(...one)) !== expected) throw new Error(`${place} ${one}`)
        before.push([place, one])
      }
    }),
  )
})
