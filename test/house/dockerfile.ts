/**
 * Carries out a Dockerfile without a container engine: each stage is a folder, COPY copies into it, RUN runs in it. Knows
 * the few instructions that ours has, and refuses every other, so that nothing is passed over in silence.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { basename, join, relative, sep } from 'node:path'
import { WITHOUT_RUNNER } from '../support/withoutrunner.js'

export interface Instruction {
  readonly line: number
  readonly name: string
  readonly rest: string
}

/** Instructions in order; continued lines are joined, comments and empty lines left out. */
export function parseDockerfile(text: string): Instruction[] {
  const found: Instruction[] = []
  let pending = ''
  let start = 0
  text.split('\n').forEach((raw, i) => {
    if (raw.trim() === '' || raw.trimStart().startsWith('#')) return
    if (pending === '') start = i + 1
    if (raw.endsWith('\\')) {
      pending += `${raw.slice(0, -1).trim()} `
      return
    }
    const [, name, rest] = /^(\w+)\s+(.*)$/.exec(pending + raw.trim()) ?? []
    if (name === undefined || rest === undefined) throw new Error(`line ${start} is no instruction: ${pending}${raw}`)
    found.push({ line: start, name: name.toUpperCase(), rest })
    pending = ''
  })
  return found
}

/** True for a path (relative, forward slashes) that .dockerignore keeps out of the build. Patterns: `a/b` and `**` before a name. */
export function ignored(path: string, dockerignore: string): boolean {
  const segments = path.split('/')
  return dockerignore.split('\n').some((pattern) => {
    if (pattern === '' || pattern.startsWith('#')) return false
    if (!pattern.startsWith('**/')) return path === pattern || path.startsWith(`${pattern}/`)
    const name = new RegExp(`^${pattern.slice(3).replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`)
    return segments.some((segment) => name.test(segment))
  })
}

/** What the last stage says about running it. */
export interface Image {
  /** The folder that stands for the root of the last stage. */
  readonly root: string
  readonly workdir: string
  readonly user: string
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  readonly healthcheck: readonly string[]
  readonly volumes: readonly string[]
}

interface Stage {
  name: string
  root: string
  workdir: string
  user: string
  env: Record<string, string>
  entrypoint: string[]
  cmd: string[]
  healthcheck: string[]
  volumes: string[]
}

export interface BuildOptions {
  /** The folder that is sent to the build. */
  readonly context: string
  readonly dockerignore: string
  /** Where the stages go. */
  readonly scratch: string
  /** Added to the environment of every RUN. */
  readonly env: Readonly<Record<string, string>>
}

export function build(instructions: readonly Instruction[], options: BuildOptions): Image {
  const stages: Stage[] = []
  for (const instruction of instructions) {
    if (instruction.name === 'FROM') stages.push(newStage(instruction, stages.length, options.scratch))
    else carryOut(instruction, stages, options)
  }
  const last = stages.at(-1)
  if (last === undefined) throw new Error('there is no stage')
  return last
}

function newStage({ rest }: Instruction, index: number, scratch: string): Stage {
  const name = / as (\S+)$/i.exec(rest)?.[1] ?? String(index)
  const root = join(scratch, name)
  mkdirSync(root, { recursive: true })
  return { name, root, workdir: '/', user: 'root', env: {}, entrypoint: [], cmd: [], healthcheck: [], volumes: [] }
}

function carryOut({ line, name, rest }: Instruction, stages: readonly Stage[], options: BuildOptions): void {
  const stage = stages.at(-1)
  if (stage === undefined) throw new Error(`line ${line}: ${name} stands before any FROM`)
  switch (name) {
    case 'WORKDIR':
      stage.workdir = rest
      mkdirSync(join(stage.root, rest), { recursive: true })
      return
    case 'COPY':
      copy(line, rest, stages, stage, options)
      return
    case 'RUN':
      runStep(line, rest, stage, options)
      return
    case 'ENV':
      stage.env[rest.slice(0, rest.indexOf('='))] = rest.slice(rest.indexOf('=') + 1)
      return
    case 'USER':
      stage.user = rest
      return
    case 'VOLUME':
      stage.volumes.push(rest)
      return
    case 'EXPOSE':
      return
    case 'HEALTHCHECK':
      stage.healthcheck = JSON.parse(rest.slice(rest.indexOf('['))) as string[]
      return
    case 'ENTRYPOINT':
      stage.entrypoint = JSON.parse(rest) as string[]
      return
    case 'CMD':
      stage.cmd = JSON.parse(rest) as string[]
      return
    default:
      throw new Error(`line ${line}: ${name} is not known here`)
  }
}

function copy(line: number, rest: string, stages: readonly Stage[], stage: Stage, options: BuildOptions): void {
  const words = rest.split(/\s+/)
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length)
  const paths = words.filter((word) => !word.startsWith('--'))
  const to = paths.pop()!
  const other = stages.find((one) => one.name === from)
  if (from !== undefined && other === undefined) throw new Error(`line ${line}: no stage is named ${from}`)
  for (const path of paths) {
    const source = join(other?.root ?? options.context, path)
    if (!existsSync(source)) throw new Error(`line ${line}: there is no ${path}`)
    const target = to.startsWith('/') ? join(stage.root, to) : join(stage.root, stage.workdir, to)
    // A file goes into a folder that is written with a slash; a folder's content goes into the folder that is named.
    const into = statSync(source).isFile() && to.endsWith('/') ? join(target, basename(path)) : target
    const wanted = (one: string) => {
      return other !== undefined || !ignored(relative(options.context, one).split(sep).join('/'), options.dockerignore)
    }
    if (!wanted(source)) throw new Error(`line ${line}: .dockerignore leaves out ${path}`)
    cpSync(source, into, { recursive: true, verbatimSymlinks: true, filter: wanted })
  }
}

function runStep(line: number, command: string, stage: Stage, options: BuildOptions): void {
  if (/(?:^|[\s=])[/~]/.test(command)) throw new Error(`line ${line}: RUN leaves its WORKDIR: ${command}`)
  const [program, ...before] = WITHOUT_RUNNER
  const { status, stdout, stderr } = spawnSync(program, [...before, 'sh', '-c', command], {
    cwd: join(stage.root, stage.workdir),
    env: { ...process.env, ...stage.env, ...options.env },
    encoding: 'utf8',
    timeout: 200_000,
  })
  if (status !== 0) throw new Error(`line ${line}: ${command} ended with ${status}\n${stdout}\n${stderr}`)
}
