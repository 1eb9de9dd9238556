import type { FlowController } from './controller.ts';

/** What flows stand on. */
export interface Ground {
  readonly credDefId: string;
  readonly attributes: readonly string[];
}

export interface Pair {
  readonly issuer: FlowController;
  readonly holder: FlowController;
}

const ATTRIBUTES = ['full_name', 'degree', 'university', 'graduation_year'];

/** A DID on the ledger, a schema and a definition, as this agent makes them; `given` is a definition of those attributes that is there already. */
export async function prepareGround({ issuer }: Pair, given?: string): Promise<Ground> {
  if (given !== undefined) return { credDefId: given, attributes: ATTRIBUTES };
  const { result } = await issuer.call('POST', '/wallet/did/create', { method: 'algo' });
  const issuerId = result.did as string;
  await issuer.call('POST', `/wallet/did/public?did=${encodeURIComponent(issuerId)}`);
  const schema = { issuerId, name: 'flow', version: '1.0', attrNames: ATTRIBUTES };
  const { schema_state } = await issuer.call('POST', '/anoncreds/schema', { schema });
  const { credential_definition_state: state } = await issuer.call('POST', '/anoncreds/credential-definition', {
    credential_definition: { issuerId, schemaId: schema_state.schema_id, tag: 'flow' },
    options: {},
  });
  if (state.state !== 'finished') throw new Error(`the credential definition is ${state.state}`);
  return { credDefId: state.credential_definition_id, attributes: ATTRIBUTES };
}

/** @returns the connection of either side */
export async function connect({ issuer, holder }: Pair): Promise<{ issuing: string; holding: string }> {
  const made = await issuer.call('POST', '/out-of-band/create-invitation?auto_accept=true', {
    handshake_protocols: ['https://didcomm.org/didexchange/1.1'],
  });
  const id = made.invi_msg_id as string;
  const { connection_id: holding } = await holder.call('POST', '/out-of-band/receive-invitation?auto_accept=true', made.invitation);
  const common = { topic: 'connections', states: ['active', 'completed'] };
  const [ours] = await Promise.all([
    issuer.reached({ ...common, list: `/connections?invitation_msg_id=${id}`, member: 'invitation_msg_id', value: id }),
    holder.reached({ ...common, list: `/connections?invitation_msg_id=${id}`, member: 'connection_id', value: holding }),
  ]);
  return { issuing: ours.connection_id, holding };
}

/** @returns the id of the credential in the holder's wallet */
export async function issue({ issuer, holder }: Pair, { credDefId, attributes }: Ground, connection: string, n: number): Promise<string> {
  const { thread_id: thread } = await issuer.call('POST', '/issue-credential-2.0/send', {
    connection_id: connection,
    auto_remove: false,
    filter: { anoncreds: { cred_def_id: credDefId } },
    credential_preview: {
      '@type': 'issue-credential/2.0/credential-preview',
      attributes: attributes.map((name) => ({ name, value: name === 'graduation_year' ? '2021' : `${name} ${n}` })),
    },
  });
  const list = `/issue-credential-2.0/records?thread_id=${thread}`;
  const awaited = { topic: 'issue_credential_v2_0', list, member: 'thread_id', value: thread, states: ['done'] };
  const [kept] = await Promise.all([holder.reached(awaited), issuer.reached(awaited)]);
  const { anoncreds, indy } = await holder.call('GET', `/issue-credential-2.0/records/${kept.cred_ex_id}`);
  return (anoncreds ?? indy).cred_id_stored;
}

/** One attribute shown, one predicate proved. @throws Error where it is not verified */
export async function verify({ issuer, holder }: Pair, { credDefId }: Ground, connection: string, credential: string): Promise<void> {
  const restrictions = [{ cred_def_id: credDefId }];
  const { thread_id: thread } = await issuer.call('POST', '/present-proof-2.0/send-request', {
    connection_id: connection,
    auto_verify: true,
    auto_remove: false,
    presentation_request: {
      anoncreds: {
        name: 'flow',
        version: '1.0',
        requested_attributes: { shown: { name: 'full_name', restrictions } },
        requested_predicates: { enough: { name: 'graduation_year', p_type: '>=', p_value: 2000, restrictions } },
      },
    },
  });
  const common = {
    topic: 'present_proof_v2_0',
    list: `/present-proof-2.0/records?thread_id=${thread}`,
    member: 'thread_id',
    value: thread,
  };
  const asked = await holder.reached({ ...common, states: ['request-received'] });
  await holder.call('POST', `/present-proof-2.0/records/${asked.pres_ex_id}/send-presentation`, {
    anoncreds: {
      requested_attributes: { shown: { cred_id: credential, revealed: true } },
      requested_predicates: { enough: { cred_id: credential } },
      self_attested_attributes: {},
    },
  });
  const { verified } = await issuer.reached({ ...common, states: ['done'] });
  if (verified !== 'true') throw new Error(`a presentation was not verified: ${verified}`);
}

export const PARTS = ['connection', 'issue', 'verify'] as const;
export type Part = (typeof PARTS)[number];

/** All three. @param ended called at the end of each. @returns how long each took, in ms */
export async function wholeFlow(
  pair: Pair,
  ground: Ground,
  n: number,
  ended?: (part: Part) => Promise<void>,
): Promise<Record<Part, number>> {
  const times = {} as Record<Part, number>;
  const timed = async <T>(part: Part, run: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const value = await run();
    times[part] = performance.now() - began;
    await ended?.(part);
    return value;
  };
  const { issuing } = await timed('connection', () => connect(pair));
  const credential = await timed('issue', () => issue(pair, ground, issuing, n));
  await timed('verify', () => verify(pair, ground, issuing, credential));
  return times;
}
