// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the product stand here as text
import { idsOf, type Mutation } from '../mutations.ts';
import { AGENCY_ROWS } from './list-agency.ts';
import { AGENTS_ROWS } from './list-agents.ts';
import { BACKUP_ROWS } from './list-backup.ts';
import { HUB_ROWS } from './list-hub.ts';
import { OWNER_ROWS } from './list-owner.ts';
import { met, type NamedTest, not, type Requirement } from './requirement.ts';
import { ROWS } from './rows.ts';

const flow = (name: string, title: string): NamedTest => [`test/flows/${name}.test.ts`, title];
const fault = (name: string, title: string): NamedTest => [`test/faults/${name}.test.ts`, title];

const S1: readonly Requirement[] = [
  met(
    'S1-01',
    'usable from any language that can send and receive HTTP',
    flow('python-controller', 'the controller in Python connects, issues and verifies on agents of its own'),
    flow('readme', 'the walk-through of README.md runs as it is written and ends verified'),
  ),
  met('S1-02', 'issuer, holder and verifier in one build'),
  met('S1-03', 'peer-to-peer secure messaging', flow('transport', 'nothing that two agents say to each other is readable between them')),
  met(
    'S1-04',
    'credential exchange, with revocation',
    flow('revocation', 'a credential has its index in details and webhooks, and is revoked when the ledger says so'),
  ),
  not('S1-05', 'DIDComm messaging, in the form of RFC 0019 and of version 2', 'DIDComm version 2 is not there'),
  met(
    'S1-06',
    'Algorand as the ledger',
    fault('ledger', 'an object whose bytes do not hash to its id, are torn or are of another kind is refused'),
  ),
  met('S1-07', 'runs on servers', fault('sigterm', 'SIGTERM under load: not ready first, then everything accepted is finished or durable')),
  met('S1-08', 'runs on IoT devices: 100 credentials within 256 MiB', flow('memory', 'an issuer of ')),
  met('S1-09', 'not designed for mobile devices', ['test/docs.test.ts', 'README.md names the uses that the agent is not for']),
  met(
    'S1-10',
    'a controller talks to the agent by HTTP',
    fault('admin.property', 'no call of the admin API ends in an internal error'),
    flow('admin-api', 'the documentation is there, describes every operation once and is valid OpenAPI 3.1'),
  ),
  met(
    'S1-11',
    'a controller receives webhooks',
    flow('transport', 'a receiver that is down loses nothing: every event arrives, once per id, in order per record'),
  ),
  met(
    'S1-12',
    'a controller needs no cryptography',
    flow('automatic', 'by the auto flags, a credential is issued and proved in five calls, and no secret is in'),
  ),
  met(
    'S1-13',
    'a controller knows nothing of the language of the agent',
    flow('python-controller', 'the controllers use HTTP and nothing else of an agent'),
  ),
  met('S1-14', 'no need to learn the protocols', flow('readme', 'the walk-through of README.md runs as it is written and ends verified')),
  met('S1-15', 'SupportedRFCs.md is the list of features', [
    'test/supported-rfcs.test.ts',
    'docs/SupportedRFCs.md names the protocols and roles that are disclosed to peers, and for each a test',
  ]),
  met('S1-16', 'features are linked to their details', ['test/docs.test.ts', 'every relative link of the documents leads somewhere']),
  met(
    'S1-17',
    'multi-tenant: one instance, one database',
    flow('multitenancy', 'a hundred wallets of one process and one database invite'),
  ),
  met(
    'S1-18',
    'a storage apart for each actor',
    fault('isolation', 'another tenant’s identifier is answered as one that nobody has, by every operation'),
    fault('isolation', 'a list shows the caller’s own and nothing else'),
    flow('multitenancy', 'a wallet that is removed is gone at once, with its token and its keys'),
  ),
  met(
    'S1-19',
    'issuer as a service',
    flow('multitenancy', 'two wallets issue at the same time, to a third and to each other: each under its own DID'),
  ),
  met('S1-20', 'cloud wallet of many holders'),
  met('S1-21', 'the instance is scalable', fault('replicas', 'kill -9 of one of three replicas in the midst of flows')),
  met('S1-22', 'Multitenancy.md', flow('readme', 'the commands of docs/Multitenancy.md run as they are written')),
  met('S1-23', 'start-up options make a mediator'),
  met('S1-24', 'mediation is coordinated by the core protocols'),
  met('S1-25', 'a mediator receives, stores and forwards'),
  met('S1-26', 'for agents that nobody can reach'),
  met('S1-27', 'horizontally scalable agent', fault('replicas', 'kill -9 of one of three replicas in the midst of flows')),
  not('S1-28', 'horizontally scalable storage', 'there is no address of a read replica'),
  met(
    'S1-29',
    'Kubernetes',
    ['test/deploy.test.ts', 'every manifest is what Kubernetes takes, misspelled members refused'],
    fault('sigterm', 'SIGTERM under load: not ready first, then everything accepted is finished or durable'),
  ),
  met('S1-30', 'use 1: a legacy system that issues'),
  met('S1-31', 'use 2: authentication by proofs'),
  met('S1-32', 'use 3: enterprise wallet'),
  met('S1-33', 'use 4: a user interface for a wallet'),
  met('S1-34', 'use 5: embedded in an IoT device'),
  met('S1-35', 'use 6: persistent connection and notifications'),
  met(
    'S1-36',
    'use 7: custom code for a new service',
    flow('plugin', 'the example has its protocol, record, work, routes and topic, between two agents'),
  ),
];

