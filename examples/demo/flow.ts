import type { Body, Controller } from './controller.ts';
import { pause } from './controller.ts';
import type { Role } from './network.ts';

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

/**
 * The main job: an issuer anchors what it needs on the ledger, a holder gets a credential per row and proves each to a verifier. Drives three agents by their
 * admin APIs and webhooks alone.
 */
export async function runFlow(
  controllers: Readonly<Record<Role, Controller>>,
  table: Table,
  watcher: Watcher,
  parallel = 4,
): Promise<Outcome> {
  const { issuer, holder, verifier } = controllers;
  const number = integerColumn(table);
  const revealed = table.columns.find((column) => column !== number) ?? number;

  const step = async <T>(name: string, run: () => Promise<[T, string]>): Promise<T> => {
    await watcher.begin(name);
    try {
      const [value, made] = await run();
      watcher.end(name, made);
      return value;
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
    }
  };

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
    const schema = { issuerId: did, name: 'graduate', version: '1.0', attrNames: [...table.columns] };
    const { schema_id } = await finished(() => issuer.post('/anoncreds/schema', { schema }), 'schema_state');
    return [schema_id as string, schema_id];
  });
  const credDefId = await step('register the credential definition', async () => {
    const credential_definition = { issuerId: did, schemaId, tag: 'default' };
    const { credential_definition_id: id } = await finished(
      () => issuer.post('/anoncreds/credential-definition', { credential_definition, options: { support_revocation: false } }),
      'credential_definition_state',
    );
    return [id as string, id];
  });
  const connect = (inviter: Controller): Promise<[string, string]> =>
    step(`connect holder and ${inviter.name}`, async () => {
      const made = await inviter.post('/out-of-band/create-invitation', { handshake_protocols: ['https://didcomm.org/didexchange/1.1'] });
      const got = await holder.post('/out-of-band/receive-invitation', made.invitation);
      const active = (payload: Body): boolean => payload.state === 'active' && payload.invitation_msg_id === made.invi_msg_id;
      const [ours, theirs] = await Promise.all([
        inviter.event('connections', active, 'complete connection'),
        holder.event(
          'connections',
          (payload) => payload.state === 'active' && payload.connection_id === got.connection_id,
          'complete connection',
        ),
      ]);
      return [[ours.connection_id as string, theirs.connection_id as string], ours.connection_id];
    });
  const [issuerConnection] = await connect(issuer);
  const [verifierConnection] = await connect(verifier);

  const total = table.rows.length;
  const issued: string[] = [];
  await step(`issue ${total} ${total === 1 ? 'credential' : 'credentials'}`, async () => {
    let done = 0;
    await eachOf(table.rows, parallel, async (row, index) => {
      const attributes = table.columns.map((name) => ({ name, value: row[name] ?? '' }));
      const offer = await issuer.post('/issue-credential-2.0/send', {
        connection_id: issuerConnection,
        filter: { anoncreds: { cred_def_id: credDefId } },
        credential_preview: { '@type': 'issue-credential/2.0/credential-preview', attributes },
      });
      const isDone = (payload: Body): boolean => ended(payload, 'thread_id', offer.thread_id);
      const kept = await holder.event('issue_credential_v2_0', isDone, 'stored credential');
      checkEnd(kept);
      checkEnd(await issuer.event('issue_credential_v2_0', isDone, 'acknowledged credential'));
      const detail = await holder.get(`/issue-credential-2.0/records/${kept.cred_ex_id}`);
      issued[index] = detail.anoncreds.cred_id_stored as string;
      watcher.row(++done, total);
    });
    return [undefined, `${issued.length} in the holder's wallet`];
  });
  const floor = Math.min(...table.rows.map((row) => Number(row[number])));
  let verified = 0;
  await step(`present and verify ${total === 1 ? 'it' : 'each'}`, async () => {
    let done = 0;
    await eachOf(table.rows, parallel, async (row, index) => {
      const restrictions = [{ cred_def_id: credDefId }];
      const request = await verifier.post('/present-proof-2.0/send-request', {
        connection_id: verifierConnection,
        presentation_request: {
          anoncreds: {
            name: 'graduate',
            version: '1.0',
            requested_attributes: { shown: { name: revealed, restrictions } },
            requested_predicates: { enough: { name: number, p_type: '>=', p_value: floor, restrictions } },
          },
        },
      });
      const asked = await holder.event(
        'present_proof_v2_0',
        (payload) => payload.thread_id === request.thread_id && payload.state === 'request-received',
        'proof request',
      );
      const cred_id = issued[index]!;
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
      if (checked.verified !== 'true') throw new Error(`row ${index + 1} was not verified: ${(checked.verified_msgs ?? []).join('; ')}`);
      const { by_format } = await verifier.get(`/present-proof-2.0/records/${request.pres_ex_id}`);
      const shown = by_format.pres.anoncreds.requested_proof.revealed_attrs.shown.raw;
      if (shown !== row[revealed]) throw new Error(`row ${index + 1} showed ${revealed} = ${shown}, not ${row[revealed]}`);
      verified++;
      watcher.row(++done, total);
    });
    return [undefined, `${verified} verified: ${revealed} revealed, ${number} >= ${floor} proved`];
  });
  return { issued, verified, schemaId, credDefId };
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

async function eachOf<T>(items: readonly T[], parallel: number, run: (item: T, index: number) => Promise<void>): Promise<void> {
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
