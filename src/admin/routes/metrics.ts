import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { AdminRoute } from '../route.ts';

const SECONDS = 1e9;
let delay: ReturnType<typeof monitorEventLoopDelay> | undefined;

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[];
}

/** Gauges rather than counters: which wallets are the busiest changes, and what of a counter goes over into `other` would look like a restart. */
const TENANT_METRICS = [
  ['messages_received', 'flexid_tenant_messages', 'Messages received'],
  ['admin_calls', 'flexid_tenant_calls', 'Calls of controllers'],
] as const;

const quoted = (text: string): string => text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));

/** Prometheus' text format, version 0.0.4. */
function exposition(metrics: readonly Metric[]): string {
  const lines = metrics.flatMap(({ name, type, help, samples }) => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(({ labels, value }) => {
      const text = Object.entries(labels ?? {}).map(([label, of]) => `${label}="${quoted(of)}"`);
      return `${name}${text.length > 0 ? `{${text.join(',')}}` : ''} ${value}`;
    }),
  ]);
  return `${lines.join('\n')}\n`;
}

export const metricsRoutes: readonly AdminRoute[] = [
  {
    route: 'GET /metrics',
    tag: 'server',
    summary: "Metrics in Prometheus' text format",
    auth: 'admin',
    produces: 'text/plain; version=0.0.4; charset=utf-8',
    async handle(admin) {
      // measured for a scrape alone
      if (!delay) {
        delay = monitorEventLoopDelay({ resolution: 20 });
        delay.enable();
      }
      const { open, dead } = await admin.kernel.db.admin.backlog();
      const memory = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      const one = (name: string, type: Metric['type'], help: string, value: number): Metric => ({ name, type, help, samples: [{ value }] });
      const lag = [0.5, 0.99, 1].map((quantile) => ({
        labels: { quantile: String(quantile) },
        // nothing was measured yet: the histogram has NaN or 2^63 then
        value: delay!.count > 0 ? (quantile === 1 ? delay!.max : delay!.percentile(quantile * 100)) / SECONDS : 0,
      }));
      delay.reset();
      return exposition([
        {
          name: 'flexid_info',
          type: 'gauge',
          help: 'The version, as a label.',
          samples: [{ labels: { version: admin.version }, value: 1 }],
        },
        one('flexid_uptime_seconds', 'gauge', 'Seconds since the start.', (Date.now() - admin.started) / 1000),
        ...Object.entries(admin.counters())
          .sort()
          .map(([name, value]) =>
            one(`flexid_${name.replace(/[^a-zA-Z0-9_]/g, '_')}_total`, 'counter', `How often: ${name.replaceAll('_', ' ')}.`, value),
          ),
        {
          name: 'flexid_jobs_open',
          type: 'gauge',
          help: 'Jobs in the queues, by kind: mail, webhooks, commands, work, ledger writes.',
          samples: Object.entries(open).map(([kind, value]) => ({ labels: { kind }, value })),
        },
        ...TENANT_METRICS.map(([counted, name, what]): Metric => {
          const { top, other } = admin.busiest()[counted] ?? { top: [], other: 0 };
          const samples = [...top, ['other', other] as const].map(([tenant, value]) => ({ labels: { tenant }, value }));
          return {
            name,
            type: 'gauge',
            help: `${what} in the last full minute, by wallet: the busiest, and all others together.`,
            samples,
          };
        }),
        one('flexid_dead_letters', 'gauge', 'Deliveries that were given up.', dead),
        one('process_resident_memory_bytes', 'gauge', 'Resident memory.', memory.rss),
        one('nodejs_heap_used_bytes', 'gauge', 'Used heap.', memory.heapUsed),
        one('process_cpu_seconds_total', 'counter', 'Processor time, user and system.', (user + system) / 1e6),
        { name: 'nodejs_eventloop_lag_seconds', type: 'gauge', help: 'Delay of the event loop since the last scrape.', samples: lag },
      ]);
    },
  },
];
