/** Seeded randomness and what it does to values: the same seed and case make the same bytes on every machine. */
export interface Rng {
  /** From 0 to under `below`. */
  int(below: number): number;
  chance(share: number): boolean;
  pick<T>(list: readonly T[]): T;
  bytes(length: number): Buffer;
}

/** splitmix32 over seed and case number. */
export function rng(seed: number, number: number): Rng {
  let state = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const int = (below: number): number => Math.floor((next() / 2 ** 32) * below);
  return {
    int,
    chance: (share) => next() / 2 ** 32 < share,
    pick: (list) => list[int(list.length)]!,
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(256))),
  };
}

const nested = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth);

/** What programs trip over. */
export const ODD_TEXTS: readonly string[] = [
  ...[
    '',
    ' ',
    '..',
    '../..',
    '%00',
    '\0',
    '__proto__',
    'constructor',
    'toString',
    'null',
    'true',
    '-1',
    '1e999',
    '0x10',
    '\ud800',
    '\u{1F600}',
  ],
  ...[
    "'; --",
    'did:',
    'did:algo:',
    'did:algo:custom:app:1:00',
    'did:peer:2',
    'did:peer:2.Ez.Vz.S',
    'did:peer:4z',
    'did:key:z',
    'did:key:z6Mk',
  ],
  ...['https://didcomm.org/', 'http://127.0.0.1:1', 'file:///', 'e30=', '!', 'a'.repeat(300), '\u202e', '\r\nx: y'],
];
export const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 2 ** 31, Number.MAX_SAFE_INTEGER, 1e300, [], {}, [[]], [{}], [null], { '@id': 1 }],
  JSON.parse(nested(40, '[', ']')),
];
/** JSON members that `JSON.stringify` of an ordinary object does not make. */
const ODD_JSON: readonly string[] = [
  '{"__proto__":{"x":1}}',
  nested(5000, '[', ']'),
  '1e999',
  '"\\ud800"',
  '{"a":1,"a":2}',
  '-0',
  '[1,]',
  '',
];

type Tree = Record<string, unknown> | unknown[];

const nodesOf = (value: unknown, out: { parent: Tree; key: string }[] = []): { parent: Tree; key: string }[] => {
  if (typeof value !== 'object' || value === null || out.length > 400) return out;
  for (const key of Object.keys(value)) {
    out.push({ parent: value as Tree, key });
    nodesOf((value as Record<string, unknown>)[key], out);
  }
  return out;
};

/** A member that is the tree's own: a name taken from elsewhere may be that of a method. */
const own = (tree: Tree, key: string): unknown => (Object.hasOwn(tree, key) ? (tree as Record<string, unknown>)[key] : undefined);

/** A copy of a value with one to four of its members changed, lost, doubled, renamed or put elsewhere. */
export function mutateValue(r: Rng, given: unknown, words: readonly string[]): unknown {
  const value = structuredClone(given);
  for (let times = 1 + r.int(4); times > 0; times--) {
    const nodes = nodesOf(value);
    if (nodes.length === 0) return r.pick(ODD_VALUES);
    const { parent, key } = r.pick(nodes);
    const tree = parent as Record<string, unknown>;
    switch (r.int(9)) {
      case 0:
        if (Array.isArray(parent)) parent.splice(Number(key), 1);
        else delete tree[key];
        break;
      case 1:
        tree[key] = structuredClone(r.pick(ODD_VALUES));
        break;
      case 2:
        tree[key] = r.pick(ODD_TEXTS);
        break;
      case 3:
        tree[key] = r.pick(words);
        break;
      case 4:
        tree[key] = structuredClone(own(r.pick(nodes).parent, r.pick(nodes).key));
        break;
      case 5:
        if (Array.isArray(parent)) parent.push(structuredClone(parent[Number(key)]));
        else {
          tree[r.pick(words)] = tree[key];
          delete tree[key];
        }
        break;
      case 6:
        tree[key] = [tree[key]];
        break;
      case 7:
        if (typeof tree[key] === 'string') tree[key] = mutateText(r, tree[key]);
        else tree[key] = r.int(2 ** 31) - 2 ** 30;
        break;
      default:
        tree[key] = { [key]: tree[key] };
    }
  }
  return value;
}

