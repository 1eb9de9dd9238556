import { EdvClient } from '@digitalbazaar/edv-client';
import { newKeys } from './keys.mjs';
import { serve } from './serve.mjs';

/** A music service: reads a playlist when it plays it, and stores nothing of it. */

const { did, signer, keyAgreementKey, zcaps } = await newKeys();
const client = (capability) => new EdvClient({ capability, keyAgreementKey, invocationSigner: signer });
const idOf = ({ invocationTarget }) => invocationTarget.split('/').at(-1);

serve({
  who: async () => ({ did, key: await keyAgreementKey.export({ publicKey: true, includeContext: true }) }),
  play: async ({ capability, id = idOf(capability) }) => (await client(capability).get({ id })).content,
  /** The document as the hub has it. */
  raw: async ({ capability, url }) => (await zcaps.read({ url, capability })).data,
  read_stream: async ({ capability }) => {
    const edv = client(capability);
    const reader = (await edv.getStream({ doc: await edv.get({ id: idOf(capability) }) })).getReader();
    let bytes = 0;
    for (let one = await reader.read(); !one.done; one = await reader.read()) bytes += one.value.length;
    return { bytes };
  },
  /** A new version, by a right to write; `keys`: the public keys of the others that it is encrypted to. */
  write: async ({ capability, content, keys = [] }) => {
    const edv = client(capability);
    const known = [...keys, await keyAgreementKey.export({ publicKey: true, includeContext: true })];
    const doc = { ...(await edv.get({ id: idOf(capability) })), content };
    await edv.update({ doc, keyResolver: async ({ id }) => known.find((one) => one.id === id) });
  },
});
