import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FORMATS, PROTOCOLS, UNBOUND_RECORDS } from '../src/builtin-protocols.ts';
import { OLD_PREFIX, parseMessageType, parseProtocol } from '../src/didcomm/message-types.ts';
import type { Protocol } from '../src/kernel/protocol.ts';
import { createRegistry } from '../src/kernel/registry.ts';

/**
 * Each protocol, message and format is declared once: by its literal. Everything else goes through the registry. The test reads every text and pattern of `src`
 * that names one.
 */

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const protocols = PROTOCOLS as unknown as Protocol[];
const registry = createRegistry(protocols, UNBOUND_RECORDS as never, FORMATS);
const familyOf = (uri: string): string => parseProtocol(uri)!.family;
const families = new Set(protocols.flatMap(({ uris }) => uris.filter((uri) => !uri.startsWith('urn:')).map(familyOf)));
const idsOf = ({ issuance, presentation }: (typeof FORMATS)[number]): string[] => [
  ...Object.values(issuance?.ids ?? {}),
  ...Object.values(presentation?.ids ?? {}),
];

/** Texts outside the protocol’s own file, with the reason. */
const ELSEWHERE: Record<string, Record<string, string>> = {
  'src/didcomm/forward.ts': { 'https://didcomm.org/routing/1.0/forward': 'sealing wraps in it, and knows no registry' },
  'src/kernel/seal.ts': {
    'https://didcomm.org/notification/1.0/problem-report': 'the report of protocols that have none of their own (RFC 0035)',
  },
  'src/agent-2018/credential.ts': { 'https://didcomm.org/issue-credential/2.0': 'translates its messages to 2018' },
  'src/agent-2018/proof.ts': { 'https://didcomm.org/present-proof/2.0': 'translates its messages to 2018' },
  'src/resources/connection.ts': { 'connections/1.0': "ACA-Py's name of what a static connection came by" },
  'src/protocols/connecting/connections.ts': {
    'https://didcomm.org/trust_ping/1.0/ping': 'completes a connection (RFC 0160)',
    'https://didcomm.org/notification/1.0/ack': 'completes a connection (RFC 0160)',
  },
  'src/protocols/connecting/did-exchange-steps.ts': { 'https://didcomm.org/trust_ping/1.0/ping': '--auto-ping-connection' },
  'src/protocols/revocation-notification.ts': {
    'https://didcomm.org/notification/1.0/ack': 'acknowledges a notification (RFC 0721)',
  },
  'src/protocols/credentials/batch.ts': { 'https://didcomm.org/didexchange/1.1': 'the handshake of the invitations of its rows' },
  'src/protocols/introduction.ts': {
    'https://didcomm.org/out-of-band/1.1/invitation': "the invitation that ACA-Py's introductions hold",
    'https://didcomm.org/didexchange/1.1': "the invitation that ACA-Py's introductions hold",
    'didexchange/1.1': "the invitation that ACA-Py's introductions hold",
  },
  'src/records/out-of-band.ts': {
    '^(https://didcomm\\\\.org|did:sov:BzCbsNYhMrjHiqZDTUASHg;spec)/out-of-band/1\\\\.\\\\d+/invitation$':
      'the schema of its own invitation',
  },
  'src/startup.ts': { 'https://didcomm.org/connections/1.0/invitation': 'the invitation of a mediator for wallets that know no other' },
  'src/mediation/names.ts': { '${OWN_PREFIX}agency/1.0': 'what an agency passes on is a message of it' },
  'src/mediation/pickup-link.ts': {
    'https://didcomm.org/messagepickup/1.0': 'asks mediators for mail',
    'https://didcomm.org/messagepickup/2.0': 'asks mediators for mail',
    'https://didcomm.org/trust_ping/1.0': 'asks mediators for mail',
    'messagepickup\\/2\\.\\d+\\/\\w': 'reads what mediators answer',
  },
  'src/mediation/pickup-http.ts': { 'messagepickup\\/1\\.\\d+\\/batch$': 'reads what mediators answer' },
};

const sources = (): string[] =>
  globSync('src/**/*.ts', { cwd: ROOT })
    .filter((file) => !/\.(test|conformance)\.ts$/.test(file))
    .sort();

