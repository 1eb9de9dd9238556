import { isDeepStrictEqual } from 'node:util';
import { ocaBundleId, type VerifiedBundle } from '../../formats/oca-bundle.ts';
import { changed, type ResultStep } from '../../kernel/protocol.ts';
import type { JsonObject } from '../../ports/json.ts';
import type { Lookup } from '../../ports/store.ts';
import { type OcaBundleValue, ocaBundle } from '../../records/oca-bundle.ts';
import type { IssuingValue } from './issuing-version.ts';

/** The result of the work on a look that an offer brings. */
export const LOOKED = 'looked';

/** The look of an offered credential's definition is kept, once its issuer's signature is verified, whatever has become of the exchange. */
export const looked: ResultStep<IssuingValue> = {
  from: '*',
  load: (output): Record<string, Lookup> => {
    const { found, gone } = output as { found?: JsonObject; gone?: string };
    return {
      ...(found && { known: { category: ocaBundle.category, id: ocaBundleId(String(found.cred_def_id)) } }),
      ...(gone !== undefined && { gone: { category: ocaBundle.category, id: gone } }),
    };
  },
  step(ctx, { found }: { found?: VerifiedBundle }) {
    const known = ocaBundle.of(ctx.loaded.known);
    // the look of an own definition is its owner's alone
    if (!found || known?.role === 'issuer' || isDeepStrictEqual(known?.value.bundle, found.bundle)) return {};
    // one that somebody has kept since and sends again
    if ((known?.value.signed_at ?? 0) > (found.signed_at ?? 0)) return {};
    const change = { id: ocaBundleId(found.cred_def_id), base: known, role: 'holder', states: ['active'], patch: { ...found } };
    const gone = ocaBundle.of(ctx.loaded.gone);
    return {
      others: [
        changed<OcaBundleValue>({ def: ocaBundle, ...change }),
        // it makes room for this one
        ...(gone ? [changed<OcaBundleValue>({ def: ocaBundle, base: gone, remove: true })] : []),
      ],
    };
  },
};
