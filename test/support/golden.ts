import { type Body, HANDSHAKE, type TestAgent, until } from './agents.ts';

/** Support for tests: which keys, of which JSON types, an admin API and its webhooks show while two agents meet, talk and meet again. */

type Controller = Pick<TestAgent, 'hooks' | 'get' | 'post' | 'event'>;

/** Where something was seen, such as `webhook connections invitee request`, to its keys and their types. */
export type Shapes = Record<string, Record<string, string>>;

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);
export const shapeOf = (value: Body): Record<string, string> =>
  Object.fromEntries(
    Object.entries(value)
      .map(([key, member]): [string, string] => [key, typeOf(member)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

const TOPICS = ['connections', 'out_of_band', 'basicmessages', 'ping', 'connection_reuse', 'connection_reuse_accepted'];

/** Plays the same story with any two agents, both with `--monitor-ping`, and tells what was to be seen. */
export async function shapesOf(inviter: Controller, invitee: Controller): Promise<Shapes> {
  const shapes: Shapes = {};
  const see = (where: string, value: Body): void => {
    shapes[where] ??= shapeOf(value);
  };
  const by = { ...HANDSHAKE, use_did_method: 'did:peer:2', alias: 'golden' };

  const made = await inviter.post('/out-of-band/create-invitation', by);
  see('answer create-invitation', made);
  see('invitation', made.invitation);
  const got = await invitee.post('/out-of-band/receive-invitation?auto_accept=false', made.invitation);
  see('answer receive-invitation', got);
  see('answer accept-invitation', await invitee.post(`/didexchange/${got.connection_id}/accept-invitation`));
  const asked = await inviter.event('connections', (one) => one.state === 'request', 'a request');
  see('answer accept-request', await inviter.post(`/didexchange/${asked.connection_id}/accept-request`));
  for (const side of [inviter, invitee]) await side.event('connections', (one) => one.state === 'active', 'an active connection');
  see('answer connection of the inviter', await inviter.get(`/connections/${asked.connection_id}`));
  see('answer connection of the invitee', await invitee.get(`/connections/${got.connection_id}`));

  see('answer send-message', await inviter.post(`/connections/${asked.connection_id}/send-message`, { content: 'hello' }));
  await invitee.event('basicmessages', () => true, 'the message');
  see('answer send-ping', await inviter.post(`/connections/${asked.connection_id}/send-ping`, { comment: 'hello' }));
  await inviter.event('ping', (one) => one.state === 'response_received', 'the answer to the ping');

  const again = await inviter.post('/out-of-band/create-invitation', by);
  await invitee.post('/out-of-band/receive-invitation', again.invitation);
  await inviter.event('connection_reuse', () => true, 'the reuse');
  await invitee.event('connection_reuse_accepted', () => true, 'the answer to the reuse');

  see('answer did/create', (await inviter.post('/wallet/did/create', { method: 'key', options: { key_type: 'ed25519' } })).result);
  // webhooks follow the records at a distance
  await until(() => inviter.hooks.list.some((hook) => hook.topic === 'out_of_band' && hook.payload.state === 'done'), 'a used invitation');
  for (const [name, { hooks }] of Object.entries({ inviter, invitee })) {
    for (const { topic, payload } of hooks.list)
      if (TOPICS.includes(topic)) see(['webhook', topic, name, payload.state].filter(Boolean).join(' '), payload);
  }
  return shapes;
}

/** What differs, as lines such as `webhook ping invitee received: -comment +extra`. Places that only one of them has are named too. */
export function differences(golden: Shapes, found: Shapes): string[] {
  const lines: string[] = [];
  for (const where of [...new Set([...Object.keys(golden), ...Object.keys(found)])].sort()) {
    const [theirs, ours] = [golden[where], found[where]];
    if (!theirs || !ours) {
      lines.push(`${where}: ${theirs ? 'missing' : 'additional'}`);
      continue;
    }
    const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].sort();
    const off = keys.flatMap((key) => {
      if (theirs[key] === ours[key]) return [];
      if (theirs[key] === undefined) return [`+${key}`];
      return ours[key] === undefined ? [`-${key}`] : [`${key} is ${ours[key]} instead of ${theirs[key]}`];
    });
    if (off.length > 0) lines.push(`${where}: ${off.join(' ')}`);
  }
  return lines;
}
