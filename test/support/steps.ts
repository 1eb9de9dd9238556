import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { URI_2018 } from '../../src/agent-2018/format.ts';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../../src/builtin-protocols.ts';
import { newKeyPair } from '../../src/didcomm/keys.ts';
import { AppError, asAppError, type ErrorCode } from '../../src/errors.ts';
import { nextAt } from '../../src/kernel/decisions.ts';
import type { Effects, MessageParts } from '../../src/kernel/effects.ts';
import { composeMessage, readMessage } from '../../src/kernel/message.ts';
import { type CommandInput, type Incoming, NEW, type Protocol, type StepContext } from '../../src/kernel/protocol.ts';
import { connectionlessPeerOf, type LoadedRecord } from '../../src/kernel/record.ts';
import { createRegistry } from '../../src/kernel/registry.ts';
import type { Settings } from '../../src/kernel/settings.ts';
import type { JsonObject } from '../../src/ports/json.ts';
import type { Lookup, StoredRecord } from '../../src/ports/store.ts';

/**
 * Runs one step of a protocol literal by itself: a state, a message or a command, and the effects that the step returns. No store, no network, no engine.
 * What the engine checks before a step (schema, state, role, protocol of the record) is checked here too.
 */

export const registry = createRegistry(PROTOCOLS as unknown as readonly Protocol[], UNBOUND_RECORDS as never, FORMATS);

/** The time of every step, in ms. */
export const NOW = Date.UTC(2030, 0, 2, 3, 4, 5);

/** The verkey of the nth key that a step makes, counted from 1. Other numbers serve as keys that exist before. */
export const key = (n: number): string => newKeyPair(Buffer.alloc(32, n)).verkey;
/** Keys of the two sides of `CONNECTION`. */
export const OUR_KEY = key(101);
export const PEER_KEY = key(102);

/** Everything automatic is off. */
export const SETTINGS: Settings = {
  label: 'Agent',
  walletType: 'askar-anoncreds',
  sovAsAlgo: false,
  endpoint: 'https://agent.example',
  moreEndpoints: [],
  reservations: false,
  autoAcceptInvites: false,
  autoAcceptRequests: false,
  autoAcceptIntroInvitationRequests: false,
  autoPingConnection: false,
  autoRespondMessages: false,
  storeMessages: false,
  autoRespondCredentialProposal: false,
  autoRespondCredentialOffer: false,
  autoRespondCredentialRequest: false,
  autoStoreCredential: false,
  autoRespondPresentationProposal: false,
  autoRespondPresentationRequest: false,
  autoVerifyPresentation: false,
  preserveExchangeRecords: false,
  monitorPing: false,
  publicInvites: false,
  requestsThroughPublicDid: false,
  noReceiveInvites: false,
  debugWebhooks: false,
  mailbox: { messages: 1000, bytes: 1_000_000, life: 60_000 },
  monitorForward: false,
  endorsement: {
    role: 'none',
    autoRequest: false,
    autoWrite: false,
    autoCreateRevocation: false,
    autoPromote: false,
    autoEndorse: false,
    pays: true,
    validity: 300,
    writesPerDay: 0,
    algoPerDay: 0,
  },
  ledgerWritesPerDay: 0,
  ledgerAlgoPerDay: 0,
  notifyRevocation: false,
  monitorRevocationNotification: false,
  revocationPublishInterval: 0,
  revocationRegistryTimeout: 60,
  revocationHistoryDays: 0,
  agent2018: 'on',
  agent2018Peers: {},
  agent2018RequireSigned: false,
};

/** A record, of which a row names what matters. */
export type Some = Partial<Omit<StoredRecord, 'value'>> & { readonly value?: Readonly<Record<string, unknown>> };

/** An active connection with both keys. */
export const CONNECTION: Some = {
  category: 'connection',
  id: 'c1',
  state: 'active',
  role: 'inviter',
  value: {
    invitation_mode: 'once',
    my_verkey: OUR_KEY,
    their_keys: [PEER_KEY],
    shown_keys: [PEER_KEY],
    their_endpoint: 'https://peer.example',
  },
};

/** What is there before the step. */
export interface Given {
  /** The record of the protocol; none where it is absent. */
  readonly record?: Some;
  /** The connection; `CONNECTION` for messages, where `null` does not stand. */
  readonly connection?: Some | null;
  readonly settings?: Partial<Settings>;
  /** What the step's `load` finds, by name. */
  readonly loaded?: Readonly<Record<string, Some>>;
  readonly pages?: Readonly<Record<string, { readonly rows: readonly Some[]; readonly total: number; readonly next?: string }>>;
  readonly mail?: StepContext['mail'];
  readonly channel?: StepContext['channel'];
}

