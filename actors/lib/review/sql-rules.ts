import type { Said } from './finding.ts'
import type { Node } from './sql.ts'

export interface SqlRule extends Omit<Said, 'line'> {
  judge(type: string, node: Node): boolean
}

const has = (node: Node, text: string) => JSON.stringify(node).includes(text)
const statement =
  (wanted: string, holds: (node: Node) => boolean) =>
  (type: string, node: Node): boolean =>
    type === wanted && holds(node)

/** What PostgreSQL would do and hardly anybody wants. */
export const rules: readonly SqlRule[] = [
  {
    ...{ rule: 'delete-without-where', category: 'correctness', severity: 'high', message: 'it deletes every row' },
    judge: statement('DeleteStmt', (node) => node.whereClause === undefined),
  },
  {
    ...{ rule: 'update-without-where', category: 'correctness', severity: 'high', message: 'it changes every row' },
    judge: statement('UpdateStmt', (node) => node.whereClause === undefined),
  },
  {
    ...{ rule: 'equals-null', category: 'correctness', severity: 'high', message: 'a comparison with null is never true: write IS NULL' },
    judge: statement(
      'A_Expr',
      ({ kind, rexpr, name }) => kind === 'AEXPR_OP' && has({ rexpr }, '"isnull":true') && /"(?:=|<>)"/.test(JSON.stringify(name)),
    ),
  },
  {
    ...{
      rule: 'not-in-subquery',
      category: 'correctness',
      severity: 'medium',
      message: 'NOT IN finds nothing as soon as the subquery has a null: write NOT EXISTS',
    },
    judge: statement('BoolExpr', (node) => node.boolop === 'NOT_EXPR' && has({ args: node.args }, '"ANY_SUBLINK"')),
  },
  {
    ...{ rule: 'select-star', category: 'performance', severity: 'low', message: 'it reads every column, also those that are added later' },
    judge: statement('ColumnRef', (node) => has(node, '"A_Star"')),
  },
  {
    ...{ rule: 'leading-wildcard', category: 'performance', severity: 'medium', message: 'a pattern that begins with % reads every row' },
    judge: statement('A_Expr', ({ kind, rexpr }) => /LIKE/.test(String(kind)) && /"sval":"%/.test(JSON.stringify(rexpr ?? ''))),
  },
  {
    ...{
      rule: 'blocking-index',
      category: 'performance',
      severity: 'low',
      message: 'it keeps writers out while it runs: CREATE INDEX CONCURRENTLY does not',
    },
    judge: statement('IndexStmt', (node) => node.concurrent !== true),
  },
  {
    ...{ rule: 'grant-to-public', category: 'security', severity: 'high', message: 'everybody who can connect gets this right' },
    judge: statement('GrantStmt', (node) => node.is_grant === true && has({ grantees: node.grantees }, 'ROLESPEC_PUBLIC')),
  },
  {
    ...{
      rule: 'definer-without-search-path',
      category: 'security',
      severity: 'high',
      message: 'a security definer function without its own search_path runs what its caller puts there',
    },
    judge: statement(
      'CreateFunctionStmt',
      (node) => /"defname":"security","arg":\{"Boolean":\{"boolval":true\}\}/.test(JSON.stringify(node)) && !has(node, 'search_path'),
    ),
  },
  {
    ...{
      rule: 'dynamic-sql',
      category: 'security',
      severity: 'high',
      message: 'EXECUTE of joined text: use format() with %I and %L, or USING',
    },
    judge: statement('CreateFunctionStmt', (node) => /\bexecute\b[^;]*\|\|/i.test(JSON.stringify(node.options ?? ''))),
  },
  {
    ...{ rule: 'drop-cascade', category: 'correctness', severity: 'medium', message: 'CASCADE drops whatever depends on it, unseen' },
    judge: statement('DropStmt', (node) => node.behavior === 'DROP_CASCADE'),
  },
  {
    ...{
      rule: 'timestamp-without-zone',
      category: 'style',
      severity: 'low',
      message: 'a timestamp without a zone means another moment in another session: timestamptz does not',
    },
    judge: statement('ColumnDef', (node) => has({ type: node.typeName }, '"sval":"timestamp"')),
  },
]