const D: readonly Requirement[] = [
  met('D-06', 'whether an id exists elsewhere is not told by the answer, nor by its time'),
  met(
    'D-07',
    'endpoints of peers lead to no address inside',
    fault('egress', 'an invitation to '),
    fault('egress', 'a redirect is not followed'),
  ),
  met('D-12', 'what was answered 202 is durable'),
  met('D-13', 'secrets are in no log and no webhook'),
];

/** How to break what the rows ask that stand here; those of rows.ts have their own. */
const BROKEN: Readonly<Record<string, Mutation>> = {
  'S1-01': {
    file: 'src/kernel/webhook-secret.ts',
    from: '`${time}.${event}.${topic}.${wallet}.${body}`',
    to: '`${event}.${time}.${topic}.${wallet}.${body}`',
  },
  'S1-02': {
    file: 'src/protocols/credentials/presenting.ts',
    from: "const verified = made.every((one) => one.verified) ? 'true' : 'false';",
    to: "const verified = 'false';",
  },
  'S1-03': {
    file: 'src/didcomm/envelope-v1.ts',
    from: '{"enc":"xchacha20poly1305_ietf","typ":"JWM/1.0",',
    to: '{"text":${JSON.stringify(String(message))},"enc":"xchacha20poly1305_ietf","typ":"JWM/1.0",',
  },
  'S1-04': {
    file: 'src/resources/revocation/publishing.ts',
    from: "states: ['revoked'], patch: { pending: undefined } })),",
    to: "states: ['issued'], patch: { pending: undefined } })),",
  },
  'S1-06': {
    file: 'src/adapters/algorand/codec.ts',
    from: "if (!same(oidOf(object), oid)) throw invalid('does not hash to its identifier');",
    to: '',
  },
  'S1-07': { file: 'src/main.ts', from: '  await agent.drain();\n', to: '' },
  'S1-08': { file: 'src/app.ts', from: 'workers: config.anoncredsWorkers }', to: 'workers: 8 }' },
  'S1-09': { file: 'README.md', from: 'not for mobile devices', to: 'for mobile devices too' },
  'S1-10': {
    file: 'src/admin/server.ts',
    from: 'for (const op of some) serve(instance, op);',
    to: "for (const op of some.filter(({ method }) => method !== 'PUT')) serve(instance, op);",
  },
  'S1-11': {
    file: 'src/workers/events.ts',
    from: "return { state: 'retry', at: backoff(job.attempts, CAP_MS), error: text };",
    to: "return { state: 'dead', error: text };",
  },
  'S1-12': {
    file: 'src/resources/wallet-did.ts',
    from: 'answer: { result: view(value) },\n          ...(asAlgo',
    to: 'answer: { result: { ...view(value), seed: body.seed } },\n          ...(asAlgo',
  },
  'S1-13': { file: 'examples/python/controller.py', from: 'import argparse\n', to: 'import acapy_controller\nimport argparse\n' },
  'S1-14': { file: 'README.md', from: `/wallet/did/create '{"method": "algo"}'`, to: `/wallet/did/create '{"method": "ethr"}'` },
  'S1-15': {
    file: 'docs/SupportedRFCs.md',
    from: '| `https://didcomm.org/trust_ping/1.0` | sender, receiver |',
    to: '| `https://didcomm.org/trust_ping/1.0` | sender |',
  },
  'S1-16': { file: 'README.md', from: '[dependencies](docs/dependencies.md)', to: '[dependencies](docs/packages.md)' },
  'S1-17': {
    file: 'src/kernel/transition.ts',
    from: 'const { verkey, secretKey } = newKeyPair(seed);',
    to: 'const { verkey, secretKey } = newKeyPair(seed ?? Buffer.alloc(32, 7));',
  },
  'S1-18': {
    file: 'src/vault/seal.ts',
    from: '  sodium.randombytes_buf(out);\n  return out;\n}\n\n/** A tenant',
    to: '  return out;\n}\n\n/** A tenant',
  },
  'S1-19': {
    file: 'src/resources/wallet-did.ts',
    from: "made = `${ctx.settings.algoPrefix}${Buffer.from(bytes).toString('hex')}`;",
    to: "made = `${ctx.settings.algoPrefix}${Buffer.alloc(32, 7).toString('hex')}`;",
  },
  'S1-20': {
    file: 'src/config/settings.ts',
    from: "    acapy: 'debug.auto_store_credential',\n    tenant: 'live',\n    step: true,",
    to: "    acapy: 'debug.auto_store_credential',\n    tenant: 'live',",
  },
  'S1-21': { file: 'src/database.ts', from: 'alone: config.recreateWallet,', to: 'alone: true,' },
  'S1-22': { file: 'docs/Multitenancy.md', from: '"label": "Alice"', to: '"name": "Alice"' },
  'S1-23': {
    file: 'src/protocols/mediation/mediator-steps.ts',
    from: "next: ctx.settings.openMediation ? [{ command: 'grant' }] : [],",
    to: "next: [{ command: 'grant' }],",
  },
  'S1-24': { file: 'src/protocols/mediation/mediator-steps.ts', from: "if (has === wanted) return 'no_change';", to: '' },
  'S1-25': {
    file: 'src/database.ts',
    from: 'const db = await openSqlite({\n      path,\n',
    to: "const db = await openSqlite({\n      path: ':memory:',\n",
  },
  'S1-26': {
    file: 'src/network.ts',
    from: 'const messages = await openAll(inbound, async',
    to: "const messages = await openAll([...inbound, { host: '127.0.0.1', port: 0, posts: true, sockets: false }], async",
  },
  'S1-27': { file: 'src/database.ts', from: 'alone: config.recreateWallet,', to: 'alone: true,' },
  'S1-29': { file: 'deploy/kubernetes/deployment.yaml', from: '          readinessProbe:\n', to: '          readinesProbe:\n' },
  'S1-30': { file: 'examples/legacy-issuer/tailer.ts', from: 'publish: true', to: 'publish: false' },
  'S1-31': { file: 'examples/login/configurations.ts', from: '{ is: known }', to: '{ at: randomUUID() }' },
  'S1-32': { file: 'src/protocols/configuration/deciding.ts', from: '.length >= value.approvals;', to: '.length >= 1;' },
  'S1-33': {
    file: 'src/admin/routes/multitenancy.ts',
    from: 'if (walletKey !== undefined) await admin.kernel.db.admin.unlockTenant(id, { walletKey, until });',
    to: '',
  },
  'S1-34': {
    file: 'src/admin/routes/jwt.ts',
    from: "return verify(alg === 'ES256' ? 'sha256' : null, Buffer.from(text), { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);",
    to: 'return true;',
  },
  'S1-35': { file: 'src/protocols/basic-message.ts', from: "content: message.body.content ?? '',", to: "content: ''," },
  'S1-36': {
    file: 'src/kernel/plugin.ts',
    from: 'for (const [op, run] of Object.entries(work)) {',
    to: 'for (const [op, run] of Object.entries(work).slice(1)) {',
  },
  'S2-11': {
    file: 'src/mediation/mailbox-writer.ts',
    from: 'mail.push({ id, mailbox, recipient, body, expires, limit });',
    to: '',
  },
  'S2-12': {
    file: 'src/agent-2018/connection.ts',
    from: 'message: { did, verkey, endpoint, offer_nonce: nonce, label:',
    to: 'message: { did, verkey, endpoint: `${endpoint}?${id}`, offer_nonce: nonce, label:',
  },
  'S2-31': { file: 'src/database.ts', from: 'alone: config.recreateWallet,', to: 'alone: true,' },
  'S2-34': { file: 'src/mediation/relay.ts', from: '`${mailbox} ${recipient} ${body}`', to: '`${body}`' },
  'S2-35': {
    file: 'src/agent-2018/format.ts',
    from: 'if (pair) return { endpoint, bytes: openAnon(pair, sealed) };',
    to: 'if (pair) return undefined;',
  },
  'S2-36': {
    file: 'src/agent-2018/endpoints.ts',
    from: "'legacy_endpoint', { descending: true, limit: MAX_KEYS }",
    to: "'legacy_endpoint', { descending: true, limit: 1 }",
  },
  'S2-37': {
    file: 'src/agent-2018/connection-requests.ts',
    from: "    keyOwners: routed(ctx, 'did', [{ kid: id2018(did), kind: 'connection', target: id }]),\n",
    to: '    keyOwners: [],\n',
  },
  'S2-38': {
    file: 'src/protocols/mediation/push-notifications-fcm.ts',
    from: 'const invalidate = [deviceName(id)];',
    to: 'const invalidate: string[] = [];',
  },
  'S2-44': {
    file: 'src/protocols/mediation/message-pickup-2.ts',
    from: 'return { acknowledged: ids, send: [status(ctx, message, left)] };',
    to: 'return { taken: [], send: [status(ctx, message, left)] };',
  },
  'D-06': {
    file: 'src/agent-2018/format.ts',
    from: 'pair = connection === undefined ? await inVain(kernel, endpoint) : await',
    to: "if (connection === undefined) return { refused: '2018_unknown_id' };\n    pair = await",
  },
  'D-07': {
    file: 'src/adapters/transport/egress.ts',
    from: "if (rule === 'never') return { address, closed, refused: `${address} is never allowed (${name})` };",
    to: '',
  },
  'D-12': {
    file: 'src/kernel/transition.ts',
    from: 'await store.commit(tenant, assembled.commit);',
    to: 'setTimeout(() => void store.commit(tenant, assembled.commit), 200);',
  },
  'D-13': {
    file: 'src/main.ts',
    from: "label: config.label }, 'the agent is ready');",
    to: "label: config.label, config }, 'the agent is ready');",
  },
};

