// A process that holds jobs, for tests that kill or freeze it: runs the statements it is sent, in order, on one connection.
import { connectTo } from '../postgres-setup.ts'

export type Statement = { id: number; text: string; parameters: string[] }
export type Result = { id: number; rows?: unknown[]; error?: string }

const sql = connectTo(process.argv[2] ?? '', { role: 'service_role', max: 1 })
let last: Promise<unknown> = Promise.resolve()

process.on('message', ({ id, text, parameters }: Statement) => {
  last = last
    .then(() => sql.unsafe(text, parameters))
    .then(
      (rows) => process.send?.({ id, rows: [...rows] } satisfies Result),
      (error: Error) => process.send?.({ id, error: error.message } satisfies Result),
    )
})
