import type { Command } from './command.ts'
import { styled } from './print.ts'

/** Commands by their full name, such as "db query". */
export type Commands = Readonly<Record<string, Command>>

/** The help for everything, or for the commands of a group such as "db". */
export function groupHelp(commands: Commands, group = ''): string {
  const chosen = Object.entries(commands).filter(([name]) => group === '' || name.startsWith(`${group} `))
  const width = Math.max(...chosen.map(([name]) => name.length))
  const lines = chosen.map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  // One of each of two dozen commands would be a wall.
  const examples = group === '' ? [] : chosen.map(([, command]) => `  ${command.examples[0]}`)
  return [
    `${styled('bold', 'Usage')}  troupe ${group ? `${group} ` : ''}<command> [options]`,
    `\n${styled('bold', 'Commands')}\n${lines.join('\n')}`,
    ...(examples.length > 0 ? [`\n${styled('bold', 'Examples')}\n${examples.join('\n')}`] : []),
    `\nThe store is what the config says, else SUPABASE_URL with SUPABASE_SERVICE_KEY, else DATABASE_URL, else an embedded one in .troupe.`,
    `More about a command: troupe ${group ? `${group} ` : ''}<command> --help. In a project that brings troupe along it is called npx troupe.`,
  ].join('\n')
}

/** The help for one command. */
export function commandHelp(name: string, { summary, usage, options, examples, notes = [] }: Command): string {
  const flags = Object.entries(options).map(([flag, { value, help }]) => [`--${flag}${value ? ` ${value}` : ''}`, help] as const)
  const width = Math.max(...flags.map(([flag]) => flag.length))
  return [
    `troupe ${name}: ${summary}`,
    `\n${styled('bold', 'Usage')}  troupe ${name} ${usage}`,
    `\n${styled('bold', 'Options')}\n${flags.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`).join('\n')}`,
    `\n${styled('bold', 'Examples')}\n${examples.map((example) => `  ${example}`).join('\n')}`,
    ...(notes.length > 0 ? [`\n${notes.join('\n')}`] : []),
  ].join('\n')
}
