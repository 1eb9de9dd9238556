import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../ports/json.ts';
import type { StoredRecord } from '../ports/store.ts';
import type { Incoming } from './protocol.ts';
import {
  connectionlessPeerFrom,
  isInvitationsThread,
  madeBy,
  ownerOf,
  type Surroundings,
  subjectOf,
  type Trust,
  trustOf,
  withShownKey,
} from './trust.ts';

const NOW = 1_000_000;
const OURS = 'our key';

const row = (given: Partial<StoredRecord> & { id: string }): StoredRecord =>
  ({ category: 'connection', version: 1, state: 'active', created: 0, updated: 0, value: {}, ...given }) as StoredRecord;
const message = (given: Partial<Incoming> = {}): Incoming =>
  ({ id: 'm', type: 't', name: 'n', minor: 0, thid: 'thread', body: {}, sender: 'theirs', recipient: OURS, raw: {}, ...given }) as Incoming;
const around = (given: Partial<Surroundings> = {}): Surroundings => ({
  ...{ connections: [], ownThread: [], threads: new Map(), invitations: [], invited: [], about: [] },
  ...given,
});
const known = (id: string, keys: readonly string[], value: object = {}, rest: Partial<StoredRecord> = {}): StoredRecord =>
  row({ id, value: { their_keys: [...keys], shown_keys: [...keys], my_verkey: OURS, ...value }, ...rest });

/** A case of who sealed a message: what was read, and what follows from it. */
interface Case {
  readonly of: string;
  readonly pairwise?: boolean;
  readonly message?: Partial<Incoming>;
  readonly around: Partial<Surroundings>;
  readonly expect: { connection?: string; connectionless?: string; isPeer: boolean; trusted: boolean; party: boolean; shows?: string };
}

const NOBODY = { isPeer: false, trusted: false, party: false };
const PEER = { isPeer: true, trusted: true, party: true };
const exchange = (id: string, reply: object, value: object = {}): StoredRecord =>
  row({ id, category: 'cred_ex', state: 'offer-sent', value: { replyTo: { key: OURS, ...reply }, ...value } });

const CASES: readonly Case[] = [
  {
    of: 'the pairwise key by a key in use',
    pairwise: true,
    around: { connections: [known('c', ['theirs'])] },
    expect: { connection: 'c', ...PEER },
  },
  {
    of: 'the pairwise key by a stranger',
    pairwise: true,
    around: { connections: [known('c', ['another'])] },
    expect: { connection: 'c', ...NOBODY },
  },
  {
    of: 'the pairwise key by a key that the document only lists',
    pairwise: true,
    around: { connections: [known('c', ['theirs', 'second'], { shown_keys: ['second'] })] },
    expect: { connection: 'c', shows: 'theirs', ...PEER },
  },
  {
    of: 'the pairwise key in clear',
    pairwise: true,
    message: { sender: undefined },
    around: { connections: [known('c', ['theirs'])] },
    expect: { connection: 'c', ...NOBODY },
  },
  { of: 'a pairwise key whose connection is gone', pairwise: true, around: {}, expect: NOBODY },
  {
    of: 'a former key within its time',
    pairwise: true,
    around: { connections: [known('c', ['new'], { their_former: { keys: ['theirs'], until: NOW + 1 } })] },
    expect: { connection: 'c', ...PEER },
  },
  {
    of: 'a former key after its time',
    pairwise: true,
    around: { connections: [known('c', ['new'], { their_former: { keys: ['theirs'], until: NOW } })] },
    expect: { connection: 'c', ...NOBODY },
  },
  { of: 'a shared key by a known peer', around: { connections: [known('c', ['theirs'])] }, expect: { connection: 'c', ...PEER } },
  {
    of: 'a shared key by a peer of two connections: that of the thread',
    around: {
      connections: [known('late', ['theirs']), known('early', ['theirs'])],
      threads: new Map([['cred_ex', [row({ id: 'x', category: 'cred_ex', connection: 'late' })]]]),
    },
    expect: { connection: 'late', ...PEER },
  },
  {
    of: 'a shared key by a peer of two connections, in no thread: the oldest that is complete',
    around: { connections: [known('late', ['theirs']), known('early', ['theirs'])] },
    expect: { connection: 'early', ...PEER },
  },
  {
    of: 'a shared key by a key that another connection only lists',
    around: { connections: [known('listing', ['theirs'], { shown_keys: ['proven'] }), known('c', ['theirs'])] },
    expect: { connection: 'c', ...PEER },
  },
  {
    of: 'a listed key outside of its thread',
    around: { connections: [known('listing', ['theirs', 'proven'], { shown_keys: ['proven'] })] },
    expect: NOBODY,
  },
  {
    of: 'a listed key in the own thread of its connection',
    around: {
      connections: [known('listing', ['theirs', 'proven'], { shown_keys: ['proven'], request_id: 'thread' })],
      ownThread: [known('listing', ['theirs', 'proven'], { shown_keys: ['proven'], request_id: 'thread' })],
    },
    expect: { connection: 'listing', shows: 'theirs', ...PEER },
  },
  {
    of: 'the inviter, whose key of its own is not known yet',
    around: {
      ownThread: [
        row({ id: 'c', role: 'invitee', state: 'request', value: { invitation_key: 'theirs', my_verkey: OURS, request_id: 'thread' } }),
      ],
    },
    expect: { connection: 'c', isPeer: false, trusted: false, party: true },
  },
  {
    of: 'an exchange without a connection that nobody has answered',
    around: { threads: new Map([['cred_ex', [exchange('x', {})]]]) },
    expect: { connectionless: 'x', ...NOBODY },
  },
  {
    of: 'an exchange without a connection by its peer',
    around: { threads: new Map([['cred_ex', [exchange('x', { recipientKeys: ['theirs'] })]]]) },
    expect: { connectionless: 'x', isPeer: false, trusted: true, party: true },
  },
  {
    of: 'an exchange without a connection by another',
    around: { threads: new Map([['cred_ex', [exchange('x', { recipientKeys: ['first'] })]]]) },
    expect: NOBODY,
  },
  {
    of: 'an exchange without a connection, by another key of ours',
    message: { recipient: 'another key of ours' },
    around: { threads: new Map([['cred_ex', [exchange('x', {})]]]) },
    expect: NOBODY,
  },
  {
    of: 'an exchange that has a connection by now',
    around: { threads: new Map([['cred_ex', [{ ...exchange('x', {}), connection: 'c' }]]]) },
    expect: NOBODY,
  },
];

