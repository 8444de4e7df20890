import { type Checked, type CheckedType, checkProject } from '../host/check.ts'
import type { Command, ExitCode, Input } from './command.ts'
import { documentLines } from './document-lines.ts'
import { printJson, styled } from './print.ts'
import { openProject } from './project.ts'
import { teamOptions } from './team-input.ts'

/** Looks for faults in the config and in all actor files. */
export const check: Command = {
  summary: 'check the config and all actor files, start nothing',
  usage: '[--config <file>] [--json]',
  examples: ['troupe check', 'troupe check --config config/bazaar.yaml'],
  notes: [
    'Exit code 2 with a fault. Actor files are loaded in a thread of their own, so what stands outside of functions in them runs.',
    'Documents of MongoDB that bring no agent are listed, but are no fault: they cost nobody else anything.',
  ],
  options: teamOptions,
  async run(input: Input): Promise<ExitCode> {
    await using project = await openProject(input)
    const { file, source, settings } = project
    const checked = await checkProject(source, settings)
    const { faults, types, documents } = relative(checked, settings.root)
    if (input.options.json) printJson({ config: file, isFine: faults.length === 0, faults, types: types.map(asJson), documents })
    else print(file, { faults, types, documents })
    return faults.length === 0 ? 0 : 2
  },
}

/** Paths as people write them. */
function relative({ faults, types, documents }: Checked, root: string): Checked {
  const shorten = (text: string) => text.replaceAll(`${root}/`, '')
  return {
    faults: faults.map(shorten),
    types: types.map((type) => ({ ...type, file: shorten(type.file) })),
    documents: documents && { ...documents, skipped: documents.skipped.map((one) => ({ ...one, reason: shorten(one.reason) })) },
  }
}

function asJson({ type, file, agents, manifest }: CheckedType) {
  return { type, file, agents, isFine: manifest !== undefined, ...manifest }
}

function print(file: string, { faults, types, documents }: Checked): void {
  for (const type of types) console.log(describe(type))
  for (const line of documentLines(documents)) console.log(line)
  for (const fault of faults) console.error(`${styled('red', 'fault', process.stderr)} ${fault}`)
  const agents = types.reduce((sum, type) => sum + type.agents.length, 0)
  if (faults.length === 0) console.log(styled('green', `${file} is fine: ${agents} agents of ${types.length} types`))
}

function describe({ type, file, agents, manifest }: CheckedType): string {
  const head = `${styled('bold', type)}  ${file}  ${agents.length === 0 ? 'no agent runs it' : agents.join(', ')}`
  if (manifest === undefined) return `${head}\n  ${styled('red', 'cannot be loaded')}`
  const { messages, jobs, sql, origins, persist } = manifest
  const lists = [
    ['messages', Object.keys(messages)],
    ['jobs', Object.keys(jobs)],
    ['sql', sql],
    ['origins', origins],
  ] as const
  const lines = lists.filter(([, names]) => names.length > 0).map(([label, names]) => `  ${label.padEnd(9)}${names.join(', ')}`)
  return [head, ...lines, ...(persist ? ['  its state is saved with each turn'] : [])].join('\n')
}
