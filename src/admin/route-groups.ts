import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Operation } from './operations.ts';

/** Families that every start needs, or that no one family has. */
const AT_ONCE: ReadonlySet<string> = new Set(['', 'status', 'api', 'ws', 'metrics']);

/** The first segment of a path: the family of its operation. */
const familyOf = (path: string): string => path.split('/', 2)[1] ?? '';

/** That of a request: its target may be a whole URL (RFC 9112 section 3.2.2), and its path escaped. */
function familyAsked({ url = '' }: IncomingMessage): string {
  const path = url.startsWith('/') ? url : url.replace(/^https?:\/\/.*?\//, '/');
  const [family] = familyOf(path).split(/[?;#]/, 1) as [string];
  try {
    return decodeURIComponent(family);
  } catch {
    return '';
  }
}

/**
 * The operations of each family but those of every start. A family whose name is a parameter could be any: then there are none.
 */
export function familiesOf(operations: readonly Operation[]): {
  readonly first: readonly Operation[];
  readonly others: ReadonlyMap<string, readonly Operation[]>;
} {
  const byFamily = Map.groupBy(operations, ({ path }) => familyOf(path));
  if ([...byFamily.keys()].some((family) => family.startsWith('{'))) return { first: operations, others: new Map() };
  const first = operations.filter(({ path }) => AT_ONCE.has(familyOf(path)));
  return { first, others: new Map([...byFamily].filter(([family]) => !AT_ONCE.has(family))) };
}

/**
 * Hands the requests of some families to instances of their own, each made when it is first asked for: to register all routes is a fifth of a start, and most
 * agents need those of a few families. A hook has them before their bodies are read, on whatever address they come.
 * @param make an instance with the routes of a family
 * @returns what closes them; from then on all requests are those of the first instance, which refuses them
 */
export function serveFamilies(
  app: FastifyInstance,
  families: ReadonlySet<string>,
  make: (family: string) => FastifyInstance,
): () => Promise<void> {
  const made = new Map<string, Promise<FastifyInstance>>();
  let closed = false;

  function instanceOf(family: string): Promise<FastifyInstance> {
    const known = made.get(family);
    if (known) return known;
    const instance = make(family);
    const ready = Promise.resolve(instance.ready()).then(() => instance);
    made.set(family, ready);
    return ready;
  }

  app.addHook('onRequest', async (request, reply) => {
    const family = familyAsked(request.raw);
    if (closed || !families.has(family)) return;
    const { routing } = await instanceOf(family);
    reply.hijack();
    routing(request.raw, reply.raw);
  });
  return async () => {
    closed = true;
    await Promise.all([...made.values()].map(async (ready) => await (await ready).close()));
  };
}