export function mutateText(r: Rng, text: string): string {
  const at = r.int(text.length + 1);
  switch (r.int(5)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + r.pick(ODD_TEXTS) + text.slice(at);
    case 2:
      return text.slice(0, at) + String.fromCharCode(r.int(0x300)) + text.slice(at + 1);
    case 3:
      return text + text;
    default:
      return text.slice(at) + text.slice(0, at);
  }
}

/** The text of a mutated value; now and then something in it that no value can hold. */
export function mutatedJson(r: Rng, given: unknown, words: readonly string[]): string {
  const text = JSON.stringify(r.chance(0.9) ? mutateValue(r, given, words) : given) ?? '';
  if (!r.chance(0.08)) return text;
  const colons = [...text.matchAll(/:/g)].map((match) => match.index);
  const at = colons.length > 0 ? r.pick(colons) + 1 : 0;
  return r.chance(0.5) ? text.slice(0, at) + r.pick(ODD_JSON) + text.slice(at) : text.slice(0, at) + r.pick(ODD_JSON);
}

/** Bytes with bits turned, pieces lost, doubled, moved or put in. */
export function mutateBytes(r: Rng, given: Uint8Array): Buffer {
  let bytes = Buffer.from(given);
  for (let times = 1 + r.int(3); times > 0; times--) {
    const at = r.int(bytes.length + 1);
    const length = 1 + r.int(Math.max(1, Math.min(64, bytes.length - at)));
    const head = bytes.subarray(0, at);
    switch (r.int(6)) {
      case 0:
        if (bytes.length > 0) bytes[Math.min(at, bytes.length - 1)]! ^= 1 << r.int(8);
        break;
      case 1:
        bytes = Buffer.from(head);
        break;
      case 2:
        bytes = Buffer.concat([head, bytes.subarray(at + length)]);
        break;
      case 3:
        bytes = Buffer.concat([head, r.bytes(length), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([head, bytes.subarray(at, at + length), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([head, r.bytes(length), bytes.subarray(at + length)]);
    }
  }
  return bytes;
}

interface Schema {
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly type?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly minItems?: number;
}

/** A value that a schema takes, mostly: what it is mutated from. */
export function sample(r: Rng, given: unknown, words: readonly string[], depth = 0): unknown {
  const schema = given as Schema;
  if (schema.const !== undefined) return schema.const;
  if (schema.anyOf) return sample(r, r.pick(schema.anyOf), words, depth);
  switch (schema.type) {
    case 'string':
      return r.chance(0.9) ? r.pick(words) : r.pick(ODD_TEXTS);
    case 'boolean':
      return r.chance(0.5);
    case 'integer':
    case 'number':
      return r.chance(0.8) ? r.int(100) : r.pick([-1, 2 ** 31, 0.5, Number.MAX_SAFE_INTEGER]);
    case 'null':
      return null;
    case 'array':
      return Array.from({ length: (schema.minItems ?? 0) + r.int(3) }, () => sample(r, schema.items ?? {}, words, depth + 1));
    case 'object': {
      const out: Record<string, unknown> = {};
      for (const [name, property] of Object.entries(schema.properties ?? {}))
        if (schema.required?.includes(name) || (depth < 6 && r.chance(0.5))) out[name] = sample(r, property, words, depth + 1);
      const free = Object.values(schema.patternProperties ?? {})[0];
      if (free) for (let n = r.int(3); n > 0; n--) out[r.pick(words)] = sample(r, free, words, depth + 1);
      return out;
    }
    default:
      return structuredClone(r.pick(ODD_VALUES));
  }
}
