import { type Replicas, startLedger, startReplicas, type Tenant } from '../../harness/replicas.ts';
import { anchor, connect, eachOf, integerColumn, issueOne, type Prepared, presentOne, stepsOn, type Table, type Watcher } from './flow.ts';

/** What each wallet does by itself. */
const SETTINGS = {
  issuer: { 'auto-accept-requests': true, 'auto-respond-credential-request': true },
  holder: { 'auto-accept-invites': true, 'auto-respond-credential-offer': true, 'auto-store-credential': true },
  verifier: { 'auto-accept-requests': true, 'auto-verify-presentation': true },
};

export interface TenantsOptions {
  readonly folder: string;
  /** `postgres://`, of one empty database. */
  readonly store: string;
  readonly replicas: number;
  /** One issues, one verifies, the others hold a credential each. */
  readonly tenants: number;
  /** Kills one replica with SIGKILL when half of the credentials are issued. */
  readonly kill: boolean;
  /** Credentials can be revoked, and no two have one index. */
  readonly revocable: boolean;
  readonly started: (name: string, detail: string) => void;
}

export interface TenantsOutcome {
  readonly issued: number;
  readonly verified: number;
  readonly holders: number;
  readonly facts: readonly (readonly [string, string])[];
}

/** Many wallets on several agents that share a database: every holder gets a credential and has it verified, whichever agents do the work. */
export async function runTenants(table: Table, options: TenantsOptions, watcher: Watcher, parallel = 6): Promise<TenantsOutcome> {
  const { folder, store, tenants, started } = options;
  const holders = tenants - 2;
  const number = integerColumn(table);
  const revealed = table.columns.find((column) => column !== number) ?? number;
  const floor = Math.min(...table.rows.map((row) => Number(row[number])));
  const rowOf = (index: number): Readonly<Record<string, string>> => table.rows[index % table.rows.length]!;
  const step = stepsOn(watcher);
  const each = (name: string, run: (index: number) => Promise<void>, label: string): Promise<void> =>
    step(name, async () => {
      let done = 0;
      await eachOf(Array.from({ length: holders }), parallel, async (_none, index) => {
        await run(index);
        watcher.row(++done, holders);
      });
      return [undefined, label];
    });

  const ledger = await startLedger(folder);
  let replicas: Replicas | undefined;
  try {
    started('dev ledger', `${ledger.url}, app ${ledger.app}`);
    replicas = await startReplicas(folder, { count: options.replicas, store, ledger });
    const { agents, proxies, tenant } = replicas;
    for (const agent of agents) started(agent.name, `pid ${agent.pid}`);
    started('proxy', `admin ${proxies.admin.url}, messages ${proxies.messages.url}`);

    const wallets: Tenant[] = [];
    const [issuer, verifier] = await step('make the wallets of issuer and verifier', async () => {
      const made = [await tenant('issuer', SETTINGS.issuer), await tenant('verifier', SETTINGS.verifier)] as const;
      return [made, made.map(({ wallet }) => wallet).join(', ')];
    });
    await each(
      `make ${holders} wallets of holders`,
      async (index) => {
        wallets[index] = await tenant(`holder-${index + 1}`, SETTINGS.holder);
      },
      `${tenants} wallets`,
    );
    const anchored = await anchor(issuer, table.columns, step, options.revocable);
    const prepared: Prepared[] = [];
    await each(
      'connect each with issuer and verifier',
      async (index) => {
        const holder = wallets[index]!;
        const [issuerConnection, verifierConnection] = [await connect(issuer, holder), await connect(verifier, holder)];
        prepared[index] = { ...anchored, issuerConnection, verifierConnection };
      },
      `${2 * holders} connections`,
    );
    const victim = agents[agents.length - 1]!;
    const killAt = options.kill ? Math.ceil(holders / 2) : Number.POSITIVE_INFINITY;
    const issued: string[] = [];
    let killed: string | undefined;
    let count = 0;
    await each(
      'issue a credential to each',
      async (index) => {
        issued[index] = await issueOne({ issuer, holder: wallets[index]! }, prepared[index]!, rowOf(index));
        if (++count !== killAt) return;
        killed = `${victim.name}, pid ${victim.pid}, after ${count} credentials`;
        await victim.kill();
        started('SIGKILL', killed);
      },
      `${holders} credentials in ${holders} wallets`,
    );
    let verified = 0;
    await each(
      'present and verify each',
      async (index) => {
        const row = rowOf(index);
        const shown = await presentOne({ issuer, holder: wallets[index]!, verifier }, prepared[index]!, issued[index]!, {
          revealed,
          number,
          floor,
          at: options.revocable ? Math.floor(Date.now() / 1000) : undefined,
        });
        if (shown !== row[revealed]) throw new Error(`holder ${index + 1} showed ${revealed} = ${shown}, not ${row[revealed]}`);
        verified++;
      },
      `${revealed} revealed, ${number} >= ${floor} proved`,
    );
    let held = 0;
    const places = new Set<string>();
    await each(
      'look into each wallet',
      async (index) => {
        const { results } = await wallets[index]!.get('/credentials');
        if (results.length !== 1) throw new Error(`holder ${index + 1} has ${results.length} credentials`);
        const place = `${results[0].rev_reg_id} ${results[0].cred_rev_id}`;
        if (options.revocable && (places.has(place) || !results[0].cred_rev_id)) throw new Error(`index ${place} is given out twice`);
        places.add(place);
        held++;
      },
      'one credential in each',
    );
    const by = (passed: readonly number[]): string => passed.map((many, i) => `${agents[i]!.name} ${many}`).join(', ');
    return {
      issued: held,
      verified,
      holders,
      facts: [
        ['schema', anchored.schemaId],
        ['credential definition', anchored.credDefId],
        ['admin calls', by(proxies.admin.passed)],
        ['messages', by(proxies.messages.passed)],
        ...(killed ? [['killed', killed] as const] : []),
      ],
    };
  } finally {
    await replicas?.stop();
    await ledger.program.stop();
  }
}
