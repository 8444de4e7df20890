import * as z from 'zod'

const rows = z.array(z.object({ agent_id: z.string(), status: z.string(), health_status: z.string() }))

/** Chooses the gateway that a specialist belongs to: the one it has while that lives, else the first that does. */
export function gatewayOf(dashboard: unknown, now: string | null): string | null {
  const alive = rows
    .parse(dashboard)
    .filter(({ status, health_status }) => status !== 'offline' && health_status === 'healthy')
    .map(({ agent_id }) => agent_id)
    .sort()
  if (now !== null && alive.includes(now)) return now
  return alive[0] ?? null
}
