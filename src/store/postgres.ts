import { ActorError } from '../core/errors.ts'
import { storeFailureKind } from './store-error.ts'
import { openThreadStore, type ThreadStore } from './thread-store.ts'

const connections = 10

/** Reads who we are, and whether we may act as service_role: undefined while that role is not there yet. */
const readRights = `
select current_user, (select rolsuper or pg_has_role(current_user, role.oid, 'member') from pg_roles where rolname = current_user)
from (select oid from pg_roles where rolname = 'service_role') role`

/** Opens the store over a PostgreSQL server. A server that is away now may come back; one that denies us the role will not. */
export async function openPostgres(url: string): Promise<ThreadStore> {
  const store = await openThreadStore({ target: { kind: 'postgres', url, connections } })
  try {
    await requireRights(store)
  } catch (error) {
    if (storeFailureKind(error) !== 'unavailable') {
      await store.close()
      throw error
    }
  }
  return store
}

/** Every request acts as service_role, so the user must be allowed to. */
export async function requireRights(store: Pick<ThreadStore, 'query'>): Promise<void> {
  const [row] = (await store.query(readRights)).rows
  if (!row || row[1] === true) return
  const user = `"${String(row[0]).replaceAll('"', '""')}"`
  throw new ActorError(
    'CONFIG_INVALID',
    `The user of DATABASE_URL may not act as service_role. As the database's owner run\n  grant service_role to ${user};\n  grant usage on schema public to service_role;`,
    { details: { variable: 'DATABASE_URL', user: row[0] } },
  )
}
