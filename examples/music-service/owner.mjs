import { EdvClient } from '@digitalbazaar/edv-client';
import { newHmac, newKeys } from './keys.mjs';
import { serve } from './serve.mjs';

/** The owner of a vault: encrypts and decrypts, finds, grants, revokes. The vault's keys are here and nowhere else. */

const { did, signer, keyAgreementKey, zcaps } = await newKeys();
const hmac = newHmac();
/** Public keys of services that documents are encrypted to, by id. */
const known = new Map([[keyAgreementKey.id, await keyAgreementKey.export({ publicKey: true, includeContext: true })]]);
const recipient = (kid) => ({ header: { kid, alg: 'ECDH-ES+A256KW' } });
let edv;

const open = (id) => {
  edv = new EdvClient({ id, hmac, keyAgreementKey, keyResolver: async ({ id: kid }) => known.get(kid), invocationSigner: signer });
  for (const attribute of ['content.kind', 'content.title']) edv.ensureIndex({ attribute });
  edv.ensureIndex({ attribute: 'content.serial', unique: true });
};
const withVault = (name, run) => async (members) => {
  if (!edv) throw new Error(`${name}: there is no vault yet`);
  return await run(members);
};

const config = { sequence: 0, controller: did, referenceId: 'primary' };
const named = ({ id, type }) => ({ id, type });

serve({
  who: async () => ({ did, key: known.get(keyAgreementKey.id) }),
  /** A vault that the tenant's key makes at `url`, or, without headers, the controller itself at the hub's own. */
  async create({ url, headers }) {
    const whole = { ...config, keyAgreementKey: named(keyAgreementKey), hmac: named(hmac) };
    const made = await EdvClient.createEdv({ url, config: whole, ...(headers ? { headers } : { invocationSigner: signer }) });
    open(made.id);
    return made;
  },
  find_vault: async ({ url }) => await EdvClient.findConfig({ url, controller: did, referenceId: 'primary', invocationSigner: signer }),
  config: withVault('config', async () => await edv.getConfig()),
  update_config: withVault('update_config', async (members) => {
    const before = await edv.getConfig();
    await edv.updateConfig({ config: { ...before, ...members, sequence: before.sequence + 1 } });
  }),
  insert: withVault('insert', async ({ content, id }) => ({ id: (await edv.insert({ doc: { ...(id ? { id } : {}), content } })).id })),
  get: withVault('get', async ({ id }) => {
    const { content, sequence, stream } = await edv.get({ id });
    return { content, sequence, stream };
  }),
  /** Content anew, from a document as it was read: a `stale` one is read before another update. */
  update: withVault('update', async ({ id, content, stale }) => {
    const doc = await edv.get({ id });
    if (stale) await edv.update({ doc: structuredClone(doc) });
    return { sequence: (await edv.update({ doc: { ...doc, content } })).sequence };
  }),
  remove: withVault('remove', async ({ id }) => await edv.delete({ doc: await edv.get({ id }) })),
  find: withVault('find', async ({ equals, has }) => {
    const { documents } = await edv.find({ equals, has });
    return documents.map(({ id, content }) => ({ id, content }));
  }),
  count: withVault('count', async ({ equals, has }) => await edv.count({ equals, has })),
  index: withVault('index', async ({ id }) => await edv.updateIndex({ doc: await edv.get({ id }) })),
  /** A document with a stream of so many bytes. Its chunks are encrypted as they are written: to the service too, where it is to read them. */
  stream: withVault('stream', async ({ bytes, content, service }) => {
    if (service) known.set(service.key.id, service.key);
    const recipients = [keyAgreementKey.id, ...(service ? [service.key.id] : [])].map(recipient);
    let left = bytes;
    const stream = new ReadableStream({
      pull(controller) {
        const size = Math.min(left, 1 << 20);
        if (size > 0) controller.enqueue(new Uint8Array(size).fill(left % 251));
        left -= size;
        if (left === 0) controller.close();
      },
    });
    const { id, stream: end } = await edv.insert({ doc: { content }, stream, recipients });
    return { id, chunks: end.chunks };
  }),
  read_stream: withVault('read_stream', async ({ id }) => {
    const reader = (await edv.getStream({ doc: await edv.get({ id }) })).getReader();
    let bytes = 0;
    for (let one = await reader.read(); !one.done; one = await reader.read()) bytes += one.value.length;
    return { bytes };
  }),
  /** The two halves of a grant: the service's key among those that the document is encrypted to, and a capability to read it. */
  grant: withVault('grant', async ({ id, service, seconds = 3600, write = false }) => {
    known.set(service.key.id, service.key);
    await edv.update({ doc: await edv.get({ id }), recipients: [recipient(service.key.id)] });
    return await zcaps.delegate({
      capability: `urn:zcap:root:${encodeURIComponent(edv.id)}`,
      invocationTarget: `${edv.id}/documents/${id}`,
      controller: service.did,
      expires: new Date(Date.now() + seconds * 1000),
      allowedActions: write ? ['read', 'write'] : ['read'],
    });
  }),
  /** A write-only right, as a device has it that makes backups. */
  delegate: withVault(
    'delegate',
    async ({ target, to, actions, seconds = 3600 }) =>
      await zcaps.delegate({
        capability: `urn:zcap:root:${encodeURIComponent(edv.id)}`,
        invocationTarget: `${edv.id}${target}`,
        controller: to,
        expires: new Date(Date.now() + seconds * 1000),
        allowedActions: actions,
      }),
  ),
  revoke: withVault('revoke', async ({ capability }) => {
    await edv.revokeCapability({ capabilityToRevoke: capability, invocationSigner: signer });
  }),
  /** Encrypts a document again, to its owner alone: `update` keeps the recipients of before. */
  rewrap: withVault('rewrap', async ({ id }) => {
    const doc = await edv.get({ id });
    const own = doc.jwe.recipients.filter(({ header }) => header.kid === keyAgreementKey.id);
    await edv.update({ doc: { ...doc, jwe: { ...doc.jwe, recipients: own } } });
  }),
});
