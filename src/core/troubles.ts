/** Names by which users of the original trading system know what may go wrong, each with its cause and what to do next. */
export const troubles = {
  'Supabase coordinator not available':
    'SUPABASE_URL or SUPABASE_SERVICE_KEY is missing, or the schema is not loaded: `troupe db status` says which, `troupe db migrate` loads it',
  'Could not initialize Supabase':
    'The address does not answer, or the key is refused: take the service key of the project’s API settings, and look at `troupe db status`',
  'No trade jobs available':
    'Nothing was worth its costs, which is the usual answer on live data: `troupe ps` shows what the scanner says, `npm start -- --market simulated:42` a run with trades',
  'Agent not registered':
    'Nobody of that name has run on this database: `troupe ps` lists who does. A message to a name that is not known yet waits until it expires',
} as const satisfies Readonly<Record<string, string>>

export type Trouble = keyof typeof troubles

/** What it is called that a store cannot be used: `away` gives no answer or refuses the key, `unfit` has no schema, or one that is too old. */
export function storeTrouble(kind: string, status: 'away' | 'unfit'): Trouble | undefined {
  if (kind !== 'hosted') return undefined
  return status === 'away' ? 'Could not initialize Supabase' : 'Supabase coordinator not available'
}

/** What is wrong, under its name where it has one, and what to do about it. */
export function explained(trouble: Trouble | undefined, message: string): { readonly message: string; readonly hint?: string } {
  return trouble === undefined ? { message } : { message: `${trouble}: ${message}`, hint: troubles[trouble] }
}
