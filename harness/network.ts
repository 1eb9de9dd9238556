import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Controller, PATIENCE_MS, pause, startWebhooks, type Webhooks } from '../examples/demo/controller.ts';
import { answers, freePort, type Program, program } from './processes.ts';

export const ROLES = ['issuer', 'holder', 'verifier'] as const;
export type Role = (typeof ROLES)[number];

/** The flags that spare each controller what it would always say yes to. */
const AUTO: Record<Role, readonly string[]> = {
  issuer: ['--auto-accept-requests', '--auto-respond-credential-request'],
  holder: ['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential'],
  verifier: ['--auto-accept-requests', '--auto-verify-presentation'],
};

export interface Network {
  /** Where each agent's admin API is, and its key: for a controller that is not one of `controllers`. */
  readonly admin: Readonly<Record<Role, { url: string; key: string }>>;
  /** The dev ledger; undefined where the agents use a node that was there before. */
  readonly ledger?: Program;
  readonly agents: Readonly<Record<Role, Program>>;
  readonly controllers: Readonly<Record<Role, Controller>>;
  readonly algod: string;
  /** What one more agent must be told of the ledger. */
  readonly facts: LedgerFacts;
  readonly webhooks: Webhooks;
  /** What holds the holder's mail, where nobody can reach the holder. */
  readonly mediator?: Program;
  stop(): Promise<void>;
}

/** How agents are stored: a SQLite file each, or a PostgreSQL database each. */
export type StoreOf = (role: Role) => { readonly args: readonly string[]; readonly env?: Readonly<Record<string, string>> };

export interface LedgerFacts {
  /** Its process, where it is one of ours. */
  readonly program?: Program;
  readonly url: string;
  readonly app: string;
  readonly sponsor: string;
  /** What an agent must be told of it. */
  readonly flags: readonly string[];
}

/** The dev ledger as a process of its own. */
export async function startLedger(folder: string): Promise<LedgerFacts & { readonly program: Program }> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let printed = '';
  const ledger = program(
    'ledger',
    folder,
    'devnet/main.ts',
    ['--port', String(port), '--journal', join(folder, 'ledger.journal')],
    (output) => {
      printed = output;
      return output.includes('"ready":true');
    },
  );
  await ledger.start();
  const facts = JSON.parse(printed.split('\n').find((line) => line.includes('"ready":true'))!) as Record<string, string>;
  const app = String(facts.appId);
  return {
    program: ledger,
    url,
    app,
    sponsor: String(facts.sponsor),
    flags: [
      ...['--algod-url', url, '--algod-token', String(facts.token), '--algorand-app-id', app],
      ...['--algorand-genesis-hash', String(facts.genesisHash)],
    ],
  };
}

/** An agent of which its program knows the admin API, the key of that, and where peers reach it. */
export interface Started {
  readonly program: Program;
  readonly controller: Controller;
  /** The admin API. */
  readonly url: string;
  readonly key: string;
  stop(): Promise<void>;
}

