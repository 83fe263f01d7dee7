/** CPU profiles: the driver's own is taken here; the server's is written by its process. Both end as a list of functions by self time. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { basename, join } from 'node:path'
import { BENCH } from './limits.js'
import { table } from './report.js'

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples?: readonly number[]
  readonly timeDeltas?: readonly number[]
}

/** Profiles this process until the returned function is called, which writes the file. */
export async function profileDriver(folder: string): Promise<() => Promise<void>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  return async () => {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    await writeFile(join(folder, `driver-${process.pid}.cpuprofile`), JSON.stringify(profile))
  }
}

/** Self time by function, largest first, as shares of the time that was not idle. */
export function topFunctions(profile: CpuProfile): { name: string; share: number }[] {
  const names = new Map<number, string>()
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame
    const place = url === '' ? '' : ` ${url.split('/').slice(-3).join('/')}:${lineNumber + 1}`
    names.set(id, `${functionName || '(anonymous)'}${place}`)
  }
  const micros = new Map<string, number>()
  let busy = 0
  for (const [i, id] of (profile.samples ?? []).entries()) {
    const name = names.get(id) ?? '(unknown)'
    if (name === '(idle)') continue
    const delta = profile.timeDeltas?.[i] ?? 0
    busy += delta
    micros.set(name, (micros.get(name) ?? 0) + delta)
  }
  return [...micros]
    .map(([name, us]) => ({ name, share: us / Math.max(1, busy) }))
    .sort((a, b) => b.share - a.share)
    .slice(0, BENCH.profileRowsMax)
}

/** The top functions of every profile in the folder, as text. */
export async function profilesText(folder: string): Promise<string> {
  const parts: string[] = []
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile')).sort()) {
    const profile = JSON.parse(await readFile(join(folder, file), 'utf8')) as CpuProfile
    const rows = topFunctions(profile).map(({ name, share }) => [`${(share * 100).toFixed(1)} %`, name])
    parts.push(`${basename(file)}: self time\n${table(rows)}\n`)
  }
  return parts.join('\n')
}