/** A step and what it is given: a message by its name or its whole type, a command by its name or its route. */
export type What =
  | (Partial<Omit<MessageParts, 'type' | 'body'>> & {
      readonly message: string;
      readonly body?: Readonly<Record<string, unknown>>;
      readonly sender?: string;
      readonly recipient?: string;
      /** Members of the message as sent, beside the body. */
      readonly raw?: Readonly<Record<string, unknown>>;
      /** The answer to one that cannot be taken, or that comes again, in the place of the step. */
      readonly instead?: 'refuse' | 'again';
      readonly profile?: string;
    })
  | {
      readonly command: string;
      readonly body?: Readonly<Record<string, unknown>>;
      readonly query?: Record<string, string>;
      /** Of a path whose parameters name no record. */
      readonly params?: Record<string, string>;
      readonly unmediated?: boolean;
    }
  | { readonly result: string; readonly output?: unknown }
  | { readonly acked: JsonObject; readonly thid?: string }
  | { readonly problem: JsonObject; readonly thid?: string }
  | { readonly failed: { readonly result: string; readonly code: string; readonly text: string } };

/** Expected effects: a RegExp matches a text, a function returns whether the value is right, everything else must be equal. */
export type Expected = Readonly<Partial<Record<keyof Effects, unknown>>>;

export type Row = Given &
  What & {
    readonly title: string;
    /** What the step's `load` and `about` ask for. */
    readonly loads?: unknown;
    readonly about?: unknown;
  } & ({ readonly effects: Expected } | { readonly error: ErrorCode; readonly text?: string | RegExp });

/** The order of an act of one format, and what takes its result. */
export const act = (op: string, input: object, result: string) => ({ op, input: { input, rest: [], made: [], result }, result });

/** A member that a patch removes from the record. */
export const REMOVED = '(removed)';

/** Some members of an object; others may be there. */
export const some =
  (members: Readonly<Record<string, unknown>>) =>
  (actual: unknown): boolean => {
    assert.ok(typeof actual === 'object' && actual !== null, `an object is expected, not ${actual}`);
    const present = Object.fromEntries(Object.entries(actual).filter(([name]) => Object.hasOwn(members, name)));
    assert.deepEqual(present, expectedAs(present, members));
    return true;
  };

const EMPTY: RecordMembers = { version: 1, created: NOW - 1000, updated: NOW - 1000 };
type RecordMembers = { version: number; created: number; updated: number };

/** The category of a row that names none, until the step's `load` gives one. */
const ANY = 'loaded';

const stored = (given: Some, category: string): StoredRecord =>
  ({ category, id: `${category}-1`, ...EMPTY, ...given, value: given.value ?? {} }) as unknown as StoredRecord;

/** A context whose ids, keys, nonces and tokens are counted. */
export function contextOf(protocol: Protocol, given: Given): StepContext {
  const counts = new Map<string, number>();
  const next = (what: string): number => {
    counts.set(what, (counts.get(what) ?? 0) + 1);
    return counts.get(what)!;
  };
  const settings = { ...SETTINGS, ...given.settings };
  const record = given.record && (stored(given.record, protocol.binds.category) as unknown as LoadedRecord);
  const connection = given.connection && (stored(given.connection, 'connection') as unknown as LoadedRecord);
  return {
    tenant: 'tenant-1',
    now: NOW,
    settings,
    protocol: protocol.name,
    record,
    connection: connection ?? undefined,
    loaded: Object.fromEntries(Object.entries(given.loaded ?? {}).map(([name, row]) => [name, stored(row, row.category ?? ANY)])),
    mail: given.mail,
    channel: given.channel,
    pages: Object.fromEntries(
      Object.entries(given.pages ?? {}).map(([name, { rows, ...rest }]) => [
        name,
        { rows: rows.map((row) => stored(row, 'page')), ...rest },
      ]),
    ) as StepContext['pages'],
    declared: registry,
    auto: (point, at) => nextAt({ settings, uri: protocol.uris[0], connection: connection ?? undefined }, point, at),
    reachable: Boolean(connection) || connectionlessPeerOf(record)?.recipientKeys !== undefined,
    features: (match) => registry.features(match),
    newId: () => `id-${next('id')}`,
    newNonce: () => String(1000 + next('nonce')),
    newToken: () => next('token').toString(16).padStart(32, '0'),
    newKey(seed) {
      const { verkey, secretKey } = newKeyPair(seed ?? Buffer.alloc(32, next('key')));
      return { verkey, write: { kid: verkey, type: 'ed25519', secret: secretKey } };
    },
  };
}

