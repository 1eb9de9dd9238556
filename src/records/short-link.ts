import { compact, defineRecord, isoTime } from '../kernel/record.ts';
import { linkName } from '../kernel/short-links.ts';

/** A short link to an invitation beside the invitation's own, with an end of its own (RFC 0434, "URL Shortening"). */
export interface ShortLinkValue {
  [member: string]: unknown;
  oob_id: string;
  code: string;
  short_url: string;
  /** Its end, ms since 1970; absent where it ends with the invitation. */
  ends?: number;
  /** How often the invitation is given out; absent: any number of times. */
  max_uses?: number;
  /** How often it was given out, counted where `max_uses` is set. */
  uses: number;
}

export const shortLink = defineRecord<ShortLinkValue>({
  category: 'short_link',
  idField: 'short_link_id',
  label: 'Short link',
  states: ['open', 'used'],
  view: ({ id, state, created, value }) =>
    compact({
      short_link_id: id,
      state,
      created_at: isoTime(created),
      oob_id: value.oob_id,
      short_url: value.short_url,
      expires_at: value.ends === undefined ? undefined : isoTime(value.ends),
      max_uses: value.max_uses,
      uses: value.max_uses === undefined ? undefined : value.uses,
    }),
  tags: ({ oob_id }) => ({ oob_id }),
  removed: ({ value }) => ({ removedKeyOwners: [linkName(value.code)] }),
  admin: { list: '/short-links', one: '/short-links/{short_link_id}', tag: 'out-of-band', remove: true, filters: { oob_id: 'oob_id' } },
});
