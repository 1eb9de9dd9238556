import type { Role } from '../../harness/network.ts';
import type { Body, Controller } from './controller.ts';
import { pause } from './controller.ts';

/** Rows of the input: attribute names and, per row, their values. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, string>>[];
}

export interface Outcome {
  readonly issued: string[];
  readonly verified: number;
  readonly schemaId: string;
  readonly credDefId: string;
}

/** Told of each step: what it is, and what it made. Called with `begin` before a step, so that a fault can be put into it. */
export interface Watcher {
  begin(step: string): void | Promise<void>;
  end(step: string, made: string): void;
  row(done: number, total: number): void;
}

const INT32 = /^-?(0|[1-9]\d{0,9})$/;

/** The first column whose every value is an integer that AnonCreds can compare. @throws Error that names the columns */
export function integerColumn({ columns, rows }: Table): string {
  const isInt = (text: string): boolean => INT32.test(text) && Math.abs(Number(text)) <= 2_147_483_647;
  const found = columns.find((column) => rows.every((row) => isInt(row[column] ?? '')));
  if (found === undefined) throw new Error(`no column holds only integers, so there is nothing for a predicate: ${columns.join(', ')}`);
  return found;
}

/** What a run stands on: registered objects and connections. */
export interface Prepared {
  readonly schemaId: string;
  readonly credDefId: string;
  readonly issuerConnection: string;
  readonly verifierConnection: string;
}