/** The message of a row as the engine hands it to a step. */
export function incoming(protocol: Protocol, what: Extract<What, { message: string }>): Incoming {
  const { message, body: given = {}, raw = {}, sender = PEER_KEY, recipient = OUR_KEY, profile, instead: _instead, ...parts } = what;
  const type = message.includes('/') && !message.startsWith('urn:') ? message : `${protocol.uris[0]}/${message}`;
  const id = parts.id ?? 'message-1';
  const body = given as JsonObject;
  if (protocol.uris[0] === URI_2018) {
    const thid = parts.thid ?? id;
    const whole: JsonObject = { id: thid, type, message: body };
    return {
      ...{ id, type, name: message, minor: 0, thid, body, attachments: {}, signatures: {}, pleaseAck: false, returnRoute: false },
      ...{ profile: profile ?? 'spec', raw: whole, sender, recipient },
    };
  }
  const composed = composeMessage(protocol, { ...parts, type, id, body });
  return readMessage({ ...composed, ...(raw as JsonObject) }, sender, recipient);
}

const fits = (
  protocol: Protocol,
  { from, role }: { from: readonly string[] | '*'; role?: string },
  record: LoadedRecord | undefined,
): void => {
  const foreign = !protocol.stateless && typeof record?.value.protocol === 'string' && record.value.protocol !== protocol.name;
  const state = record ? (record.state ?? '') : NEW;
  if (from !== '*' && (!from.includes(state) || (record && role && record.role !== role) || foreign)) throw new AppError('wrong-state');
};

/** The effects of one step. @throws AppError as the engine does where the schema, the state or the role does not allow it, and what the step throws */
export function runStep(name: string, row: Given & What & { readonly loads?: unknown; readonly about?: unknown }): Effects {
  const protocol = registry.protocol(name);
  const asked = (ctx: StepContext, loads: Readonly<Record<string, Lookup>> = {}, about?: unknown): void => {
    if (row.loads !== undefined) assert.deepEqual(plain(loads), row.loads);
    if (row.about !== undefined) assert.deepEqual(plain(about), row.about);
    // a row without a category is of the kind that the step asks for
    for (const [member, found] of Object.entries(ctx.loaded)) if (found?.category === ANY) found.category = loads[member]?.category ?? ANY;
  };
  // a stateless protocol of connections has the connection as its record
  const ofConnection = protocol.binds.category === 'connection';
  const peer = row.connection === null ? undefined : (row.connection ?? (ofConnection && row.record ? row.record : CONNECTION));
  if ('message' in row) {
    const record = row.record ?? (protocol.stateless && ofConnection ? peer : undefined);
    const ctx = contextOf(protocol, { ...row, record, connection: peer });
    const message = incoming(protocol, row);
    const known = registry.message(message.type);
    if (typeof known === 'string') throw new AppError('message-unknown', message.type);
    assert.equal(known.protocol, protocol, `${message.type} is of ${known.protocol.name}`);
    const { step } = known;
    if (!known.body.check(message.body)) throw new AppError('message-invalid');
    asked(ctx, step.load?.(message, ctx.connection?.id), step.about?.(message, ctx.connection?.id));
    if (row.instead === 'again') return { send: step.again!(ctx, message) };
    if (row.instead === 'refuse') return step.refuse!(ctx, message) ?? {};
    fits(protocol, step, ctx.record);
    return step.step(ctx, message);
  }
  if ('command' in row) {
    const known = row.command.includes(' /')
      ? registry.routed.find(({ step }) => step.route === row.command)
      : registry.command(name, row.command);
    assert.ok(known?.protocol === protocol, `no command ${row.command} in ${name}`);
    const { step } = known;
    const record = row.record ?? (protocol.stateless && ofConnection && step.from !== '*' && !step.from.includes(NEW) ? peer : undefined);
    const connected = row.connection === undefined && !step.connection && !ofConnection && !record ? undefined : peer;
    const ctx = contextOf(protocol, {
      ...row,
      record: record ?? (step.from === '*' && ofConnection ? peer : undefined),
      connection: connected,
    });
    const input: CommandInput = { body: row.body ?? {}, query: row.query ?? {}, params: row.params, unmediated: row.unmediated };
    known.body?.parse(input.body, 'unprocessable');
    asked(ctx, step.load?.(input, ctx.record?.id, ctx.connection?.id, registry), step.about?.(input));
    fits(protocol, step, ctx.record);
    return step.step(ctx, input);
  }
  const ctx = contextOf(protocol, { ...row, connection: peer });
  if ('result' in row) {
    const step = protocol.results?.[row.result];
    assert.ok(step, `no result ${row.result} in ${name}`);
    const output = (row.output ?? {}) as JsonObject;
    asked(ctx, step.load?.(output));
    fits(protocol, step, ctx.record);
    return step.step(ctx, output);
  }
  if ('failed' in row) return protocol.failed!(ctx, row.failed);
  const ack = 'acked' in row;
  const step = ack ? protocol.acked : protocol.problem;
  assert.ok(step, `${name} takes no ${ack ? 'ack' : 'problem report'}`);
  const type = `https://didcomm.org/notification/1.0/${ack ? 'ack' : 'problem-report'}`;
  const message = incoming(protocol, { message: type, body: ack ? row.acked : row.problem, thid: row.thid ?? 'thread-1' });
  fits(protocol, step, ctx.record);
  return step.step(ctx, message);
}

