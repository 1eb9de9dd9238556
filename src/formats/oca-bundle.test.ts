import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { HOSTILE, PICTURES } from '../../test/support/hostile.ts';
import { type Attachment, signedAttachment } from '../didcomm/attachments.ts';
import { newKeyPair } from '../didcomm/keys.ts';
import { AppError } from '../errors.ts';
import type { Incoming } from '../kernel/protocol.ts';
import type { WorkContext } from '../kernel/work.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Query } from '../ports/store.ts';
import { lookOf, ocaFault, ocaOrder, ocaWork } from './oca-bundle.ts';
import { pictureIn } from './oca-picture.ts';

const definition = { value: { primary: { r: { master_secret: '1', name: '2', member: '3' } } } };
const bundle = (overlays: object[], attributes: object = { name: 'Text', member: 'Text' }) => ({
  capture_base: { type: 'spec/capture_base/1.0', attributes },
  overlays,
});
const look = (...overlays: object[]) => lookOf(bundle(overlays) as never);
const png = (width: number, height: number, more = Buffer.alloc(0)): string => {
  const head = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex');
  const sides = Buffer.alloc(8);
  sides.writeUInt32BE(width, 0);
  sides.writeUInt32BE(height, 4);
  return `data:image/png;base64,${Buffer.concat([head, sides, Buffer.alloc(9), more, deflateSync(Buffer.alloc(64))]).toString('base64')}`;
};

test('a bundle gives names and labels by language, colours and a logo', () => {
  const shown = look(
    { type: 'spec/overlays/meta/1.0', language: 'en', name: 'Library card', description: 'Borrows books', issuer: 'Town Library' },
    { type: 'spec/overlays/meta/1.0', language: 'fr-CA', name: 'Carte de bibliothèque' },
    { type: 'spec/overlays/label/1.0', language: 'fr-CA', attribute_labels: { name: 'Nom', salary: 'Salaire' } },
    {
      ...{ type: 'aries/overlays/branding/1.0', primary_background_color: '#036', secondary_background_color: '#FFCC00' },
      ...{ logo: png(240, 240), primary_attribute: 'name', secondary_attribute: 'salary' },
    },
    { type: 'spec/overlays/unit/1.0', attribute_units: {} },
  );
  assert.deepEqual(shown, {
    names: {
      en: { name: 'Library card', description: 'Borrows books', issuer: 'Town Library' },
      'fr-CA': { name: 'Carte de bibliothèque' },
    },
    labels: { 'fr-CA': { name: 'Nom' } },
    primary_background_color: '#003366',
    secondary_background_color: '#ffcc00',
    logo: png(240, 240),
    primary_attribute: 'name',
  });
});

test('a look holds no address, no document and nothing of another size or kind', () => {
  for (const text of [...HOSTILE, ...PICTURES, 'transparent', '#12345', 'rgb(0,0,0)', '#000;background:url(x)']) {
    const { primary_background_color, secondary_background_color, logo, names, labels } = look(
      {
        ...{ type: 'aries/overlays/branding/1.1', primary_background_color: text, secondary_background_color: text },
        ...{ logo: text, background_image: text, primary_attribute: text },
      },
      { type: 'spec/overlays/meta/1.0', language: text, name: text },
      { type: 'spec/overlays/meta/1.0', language: 'en', name: text.repeat(1000) },
      { type: 'spec/overlays/label/1.0', language: 'en', attribute_labels: { name: text.repeat(1000), [text]: text } },
      { type: 'spec/overlays/label/1.0', language: 'fr', attribute_labels: text },
      { type: 'spec/overlays/label/1.0', language: 'ar', attribute_labels: [text, null] },
    );
    assert.deepEqual([primary_background_color, secondary_background_color], [undefined, undefined], text);
    assert.ok(logo === undefined || logo === ONE_PIXEL, text);
    assert.deepEqual(Object.keys(names), ['en']);
    assert.ok((names.en?.name ?? '').length <= 100 && (labels.en?.name ?? '').length <= 100);
    assert.deepEqual(Object.keys(labels.en!), text.trim() === '' ? [] : ['name']);
  }
  // a cut between characters, not through one
  assert.equal(look({ type: 'spec/overlays/meta/1.0', language: 'en', name: `a${'🙂'.repeat(60)}` }).names.en?.name, `a${'🙂'.repeat(49)}`);
  for (const odd of [null, 7, {}, [], { length: 3 }])
    assert.equal(look({ type: 'aries/overlays/branding/1.0', logo: odd }).logo, undefined);
});
const ONE_PIXEL = PICTURES.find((one) => one.startsWith('data:image/png;base64,iVBOR'));

test('a picture is what its bytes are: PNG or JPEG, bounded, without movement', () => {
  const jpeg = (...bytes: number[]): string => `data:image/jpeg;base64,${Buffer.from(bytes).toString('base64')}`;
  const frame = [0xff, 0xc0, 0, 11, 8, 0, 240, 0, 200, 1, 1, 0x11, 0];
  const good = jpeg(0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, ...frame);
  assert.equal(pictureIn(good), good);
  const progressive = jpeg(0xff, 0xd8, ...frame, ...Array.from({ length: 10 }, () => [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0]).flat());
  assert.equal(pictureIn(progressive), progressive);
  // it names itself otherwise
  assert.equal(pictureIn(good.replace('jpeg', 'png')), good);
  const bad = {
    wide: png(1025, 10),
    'without height': png(10, 0),
    moving: png(10, 10, Buffer.from('\0\0\0\x08acTL')),
    long: png(10, 10, Buffer.alloc(70 << 10)),
    'of many scans': jpeg(0xff, 0xd8, ...frame, ...Array.from({ length: 33 }, () => [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0]).flat()),
    'cut off': jpeg(0xff, 0xd8, 0xff, 0xc0, 0, 11),
    'without a frame': jpeg(0xff, 0xd8, 0xff, 0xd9, ...frame),
    'of no segments': jpeg(0xff, 0xd8, ...Array.from({ length: 200 }, () => 0)),
    'an endless segment': jpeg(0xff, 0xd8, ...Array.from({ length: 200 }, () => 0xff)),
    gif: `data:image/gif;base64,${Buffer.from('GIF89a').toString('base64')}`,
  };
  for (const [what, picture] of Object.entries(bad)) assert.equal(pictureIn(picture), undefined, what);
});