/** How the holder is connected with the others; everything after that is driven in one way. */
export const PROTOCOLS = ['didexchange', '2018'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Controllers = Readonly<Record<Role, Controller>>;
export type Step = <T>(name: string, run: () => Promise<[T, string]>) => Promise<T>;

/** Steps that show when they begin and what they made. @throws Error of a step, with the step's name before it */
export function stepsOn(shown: { begin(step: string): unknown; end(step: string, made: string): unknown }): Step {
  return async (name, run) => {
    await shown.begin(name);
    try {
      const [value, made] = await run();
      shown.end(name, made);
      return value;
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  };
}

/**
 * The main job: an issuer anchors what it needs on the ledger, a holder gets a credential per row and proves each to a verifier. Drives three agents by their
 * admin APIs and webhooks alone.
 */
export async function runFlow(
  controllers: Controllers,
  table: Table,
  watcher: Watcher,
  { parallel = 4, protocol = 'didexchange' }: { readonly parallel?: number; readonly protocol?: Protocol } = {},
): Promise<Outcome> {
  const number = integerColumn(table);
  const revealed = table.columns.find((column) => column !== number) ?? number;
  const floor = Math.min(...table.rows.map((row) => Number(row[number])));
  const step = stepsOn(watcher);

  const prepared = await prepare(controllers, table.columns, step, protocol);
  const total = table.rows.length;
  const issued: string[] = [];
  await step(`issue ${total} ${total === 1 ? 'credential' : 'credentials'}`, async () => {
    let done = 0;
    await eachOf(table.rows, parallel, async (row, index) => {
      issued[index] = await issueOne(controllers, prepared, row);
      watcher.row(++done, total);
    });
    return [undefined, `${issued.length} in the holder's wallet`];
  });
  let verified = 0;
  await step(`present and verify ${total === 1 ? 'it' : 'each'}`, async () => {
    await eachOf(table.rows, parallel, async (row, index) => {
      const shown = await presentOne(controllers, prepared, issued[index]!, { revealed, number, floor });
      if (shown !== row[revealed]) throw new Error(`row ${index + 1} showed ${revealed} = ${shown}, not ${row[revealed]}`);
      watcher.row(++verified, total);
    });
    return [undefined, `${verified} verified: ${revealed} revealed, ${number} >= ${floor} proved`];
  });
  return { issued, verified, schemaId: prepared.schemaId, credDefId: prepared.credDefId };
}

/** Creates and publishes the issuer's DID, registers schema and credential definition, connects the holder with both others. */
export async function prepare(
  { issuer, holder, verifier }: Controllers,
  columns: readonly string[],
  step: Step,
  protocol: Protocol = 'didexchange',
  revocable: Revocable = false,
): Promise<Prepared> {
  const anchored = await anchor(issuer, columns, step, revocable);
  const connected = (inviter: Controller): Promise<string> =>
    step(`connect holder and ${inviter.name}`, async () => {
      const id = await connect(inviter, holder, protocol);
      return [id, id];
    });
  return { ...anchored, issuerConnection: await connected(issuer), verifierConnection: await connected(verifier) };
}

/** Whether credentials can be revoked, or how many entries their registries have. */
export type Revocable = boolean | number;

/** Creates and publishes the issuer's DID, registers schema and credential definition. */
export async function anchor(
  issuer: Controller,
  columns: readonly string[],
  step: Step,
  revocable: Revocable = false,
  name = 'graduate',
): Promise<Pick<Prepared, 'schemaId' | 'credDefId'>> {
  const did = await step('create the issuer DID', async () => {
    const { result } = await issuer.post('/wallet/did/create', { method: 'algo' });
    return [result.did as string, result.did];
  });
  await step('publish it on the ledger', async () => {
    await issuer.post(`/wallet/did/public?did=${encodeURIComponent(did)}`);
    await until(async () => (await issuer.get('/wallet/did/public')).result?.did === did, 'the DID to be public');
    return [did, did];
  });
  const schemaId = await step('register the schema', async () => {
    const schema = { issuerId: did, name, version: '1.0', attrNames: [...columns] };
    const { schema_id } = await finished(() => issuer.post('/anoncreds/schema', { schema }), 'schema_state');
    return [schema_id as string, schema_id];
  });
  const credDefId = await step('register the credential definition', async () => {
    const credential_definition = { issuerId: did, schemaId, tag: 'default' };
    const options = {
      support_revocation: revocable !== false,
      ...(typeof revocable === 'number' && { revocation_registry_size: revocable }),
    };
    const { credential_definition_id: id } = await finished(
      () => issuer.post('/anoncreds/credential-definition', { credential_definition, options }),
      'credential_definition_state',
    );
    return [id as string, id];
  });
  return { schemaId, credDefId };
}

/** @returns the inviter's id of a new connection */
export const connect = async (inviter: Controller, holder: Controller, protocol: Protocol = 'didexchange'): Promise<string> =>
  (await connectBoth(inviter, holder, protocol)).inviter;

/** @returns the ids of a new connection, on either side */
export async function connectBoth(
  inviter: Controller,
  invitee: Controller,
  protocol: Protocol = 'didexchange',
): Promise<{ inviter: string; invitee: string }> {
  const { handed, got } = await invite[protocol](inviter, invitee);
  const complete = (payload: Body): boolean => payload.state === 'active' && payload.invitation_msg_id === handed;
  const [ours] = await Promise.all([
    inviter.event('connections', complete, 'complete connection'),
    invitee.event('connections', (payload) => payload.state === 'active' && payload.connection_id === got, 'complete connection'),
  ]);
  return { inviter: ours.connection_id, invitee: got };
}

/** Hands an invitation, or what the 2018 Agent Protocol has for it, from one controller to the other. @returns its id, and the holder's connection */
const invite: Readonly<Record<Protocol, (inviter: Controller, holder: Controller) => Promise<{ handed: string; got: string }>>> = {
  async didexchange(inviter, holder) {
    const made = await inviter.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
    const { connection_id: got } = await holder.post('/out-of-band/receive-invitation', made.invitation);
    return { handed: made.invi_msg_id, got };
  },
  async 2018(inviter, holder) {
    const { offer } = await inviter.post('/legacy/connections/offers');
    const { connection_id: got } = await holder.post('/legacy/connections/receive-offer', { offer });
    return { handed: offer.id, got };
  },
};

/** Issues one credential of a row. @returns its id in the holder's wallet */
export async function issueOne(
  { issuer, holder }: Pick<Controllers, 'issuer' | 'holder'>,
  prepared: Pick<Prepared, 'issuerConnection' | 'credDefId'>,
  row: Readonly<Record<string, string>>,
): Promise<string> {
  const offer = await issuer.post('/issue-credential-2.0/send', {
    connection_id: prepared.issuerConnection,
    filter: { anoncreds: { cred_def_id: prepared.credDefId } },
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: Object.entries(row).map(([name, value]) => ({ name, value })),
    },
  });
  const isDone = (payload: Body): boolean => ended(payload, 'thread_id', offer.thread_id);
  const kept = await holder.event('issue_credential_v2_0', isDone, 'stored credential');
  checkEnd(kept);
  checkEnd(await issuer.event('issue_credential_v2_0', isDone, 'acknowledged credential'));
  const detail = await holder.get(`/issue-credential-2.0/records/${kept.cred_ex_id}`);
  return detail.anoncreds.cred_id_stored as string;
}

/** Asks for one attribute and one predicate, answers with the given credential, and checks. @returns the revealed value. @throws Error when it is not verified */
export async function presentOne({ holder, verifier }: Controllers, prepared: Prepared, cred_id: string, ask: Ask): Promise<string> {
  const { verified, reasons, shown } = await present({ holder, verifier }, prepared, cred_id, ask);
  if (!verified) throw new Error(`a presentation was not verified: ${reasons.join('; ')}`);
  return shown;
}

/** What is asked for: an attribute, a predicate, and that the credential is not revoked `at` a time (unix seconds). */
export interface Ask {
  readonly revealed: string;
  readonly number: string;
  readonly floor: number;
  readonly at?: number;
}

/** Asks for a presentation, answers with the given credential, and tells what came of it. */
export async function present(
  { holder, verifier }: Pick<Controllers, 'holder' | 'verifier'>,
  prepared: Pick<Prepared, 'credDefId' | 'verifierConnection'>,
  cred_id: string,
  ask: Ask,
): Promise<{ verified: boolean; reasons: string[]; shown: string }> {
  const restrictions = [{ cred_def_id: prepared.credDefId }];
  const request = await verifier.post('/present-proof-2.0/send-request', {
    connection_id: prepared.verifierConnection,
    presentation_request: {
      anoncreds: {
        name: 'graduate',
        version: '1.0',
        requested_attributes: { shown: { name: ask.revealed, restrictions } },
        requested_predicates: { enough: { name: ask.number, p_type: '>=', p_value: ask.floor, restrictions } },
        ...(ask.at !== undefined && { non_revoked: { from: ask.at, to: ask.at } }),
      },
    },
  });
  const asked = await holder.event(
    'present_proof_v2_0',
    (payload) => payload.thread_id === request.thread_id && payload.state === 'request-received',
    'proof request',
  );
  await holder.post(`/present-proof-2.0/records/${asked.pres_ex_id}/send-presentation`, {
    anoncreds: {
      requested_attributes: { shown: { cred_id, revealed: true } },
      requested_predicates: { enough: { cred_id } },
      self_attested_attributes: {},
    },
  });
  const checked = await verifier.event(
    'present_proof_v2_0',
    (payload) => ended(payload, 'pres_ex_id', request.pres_ex_id),
    'checked presentation',
  );
  checkEnd(checked);
  const { by_format } = await verifier.get(`/present-proof-2.0/records/${request.pres_ex_id}`);
  return {
    verified: checked.verified === 'true',
    reasons: checked.verified_msgs ?? [],
    shown: by_format.pres.anoncreds.requested_proof.revealed_attrs.shown.raw,
  };
}

const ended = (payload: Body, member: string, value: string): boolean =>
  payload[member] === value && (payload.state === 'done' || payload.state === 'abandoned');

function checkEnd(payload: Body): void {
  if (payload.state === 'abandoned') throw new Error(`the exchange was abandoned: ${payload.error_msg ?? 'no reason given'}`);
}

/** Registrations answer `wait` while the ledger takes its time; asking again is harmless, since the same objects have the same ids. */
async function finished(register: () => Promise<Body>, member: string): Promise<Body> {
  for (let tries = 0; tries < 300; tries++) {
    const answer = await register();
    const state = answer[member];
    if (state.state === 'finished') return state;
    if (state.state === 'failed') throw new Error(answer.registration_metadata.reason ?? 'the ledger refused it');
    await pause(200);
  }
  throw new Error('it was not finished in time');
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await holds()) return;
    await pause(200);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** Runs over items, so many at a time. */
export async function eachOf<T>(items: readonly T[], parallel: number, run: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(parallel, items.length) }, async () => {
      while (next < items.length) {
        const index = next++;
        await run(items[index]!, index);
      }
    }),
  );
}
