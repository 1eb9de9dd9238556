import { fileURLToPath } from 'node:url';
import type { Started } from '../../harness/network.ts';
import type { Body } from '../demo/controller.ts';
import { connectBoth, PROTOCOLS, type Protocol } from '../demo/flow.ts';
import type { Kit } from '../lib/kit.ts';

const GUESTBOOK = fileURLToPath(new URL('guestbook.ts', import.meta.url));
export const TEXT = 'it was very nice here';

export interface Book {
  readonly host: Started;
  readonly guest: Started;
}

/** Two agents with the plug-in. */
export async function prepare(kit: Kit): Promise<Book> {
  const [host, guest] = await Promise.all([
    kit.agent('host', { flags: ['--plugin', GUESTBOOK, '--auto-accept-requests'] }),
    kit.agent('guest', { flags: ['--plugin', GUESTBOOK, '--auto-accept-invites'] }),
  ]);
  return { host, guest };
}

/** The guest signs on a connection of a protocol. @returns the entry as the host has it, and as the guest has it, when the thanks are there */
export async function sign({ host, guest }: Book, protocol: Protocol, text: string): Promise<{ theirs: Body; ours: Body }> {
  const { invitee: connection_id } = await connectBoth(host.controller, guest.controller, protocol);
  const { thread_id } = await guest.controller.post('/guestbook/entries', { connection_id, text });
  const thanked = (one: Body): boolean => one.thread_id === thread_id && one.state === 'thanked';
  const [theirs, ours] = [
    await host.controller.event('guestbook', thanked, 'the entry'),
    await guest.controller.event('guestbook', thanked, 'the thanks'),
  ];
  return { theirs, ours };
}

export async function run(kit: Kit): Promise<void> {
  const book = await prepare(kit);
  for (const protocol of PROTOCOLS)
    await kit.step(`the guest signs, by ${protocol}`, async () => {
      const { ours } = await sign(book, protocol, TEXT);
      return [undefined, `“${ours.text}”, thanks for ${ours.words} words`];
    });
  kit.line('GET /guestbook/summary', JSON.stringify(await book.host.controller.get('/guestbook/summary')));
}