for (const { of, pairwise = false, message: given, around: read, expect } of CASES) {
  test(`a message for ${of}`, () => {
    const { connection, connectionless, shows, isPeer, trusted, party } = trustOf(message(given), pairwise, around(read), NOW);
    const found = { connection: connection?.id, connectionless: connectionless?.id, shows, isPeer, trusted, party };
    assert.deepEqual(JSON.parse(JSON.stringify(found)), { ...expect });
  });
}

const protocol = (category: string, given: object = {}) =>
  ({ name: 'p', uris: [], binds: { category, states: [] }, messages: {}, ...given }) as never;
const step = (given: object = {}) => ({ schema: {}, from: '*', step: () => ({}), ...given }) as never;
const trusting = (connection: StoredRecord | undefined): Trust => ({ connection: connection as never, ...PEER });

const credential = (id: string, given: Partial<StoredRecord> = {}): StoredRecord =>
  row({ id, category: 'cred_ex', state: 'offer-sent', ...given });
const SUBJECTS: readonly (readonly [
  of: string,
  rows: readonly StoredRecord[],
  pthid: string | undefined,
  invited: readonly StoredRecord[],
  expected: string | undefined,
])[] = [
  ['its own connection', [credential('x', { connection: 'c' })], undefined, [], 'x'],
  ['another connection', [credential('x', { connection: 'other' })], undefined, [], undefined],
  ['no connection, and offered in no invitation', [credential('x')], undefined, [], undefined],
  ['the invitation that the message names', [credential('x', { value: { parent_thread_id: 'inv' } })], 'inv', [], 'x'],
  ['another invitation', [credential('x', { value: { parent_thread_id: 'other' } })], 'inv', [], undefined],
  [
    'an invitation whose offer somebody else came for',
    [credential('x', { value: { parent_thread_id: 'inv' } })],
    'inv',
    [row({ id: 'guest', role: 'inviter', value: { request_id: 'r' } })],
    undefined,
  ],
  [
    'an invitation by which this connection came',
    [credential('x', { value: { parent_thread_id: 'inv' } })],
    'inv',
    [row({ id: 'c', role: 'inviter', value: { request_id: 'r' } })],
    'x',
  ],
  [
    'its connection, of two: the one whose state fits',
    [credential('done', { connection: 'c', state: 'done' }), credential('x', { connection: 'c' })],
    undefined,
    [],
    'x',
  ],
];

for (const [of, rows, pthid, invited, expected] of SUBJECTS) {
  test(`an exchange of ${of} is ${expected ? 'the message’s' : 'not the message’s'}`, () => {
    const found = subjectOf(
      { protocol: protocol('cred_ex'), step: step({ from: ['offer-sent'] }) },
      message({ pthid }),
      trusting(known('c', ['theirs'])),
      around({ threads: new Map([['cred_ex', rows]]), invited }),
      false,
    );
    assert.equal(found?.id, expected);
  });
}

