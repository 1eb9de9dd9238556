import pg from 'pg';

/** Settings of a server whose plans are to be read: every session has auto_explain, which says nothing (its default) until `PlanLog.during`. */
export const PLAN_SETTINGS = [
  'session_preload_libraries=auto_explain',
  'auto_explain.log_nested_statements=on',
  'auto_explain.log_analyze=on',
  'auto_explain.log_buffers=on',
  'auto_explain.log_timing=off',
  'auto_explain.log_format=json',
  'auto_explain.log_parameter_max_length=0',
  'log_destination=jsonlog',
  'logging_collector=on',
  'log_rotation_age=0',
  'log_rotation_size=0',
];

/** One look-up by index within a statement. */
export interface Lookup {
  /** Statement, place in its plan, and index: the same at every size, or the plan is another. */
  readonly id: string;
  readonly index: string;
  /** Buffers, found in memory or read, of one look-up. */
  readonly buffers: number;
  /** Rows that one look-up read in vain. */
  readonly wasted: number;
}

/** One execution of a statement, sent by the agent or within one of its functions. */
export interface Executed {
  /** The function that it is within; empty for what was sent. */
  readonly within: string;
  readonly text: string;
  readonly lookups: readonly Lookup[];
  /** Scans of a table that are neither by a condition on an index nor by places that were found by one. */
  readonly scans: readonly string[];
  readonly buffers: number;
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  'Shared Hit Blocks'?: number;
  'Shared Read Blocks'?: number;
  Plans?: Node[];
}

export interface PlanLog {
  /** What the sessions of the agent's role executed meanwhile, with the plans they really used: also those they made long ago. */
  during(work: () => Promise<void>): Promise<Executed[]>;
  close(): Promise<void>;
}

const CHUNK = 8 << 20;
const SETTLE_MS = 400;

/** Reads the server's log through the superuser's connection. @param role whose statements count */
export async function openPlanLog(adminUrl: string, role: string): Promise<PlanLog> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const one = async <T>(text: string, values: unknown[] = []): Promise<T> => (await client.query<{ x: T }>(text, values)).rows[0]!.x;
  const path = await one<string>("SELECT pg_current_logfile('jsonlog') AS x");
  const size = async (): Promise<number> => Number(await one<string>('SELECT size AS x FROM pg_stat_file($1)', [path]));

  async function explain(on: boolean): Promise<void> {
    await client.query(`ALTER SYSTEM SET auto_explain.log_min_duration = ${on ? 0 : -1}`);
    await client.query('SELECT pg_reload_conf()');
    // sessions hear of it by a signal
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  }

  async function readFrom(start: number): Promise<string> {
    const chunks: Buffer[] = [];
    for (let at = start, end = await size(); at < end; at += CHUNK)
      chunks.push(await one<Buffer>('SELECT pg_read_binary_file($1, $2, $3) AS x', [path, at, Math.min(CHUNK, end - at)]));
    return Buffer.concat(chunks).toString('utf8');
  }

  return {
    async during(work) {
      const start = await size();
      await explain(true);
      try {
        await work();
      } finally {
        await explain(false);
      }
      const executed: Executed[] = [];
      for (const line of (await readFrom(start)).split('\n')) {
        if (line === '') continue;
        const entry = JSON.parse(line) as { user?: string; message?: string; context?: string };
        const plan = /^duration: .* plan:\n(.*)$/s.exec(entry.message ?? '')?.[1];
        if (entry.user === role && plan !== undefined) executed.push(readPlan(JSON.parse(plan), entry.context ?? ''));
      }
      return executed;
    },
    close: () => client.end(),
  };
}

function readPlan({ 'Query Text': query, Plan: root }: { 'Query Text': string; Plan: Node }, context: string): Executed {
  const text = query.replace(/\s+/g, ' ').trim();
  const within = /(?:function|FUNCTION) "?(?:flexid\.)?(\w+)/.exec(context)?.[1] ?? '';
  const lookups: Lookup[] = [];
  const scans: string[] = [];
  const visit = (node: Node, path: string): void => {
    const loops = node['Actual Loops'];
    const [table, index] = [node['Relation Name'], node['Index Name']];
    if (index !== undefined && node['Index Cond'] !== undefined) {
      if (loops > 0) {
        const own = blocks(node) - (node.Plans ?? []).reduce((sum, child) => sum + blocks(child), 0);
        const wasted = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
        lookups.push({ id: `${text} ${path} ${index}`, index, buffers: own / loops, wasted });
      }
    } else if (/Scan/.test(node['Node Type']) && node['Node Type'] !== 'Tid Scan' && (table !== undefined || index !== undefined)) {
      scans.push(`${node['Node Type']} on ${table ?? index}`);
    }
    for (const [i, child] of (node.Plans ?? []).entries()) visit(child, `${path}.${i}`);
  };
  visit(root, '0');
  return { within, text, lookups, scans, buffers: blocks(root) };
}

const blocks = (node: Node): number => (node['Shared Hit Blocks'] ?? 0) + (node['Shared Read Blocks'] ?? 0);