/** Every text and pattern of a file, line by line; comments are no code. */
const textsOf = (file: string): string[] =>
  readFileSync(join(ROOT, file), 'utf8')
    .split('\n')
    .map((line) => (/^\s*(?:\*|\/\*|\/\/)/.test(line) ? '' : line.replace(/\s\/\/ .*$/, '')))
    .flatMap((line) => line.match(/'[^']*'|"[^"]*"|`[^`]*`|\/(?:[^/\\]|\\.)+\//g) ?? [])
    .map((text) => text.slice(1, -1));

/** The protocol families that a text names with a version, however it is escaped in a pattern. */
const named = (text: string): string[] => {
  const plain = text.replace(/\\+([/.])/g, '$1');
  return [...families].filter((family) => new RegExp(`(?<![\\w-])${family}(?:/|\\)/)(?:[0-9]|\\\\|\\(|\\[)`).test(plain));
};

/** What the file of a protocol may name: the families that it declares, or, in the folder of a family, that the folder does. */
async function declaredIn(file: string): Promise<Set<string>> {
  const exported = Object.values(await import(join(ROOT, file))) as Partial<Protocol>[];
  return new Set(exported.flatMap((one) => (Array.isArray(one?.uris) ? one.uris.filter((uri) => parseProtocol(uri)).map(familyOf) : [])));
}

async function allowedIn(file: string): Promise<Set<string>> {
  const family = file.split('/').length > 3 ? sources().filter((one) => dirname(one) === dirname(file)) : [file];
  const declared = await Promise.all(family.map(declaredIn));
  return new Set(declared.flatMap((one) => [...one]));
}

test("every message type and protocol in a text or a pattern is its own literal's, or is listed here and known", async () => {
  const found: Record<string, Record<string, string>> = {};
  for (const file of sources()) {
    const own = /^src\/(?:protocols|resources|agent-2018)\//.test(file) ? await allowedIn(file) : new Set<string>();
    for (const text of textsOf(file)) {
      if (named(text).every((family) => own.has(family))) continue;
      found[file] ??= {};
      found[file][text] = ELSEWHERE[file]?.[text] ?? 'not listed';
    }
  }
  assert.deepEqual(found, ELSEWHERE);
});

test('every entry of this list is declared', () => {
  for (const text of Object.values(ELSEWHERE).flatMap((texts) => Object.keys(texts))) {
    const type = parseMessageType(text);
    if (type && !['invitation', 'ack', 'problem-report'].includes(type.name)) assert.equal(typeof registry.message(text), 'object', text);
    else if (type) assert.ok(registry.protocolOf(text), text);
    else if (parseProtocol(text)) assert.equal(registry.features(text).length, 1, text);
  }
});

test('format identifiers stand in the literal of their format alone', () => {
  for (const format of FORMATS) {
    const ids = new Set(idsOf(format));
    assert.ok(ids.size > 0, format.name);
    const files = sources().filter((file) => textsOf(file).some((text) => ids.has(text)));
    assert.deepEqual(files, [`src/formats/${format.name}.ts`]);
  }
});

test('an invitation may name or carry the declarations of protocols and records', () => {
  assert.deepEqual(Object.fromEntries(registry.handshakes), {
    'didexchange/1.1': 'did-exchange',
    'didexchange/1.0': 'did-exchange',
    'connections/1.0': 'connections',
  });
  for (const name of registry.handshakes.values()) assert.ok(registry.command(name, 'accept-invitation'), name);
  const alone = protocols.flatMap((one) =>
    Object.entries(one.messages).flatMap(([name, step]) => (step.standsAlone ? [`${one.uris[0]}/${name}`] : [])),
  );
  assert.deepEqual(
    alone.sort().map((type) => type.slice('https://didcomm.org/'.length)),
    [
      'issue-credential/1.0/offer-credential',
      'issue-credential/2.0/offer-credential',
      'present-proof/1.0/request-presentation',
      'present-proof/2.0/request-presentation',
    ],
  );
  for (const type of alone) {
    assert.ok(registry.standsAlone(type) && registry.standsAlone(type.replace('https://didcomm.org/', OLD_PREFIX)), type);
    // what can be made here can be taken here
    const known = registry.message(type) as Exclude<ReturnType<typeof registry.message>, string>;
    assert.ok(known.protocol.binds.attachable, `${type} is carried by invitations of ours too`);
  }
  for (const type of [
    'https://didcomm.org/trust_ping/1.0/ping',
    'https://didcomm.org/issue-credential/2.0/request-credential',
    'nothing',
    'constructor',
  ])
    assert.equal(registry.standsAlone(type), false, type);
  for (const name of ['constructor', '__proto__', 'offer']) {
    assert.deepEqual(registry.attachable(name), []);
    assert.equal(registry.handshakeOf(name), undefined);
  }
});