test('a connection is its own subject, and only a handshake to a key that serves many may name another', () => {
  const other = around({ threads: new Map([['connection', [known('other', ['theirs'])]]]) });
  const subject = (anew: boolean) =>
    subjectOf({ protocol: protocol('connection'), step: step() }, message(), trusting(known('c', ['theirs'])), other, anew)?.id;
  assert.deepEqual([subject(false), subject(true)], [undefined, 'other']);
});

test('an ack goes to the protocol that owns the thread, of two to the one that waits for it', () => {
  const acked = step({ from: ['offer-sent'] });
  const registry = {
    threaded: ['oob_record', 'cred_ex'],
    owner: (category: string) => protocol(category, category === 'cred_ex' ? { acked } : { acked: step({ from: ['await'] }) }),
  } as never;
  const threads = new Map([
    ['oob_record', [credential('o', { category: 'oob_record', connection: 'c', state: 'done' })]],
    ['cred_ex', [credential('x', { connection: 'c' })]],
  ]);
  const owner = ownerOf(registry, message({ name: 'ack' }), trusting(known('c', ['theirs'])), around({ threads }));
  assert.equal(owner?.record.id, 'x');
  assert.equal(ownerOf(registry, message({ name: 'ack' }), trusting(known('d', ['theirs'])), around({ threads })), undefined);
});

test('a problem report finds an exchange whose protocol knows no report: its record and a webhook have the text', () => {
  const registry = { threaded: ['cred_ex'], owner: () => protocol('cred_ex') } as never;
  const threads = new Map([['cred_ex', [credential('x', { connection: 'c' })]]]);
  const report = message({ name: 'problem-report', body: { description: { code: 'no', en: 'sorry' } } });
  const { step: troubled } = ownerOf(registry, report, trusting(known('c', ['theirs'])), around({ threads }))!;
  const { record, emit } = troubled.step({ connection: { id: 'c' } } as never, report);
  assert.equal(record?.patch?.error_msg, 'no: sorry');
  assert.deepEqual(
    emit?.map(({ topic, payload }) => [topic, payload.connection_id]),
    [['problem_report', 'c']],
  );
});

test('a thread with the id of an open invitation of ours stands in its place', () => {
  const invitation = (value: JsonObject) => around({ threads: new Map([['connection', [row({ id: 'i', role: 'inviter', value })]]]) });
  const stands = (value: JsonObject) => isInvitationsThread(protocol('connection'), message(), invitation(value));
  assert.deepEqual([stands({ invitation_msg_id: 'thread' }), stands({ invitation_msg_id: 'thread', request_id: 'r' })], [true, false]);
});

test('an answer goes to the service that the peer names and to the key that sealed; under a shared DID to that key alone', () => {
  const service = { recipientKeys: ['listed'], routingKeys: [], endpoint: 'http://peer' };
  const keys = (shared: boolean) => connectionlessPeerFrom({ key: OURS }, message({ service }), shared).recipientKeys;
  assert.deepEqual([keys(false), keys(true)], [['listed', 'theirs'], ['theirs']]);
  assert.deepEqual(connectionlessPeerFrom({ key: OURS }, message(), false), { key: OURS, recipientKeys: ['theirs'] });
  assert.deepEqual(connectionlessPeerFrom({ key: OURS, recipientKeys: ['first'] }, message(), false).recipientKeys, ['first']);
});

test('a shown key is written with the message’s effects, once', () => {
  const def = { category: 'connection' } as never;
  const registry = { records: new Map([['connection', def]]) } as never;
  const connection = known('c', ['theirs']) as never;
  const plain = withShownKey({}, registry, protocol('cred_ex'), undefined, connection);
  assert.deepEqual(plain.others, [{ def, base: connection, silent: true }]);
  const own = { record: {} };
  assert.equal(withShownKey(own, registry, protocol('connection'), connection, connection), own);
  const others = { others: [{ def, base: connection }] } as never;
  assert.equal(withShownKey(others, registry, protocol('cred_ex'), undefined, connection), others);
});

test('the connection that a handshake made is the one whose peer sealed the message', () => {
  const records = [
    { category: 'connection', id: 'other', value: { their_keys: ['x'], shown_keys: ['x'] } },
    { category: 'connection', id: 'made', value: { their_keys: ['theirs'], shown_keys: ['theirs'] } },
  ];
  assert.deepEqual([madeBy(records, 'theirs'), madeBy(records, undefined), madeBy(records, 'stranger')], ['made', undefined, undefined]);
});
