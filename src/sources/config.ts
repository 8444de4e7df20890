import type * as z from 'zod'
import { nearest } from '../core/nearest.ts'
import { type ConfigText, invalid, type Path, readConfigText } from './config-text.ts'
import { mongodbUriOf } from './environment.ts'
import { type Config, configSchema } from './schema.ts'
import { settingsAt } from './settings-at.ts'
import { type Environment, substitute, unveil } from './variables.ts'

export type { Path }

/**
 * Parses a config file's text. `${NAME}` in a value stands for the environment's variable, `${NAME:-default}` for a default where that
 * is unset; a section whose variable is unset is left out, so that one file serves with and without it.
 * Throws CONFIG_INVALID with one line per fault: file, line and column, path, what was found, what was expected.
 */
export function parseConfig(text: string, { file, env }: { file: string; env: Environment }): Config {
  const read = readConfigText(text, file)
  const result = checked(read, env)
  if (!result.success) {
    throw invalid(result.error.issues.flatMap(leaves).map((issue) => `${read.where(issue.path)}: ${describe(issue, read.raw, env)}`))
  }
  const faults = sameIds(result.data).map(({ id, path }) => `${read.where(path)}: ${pathText(path)}: the id "${id}" is used twice`)
  if (faults.length > 0) throw invalid(faults)
  return result.data
}

/** Text goes first: only where it will not do, a variable that stands alone may give a number or a boolean. */
function checked({ raw }: ConfigText, env: Environment) {
  const check = (value: unknown) => configSchema.safeParse(settleMongodb(value, env))
  const result = check(substitute(raw, env))
  if (result.success) return result
  const refused = new Set(result.error.issues.map(({ path }) => pathText(path)))
  return check(substitute(raw, env, (path) => refused.has(pathText(path))))
}

/** Makes a function that says where in a config file's text a setting stands. */
export function placesIn(text: string, file: string): (path: Path) => string {
  return readConfigText(text, file).where
}

/** Checks a config that comes as a value; CONFIG_INVALID with one line per fault: path, what was found, what was expected. */
export function checkConfig(raw: unknown): Config {
  const result = configSchema.safeParse(raw)
  if (!result.success) throw invalid(faultLines(result.error, raw))
  const faults = sameIds(result.data).map(({ id, path }) => `${pathText(path)}: the id "${id}" is used twice`)
  if (faults.length > 0) throw invalid(faults)
  return result.data
}

/** One line for each fault that a schema finds in a value: path, what was found, what was expected. */
export function faultLines({ issues }: z.core.$ZodError, raw: unknown): string[] {
  return issues.flatMap(leaves).map((issue) => describe(issue, raw))
}

/** The ids that an entry of the config stands for. */
export function idsOf({ id, replicas }: { id: string; replicas?: number | undefined }): string[] {
  return replicas === undefined ? [id] : Array.from({ length: replicas }, (_, index) => `${id}-${index + 1}`)
}

/** What has no address of its own is about that of MONGODB_URI, and without that about nothing. */
function settleMongodb(value: unknown, env: Environment): unknown {
  if (!isRecord(value) || !isRecord(value.sources) || !isRecord(value.sources.mongodb)) return value
  const { mongodb, ...sources } = value.sources
  const { uri = mongodbUriOf(env) } = mongodb
  return { ...value, sources: uri === undefined ? sources : { ...sources, mongodb: { ...mongodb, uri } } }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sameIds(config: Config): { id: string; path: Path }[] {
  const seen = new Set<string>()
  const entries = config.teams.flatMap((team, t) =>
    team.agents.flatMap((agent, a) => idsOf(agent).map((id) => ({ id, path: ['teams', t, 'agents', a, 'id'] }))),
  )
  const teams = config.teams.map(({ id }, t) => ({ id: `team ${id}`, path: ['teams', t, 'id'] }))
  return [...teams, ...entries].filter(({ id }) => seen.has(id) || !seen.add(id))
}

/** Unknown keys are one issue for all of them: each becomes its own, so that each has its line. */
function leaves(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'unrecognized_keys') return [issue]
  return issue.keys.map((key) => ({ ...issue, keys: [key], path: [...issue.path, key] }))
}

function describe(issue: z.core.$ZodIssue, raw: unknown, env: Environment = {}): string {
  const found = issue.code === 'invalid_key' ? issue.path.at(-1) : valueAt(raw, issue.path)
  const shown = found === undefined ? 'nothing' : unveil(withoutLogin(JSON.stringify(found)))
  if (issue.code === 'unrecognized_keys') return `${pathText(issue.path)}: no such setting, ${alternative(issue.path)}`
  return `${pathText(issue.path)}: found ${shown.slice(0, 80)}${given(issue, found, env)}, ${expectation(issue)}`
}

/** What a variable gave. It may be a secret, but where a number or one of some words is expected: a key may stand for its whole section. */
function given(issue: z.core.$ZodIssue, found: unknown, env: Environment): string {
  if (typeof found !== 'string') return ''
  const text = substitute(found, env)
  if (text === undefined) return ', which is not set'
  if (text === unveil(found)) return ''
  const takesText = issue.code === 'invalid_format' || issue.code === 'custom'
  const takesMore = issue.code === 'invalid_type' && /^(object|record|array)$/.test(issue.expected)
  return takesText || takesMore ? '' : `, which gave ${withoutLogin(JSON.stringify(text)).slice(0, 80)}`
}

/** An address that stands where it does not belong may have a password in it, of any signs. It ends with its JSON string. */
function withoutLogin(json: string): string {
  return json.replace(/:\/\/(?:\\.|[^"\\])*@/g, '://…@')
}

/** What to write instead of a setting that there is not. */
function alternative(path: Path): string {
  const known = settingsAt(configSchema, path.slice(0, -1))
  const meant = nearest(String(path.at(-1)), known)
  return meant === undefined ? `expected ${known.join(', ')}` : `did you mean ${meant}?`
}

function expectation(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return `expected ${issue.values.map(String).join(', ')}`
  if (issue.code === 'too_small') return `expected ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`
  if (issue.code === 'too_big') return `expected ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`
  if (issue.code === 'invalid_key') return issue.issues.map(expectation).join(', ')
  return issue.message.replace(/^Invalid input: /, '').replace(/, received .*$/, '')
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined), value)
}

function pathText(path: Path): string {
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`)).join('') || 'the file'
}
