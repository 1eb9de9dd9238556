import { randomBytes } from 'node:crypto';
import { type Controller, startWebhooks } from '../examples/demo/controller.ts';
import { type LedgerFacts, startLedger } from './network.ts';
import { answers, freePort, type Program, program } from './processes.ts';
import { type RoundRobin, startProxy } from './proxy.ts';

export interface Replicas {
  readonly agents: readonly Program[];
  /** The admin API of all of them, and its key. */
  readonly admin: string;
  readonly key: string;
  /** The address of each one's admin API, past the proxy. */
  readonly each: readonly string[];
  readonly proxies: { readonly admin: RoundRobin; readonly messages: RoundRobin };
  /** Makes a wallet by the API. @returns its controller */
  tenant(name: string, settings: Readonly<Record<string, unknown>>): Promise<Tenant>;
  stop(): Promise<void>;
}

export interface Tenant extends Controller {
  readonly wallet: string;
  /** The headers that open it. */
  readonly keys: Readonly<Record<string, string>>;
}

export interface ReplicasOptions {
  readonly count: number;
  /** `postgres://`, of a role that owns its database. */
  readonly store: string;
  /** Without it there is no ledger. */
  readonly ledger?: LedgerFacts;
  readonly flags?: readonly string[];
  /** What one replica has in its environment beside the others'. */
  readonly env?: (replica: number) => Record<string, string>;
}

/** Agents as processes of their own on one database, behind a proxy: whoever calls does not know which of them answers. */
export async function startReplicas(folder: string, { count, store, ledger, flags = [], env }: ReplicasOptions): Promise<Replicas> {
  const key = randomBytes(16).toString('hex');
  const webhooks = await startWebhooks();
  const ports = await Promise.all(Array.from({ length: count }, async () => [await freePort(), await freePort()] as const));
  const admin = await startProxy(ports.map(([port]) => port));
  const messages = await startProxy(ports.map(([, port]) => port));
  // none of these stands in a process list
  const secrets = {
    FLEXID_STORE: store,
    ACAPY_WALLET_KEY: randomBytes(16).toString('hex'),
    ACAPY_ADMIN_API_KEY: key,
    ACAPY_MULTITENANT_JWT_SECRET: randomBytes(32).toString('hex'),
    ...(ledger ? { FLEXID_SPONSOR_MNEMONIC: ledger.sponsor } : {}),
  };
  const each = ports.map(([port]) => `http://127.0.0.1:${port}`);
  const agents = ports.map(([adminPort, inbound], i) =>
    program(
      `replica-${i + 1}`,
      folder,
      'src/main.ts',
      [
        ...['start', '--label', 'demo replica', '--admin', '127.0.0.1', String(adminPort), '--multitenant', '--multitenant-admin'],
        ...['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', messages.url],
        ...['--egress-allow', '127.0.0.0/8', '--anoncreds-workers', '1', '--log-level', 'info'],
        ...(ledger ? ledger.flags : ['--no-ledger']),
        ...flags,
      ],
      () => answers(`${each[i]}/status/ready`),
      { ...secrets, ...env?.(i) },
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.allSettled(agents.map((agent) => agent.stop()));
    await Promise.allSettled([admin.close(), messages.close(), webhooks.close()]);
  };
  const operator = webhooks.controller('operator', admin.url, { 'x-api-key': key });
  try {
    await Promise.all(agents.map((agent) => agent.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    agents,
    admin: admin.url,
    key,
    each,
    proxies: { admin, messages },
    async tenant(name, settings) {
      const made = await operator.post('/multitenancy/wallet', {
        wallet_name: name,
        label: name,
        wallet_webhook_urls: [`http://127.0.0.1:${webhooks.port}/${name}`],
        extra_settings: { ...settings, 'preserve-exchange-records': true },
      });
      const keys = { authorization: `Bearer ${made.token}` };
      return Object.assign(webhooks.controller(name, admin.url, keys), { wallet: made.wallet_id as string, keys });
    },
    stop,
  };
}

export { startLedger };
