import { signedAttachment } from '../didcomm/attachments.ts';
import { pack } from '../didcomm/envelope-v1.ts';
import { wrapForward } from '../didcomm/forward.ts';
import type { KeyPair } from '../didcomm/key-cache.ts';
import { signDecorator } from '../didcomm/signature-decorator.ts';
import { AppError } from '../errors.ts';
import type { JsonObject } from '../ports/json.ts';
import type { KeyWrite } from '../ports/store.ts';
import type { Kernel } from './context.ts';
import type { Destination, Effects, Outgoing } from './effects.ts';
import { heldByAnother, recipientsOf, shownKeys } from './identity.ts';
import type { DeliverPayload } from './jobs.ts';
import { composeMessage } from './message.ts';
import type { Sealing } from './message-format.ts';
import type { Protocol, StepContext } from './protocol.ts';
import type { LoadedRecord } from './record.ts';

/** Sealing what a step sends, so that the store only ever holds ciphertext. */

/** A problem report when a protocol has no message of its own for it (RFC 0035). */
const PROBLEM_REPORT = 'https://didcomm.org/notification/1.0/problem-report';

/** The messages of a step, each sealed by the format of its peer. */
export async function sealAll(
  kernel: Kernel,
  protocol: Protocol,
  ctx: StepContext,
  effects: Effects,
  thid: string | undefined,
  connection: LoadedRecord | undefined,
  bound: LoadedRecord | undefined,
): Promise<DeliverPayload[]> {
  const format = formatOf(kernel, connection);
  const reports = effects.problem && format.traits.problemTopic === undefined ? [problemReport(protocol, effects.problem)] : [];
  const mail: DeliverPayload[] = [];
  for (const out of [...(effects.send ?? []), ...reports]) {
    const payload = await format.seal({ protocol, ctx, out, connection, bound, thid, fresh: effects.keys });
    if (payload) mail.push(payload);
  }
  return mail;
}

/** The format of messages to the peer of a connection, or to one without a connection. */
export function formatOf({ messageFormats }: Kernel, connection: LoadedRecord | undefined): Kernel['messageFormats'][number] {
  const found = messageFormats.findLast((format) => format.isFormatOf(connection));
  if (!found) throw new AppError('internal', 'there is no message format for this peer');
  return found;
}

/** The keys and the address of a connection's peer; undefined while neither is known. */
export function destinationOf(connection: Pick<LoadedRecord, 'role' | 'value'>): Destination | undefined {
  const { value } = connection;
  const { their_routing_keys, their_endpoint, my_verkey, invitation_key } = value;
  const recipientKeys = recipientsOf(value);
  if (recipientKeys.length === 0) return undefined;
  return {
    recipientKeys,
    routingKeys: (their_routing_keys as string[] | undefined) ?? [],
    endpoint: their_endpoint as string | undefined,
    // a peer that came by our invitation and has no answer yet has only the invitation's key
    sender: (my_verkey ?? (connection.role === 'inviter' ? invitation_key : undefined)) as string | undefined,
    ...(value.my_did_shared && shownKeys(value).length === 0 ? { unproven: true } : {}),
  };
}

/**
 * The keys to seal for. A key that nobody has shown yet may be somebody else's, who knows the key that we seal with from a connection of his own and would take
 * what he can open for addressed to him: nothing goes to a key that another connection has seen in use.
 * @throws AppError `wrong-state` where no other is left
 */
export async function sealable(
  kernel: Kernel,
  tenant: string,
  connection: string | undefined,
  to: Destination,
): Promise<readonly string[]> {
  if (!to.unproven) return to.recipientKeys;
  const rows = await kernel.db.store.load(
    tenant,
    to.recipientKeys.map((key) => ({ category: 'connection', tag: 'their_key', equals: key })),
  );
  const free = to.recipientKeys.filter((key, i) => !heldByAnother(rows[i]!, key, connection));
  if (free.length === 0) throw new AppError('wrong-state', 'The peer has not shown yet that the keys which it names are its own');
  return free;
}

/** Seals a message, as JSON text, to the peer of a connection; undefined while that has no keys. */
export async function sealTo(kernel: Kernel, tenant: string, connection: LoadedRecord, message: string): Promise<string | undefined> {
  const to = destinationOf(connection);
  if (!to) return undefined;
  const sender = to.sender === undefined ? undefined : await pairOf(kernel, tenant, to.sender, undefined);
  const recipients = await sealable(kernel, tenant, connection.id, to);
  return wrapForward(pack({ message, recipients, sender }), recipients[0]!, to.routingKeys ?? []);
}

const problemReport = (protocol: Protocol, problem: NonNullable<Effects['problem']>): Outgoing => ({
  thid: problem.thid,
  pthid: problem.pthid,
  type: protocol.problem ? (protocol.problemName ?? 'problem-report') : PROBLEM_REPORT,
  body: { description: { code: problem.code, en: problem.text } },
});

/** The key pair of an own key, also of one that the same commit makes. */
export async function pairOf(kernel: Kernel, tenant: string, verkey: string, fresh: readonly KeyWrite[] | undefined): Promise<KeyPair> {
  const made = fresh?.find((key) => key.kid === verkey);
  if (made) return { verkey, secretKey: made.secret };
  const pair = await kernel.keys.pair(tenant, verkey);
  if (!pair) throw new AppError('internal', 'an own key is missing');
  return pair;
}

/** A message as JSON, with its attachments and signatures. @param thid the thread where the message names none */
export async function compose(kernel: Kernel, { protocol, ctx, out, fresh, thid }: Sealing): Promise<JsonObject> {
  if ('message' in out) return out.message;
  const { signed, signature } = out;
  const attachments = signed && {
    [signed.field]: [signedAttachment(Buffer.from(signed.text), await pairOf(kernel, ctx.tenant, signed.verkey, fresh))],
  };
  const signatures = signature && {
    [signature.field]: signDecorator(
      signature.value,
      await pairOf(kernel, ctx.tenant, signature.verkey, fresh),
      Math.floor(ctx.now / 1000),
    ),
  };
  return composeMessage(protocol, {
    ...out,
    signatures,
    id: out.id ?? ctx.newId(),
    thid: out.thid ?? thid,
    attachments: { ...out.attachments, ...attachments },
  });
}
