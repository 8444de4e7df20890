import { Linter } from 'eslint'
import security from 'eslint-plugin-security'
import { type Transform, transform } from 'sucrase'
import type { Category, Said, Severity } from './finding.ts'
import { correctness, performance, restricted, securityRules, style } from './javascript-rules.ts'

export interface Lint {
  readonly said: readonly Said[]
  /** What kept the analyser from reading it. */
  readonly unread: string | null
}

const byCategory: readonly (readonly [Category, Severity, readonly string[]])[] = [
  ['security', 'high', securityRules],
  ['performance', 'medium', performance],
  ['correctness', 'medium', correctness],
  ['style', 'low', style],
]
const kindOf = new Map(byCategory.flatMap(([category, severity, rules]) => rules.map((rule) => [rule, { category, severity }] as const)))
const unknowable = [
  'no-unreachable',
  'array-callback-return',
  'getter-return',
  'require-yield',
  'constructor-super',
  'no-this-before-super',
]
const linter = new Linter({ configType: 'flat' })

/** Judges JavaScript or TypeScript. Comments in the code switch nothing off: whoever wrote it may have something to hide. */
export function lintJavascript(name: string, text: string, options: { readonly isFragment: boolean }): Lint {
  const plain = withoutTypes(name, text)
  if (plain === undefined) return { said: [], unread: 'its TypeScript could not be read' }
  for (const sourceType of ['module', 'commonjs'] as const) {
    const messages = linter.verify(plain, config(sourceType), { filename: 'given.js', allowInlineConfig: false })
    const fatal = messages.find((message) => message.fatal)
    if (fatal && sourceType === 'module') continue
    if (fatal) return { said: [], unread: `line ${fatal.line}: ${fatal.message}` }
    const lines = text.split('\n')
    return { said: messages.map(toSaid).filter((one) => isOwn(one, lines[one.line - 1] ?? '', options.isFragment)), unread: null }
  }
  return { said: [], unread: null }
}

/** An enum without its types has a var that nobody wrote; and of a fragment nobody knows how its functions begin or end. */
function isOwn({ rule }: Said, line: string, isFragment: boolean): boolean {
  if (rule === 'no-var') return /\bvar\b/.test(line)
  return !isFragment || !unknowable.includes(rule)
}

function config(sourceType: 'module' | 'commonjs'): Linter.Config {
  return {
    languageOptions: { ecmaVersion: 'latest', sourceType, parserOptions: { ecmaFeatures: { jsx: true } } },
    plugins: { security },
    rules: {
      ...Object.fromEntries([...kindOf.keys()].map((rule) => [rule, 'error' as const])),
      // Comparing with null is how undefined is asked for too.
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-restricted-syntax': ['error', ...restricted.map(({ rule, selector, message }) => ({ selector, message: `${rule}: ${message}` }))],
    },
  }
}

/** Lines stay where they are, types and JSX pragmas go. */
function withoutTypes(name: string, text: string): string | undefined {
  if (!/\.[mc]?tsx?$/i.test(name)) return text
  const jsx = /x$/i.test(name)
  try {
    const transforms: Transform[] = jsx ? ['typescript', 'jsx'] : ['typescript']
    return transform(text, { transforms, jsxRuntime: 'preserve', disableESTransforms: true, keepUnusedImports: true }).code
  } catch {
    return undefined
  }
}

function toSaid({ ruleId, line, message }: Linter.LintMessage): Said {
  const own = ruleId === 'no-restricted-syntax' ? restricted.find(({ rule }) => message.startsWith(`${rule}: `)) : undefined
  if (own) return { line, rule: own.rule, category: own.category, severity: own.severity, message: message.slice(own.rule.length + 2) }
  const { category, severity } = kindOf.get(ruleId ?? '') ?? { category: 'correctness', severity: 'medium' }
  return { line, rule: ruleId ?? 'unknown', category, severity, message }
}
