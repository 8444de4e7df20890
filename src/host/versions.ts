import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import type { AgentSpec } from '../core/agent.ts'
import { writeWhole } from './write-whole.ts'

/** What ran last and came up, what did so before it, and which of them stands in for a version that people went back from. */
type Record = { readonly good?: AgentSpec | undefined; readonly before?: AgentSpec | undefined; readonly pinned?: Pin | undefined }
type Pin = { readonly spec: AgentSpec; readonly insteadOf: string }

// Written by us, and read again by a later version of us: what matters is checked, so that a damaged file costs the way back only.
const spec = z.custom<AgentSpec>(
  (value) => z.looseObject({ id: z.string(), version: z.string(), file: z.string() }).safeParse(value).success,
)
const records = z.record(
  z.string(),
  z.object({ good: spec.optional(), before: spec.optional(), pinned: z.object({ spec, insteadOf: z.string() }).optional() }),
)

/** Remembers for each agent the version that it can go back to. */
export type Versions = {
  /** Takes note that this version has come up. */
  succeeded(spec: AgentSpec): void
  /** The good version before the one that is wanted now. */
  lastGood(id: string, wanted: string): AgentSpec | undefined
  /** Lets an agent run its last good version until another one than `wanted` is wanted. */
  goBack(id: string, wanted: string): AgentSpec | undefined
  /** Ends that. */
  goOn(id: string): void
  /** What is to run where this is wanted. */
  resolve(wanted: AgentSpec): AgentSpec
  /** The copies of code that may be needed again. */
  files(): readonly string[]
  /** Resolves when everything is on disk. */
  saved(): Promise<void>
}

/** Opens the memory of a folder. */
export async function openVersions(folder: string): Promise<Versions> {
  const path = join(folder, 'last-good.json')
  const known = new Map<string, Record>(Object.entries(await read(path)))
  const own = new Set<string>()
  let writing: Promise<void> = Promise.resolve()
  let isDirty = false

  function set(id: string, record: Record): void {
    known.set(id, record)
    own.add(id)
    if (isDirty) return
    isDirty = true
    writing = writing.then(write)
  }

  /** Without it only the way back is lost, which is not worth ending anything for. Other processes may write of other agents. */
  async function write(): Promise<void> {
    isDirty = false
    const others = await read(path)
    const text = `${JSON.stringify({ ...others, ...Object.fromEntries([...known].filter(([id]) => own.has(id))) }, null, 2)}\n`
    await writeWhole(path, text, { mode: 0o600 }).catch(() => {})
  }

  function lastGood(id: string, wanted: string): AgentSpec | undefined {
    const { good, before } = known.get(id) ?? {}
    return good?.version === wanted ? before : good
  }

  return {
    succeeded(spec) {
      const { good, pinned } = known.get(spec.id) ?? {}
      if (good?.version === spec.version || pinned?.spec.version === spec.version) return
      set(spec.id, { ...(pinned && { pinned }), good: spec, before: good })
    },
    lastGood,
    goBack(id, wanted) {
      const spec = lastGood(id, wanted)
      if (spec) set(id, { ...known.get(id), pinned: { spec, insteadOf: wanted } })
      return spec
    },
    goOn(id) {
      const { pinned, ...record } = known.get(id) ?? {}
      if (pinned) set(id, record)
    },
    resolve(wanted) {
      const { pinned } = known.get(wanted.id) ?? {}
      // It may have been another team's then.
      return pinned?.insteadOf === wanted.version ? { ...pinned.spec, team: wanted.team } : wanted
    },
    files: () =>
      [...known.values()].flatMap(({ good, before, pinned }) =>
        [good?.file, before?.file, pinned?.spec.file].filter((f) => f !== undefined),
      ),
    saved: () => writing,
  }
}

async function read(path: string): Promise<z.output<typeof records>> {
  try {
    return records.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch {
    return {}
  }
}
