import { lineFinder } from '../lines.ts'
import type { Said } from './finding.ts'

type Pattern = { readonly rule: string; readonly what: string; readonly find: RegExp }

/** Each finds the secret itself in its group, or in the whole match. What may go on for long has a bound: it begins anew at every place. */
const patterns: readonly Pattern[] = [
  {
    rule: 'private-key',
    what: 'a private key',
    find: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$(?![\s\S]))/g,
  },
  { rule: 'aws-key', what: 'an AWS access key', find: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g },
  { rule: 'github-token', what: 'a GitHub token', find: /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})/g },
  { rule: 'slack-token', what: 'a Slack token', find: /\bxox[abprs]-[A-Za-z0-9-]{10,}/g },
  { rule: 'stripe-key', what: 'a Stripe key', find: /\b[rs]k_live_[A-Za-z0-9]{16,}/g },
  { rule: 'google-key', what: 'a Google API key', find: /\bAIza[\w-]{35}/g },
  { rule: 'model-key', what: 'an API key', find: /\b(?:sk|fw)[-_][A-Za-z0-9_-]{20,}/g },
  { rule: 'json-web-token', what: 'a JSON Web Token', find: /\beyJ[\w-]{10,1000}\.eyJ[\w-]{10,}\.[\w-]{10,}/g },
  { rule: 'password-in-url', what: 'a password in a URL', find: /\b[a-z][a-z\d+.-]{0,30}:\/\/[^\s:/@"']+:([^\s@/"'${}<>]{3,})@/gi },
  { rule: 'password-in-sql', what: 'a password', find: /\bpassword\s+'([^'\n]{4,})'/gi },
  {
    rule: 'password-in-code',
    what: 'a password, token or key',
    find: /(?:passw(?:or)?d|passwd|secret|token|api[_-]?key|access[_-]?key|credential)\w{0,40}["']?\s*(?::\s*\w+\s*=|[:=]{1,2}|=>)\s*["'`]([^"'`\n$<>{}]{6,})["'`]/gi,
  },
]
const placeholder =
  /^(?:x+|\*+|\.+|your\b.*|change.?me.*|example.*|dummy.*|test|todo|none|null|undefined|process\.env.*|os\.environ.*|.*\b(?:placeholder|redacted)\b.*)$/i

export interface Secret extends Said {
  readonly value: string
}

/** Finds what should not stand in code. */
export function findSecrets(text: string): Secret[] {
  const lineOf = lineFinder(text)
  const taken = new Uint8Array(text.length)
  return patterns.flatMap(({ rule, what, find }) =>
    [...text.matchAll(find)].flatMap((found): Secret[] => {
      const value = found[1] ?? found[0]
      const at = found.index + found[0].lastIndexOf(value)
      if (placeholder.test(value) || taken.subarray(at, at + value.length).includes(1)) return []
      taken.fill(1, at, at + value.length)
      const message = `${what} stands in the code (${mask(value)}): revoke it, and read it from the environment`
      return [{ line: lineOf(at), rule, category: 'security', severity: 'high', message, value }]
    }),
  )
}

/** As much of a secret as lets its owner tell which one it is. */
function mask(value: string): string {
  return `${value.length > 16 ? value.slice(0, 4) : ''}[masked, ${value.length} characters]`
}

/** Makes a function that takes all these secrets out of a text; those of several lines line by line, as excerpts show them. */
export function masker(secrets: readonly Pick<Secret, 'value'>[]): (text: string) => string {
  const values = secrets.map(({ value }) => value)
  const lines = values.filter((value) => value.includes('\n')).flatMap((value) => value.split(/\r?\n/))
  const all = [...new Set([...values, ...lines.map((line) => line.trim()).filter((line) => line.length >= 16)])]
  // The longest first: a secret may be a part of another one.
  const ordered = all.toSorted((a, b) => b.length - a.length)
  return (text) => ordered.reduce((masked, value) => masked.replaceAll(value, keepLines(value)), text)
}

/** Line numbers have to stay right behind a masked key. */
function keepLines(value: string): string {
  return mask(value) + '\n'.repeat(value.split('\n').length - 1)
}
