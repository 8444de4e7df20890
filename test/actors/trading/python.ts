import type { Client } from '../../postgres-setup.ts'
import { insert, type Row, rpc, update } from '../../sql/rest.ts'

/** An agent of the original system: the literal calls that its programs make, and no others. */
export function pythonAgent(sql: Client, agent_id: string, agent_type: string) {
  const beat = (p_status: string, p_current_job: unknown = null) =>
    rpc(sql, 'update_agent_heartbeat', { p_agent_id: agent_id, p_status, p_current_job })
  return {
    register: () =>
      insert(
        sql,
        'agent_status',
        {
          ...{ agent_id, agent_name: agent_id, agent_type, status: 'idle', capabilities: ['python'] },
          last_heartbeat: new Date().toISOString(),
        },
        { onConflict: 'agent_id' },
      ),
    beat,
    /** Claims a job and says that it works on it; undefined when there is none. */
    async claim(): Promise<Row | undefined> {
      const [job] = await rpc(sql, 'claim_next_job', { agent_id })
      if (job) await beat('working', job.job_id)
      return job
    },
    async complete(p_job_id: unknown, p_result: unknown): Promise<void> {
      await rpc(sql, 'complete_job', { p_job_id, p_success: true, p_result, p_error: null })
      await beat('idle')
    },
    /** Publishes an opportunity as the original scanner does: the row, the job, the alert. */
    async publish(opportunity: Row): Promise<{ opportunity: Row; job: Row }> {
      const row = await insert(sql, 'trade_opportunities', {
        ...opportunity,
        discovered_by: agent_id,
        discovery_method: 'perplexity_research',
      })
      const { market_id, side, confidence } = opportunity
      const opportunity_id = row.id
      const payload = { opportunity_id, market_id, side, amount: 5.0, confidence }
      const job = await insert(sql, 'agent_jobs', {
        ...{ job_type: 'execute_trade', payload, priority: Number(confidence) > 0.8 ? 3 : 5 },
        ...{ created_by: agent_id, assigned_to: null, status: 'pending' },
      })
      await insert(sql, 'agent_messages', {
        ...{ message_type: 'alert', from_agent: agent_id, to_agent: null, subject: 'New Trade Opportunity' },
        ...{ content: `${side} ${market_id}`, priority: 'urgent', payload: { opportunity_id } },
      })
      return { opportunity: row, job }
    },
    execute: (execution: Row) => insert(sql, 'trade_executions', { ...execution, executed_by: agent_id }),
    /** The newest messages for it that nobody has read. */
    messages: (): Promise<Row[]> =>
      sql`select * from public.agent_messages where read = false and (to_agent = ${agent_id} or to_agent is null) order by created_at desc limit 50`,
    read: (id: string) => update(sql, 'agent_messages', ['id', id], { read: true, read_at: new Date().toISOString() }),
  }
}
