import type { Client } from '../postgres-setup.ts'

export type Row = Record<string, unknown>

/** Calls one of our functions that take and give one jsonb; `name` comes from the test, never from outside. */
export async function call<Answer extends object = Row>(sql: Client, name: string, args: unknown): Promise<Answer> {
  const [row] = await sql.unsafe(`select public.${name}($1::text::jsonb) as answer`, [JSON.stringify(args)] as string[])
  return row?.answer as Answer
}

/** Calls a function as PostgREST does: arguments by name, read out of one JSON object with the parameters' types. */
export async function rpc(sql: Client, name: string, args: Row): Promise<Row[]> {
  const parameters = await sql<Array<{ name: string; type: string }>>`
    select p.proargnames[place] as name, format_type(type, null) as type
    from pg_proc p cross join lateral unnest(p.proargtypes) with ordinality as t(type, place)
    where p.oid = (select oid from pg_proc where proname = ${name} and pronamespace = 'public'::regnamespace)`
  const given = Object.keys(args).map((key) => {
    const parameter = parameters.find((known) => known.name === key)
    if (!parameter) throw new Error(`PGRST202: ${name} has no argument ${key}`)
    return parameter
  })
  return await sql.unsafe(
    `select called.* from json_to_record($1::text::json) as args(${given.map((p) => `"${p.name}" ${p.type}`).join() || 'nothing text'}),
      lateral public.${name}(${given.map((p) => `"${p.name}" := args."${p.name}"`).join()}) as called`,
    [JSON.stringify(args)],
  )
}

/** Inserts a row as PostgREST does, with exactly the columns named, and returns it; with `onConflict` it is an upsert. */
export async function insert(sql: Client, table: string, row: Row, { onConflict }: { onConflict?: string } = {}): Promise<Row> {
  const columns = Object.keys(row).map((column) => `"${column}"`)
  const updates = columns.map((column) => `${column} = excluded.${column}`).join()
  const [inserted] = await sql.unsafe(
    `insert into public.${table} (${columns}) select ${columns} from json_populate_record(null::public.${table}, $1::text::json)
      ${onConflict ? `on conflict (${onConflict}) do update set ${updates}` : ''} returning *`,
    [JSON.stringify(row)],
  )
  if (!inserted) throw new Error(`${table}: nothing was inserted`)
  return inserted
}

/** Updates the rows where `column` has `value`, as PostgREST does, and returns them. */
export async function update(sql: Client, table: string, [column, value]: [string, string], changes: Row): Promise<Row[]> {
  const columns = Object.keys(changes).map((name) => `"${name}" = source."${name}"`)
  return await sql.unsafe(
    `update public.${table} as target set ${columns} from json_populate_record(null::public.${table}, $1::text::json) as source
      where target."${column}" = $2 returning target.*`,
    [JSON.stringify(changes), value],
  )
}

/** The error that a statement fails with, as code and message; undefined when it passes. */
export async function failure(work: Promise<unknown>): Promise<{ code: string; message: string } | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    const { code = '', message } = error as { code?: string; message: string }
    return { code, message }
  }
}

/** Whatever the database holds in its tables of trades, to show that a refused call changed nothing. */
export async function tradingRows(sql: Client): Promise<unknown> {
  const [row] = await sql`select
    (select jsonb_agg(to_jsonb(o) order by o.id) from public.trade_opportunities o) as opportunities,
    (select jsonb_agg(to_jsonb(e) order by e.id) from public.trade_executions e) as executions,
    (select jsonb_agg(to_jsonb(j) order by j.id) from public.agent_jobs j) as jobs,
    (select jsonb_agg(to_jsonb(m) order by m.id) from public.agent_messages m) as messages,
    (select jsonb_agg(to_jsonb(s) order by s.agent_id) from public.agent_status s) as agents`
  return row
}