/** Every row, in the order of the papers. */
export const LIST: readonly Requirement[] = [
  ...ROWS.map((row): Requirement => row),
  ...[...S1, ...AGENTS_ROWS, ...OWNER_ROWS, ...AGENCY_ROWS, ...BACKUP_ROWS, ...HUB_ROWS, ...D].map(
    (row): Requirement => ({ ...row, ...(BROKEN[row.id] && { mutation: BROKEN[row.id] }) }),
  ),
].sort(({ id: one }, { id: other }) => placeOf(one) - placeOf(other));

function placeOf(id: string): number {
  const [paper, number] = id.split('-') as [string, string];
  return ['S1', 'S2', 'D'].indexOf(paper) * 1000 + Number(number);
}

/** Where the tests of a row are: those that are named for it, and every one whose title carries its id. @param sources test files with their text */
export function testsOf({ id, tests = [] }: Requirement, sources: ReadonlyMap<string, string>): NamedTest[] {
  const own = [...sources].flatMap(([file, text]) =>
    titlesIn(text)
      .filter((title) => idsOf(title).includes(id))
      .map((title): NamedTest => [file, title]),
  );
  return [...tests, ...own];
}

/** The titles of the tests in a file, as they are written there. */
export const titlesIn = (text: string): string[] =>
  [...text.matchAll(/^\s*(?:test|it)\(\s*(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/gm)].map(
    ([, a, b, c]) => a ?? b ?? c!,
  );