export interface AgentOptions {
  readonly flags?: readonly string[];
  /** Without one it writes to no ledger, and reads none. */
  readonly ledger?: LedgerFacts;
  /** Whether it may write, at the cost of the ledger's sponsor. */
  readonly sponsored?: boolean;
  /** Whether peers can reach it (default). Without that its admin port is the only one that it listens on. */
  readonly reachable?: boolean;
  /** Whether peers can also open WebSockets to it. */
  readonly sockets?: boolean;
  /** Host and port that peers are given, where these are not its own: those of a proxy before its port. */
  readonly through?: (port: number) => Promise<string>;
  /** One more receiver of its webhooks, with the key that it wants after a `#`. */
  readonly webhooks?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** An agent as a process of its own, with its records in a file of its own. Everything listens on loopback only. */
export async function startAgent(folder: string, webhooks: Webhooks, name: string, options: AgentOptions = {}): Promise<Started> {
  const { flags = [], ledger, sponsored = false, reachable = true, sockets = false, through, webhooks: others, env = {} } = options;
  const [admin, inbound, key] = [await freePort(), await freePort(), randomBytes(16).toString('hex')];
  const url = `http://127.0.0.1:${admin}`;
  const address = (await through?.(inbound)) ?? `127.0.0.1:${inbound}`;
  const schemes = sockets ? ['http', 'ws'] : ['http'];
  const reached = [
    ...schemes.flatMap((scheme) => ['--inbound-transport', scheme, '127.0.0.1', String(inbound)]),
    ...['--endpoint', ...schemes.map((scheme) => `${scheme}://${address}`)],
  ];
  const agent = program(
    name,
    folder,
    'src/main.ts',
    [
      ...['start', '--label', name, '--admin', '127.0.0.1', String(admin), ...(reachable ? reached : [])],
      ...['--webhook-url', `http://127.0.0.1:${webhooks.port}/${name}`, '--egress-allow', '127.0.0.0/8'],
      ...['--store', `sqlite:${join(folder, `${name}.db`)}`, ...(ledger?.flags ?? ['--no-ledger']), ...flags],
      ...(others ? ['--webhook-url', others] : []),
    ],
    () => answers(`${url}/status/ready`),
    // keys and the words of the sponsor stand in no process list
    { ACAPY_ADMIN_API_KEY: key, ...(sponsored && ledger ? { FLEXID_SPONSOR_MNEMONIC: ledger.sponsor } : {}), ...env },
  );
  const started = {
    program: agent,
    controller: webhooks.controller(name, url, { 'x-api-key': key }),
    url,
    key,
    stop: () => agent.stop(),
  };
  try {
    await agent.start();
    return started;
  } catch (error) {
    await agent.stop();
    throw error;
  }
}

export interface Mediator extends Started {
  /** Whoever has it becomes a client. */
  readonly invitation: string;
}

/** An agent as a mediator, or as an agency: it takes mail for agents that nobody can reach, by HTTP and on WebSockets. */
export async function startMediator(folder: string, webhooks: Webhooks, agency = false): Promise<Mediator> {
  const flags = ['--open-mediation', '--auto-accept-requests', '--anoncreds-workers', '1', ...(agency ? ['--agency'] : [])];
  const mediator = await startAgent(folder, webhooks, 'mediator', { flags: ['--label', 'demo mediator', ...flags], sockets: true });
  return { ...mediator, invitation: await invitationOf(mediator.controller) };
}

/** The URL of an invitation that any number of clients may use. */
export const invitationOf = async (mediator: Controller): Promise<string> => {
  const made = await mediator.post('/out-of-band/create-invitation?multi_use=true&auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  return made.invitation_url;
};

/** An agent that issues. */
export const startIssuer = (folder: string, ledger: LedgerFacts, webhooks: Webhooks): Promise<Started> =>
  startAgent(folder, webhooks, 'issuer', {
    flags: ['--label', 'demo issuer', '--preserve-exchange-records', ...AUTO.issuer],
    ledger,
    sponsored: true,
  });

/** Waits until the mediator of an agent has granted: an invitation from before that is for nobody. */
export async function granted(holder: Controller): Promise<void> {
  for (const began = Date.now(); Date.now() - began < PATIENCE_MS; ) {
    if ((await holder.get('/mediation/default-mediator')).state === 'granted') return;
    await pause(200);
  }
  throw new Error('the mediator has not granted mediation to the holder');
}

/**
 * A dev ledger and three agents as processes of their own, each with a controller. Everything listens on loopback only.
 * @param webhooksTo another receiver: webhooks go to `<url>/<role>` under `key` instead of to `controllers`
 * @param external a node that is there already, in the place of the dev ledger
 * @param mediated nobody can reach the holder: it listens on its admin port alone, and has its mail from a mediator
 */
export async function startNetwork(
  folder: string,
  store: StoreOf,
  onStarted: (name: string, detail: string) => void = () => {},
  webhooksTo?: { readonly url: string; readonly key: string },
  mediated = false,
  external?: LedgerFacts,
): Promise<Network> {
  const running: Program[] = [];
  const webhooks: Webhooks = await startWebhooks();
  const stop = async (): Promise<void> => {
    await Promise.allSettled([...running].reverse().map((one) => one.stop()));
    await webhooks.close();
  };
  try {
    const ledger = external ?? (await startLedger(folder));
    if (ledger.program) running.push(ledger.program);
    onStarted(external ? 'with ledger' : 'dev ledger', `${ledger.url}, app ${ledger.app}`);

    const mediator = mediated ? await startMediator(folder, webhooks) : undefined;
    if (mediator) {
      running.push(mediator.program);
      onStarted('mediator', `pid ${mediator.program.pid}`);
    }

    const agents = {} as Record<Role, Program>;
    const controllers = {} as Record<Role, Controller>;
    const admins = {} as Record<Role, { url: string; key: string }>;
    for (const role of ROLES) {
      const [admin, inbound] = [await freePort(), await freePort()];
      const key = randomBytes(16).toString('hex');
      const adminUrl = `http://127.0.0.1:${admin}`;
      const reached =
        mediator && role === 'holder'
          ? ['--mediator-invitation', mediator.invitation]
          : ['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', `http://127.0.0.1:${inbound}`];
      // prettier-ignore
      const args = [
        'start',
        '--label',
        `demo ${role}`,
        '--admin',
        '127.0.0.1',
        String(admin),
        '--admin-api-key',
        key,
        ...reached,
        '--webhook-url',
        webhooksTo ? `${webhooksTo.url}/${role}#${webhooksTo.key}` : `http://127.0.0.1:${webhooks.port}/${role}#${key}`,
        '--egress-allow',
        '127.0.0.0/8',
        '--preserve-exchange-records',
        ...ledger.flags,
        '--log-level',
        'info',
        ...AUTO[role],
        ...store(role).args,
      ];
      // the words of the sponsor stand in no process list
      const env = { ...store(role).env, ...(role === 'issuer' ? { FLEXID_SPONSOR_MNEMONIC: ledger.sponsor } : {}) };
      agents[role] = program(role, folder, 'src/main.ts', args, () => answers(`${adminUrl}/status/ready`), env);
      controllers[role] = webhooks.controller(role, adminUrl, { 'x-api-key': key });
      admins[role] = { url: adminUrl, key };
      running.push(agents[role]);
    }
    await Promise.all(ROLES.map((role) => agents[role].start()));
    for (const role of ROLES) onStarted(role, `pid ${agents[role].pid}`);
    if (mediator) await granted(controllers.holder);
    return {
      mediator: mediator?.program,
      ledger: ledger.program,
      agents,
      controllers,
      admin: admins,
      algod: ledger.url,
      facts: ledger,
      webhooks,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
