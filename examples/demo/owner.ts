import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { startLedger } from '../../harness/network.ts';
import { ADMIN, createOwner, type Owner } from '../../harness/owner.ts';
import { answers, freePort, program } from '../../harness/processes.ts';
import type { Open } from '../lib/stage.ts';
import { type Body, type Controller, pause, startWebhooks } from './controller.ts';

/** The demo of an owner: an issuer without an admin API, whose one port is that of messages, driven by its owner over that port alone. */

export interface OwnerOutcome {
  readonly right: boolean;
  readonly facts: readonly (readonly [string, string])[];
}

type Step = (step: string, made: string) => void;

const COLUMNS = { full_name: 'Amara Okafor', graduation_year: '2021' };
const ATTEMPTS = 100;

async function startIssuer(folder: string, ledger: Awaited<ReturnType<typeof startLedger>>, owner: Owner, open: Open) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let printed = '';
  const issuer = program(
    'issuer',
    folder,
    'src/main.ts',
    [
      ...['start', '--label', 'demo issuer', '--inbound-transport', 'http', '127.0.0.1', String(port), '--endpoint', url],
      ...['--owner-key', owner.pair.verkey, '--seed', randomBytes(16).toString('hex'), '--egress-allow', '127.0.0.0/8'],
      ...['--auto-accept-requests', '--auto-respond-credential-request', '--store', `sqlite:${join(folder, 'issuer.db')}`, ...ledger.flags],
    ],
    (output) => {
      printed = output;
      return output.includes('the agent is ready');
    },
    { FLEXID_SPONSOR_MNEMONIC: ledger.sponsor },
  );
  await open(issuer.start().then(() => issuer));
  const line = printed.split('\n').find((one) => one.includes('my_verkey'));
  if (!line) throw new Error('the log of the issuer has no key for its owner');
  owner.to = { verkey: (JSON.parse(line) as Body).my_verkey, url };
  return { issuer, url };
}

async function startHolder(folder: string, ledger: Awaited<ReturnType<typeof startLedger>>, open: Open): Promise<Controller> {
  const webhooks = await startWebhooks();
  await open(Promise.resolve({ stop: () => webhooks.close() }));
  const [admin, inbound, key] = [await freePort(), await freePort(), randomBytes(16).toString('hex')];
  const url = `http://127.0.0.1:${admin}`;
  const holder = program(
    'holder',
    folder,
    'src/main.ts',
    [
      ...['start', '--label', 'demo holder', '--admin', '127.0.0.1', String(admin), '--admin-api-key', key],
      ...['--inbound-transport', 'http', '127.0.0.1', String(inbound), '--endpoint', `http://127.0.0.1:${inbound}`],
      ...['--webhook-url', `http://127.0.0.1:${webhooks.port}/holder#${key}`, '--egress-allow', '127.0.0.0/8'],
      ...['--auto-accept-invites', '--auto-respond-credential-offer', '--auto-store-credential', '--auto-respond-presentation-request'],
      ...['--store', `sqlite:${join(folder, 'holder.db')}`, ...ledger.flags],
    ],
    () => answers(`${url}/status/ready`),
  );
  const controller = webhooks.controller('holder', url, { 'x-api-key': key });
  await open(holder.start().then(() => holder));
  return controller;
}

/** The answer to a message. @throws Error where it is a problem report */
async function ask(owner: Owner, type: string, body: object): Promise<Body> {
  const reply = await owner.ask(type, body);
  if (reply.description) throw new Error(`${type}: ${reply.description.en}`);
  return reply;
}

/** Runs it. @returns whether the holder's presentation was verified */
export async function runOwner(folder: string, open: Open, step: Step): Promise<OwnerOutcome> {
  const ledger = await startLedger(folder);
  await open(Promise.resolve(ledger.program));
  step('start dev ledger', ledger.url);
  const owner = createOwner();
  const { issuer, url } = await startIssuer(folder, ledger, owner, open);
  step('start issuer', `pid ${issuer.pid}, one port: ${url}; no admin API`);
  const holder = await startHolder(folder, ledger, open);
  step('start holder', 'an agent of its own');

  const schema = { schema_name: 'graduate', schema_version: '1.0', attributes: Object.keys(COLUMNS) };
  let schemaId: string | undefined;
  // its DID is published while it runs already
  for (let attempt = 0; schemaId === undefined; attempt++) {
    const reply = await owner.ask(ADMIN('schemas', 'send-schema'), schema);
    schemaId = reply.schema_id;
    if (schemaId === undefined && attempt > ATTEMPTS) throw new Error(reply.description?.en);
    if (schemaId === undefined) await pause(200);
  }
  step('owner: create the schema', schemaId);
  const { cred_def_id } = await ask(owner, ADMIN('credential-definitions', 'send-credential-definition'), { schema_id: schemaId });
  step('owner: create the definition', cred_def_id);
  const invitation = await ask(owner, ADMIN('invitations', 'create'), { auto_accept: true });
  await holder.post('/out-of-band/receive-invitation?auto_accept=true', invitation.raw_repr.invitation);
  const { invi_msg_id } = invitation;
  const isConnected = ({ topic, payload }: Body): boolean =>
    topic === 'connections' && payload.state === 'active' && payload.invitation_msg_id === invi_msg_id;
  const { connection_id } = (await owner.events(isConnected)).find(isConnected).payload;
  step('event: the holder is connected', connection_id);

  const attributes = Object.entries(COLUMNS).map(([name, value]) => ({ name, value }));
  const offered = await ask(owner, ADMIN('issuer', 'send-credential'), { connection_id, cred_def_id, credential_proposal: { attributes } });
  await holder.event('issue_credential_v2_0', (one) => one.thread_id === offered.thread_id && one.state === 'done', 'the credential');
  step('owner: issue a credential', `in the holder's wallet`);
  const asked = { full_name: { name: 'full_name', restrictions: [{ cred_def_id }] } };
  const proof_request = { name: 'graduate', version: '1.0', requested_attributes: asked, requested_predicates: {} };
  const proving = await ask(owner, ADMIN('issuer', 'request-presentation'), { connection_id, proof_request });
  const isDone = ({ topic, payload }: Body): boolean =>
    topic === 'present_proof_v2_0' && payload.pres_ex_id === proving.pres_ex_id && ['done', 'abandoned'].includes(payload.state);
  const { verified } = (await owner.events(isDone)).find(isDone).payload;
  step('event: the presentation is checked', `verified ${verified}`);
  return {
    right: verified === 'true',
    facts: [
      ['schema', schemaId],
      ['credential definition', cred_def_id],
      ['calls of the issuer over HTTP', '0'],
      ['envelopes between owner and issuer', String(owner.wire.filter(Boolean).length)],
    ],
  };
}
