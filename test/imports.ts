import { posix } from 'node:path'

/** One import of one file; `target` is a path from the repository's root, or a package or node: specifier as written. */
export type Import = { file: string; target: string; typeOnly: boolean }

// Strings and templates come first, so that a URL in them does not pass for a comment.
const stringOrComment = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g
const statement = /^(?:import|export)\b(?<type>\s+type\b(?!\s+from\b))?(?:[^'"`;]*?\bfrom)?\s*(?<quote>['"])(?<target>[^'"\n]+)\k<quote>/gm
const call = /\bimport\(\s*(?<quote>['"`])(?<target>[^'"`\n]+)\k<quote>/g

/** Finds what a TypeScript file imports, re-exports and loads by import(); a computed import() is not seen. */
export function readImports(file: string, source: string): Import[] {
  const code = source.replace(stringOrComment, (found) => (/^\/[*/]/.test(found) ? ' ' : found))
  return [...code.matchAll(statement), ...code.matchAll(call)].map(({ groups }) => ({
    file,
    target: resolveTarget(file, groups?.target ?? ''),
    typeOnly: groups?.type !== undefined,
  }))
}

function resolveTarget(file: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier
}
