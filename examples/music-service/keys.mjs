import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Ed25519Signature2020 } from '@digitalbazaar/ed25519-signature-2020';
import { Ed25519VerificationKey2020 } from '@digitalbazaar/ed25519-verification-key-2020';
import { ZcapClient } from '@digitalbazaar/ezcap';
import { X25519KeyAgreementKey2020 } from '@digitalbazaar/x25519-key-agreement-key-2020';

/** The keys of one side: a did:key that signs, and the X25519 key that content is encrypted to. They never leave this process. */
export async function newKeys() {
  const key = await Ed25519VerificationKey2020.generate();
  const did = `did:key:${key.fingerprint()}`;
  key.id = `${did}#${key.fingerprint()}`;
  key.controller = did;
  const keyAgreementKey = X25519KeyAgreementKey2020.fromEd25519VerificationKey2020({ keyPair: key });
  keyAgreementKey.id = `${did}#${keyAgreementKey.fingerprint()}`;
  const signer = key.signer();
  const zcaps = new ZcapClient({ SuiteClass: Ed25519Signature2020, invocationSigner: signer, delegationSigner: signer });
  return { did, signer, keyAgreementKey, zcaps };
}

/** The key that blinds what a vault is searched by. */
export function newHmac() {
  const secret = randomBytes(32);
  const sign = async ({ data }) => new Uint8Array(createHmac('sha256', secret).update(data).digest());
  const verify = async ({ data, signature }) => timingSafeEqual(await sign({ data }), signature);
  return { id: 'urn:hmac:1', type: 'Sha256HmacKey2019', sign, verify };
}
