import type { Category, Severity } from './finding.ts'

/** Rules of ESLint and eslint-plugin-security that find faults rather than tastes, by what they are about. */
export const securityRules = [
  ...['no-eval', 'no-implied-eval', 'no-new-func', 'no-script-url'],
  ...[
    'security/detect-child-process',
    'security/detect-unsafe-regex',
    'security/detect-non-literal-regexp',
    'security/detect-bidi-characters',
  ],
  ...['security/detect-non-literal-fs-filename', 'security/detect-pseudoRandomBytes', 'security/detect-possible-timing-attacks'],
  ...['security/detect-non-literal-require', 'security/detect-disable-mustache-escape', 'security/detect-new-buffer'],
] as const

export const performance = ['no-await-in-loop'] as const

export const correctness = [
  ...[
    'no-unreachable',
    'no-dupe-keys',
    'no-dupe-args',
    'no-dupe-else-if',
    'no-duplicate-case',
    'use-isnan',
    'valid-typeof',
    'no-cond-assign',
  ],
  ...[
    'no-self-assign',
    'no-self-compare',
    'no-fallthrough',
    'no-unsafe-finally',
    'no-async-promise-executor',
    'no-promise-executor-return',
  ],
  ...['no-empty', 'no-constant-condition', 'no-constant-binary-expression', 'array-callback-return', 'no-loss-of-precision'],
  ...['no-unsafe-negation', 'no-unsafe-optional-chaining', 'no-template-curly-in-string', 'no-const-assign', 'no-func-assign'],
  ...['no-import-assign', 'no-this-before-super', 'constructor-super', 'getter-return', 'for-direction', 'require-yield', 'eqeqeq'],
  ...['no-unmodified-loop-condition', 'no-prototype-builtins', 'require-atomic-updates', 'radix'],
] as const

export const style = ['no-var', 'prefer-const', 'no-debugger', 'no-throw-literal', 'no-nested-ternary'] as const

interface Own {
  readonly rule: string
  readonly category: Category
  readonly severity: Severity
  /** What of the syntax tree it is about, in ESLint's words. */
  readonly selector: string
  readonly message: string
}

const sqlCall = 'CallExpression[callee.property.name=/^(query|execute|exec|raw|unsafe|all|run|prepare)$/]'
const sqlText = '/\\b(select|insert|update|delete|drop|alter)\\b/i'

export const restricted: readonly Own[] = [
  {
    ...{ rule: 'sql-injection', category: 'security', severity: 'high' },
    selector: `${sqlCall} > TemplateLiteral.arguments[expressions.length>0]:has(TemplateElement[value.raw=${sqlText}])`,
    message: 'a value becomes part of an SQL statement: pass it as a parameter',
  },
  {
    ...{ rule: 'sql-injection', category: 'security', severity: 'high' },
    selector: `BinaryExpression[operator='+']:not([right.type='Literal']) > Literal.left[value=${sqlText}]`,
    message: 'a value becomes part of an SQL statement: pass it as a parameter',
  },
  {
    ...{ rule: 'html-injection', category: 'security', severity: 'high' },
    selector:
      ":matches(AssignmentExpression[left.property.name=/^(inner|outer)HTML$/]:not([right.type='Literal']), JSXAttribute[name.name='dangerouslySetInnerHTML'])",
    message: 'text becomes HTML: what others wrote in it would run',
  },
  {
    ...{ rule: 'unchecked-certificate', category: 'security', severity: 'high' },
    selector: "Property[key.name='rejectUnauthorized'][value.value=false]",
    message: 'certificates are not checked, so anybody can answer',
  },
  {
    ...{ rule: 'weak-hash', category: 'security', severity: 'medium' },
    selector:
      "CallExpression[callee.property.name='createHash'][arguments.0.value=/^(md5|sha1)$/i], CallExpression[callee.name='createHash'][arguments.0.value=/^(md5|sha1)$/i]",
    message: 'the hash can be forged: take SHA-256, or scrypt for passwords',
  },
  {
    ...{ rule: 'deep-copy-by-json', category: 'performance', severity: 'low' },
    selector:
      "CallExpression[callee.object.name='JSON'][callee.property.name='parse'] > CallExpression.arguments[callee.object.name='JSON'][callee.property.name='stringify']",
    message: 'structuredClone is quicker and keeps dates',
  },
  {
    ...{ rule: 'blocking-call', category: 'performance', severity: 'medium' },
    selector: ':function CallExpression[callee.property.name=/^(readFile|writeFile|exec|execFile|spawn|pbkdf2|scrypt|gzip|deflate)Sync$/]',
    message: 'it blocks the event loop while it runs',
  },
]
