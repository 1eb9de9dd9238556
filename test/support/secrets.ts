import { openSqlite } from '../../src/adapters/sqlite/sqlite.ts';
import { toBase58 } from '../../src/didcomm/encoding.ts';
import { contactOf } from '../../src/dids/contact.ts';
import { resolvePeer } from '../../src/dids/did-peer.ts';
import type { TestAgent } from './agents.ts';

/** Support for tests: every form in which a secret of a wallet could be seen. */

/** Long enough to be nothing else. */
const MIN = 20;

function forms(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes);
  const out = [buffer.toString('hex'), buffer.toString('base64').replace(/=+$/, ''), buffer.toString('base64url')];
  if (buffer.length <= 64) out.push(toBase58(buffer));
  if (buffer.length === 64) out.push(...forms(buffer.subarray(0, 32)));
  return out;
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(textsOf);
  return [];
}

/** The verkeys that the webhooks of an agent name as its own. */
function ownKeys(agent: TestAgent): string[] {
  const dids = agent.hooks.list
    .map((hook) => hook.payload.my_did as string | undefined)
    .filter((did) => did?.startsWith('did:peer:4') && did.length > 100);
  return [...new Set(dids)].flatMap((did) => contactOf(resolvePeer(did!)).recipientKeys);
}

/** Reads the secrets out of a closed agent's database. `kids` beyond those of its connections, its DIDs and its link secret. */
export async function secretsOf(agent: TestAgent, kids: readonly string[]): Promise<Map<string, string[]>> {
  const db = await openSqlite({ path: agent.store });
  const out = new Map<string, string[]>();
  try {
    for (const kid of [...ownKeys(agent), ...kids]) {
      const key = await db.store.key('base', kid);
      if (!key) throw new Error(`no key ${kid} of ${agent.name}`);
      const texts = forms(key.secret);
      const text = Buffer.from(key.secret).toString('utf8');
      if (key.type === 'link-secret') texts.push(text);
      if (key.type === 'cred-def') texts.push(...textsOf((JSON.parse(text) as { private: unknown }).private));
      out.set(
        kid,
        texts.filter((one) => one.length >= MIN),
      );
    }
  } finally {
    await db.admin.close();
  }
  return out;
}

/** Where a secret is found, as `key in place`. */
export function leaks(secrets: Map<string, string[]>, places: Readonly<Record<string, readonly string[]>>): string[] {
  const out: string[] = [];
  for (const [kid, texts] of secrets) {
    for (const [place, sent] of Object.entries(places)) {
      for (const text of texts) if (sent.some((one) => one.includes(text))) out.push(`${kid} in ${place}`);
    }
  }
  return out;
}
