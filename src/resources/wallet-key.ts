import { verkeyBytes } from '../didcomm/encoding.ts';
import { toMultikey } from '../dids/did-key.ts';
import { seedBytes } from '../dids/seed.ts';
import { AppError } from '../errors.ts';
import { command, defineProtocol, NEW } from '../kernel/protocol.ts';
import Type from '../kernel/type.ts';
import type { Lookup } from '../ports/store.ts';
import { type WalletKeyValue, walletKey } from '../records/wallet-key.ts';

const Kid = Type.String({ minLength: 1, maxLength: 2000 });
const byKid = (kid: string | undefined): Record<string, Lookup> =>
  kid === undefined ? {} : { taken: { category: walletKey.category, tag: 'kid', equals: kid } };

/** Keys of the wallet that belong to no DID of it, and the names (verification methods) that they are used under. */
export const walletKeys = defineProtocol<WalletKeyValue>({
  name: 'wallet-key',
  uris: [],
  binds: walletKey,
  messages: {},
  commands: {
    create: command({
      route: 'POST /wallet/keys',
      tag: 'wallet',
      summary: 'Create a key pair',
      status: 201,
      body: Type.Object({ alg: Type.Optional(Type.String()), seed: Type.Optional(Type.String()), kid: Type.Optional(Kid) }),
      from: [NEW],
      load: ({ body }) => byKid(body.kid),
      step(ctx, { body }) {
        if (body.alg !== undefined && body.alg !== 'ed25519')
          throw new AppError('bad-request', `Unknown key algorithm ${body.alg}: use ed25519`);
        if (ctx.loaded.taken) throw new AppError('bad-request', `kid '${body.kid}' already exists in wallet.`);
        const key = ctx.newKey(body.seed === undefined ? undefined : seedBytes(body.seed));
        const multikey = toMultikey({ type: 'ed25519', bytes: verkeyBytes(key.verkey) });
        const value: WalletKeyValue = { verkey: key.verkey, multikey, kid: body.kid };
        return {
          record: { id: multikey, states: ['stored'], patch: value },
          keys: [key.write],
          answer: { kid: body.kid ?? null, multikey },
        };
      },
    }),
    update: command({
      route: 'PUT /wallet/keys',
      tag: 'wallet',
      summary: "Update a key pair's kid",
      body: Type.Object({ multikey: Type.String({ maxLength: 200 }), kid: Kid }),
      from: ['stored'],
      about: ({ body }) => ({ category: walletKey.category, id: body.multikey }),
      load: ({ body }) => byKid(body.kid),
      step(ctx, { body }) {
        const { taken } = ctx.loaded;
        if (taken && taken.id !== ctx.record!.id) throw new AppError('bad-request', `kid '${body.kid}' already exists in wallet.`);
        return { record: { patch: { kid: body.kid } }, answer: { kid: body.kid, multikey: body.multikey } };
      },
    }),
  },
});
