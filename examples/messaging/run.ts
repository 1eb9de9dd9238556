import { randomBytes } from 'node:crypto';
import { granted, invitationOf, type Started } from '../../harness/network.ts';
import type { Body, Controller } from '../demo/controller.ts';
import { connectBoth, eachOf } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';
import { until } from '../lib/until.ts';

export interface Size {
  readonly members: number;
  readonly messages: number;
}

/** The sizes of the README. */
export const README: Size = { members: 50, messages: 20 };
/** How many wallets are made, and connected, at a time. */
const PARALLEL = 4;

/** A message of the group, as its members read it. */
export interface Post {
  readonly n: number;
  readonly from: string;
  readonly text: string;
}

export interface Member {
  readonly name: string;
  readonly controller: Controller;
  /** Its connection with the desk, and the desk's with it. */
  readonly here: string;
  readonly there: string;
}

export interface Group {
  readonly desk: Started;
  readonly members: readonly Member[];
  /** The one whose agent nobody can reach, and which is switched off for a while. */
  readonly away: Member & { readonly agent: Started };
  /** Whose mark each post has. */
  readonly marks: ReadonlyMap<number, ReadonlySet<string>>;
  /** All posts, in the order in which the desk had them. */
  readonly posts: readonly Post[];
}

/** A desk that hands on what any member writes, members with a wallet each, and one of them with an agent of their own, whose mail the desk keeps. */
export async function prepare(kit: Kit, { members: count }: Size): Promise<Group> {
  const { step } = kit;
  const [desk, host] = await Promise.all([
    kit.agent('desk', { sockets: true, flags: ['--open-mediation', '--auto-accept-requests'] }),
    kit.agent('members', {
      flags: ['--multitenant', '--multitenant-admin'],
      env: { ACAPY_MULTITENANT_JWT_SECRET: randomBytes(32).toString('hex') },
    }),
  ]);
  const hooks = await kit.webhooks();
  const agent = await kit.agent('away', {
    reachable: false,
    flags: ['--mediator-invitation', await invitationOf(desk.controller), '--auto-accept-invites'],
  });
  const members: Member[] = [];
  const join = async (name: string, controller: Controller): Promise<Member> => {
    const { inviter: there, invitee: here } = await connectBoth(desk.controller, controller);
    return { name, controller, here, there };
  };
  await step(`${count - 1} members join`, async () => {
    await eachOf(Array.from({ length: count - 1 }), PARALLEL, async (_none, index) => {
      const name = `member-${index + 1}`;
      const { token } = await host.controller.post('/multitenancy/wallet', {
        wallet_name: name,
        label: name,
        wallet_webhook_urls: [`http://127.0.0.1:${hooks.port}/${name}`],
        extra_settings: { 'auto-accept-invites': true },
      });
      members[index] = await join(name, hooks.controller(name, host.url, { authorization: `Bearer ${token}` }));
    });
    return [undefined, 'each with a wallet of its own, in one process'];
  });
  const away = await step('one more joins, whom nobody can reach', async () => {
    await granted(agent.controller);
    const member = await join('away', agent.controller);
    members.push(member);
    return [{ ...member, agent }, 'the desk keeps mail for it'];
  });
  const marks = new Map<number, Set<string>>();
  const posts: Post[] = [];
  return { desk, members, away, marks, posts };
}

/** Every message of an agent, once, in order, as it comes; ends after so many. */
async function eachMessage(controller: Controller, count: number, run: (message: Body) => Promise<void>): Promise<void> {
  const seen = new Set<string>();
  while (seen.size < count) {
    const message = await controller.event('basicmessages', ({ message_id }) => !seen.has(message_id), 'a message');
    seen.add(message.message_id);
    await run(message);
  }
}

const send = (controller: Controller, connection: string, content: object): Promise<Body> =>
  controller.post(`/connections/${connection}/send-message`, { content: JSON.stringify(content) });

/** The posts that a member has had, in their order. */
export const readBy = ({ controller }: Member): Post[] =>
  controller.received.filter(({ topic }) => topic === 'basicmessages').map(({ payload }) => JSON.parse(payload.content));

/**
 * The members write in turn. The desk hands each post on to all of them, and has a mark from each; one is switched off meanwhile, and the desk's agent is killed.
 * @returns how many marks the last post had while one was away
 */
export async function talk(kit: Kit, group: Group, { messages }: Size): Promise<number> {
  const { desk, members, away } = group;
  const [posts, marks] = [group.posts as Post[], group.marks as Map<number, Set<string>>];
  const names = new Map(members.map(({ there, name }) => [there, name]));
  const total = messages + messages * members.length;
  // the desk's program: a text is a post of the group, a mark is noted
  const desking = eachMessage(desk.controller, total, async ({ connection_id, content }) => {
    const { text, got } = JSON.parse(content);
    const from = names.get(connection_id)!;
    if (got !== undefined) {
      marks.get(got)!.add(from);
      return;
    }
    const post = { n: posts.length + 1, from, text };
    posts.push(post);
    marks.set(post.n, new Set());
    await eachOf(members, PARALLEL, async ({ there }) => void (await send(desk.controller, there, post)));
  });
  // the program of each member: it marks what it has read
  const reading = members.map(({ controller, here }) =>
    eachMessage(controller, messages, async ({ content }) => void (await send(controller, here, { got: JSON.parse(content).n }))),
  );
  const all = Promise.all([desking, ...reading]);
  // its failure is that of the whole, wherever it is waited for
  all.catch(() => {});
  const present = members.filter(({ name }) => name !== away.name);
  const marked = (count: number, by: number): Promise<unknown> =>
    until(() => posts.length >= count && [...marks.values()].every((of) => of.size >= by), 'all marks');
  const write = async (from: number, to: number): Promise<void> => {
    for (let n = from; n <= to; n++) {
      const { controller, here } = present[n % present.length]!;
      await send(controller, here, { text: `message ${n}` });
    }
  };
  const half = Math.floor(messages / 2);
  await Promise.race([
    all,
    kit.step('one is switched off, and the others write', async () => {
      await away.agent.program.stop();
      await write(1, half);
      await marked(half, present.length);
      return [undefined, `${half} posts, each with ${present.length} marks of ${members.length}`];
    }),
  ]);
  const before = marks.get(half)!.size;
  await Promise.race([
    all,
    kit.step('the desk is killed, and they write on', async () => {
      const { pid } = desk.program;
      await desk.program.kill();
      await desk.program.start();
      await write(half + 1, messages);
      return [undefined, `SIGKILL, pid ${pid}; no connection is made again`];
    }),
  ]);
  await kit.step('the one who was away comes back', async () => {
    await away.agent.program.start();
    await all;
    return [undefined, `${messages} posts, each with ${members.length} marks`];
  });
  return before;
}

export async function run(kit: Kit): Promise<void> {
  const group = await prepare(kit, README);
  await talk(kit, group, README);
}
