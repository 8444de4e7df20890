import { PositionEncoding, Workspace } from '@astral-sh/ruff-wasm-nodejs'
import type { Category, Said, Severity } from './finding.ts'
import type { Lint } from './javascript.ts'

const select = ['E7', 'E9', 'F', 'B', 'S', 'PERF', 'PLE', 'PLW', 'ASYNC', 'C4', 'SIM1']
/** Asserts are for tests; the names of a fragment are defined where it does not show. */
const ignore = ['S101']
const unknowable = ['F401', 'F811', 'F821', 'F841', 'F706', 'F704']

const kinds: readonly (readonly [prefix: RegExp, Category, Severity])[] = [
  [/^S\d/, 'security', 'high'],
  [/^(?:PERF|C4)/, 'performance', 'low'],
  [/^ASYNC/, 'performance', 'medium'],
  [/^(?:F401|F811|F841|E7|SIM|PLW)/, 'style', 'low'],
]

/** Judges Python with Ruff: pyflakes, bandit's and bugbear's rules, and more. A "noqa" switches nothing off. */
export function lintPython(text: string, options: { readonly isFragment: boolean }): Lint {
  const workspace = new Workspace(
    { lint: { select, ignore: options.isFragment ? [...ignore, ...unknowable] : ignore } },
    PositionEncoding.Utf16,
  )
  try {
    const found = workspace.check(text.replaceAll(/noqa/gi, 'n_qa')) as readonly Diagnostic[]
    const fault = found.find(({ code }) => code === null || code === 'invalid-syntax' || code.startsWith('E9'))
    const said = found.filter((one) => one !== fault && one.code !== null && one.code !== 'invalid-syntax').map(toSaid)
    return { said, unread: fault ? `line ${fault.start_location.row}: ${fault.message}` : null }
  } finally {
    free(workspace)
  }
}

/** After a code too deep for its stack it takes itself for being in use; why it stopped is what has to be told, not that. */
function free(workspace: Workspace): void {
  try {
    workspace.free()
  } catch {}
}

interface Diagnostic {
  readonly code: string | null
  readonly message: string
  readonly start_location: { readonly row: number }
}

function toSaid({ code, message, start_location }: Diagnostic): Said {
  const rule = code ?? 'unknown'
  const [, category, severity] = kinds.find(([prefix]) => prefix.test(rule)) ?? [/./, 'correctness' as const, 'medium' as const]
  return { line: start_location.row, rule, category, severity, message }
}
