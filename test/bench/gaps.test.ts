import t from 'tap'
import { gapMs } from '#bench/gaps.js'

t.test('the gap is the longest silence that the event may have caused', async (t) => {
  t.equal(gapMs([0, 10, 300, 310], 20, 1_000), 290)
  t.equal(gapMs([0, 10, 30, 330, 340], 20, 1_000), 300, 'what was under way may still come')
  t.equal(gapMs([0, 500, 510, 520], 505, 1_000), 10, 'what was before does not count')
  t.equal(gapMs([0, 990, 5_000], 500, 900), 990, 'nor what begins later')
})

t.test('who hears nothing any more is still waiting', async (t) => {
  t.equal(gapMs([0, 10], 20, 1_000), 990)
  t.equal(gapMs([], 20, 1_000), 0)
})
