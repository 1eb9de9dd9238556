import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A person of the web wallet without a browser: the pages' own calls, and a passkey in software (Web Authentication, Level 3). */

// biome-ignore lint/suspicious/noExplicitAny: what the wallet answers is as free as JSON
type Body = any;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** Presence, verification, and attested data in `authenticatorData`. */
const FLAGS = { asserted: 0x05, registered: 0x45 };

export interface SoftKey {
  readonly id: Buffer;
  readonly key: KeyObject;
  user: string;
}

export const newSoftKey = (): SoftKey => ({
  id: randomBytes(32),
  key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  user: '',
});

const clientData = (type: 'create' | 'get', challenge: string, origin: string): Buffer =>
  Buffer.from(JSON.stringify({ type: `webauthn.${type}`, challenge, origin, crossOrigin: false }));

const authenticatorData = (origin: string, flags: number, rest: Uint8Array = Buffer.alloc(0)): Buffer =>
  Buffer.concat([sha256(new URL(origin).hostname), Buffer.from([flags, 0, 0, 0, 0]), rest]);

/** The answer of `navigator.credentials.create`, with attestation `none`. */
export function registered(key: SoftKey, options: Body, origin: string): object {
  const { x, y } = createPrivateKey(key.key.export({ format: 'pem', type: 'pkcs8' })).export({ format: 'jwk' }) as { x: string; y: string };
  // COSE: an EC2 key of P-256 for ES256
  const cose = Buffer.concat([
    Buffer.from('a5010203262001215820', 'hex'),
    Buffer.from(x, 'base64url'),
    Buffer.from('225820', 'hex'),
    Buffer.from(y, 'base64url'),
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(key.id.length);
  const data = authenticatorData(origin, FLAGS.registered, Buffer.concat([Buffer.alloc(16), length, key.id, cose]));
  const cbor = Buffer.from(`a363666d74646e6f6e656761747453746d74a068617574684461746158${data.length.toString(16).padStart(2, '0')}`, 'hex');
  key.user = options.user.id;
  return {
    ...{ id: text(key.id), rawId: text(key.id), type: 'public-key' },
    response: {
      clientDataJSON: text(clientData('create', options.challenge, origin)),
      attestationObject: text(Buffer.concat([cbor, data])),
    },
  };
}

/** The answer of `navigator.credentials.get`. */
export function asserted(key: SoftKey, options: Body, origin: string): object {
  const [client, data] = [clientData('get', options.challenge, origin), authenticatorData(origin, FLAGS.asserted)];
  const signature = sign('sha256', Buffer.concat([data, sha256(client)]), key.key);
  return {
    ...{ id: text(key.id), rawId: text(key.id), type: 'public-key' },
    response: { clientDataJSON: text(client), authenticatorData: text(data), signature: text(signature), userHandle: key.user },
  };
}

export interface WebAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly body: Body;
}

export interface WebPerson {
  readonly key: SoftKey;
  /** The cookie of the session, as browsers send it. */
  cookie: string;
  csrf: string;
  /** A call of the page, whatever its outcome. @param headers - undefined: left out */
  send(path: string, body?: object, headers?: Record<string, string | undefined>): Promise<WebAnswer>;
  /** The same. @throws Error for another status than 200 */
  ask(path: string, body?: object): Promise<Body>;
  call(operation: string, given?: object): Promise<Body>;
  /** @param walletKey - 32 bytes, base64url: a wallet that only they open; absent: one that the agent keeps */
  signUp(name: string, walletKey?: string, code?: string): Promise<Body>;
  signIn(walletKey?: string): Promise<Body>;
}

/** What stands for a sealed key: the agent cannot tell. */
const SEALED = text(randomBytes(60));

export function webPerson(origin: string, key: SoftKey = newSoftKey()): WebPerson {
  const person: WebPerson = {
    key,
    cookie: '',
    csrf: '',
    async send(path, body, headers = {}) {
      const all = { cookie: person.cookie, origin, 'x-csrf': person.csrf, 'content-type': 'application/json', ...headers };
      const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Record<string, string>;
      const answer = await fetch(`${origin}${path}`, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body), headers: kept });
      const answered = await answer.text();
      const isJson = answer.headers.get('content-type')?.includes('json');
      return { status: answer.status, text: answered, headers: answer.headers, body: isJson ? JSON.parse(answered) : undefined };
    },
    async ask(path, body) {
      const { status, text: answered, headers, body: value } = await person.send(path, body);
      if (status !== 200) throw new Error(`${path} answered ${answered}`);
      const cookie = headers.get('set-cookie')?.split(';')[0];
      if (cookie) person.cookie = cookie;
      if (value?.csrf) person.csrf = value.csrf;
      return value;
    },
    call: (operation, given = {}) => person.ask(`/call/${operation}`, given),
    async signUp(name, walletKey, code) {
      const given = { name, ...(code && { code }) };
      const { user, options } = await person.ask('/begin', { purpose: 'up', ...given });
      const own = walletKey === undefined ? { mode: 'kept' } : { mode: 'own', wrap: SEALED, wallet_key: walletKey };
      return await person.ask('/sign-up', { ...given, user, response: registered(key, options, origin), ...own });
    },
    async signIn(walletKey) {
      const { options } = await person.ask('/begin', { purpose: 'in' });
      const facts = await person.ask('/sign-in', { response: asserted(key, options, origin) });
      return walletKey === undefined ? facts : await person.ask('/open', { wallet_key: walletKey });
    },
  };
  return person;
}