/** Effects as a row writes them: definitions by their category, bases and keys by their id, nothing that is empty. */
export function shown(effects: Effects, record?: Some): Record<string, unknown> {
  const change = (one: Record<string, unknown> | undefined, base: Some | undefined): unknown => {
    if (!one) return undefined;
    const { def, base: of, patch, ...rest } = one as { def?: { category: string }; base?: { id: string }; patch?: object };
    const before: Readonly<Record<string, unknown>> = (of as unknown as Some | undefined)?.value ?? base?.value ?? {};
    const changed = Object.entries(patch ?? {}).flatMap(([member, value]) =>
      value !== undefined ? [[member, value]] : before[member] !== undefined ? [[member, REMOVED]] : [],
    );
    return {
      ...(def && { def: def.category }),
      ...(of && { base: of.id }),
      ...rest,
      ...(changed.length > 0 && { patch: Object.fromEntries(changed) }),
    };
  };
  const { record: own, others, keys, ...rest } = effects;
  const all = {
    ...rest,
    record: change(own as Record<string, unknown> | undefined, record),
    others: others?.map((one) => change(one as unknown as Record<string, unknown>, undefined)),
    keys: keys?.map(({ kid }) => kid),
  };
  const members = Object.entries(plain(all) as object).filter(([, value]) => !(Array.isArray(value) && value.length === 0));
  return Object.fromEntries(members);
}

/** Without members that are undefined, so that an absent member and an undefined one are the same. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== 'function');
  return Object.fromEntries(members.map(([name, member]) => [name, plain(member)]));
}

/** The expectation with the actual value in the place of each pattern and predicate that holds. */
function expectedAs(actual: unknown, expected: unknown): unknown {
  if (expected instanceof RegExp) return typeof actual === 'string' && expected.test(actual) ? actual : expected;
  if (typeof expected === 'function') return expected(actual) ? actual : expected;
  if (expected instanceof Uint8Array || typeof expected !== 'object' || expected === null) return expected;
  if (Array.isArray(expected)) return expected.map((one, i) => expectedAs((actual as unknown[] | undefined)?.[i], one));
  return Object.fromEntries(
    Object.entries(expected).map(([name, one]) => [name, expectedAs((actual as Record<string, unknown> | undefined)?.[name], one)]),
  );
}

/** The kind of step and its name in the literal that a row is about. */
function stepOf(protocol: Protocol, row: What): string {
  if ('message' in row) return `message ${row.message.split('/').at(-1)}`;
  if ('command' in row)
    return `command ${Object.entries(protocol.commands ?? {}).find(([name, { route }]) => name === row.command || route === row.command)?.[0]}`;
  if ('result' in row) return `result ${row.result}`;
  return 'acked' in row ? 'acked' : 'problem' in row ? 'problem' : 'failed';
}

const stepsOf = (protocol: Protocol): string[] => [
  ...Object.keys(protocol.messages).map((name) => `message ${name}`),
  ...Object.keys(protocol.commands ?? {}).map((name) => `command ${name}`),
  ...Object.keys(protocol.results ?? {}).map((name) => `result ${name}`),
  ...(['acked', 'problem', 'failed'] as const).filter((name) => protocol[name]),
];

/** The tests of a protocol or a resource: a row for each case, and at least one for every step that it declares. */
export function table(name: string, rows: readonly Row[]): void {
  const protocol = registry.protocol(name);
  describe(name, () => {
    for (const row of rows) {
      test(`${stepOf(protocol, row)}: ${row.title}`, () => {
        if ('error' in row) {
          let effects: Effects;
          try {
            effects = runStep(name, row);
          } catch (thrown) {
            if (thrown instanceof assert.AssertionError) throw thrown;
            const error = asAppError(thrown);
            assert.equal(error.code, row.error, String((error.cause as Error | undefined)?.stack ?? error.message));
            if (typeof row.text === 'string') assert.equal(error.message, row.text);
            else if (row.text) assert.match(error.message, row.text);
            return;
          }
          assert.fail(`${row.error} is expected, not ${JSON.stringify(shown(effects, row.record))}`);
        }
        const actual = shown(runStep(name, row), row.record);
        assert.deepEqual(actual, expectedAs(actual, row.effects));
      });
    }
    test('every step has a row', () => {
      const covered = new Set(rows.map((row) => stepOf(protocol, row)));
      assert.deepEqual(
        stepsOf(protocol).filter((step) => !covered.has(step)),
        [],
      );
    });
  });
}
