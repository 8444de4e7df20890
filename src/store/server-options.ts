import { backoffDelay } from './failure.ts'

const reconnect = { base: 50, max: 1_000 } as const

/** How the driver is to talk to a PostgreSQL server. */
export function serverOptions(url: string) {
  return {
    // A transaction pooler gives every transaction another session, where no prepared statement is.
    prepare: new URL(url).port !== '6543',
    connect_timeout: 10,
    // Its own waits grow to 20 s, longer than an agent's lease: a server that is back is to be found at once.
    backoff: (retries: number) => backoffDelay(retries + 1, reconnect, Math.random()) / 1_000,
    idle_timeout: 60,
    onnotice: () => {},
    connection: { application_name: 'troupe' },
    types: { json: jsonType(114), jsonb: jsonType(3802) },
  }
}

/** lite hands JSON over as text, which PGlite passes on; the server's driver would make a JSON string of that text. */
function jsonType(oid: number) {
  const serialize = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
  return { to: oid, from: [oid], serialize, parse: (text: string): unknown => JSON.parse(text) }
}
