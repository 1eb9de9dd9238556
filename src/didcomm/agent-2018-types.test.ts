import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { agent2018Type, canonicalAgent2018Type, NAMES, type Profile2018, parseAgent2018Type } from './agent-2018-types.ts';

const canonical = (text: string) => {
  const parsed = parseAgent2018Type(text);
  return parsed && canonicalAgent2018Type(parsed);
};
const SPEC = 'urn:indy:sov:agent:message_type:sovrin.org/connection';

suite('type URNs', () => {
  test('sent types are those that the specification prints', () => {
    assert.deepEqual(
      NAMES.map((name) => agent2018Type(name)),
      NAMES.map((name) => `${SPEC}/1.0/${name}`),
    );
    // RFC 8141 section 2: a namespace and what is specific to it.
    for (const name of NAMES) assert.match(agent2018Type(name), /^urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:[A-Za-z0-9._:/-]+$/);
    const { transcript } = JSON.parse(
      readFileSync(new URL('../../test/vectors/agent-protocol-2018/messages.json', import.meta.url), 'utf8'),
    );
    for (const {
      base_message: { type },
    } of transcript)
      assert.equal(agent2018Type(type.split('/').at(-1)), type);
  });

  test('generated types are read into the parts that they were made of', () => {
    const word = (characters: string) => fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 12 });
    const part = word('abzAZ09_.-');
    fc.assert(
      fc.property(
        fc.record({
          nid: fc.tuple(word('az09'), word('az09-')).map((two) => two.join('')),
          nss: word('azAZ09_.:-').filter((text) => !text.includes(':message_type:')),
          domain: word('azAZ09.-'),
          name: part,
        }),
        fc.option(fc.record({ family: part, major: fc.nat(9999), minor: fc.nat(9999) }), { nil: undefined }),
        fc.constantFrom('', ' '),
        (ends, version, space) => {
          const middle = version ? `${version.family}/${version.major}.${version.minor}/` : '';
          const text = `urn:${ends.nid}:${ends.nss}:message_type:${ends.domain}/${space}${middle}${ends.name}`;
          assert.deepEqual({ ...parseAgent2018Type(text) }, { ...ends, ...version });
        },
      ),
      { numRuns: 500 },
    );
  });

  test('the space that the specification prints is tolerated, and only that one', () => {
    assert.deepEqual(canonical('urn:indy:sov:agent:message_type:sovrin.org/ connection/1.0/connection_offer'), {
      name: 'connection_offer',
      profile: 'spec',
      minor: 0,
    });
    for (const bad of [
      'urn:indy:sov:agent:message_type:sovrin.org/  connection/1.0/connection_offer',
      'urn:indy:sov:agent:message_type:sovrin.org /connection/1.0/connection_offer',
      `${SPEC}/ 1.0/connection_offer`,
      ` ${SPEC}/1.0/connection_offer`,
      `${SPEC}/1.0/connection_offer `,
      `${SPEC}/1.0/connection_offer\n`,
    ]) {
      assert.equal(parseAgent2018Type(bad), undefined, bad);
    }
  });

  for (const bad of [
    '',
    'urn:',
    'https://didcomm.org/connections/1.0/request',
    'did:sov:BzCbsNYhMrjHiqZDTUASHg;spec/connections/1.0/request',
    'URN:indy:sov:agent:message_type:sovrin.org/connection/1.0/connection_offer',
    'urn:Indy:sov:message_type:sovrin.org/connection/1.0/connection_offer',
    'urn:indy:message_type:sovrin.org/connection/1.0/connection_offer',
    `${SPEC}/1/connection_offer`,
    `${SPEC}/1.0.0/connection_offer`,
    `${SPEC}/1.00000/connection_offer`,
    `${SPEC}/1.0/`,
    `${SPEC}/1.0/connection/offer`,
    `${SPEC}/1.0/connection_offer?a=b`,
    `${SPEC}/1.0/connection_öffer`,
    `${SPEC}/1.0/${'a'.repeat(500)}`,
  ]) {
    test(`no type: ${bad.slice(0, 80)}`, () => assert.equal(parseAgent2018Type(bad), undefined));
  }

  test('hostile text takes no time', () => {
    const piece = fc.constantFrom(':message_type:', 'urn:', 'a', ':', '/', '/ ', '1.0/', 'a/', '.', '9', ' ', 'sov');
    const before = performance.now();
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 400 }), fc.constantFrom('urn:a:', ''), (pieces, head) => {
        parseAgent2018Type(head + pieces.join(''));
      }),
      { numRuns: 2000 },
    );
    for (const unit of [':message_type:a', 'a', 'a/', '1.0/', 'a:message_type:a/1.1/']) {
      parseAgent2018Type(`urn:a:b${unit.repeat(1 << 16)}!`);
      parseAgent2018Type(`${`urn:a:b${unit.repeat(500)}`.slice(0, 511)}!`);
    }
    assert.ok(performance.now() - before < 5000);
  });

  const aliases: [string, string[], Profile2018][] = [
    [SPEC, NAMES.map((name) => `1.0/${name}`), 'spec'],
    [SPEC, ['1.0/offer', '1.0/request', '1.0/response', '1.0/acknowledgement'], 'spec'],
    ['urn:indy:sov:agent:message_type:findy.fi/connection', ['1.0/offer', '1.0/request', '1.0/response', '1.0/acknowledgement'], 'findy'],
  ];
  for (const [prefix, ends, profile] of aliases) {
    for (const end of ends) {
      const last = end.slice(4);
      const name = (NAMES as readonly string[]).includes(last) ? last : `connection_${last}`;
      test(`${prefix}/${end}`, () => assert.deepEqual(canonical(`${prefix}/${end}`), { name, profile, minor: 0 }));
    }
  }
  const others: Record<string, [string, Profile2018]> = {
    'urn:indy:sov:agent:message_type:sovrin.org/credential/1.0/credential_offer': ['credential_offer', 'quindy'],
    'urn:indy:sov:agent:message_type:sovrin.org/credential/1.0/credential_request': ['credential_request', 'quindy'],
    'urn:indy:sov:agent:message_type:sovrin.org/credential/1.0/credential': ['credential', 'quindy'],
    'urn:indy:sov:agent:message_type:sovrin.org/proof/1.0/proof_request': ['proof_request', 'quindy'],
    'urn:indy:sov:agent:message_type:sovrin.org/proof/1.0/proof': ['proof', 'quindy'],
    'urn:indy:sov:agent:message_type:findy.fi/credential/1.0/offer': ['credential_offer', 'findy'],
    'urn:indy:sov:agent:message_type:findy.fi/credential/1.0/request': ['credential_request', 'findy'],
    'urn:indy:sov:agent:message_type:findy.fi/credential/1.0/response': ['credential', 'findy'],
    'urn:sovrin:agent:message_type:sovrin.org/connection_acknowledge': ['connection_acknowledgement', 'indy-node'],
    ...Object.fromEntries(
      NAMES.filter((name) => name !== 'connection_acknowledgement').map((name) => [
        `urn:sovrin:agent:message_type:sovrin.org/${name}`,
        [name, 'indy-node'],
      ]),
    ),
  };
  for (const [text, [name, profile]] of Object.entries(others)) {
    test(text, () => assert.deepEqual(canonical(text), { name, profile, minor: 0 }));
  }

  test('a type that is sent to either profile means the same name again', () => {
    for (const profile of ['spec', 'indy-node'] as const) {
      for (const name of NAMES) assert.deepEqual(canonical(agent2018Type(name, profile)), { name, profile, minor: 0 });
    }
  });

  test('another major version is not understood, another minor one is', () => {
    assert.deepEqual(canonical(`${SPEC}/1.7/connection_offer`), { name: 'connection_offer', profile: 'spec', minor: 7 });
    for (const version of ['2.0', '0.9', '0.1', '9999.0'])
      assert.equal(canonical(`${SPEC}/${version}/connection_offer`), 'unsupported-version');
    assert.equal(canonical(`${SPEC}/2.0/what_is_not_there_yet`), 'unsupported-version');
  });

  for (const text of [
    `${SPEC}/1.0/connection_invitation`,
    `${SPEC}/1.0/constructor`,
    `${SPEC}/1.0/__proto__`,
    `${SPEC}s/1.0/connection_offer`,
    'urn:indy:sov:agent:message_type:example.org/connection/1.0/connection_offer',
    'urn:indy:sov:agent:message_type:example.org/chess/1.0/move',
    'urn:indy:sov:agent:message_type:example.org/chess/2.0/move',
    'urn:indy:sov:agent:message_type:sovrin.org/connection_offer',
    'urn:sovrin:agent:message_type:sovrin.org/connection/1.0/connection_offer',
    'urn:sovrin:agent:message_type:sovrin.org/hasOwnProperty',
  ]) {
    test(`a type, and not one of the nine: ${text}`, () => {
      assert.ok(parseAgent2018Type(text));
      assert.equal(canonical(text), undefined);
    });
  }
});
