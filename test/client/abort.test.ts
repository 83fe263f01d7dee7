import { getEventListeners } from 'node:events'
import { onAbort } from '@leasehold/client/internals'
import t from 'tap'

/** Who was called, in their order. */
function waiters() {
  const called: string[] = []
  return { called, named: (name: string) => () => void called.push(name) }
}

t.test('however many wait under one signal, it has one listener, and none once nobody waits', async (t) => {
  const { signal } = new AbortController()
  const listeners = () => getEventListeners(signal, 'abort').length
  const stops = Array.from({ length: 100 }, () => onAbort(signal, () => t.fail('nothing fires')))
  t.equal(listeners(), 1)
  for (const stop of stops.slice(1)) stop()
  t.equal(listeners(), 1)
  stops[0]!()
  stops[0]!()
  t.equal(listeners(), 0)
  const again = onAbort(signal, () => t.fail('nothing fires'))
  stops[0]!()
  t.equal(listeners(), 1, 'who has left cannot end the listening of others')
  again()
})

t.test('when the signal fires, those who still wait are called, once, in the order in which they came', async (t) => {
  const { called, named } = waiters()
  const controller = new AbortController()
  const { signal } = controller
  const stop = onAbort(signal, named('left'))
  onAbort(signal, named('first'))
  onAbort(signal, named('second'))
  stop()
  controller.abort()
  t.same(called, ['first', 'second'])
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('one who is called may make others leave, and come anew: who comes then is not called', async (t) => {
  const { called, named } = waiters()
  const controller = new AbortController()
  const { signal } = controller
  onAbort(signal, () => {
    called.push('first')
    leave()
    onAbort(signal, named('too late'))
  })
  const leave = onAbort(signal, named('left'))
  onAbort(signal, named('last'))
  controller.abort()
  t.same(called, ['first', 'last'])
  onAbort(signal, named('later still'))()
  t.same(called, ['first', 'last'])
})

t.test('signals know nothing of each other; without one there is nothing to stop', async (t) => {
  const { called, named } = waiters()
  const [one, other] = [new AbortController(), new AbortController()]
  onAbort(one.signal, named('one'))
  onAbort(other.signal, named('other'))
  one.abort()
  t.same(called, ['one'])
  onAbort(undefined, named('none'))()
  t.same(called, ['one'])
})
