// Names the failing tests of a report (vitest's JSON), a line each and what they said, so that the end of a long output tells what broke.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const [, , report] = process.argv
for (const { name, message, assertionResults } of JSON.parse(readFileSync(report, 'utf8')).testResults) {
  const failed = assertionResults.filter(({ status }) => status === 'failed')
  if (failed.length === 0 && message) tell(name, 'did not run', message)
  for (const { fullName, failureMessages } of failed) tell(name, fullName, failureMessages.join('\n'))
}

function tell(file, test, said) {
  process.stdout.write(`FAILED ${relative(process.cwd(), file)} > ${test}\n  ${said.split('\n').slice(0, 12).join('\n  ')}\n`)
}
