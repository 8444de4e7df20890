export const categories = ['security', 'performance', 'correctness', 'style'] as const
export type Category = (typeof categories)[number]
export const severities = ['high', 'medium', 'low'] as const
export type Severity = (typeof severities)[number]

/** One thing to say about one line. */
export interface Finding {
  readonly file: string
  readonly line: number
  /** The analyser's own name of it. */
  readonly rule: string
  readonly category: Category
  readonly severity: Severity
  readonly message: string
  /** The line itself, secrets masked. */
  readonly excerpt: string
  /** Who says so: eslint, ruff, sql, secrets, model. */
  readonly by: readonly string[]
}

/** What an analyser says; the file and the excerpt are added by who called it. */
export type Said = Pick<Finding, 'line' | 'rule' | 'category' | 'severity' | 'message'>