test('a bundle is of its definition: its capture base names no attribute that is not signed', () => {
  assert.equal(ocaFault(bundle([]), definition), undefined);
  assert.equal(ocaFault(bundle([], { Name: 'Text' }), definition), undefined);
  assert.match(ocaFault(bundle([], { salary: 'Numeric' }), definition)!, /no attribute "salary"/);
  assert.match(ocaFault(bundle([{ type: 'x', text: 'x'.repeat(200_000) }]), definition)!, /larger than 128 KiB/);
  for (const odd of [
    null,
    [],
    'x',
    {},
    { capture_base: {}, overlays: [] },
    { ...bundle([]), overlays: [{}] },
    { ...bundle([]), overlays: {} },
  ])
    assert.match(ocaFault(odd, definition)!, /not one object/);
});

test('a bundle that comes with an offer is taken where a key of the issuer has signed it', async () => {
  const [issuer, other] = [newKeyPair(), newKeyPair()];
  const document = {
    id: 'did:x:i',
    assertionMethod: [`did:x:i#k`],
    verificationMethod: [{ id: '#k', type: 'Ed25519VerificationKey2018', publicKeyBase58: issuer.verkey }],
  };
  let away = false;
  let metadata: JsonObject = {};
  /** Looks that came, and definitions of credentials that are held. */
  let looks: string[] = [];
  const held = new Set<string>();
  const store = {
    load: async () => [[]],
    async find(_tenant: string, category: string, { limit = 0, cursor, tags = {} }: Query) {
      if (category === 'credential') return { rows: [], total: held.has(tags.cred_def_id!) ? 1 : 0 };
      const from = Number(cursor ?? 0);
      const rows = looks.slice(from, from + limit).map((cred_def_id) => ({ id: `look of ${cred_def_id}`, value: { cred_def_id } }));
      return { rows, total: looks.length, next: from + limit < looks.length ? String(from + limit) : undefined };
    },
  };
  const ctx = {
    store,
    ledger: () => ({
      async read() {
        if (away) throw new AppError('ledger-unavailable');
        return { issuerId: 'did:x:i', ...definition };
      },
    }),
    resolver: { resolve: async () => ({ document, metadata }) },
  } as unknown as WorkContext;
  const given = bundle([]);
  const signed = (by = issuer, value: unknown = given, claims?: object): Attachment =>
    signedAttachment(Buffer.from(JSON.stringify(value)), by, 'look', undefined, claims as never);
  const offer = (attachment: Attachment, supplements: unknown = [{ type: 'oca-bundle', ref: 'look' }]): Incoming =>
    ({ body: { supplements }, attachments: { '': [attachment] } }) as unknown as Incoming;
  const taken = async (attachment: Attachment): Promise<unknown> => {
    const order = ocaOrder(offer(attachment), 'cd', 'looked')!;
    return await ocaWork[order.op]!(ctx, order.input);
  };
  const found = { cred_def_id: 'cd', issuer_id: 'did:x:i', bundle: given, signed_at: undefined };
  assert.deepEqual(await taken(signed()), { found, gone: undefined });
  assert.deepEqual(await taken(signed(issuer, [given])), { found, gone: undefined });
  const dated = signed(issuer, given, { cred_def_id: 'cd', iat: 7 });
  assert.deepEqual(await taken(dated), { found: { ...found, signed_at: 7 }, gone: undefined });
  // a wallet keeps so many: the oldest goes of whose credentials it holds none
  looks = Array.from({ length: 200 }, (_none, i) => `cd ${i}`);
  for (let i = 0; i < 30; i++) held.add(`cd ${i}`);
  assert.deepEqual(await taken(signed()), { found, gone: 'look of cd 30' });
  for (const one of looks) held.add(one);
  assert.deepEqual(await taken(signed()), {});
  looks = [];
  metadata = { deactivated: true };
  assert.deepEqual(await taken(signed()), {});
  metadata = {};
  const changed = signed();
  changed.data.base64 = signed(issuer, bundle([{ type: 'x' }])).data.base64!;
  for (const one of [
    signed(other),
    changed,
    signed(issuer, bundle([], { salary: 'Numeric' })),
    signed(issuer, 'text'),
    signed(issuer, given, { cred_def_id: 'another one' }),
    { ...signed(), data: { base64: 'e30' } },
  ])
    assert.deepEqual(await taken(one), {});
  away = true;
  await assert.rejects(taken(signed()), /ledger/i);
  // nothing to look at
  assert.equal(ocaOrder(offer(signed()), undefined, 'looked'), undefined);
  for (const odd of [
    null,
    'x',
    [null],
    [{ type: 'hashlink-data', ref: 'look' }],
    [{ type: 'oca-bundle', ref: 'x' }],
    [{ type: 'oca-bundle' }],
  ])
    assert.equal(ocaOrder(offer(signed(), odd), 'cd', 'looked'), undefined);
  assert.equal(ocaOrder(offer({ id: 'look', data: { links: ['https://evil.example'] } }), 'cd', 'looked'), undefined);
  assert.equal(ocaOrder(offer({ id: 'look', data: { base64: 'A'.repeat(300_000) } }), 'cd', 'looked'), undefined);
});
