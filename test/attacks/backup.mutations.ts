// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the product stand here as text

import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const CONTAINER = 'src/backup/container.ts';
const IMPORT = 'src/backup/import.ts';
const CARRIED = 'src/adapters/store/carried.ts';
const PLACES = 'src/admin/backup-places.ts';
const ROUTE = 'src/admin/routes/wallet-backup.ts';
const SHARES = 'edge/shares.ts';
const TRUSTEE = 'src/protocols/recovery-share.ts';
const AT_AGENCY = 'src/protocols/agency/backup-steps.ts';

/** The defences around backups, and how each is taken out. */
export const MUTATIONS: readonly (Row & Pick<Breakable, 'tests'>)[] = [
  {
    id: 'BK-1',
    text: 'a line has the one form of its bytes',
    mutation: { file: CONTAINER, from: 'if (!isCanonical(token)) throw damaged(`line', to: 'if (!token) throw damaged(`line' },
  },
  {
    id: 'BK-2',
    text: 'a line stands in its own place',
    mutation: { file: CONTAINER, from: 'if (opened.protectedHeader.n !== n)', to: 'if (opened.protectedHeader.n === undefined)' },
  },
  {
    id: 'BK-3',
    text: 'an older generation is refused',
    mutation: {
      file: IMPORT,
      from: 'if (atLeast !== undefined && head.generation < atLeast)',
      to: 'if (atLeast !== undefined && atLeast < 0)',
    },
  },
  {
    id: 'BK-4',
    text: 'other words are told apart from damage',
    mutation: { file: CONTAINER, from: 'if (header.kid !== thumbprint(secret))', to: 'if (header.kid === undefined)' },
  },
  {
    id: 'BK-5',
    text: 'a share counts once',
    mutation: { file: SHARES, from: '[...new Set(texts.map((text) => text.trim()))].map(shareOf)', to: 'texts.map(shareOf)' },
  },
  {
    id: 'BK-6',
    text: 'words of shares that were changed are none',
    mutation: { file: SHARES, from: ' || thumbprint(keysOfEntropy(entropy).secret) !== first.key', to: '' },
  },
  {
    id: 'BK-7',
    text: 'all of an instance goes into an empty store alone',
    mutation: { file: IMPORT, from: 'if (of === undefined) await checkEmpty(db);', to: 'if (of === undefined) await isThere(db, base);' },
  },
  {
    id: 'BK-8',
    text: 'a wallet that is there is not erased for one that comes',
    mutation: {
      file: IMPORT,
      from: "if (row) throw new AppError('conflict', `The instance",
      to: "if (!id) throw new AppError('conflict', `The instance",
    },
  },
  {
    id: 'BK-9',
    text: 'a container has the wallet that its head names, and no other',
    mutation: { file: IMPORT, from: '(wallets.length !== 1 || wallets[0] !== of || !record)', to: '!record' },
  },
  {
    id: 'BK-10',
    text: 'a container has no record of another wallet',
    mutation: { file: IMPORT, from: 'if (line.id !== of) throw', to: 'if (line.id === undefined) throw' },
  },
  {
    id: 'BK-11',
    text: 'a wallet name has one owner',
    mutation: { file: IMPORT, from: 'keyOwners: name === undefined ? [] : [', to: 'keyOwners: name !== undefined ? [] : [' },
  },
  {
    id: 'BK-12',
    text: 'a row takes the place of no row of another wallet',
    mutation: { file: 'src/adapters/sqlite/carry.ts', from: '`INSERT INTO ${type} (t,', to: '`INSERT OR REPLACE INTO ${type} (t,' },
  },
  {
    id: 'BK-13',
    text: 'a token of the former instance is none here',
    mutation: { file: IMPORT, from: '  tokens: [],\n', to: '  tokens: former.tokens,\n' },
  },
  {
    id: 'BK-14',
    text: 'a line that is too long is given up',
    mutation: { file: CONTAINER, from: 'if (size > max) throw damaged(tooLong);', to: '' },
  },
  {
    id: 'BK-15',
    text: 'a value is no larger than its row may say',
    mutation: { file: CARRIED, from: "  if (type === 'blob' || type === 'chunk') checkBlob(type, columns, wrong);\n", to: '' },
  },
  {
    id: 'BK-16',
    text: 'a backup starts no code',
    mutation: { file: 'edge/backup.ts', from: 'text: stringify(settings),', to: 'text: Buffer.from(bytes).toString(),' },
  },
  {
    id: 'BK-17',
    text: 'a token that may only write gets no backup',
    mutation: { file: ROUTE, from: "if (scope && !scope.includes('read')) throw", to: 'if (scope && scope.length === 0) throw' },
  },
  {
    id: 'BK-18',
    text: 'no wallet is given out where the operator does not say so',
    mutation: { file: ROUTE, from: "if (config['wallet-backup'] !== true)", to: 'if (config === undefined)' },
  },
  {
    id: 'BK-19',
    text: 'a generation is a number',
    mutation: { file: CONTAINER, from: ' || !Number.isSafeInteger(rest.generation)) throw', to: ') throw' },
  },
  {
    id: 'BK-20',
    text: 'a signature opens backups on the connection of its keys alone',
    mutation: {
      file: 'src/protocols/agency/backup-parts.ts',
      from: "return verifyBytes(Buffer.from(signature, 'base64url'), text, verkey);",
      to: 'return verifyBytes !== undefined && text.length > 0 && verkey.length > 0;',
    },
  },
  {
    id: 'BK-21',
    text: 'no backup at an agency is overwritten',
    mutation: { file: AT_AGENCY, from: 'if (generation <= newest) return', to: 'if (generation < 0) return' },
  },
  {
    id: 'BK-22',
    text: 'a device adds backups for words that were opened alone',
    mutation: {
      file: AT_AGENCY,
      from: 'if (!cloud || !backups?.controllers.includes(given.controller)) return unauthorized();',
      to: 'if (!cloud || !backups) return unauthorized();',
    },
  },
  {
    id: 'BK-23',
    text: 'the backups of a cloud agent have a bound',
    mutation: { file: AT_AGENCY, from: 'if (held + bytes > maxBytes(ctx))', to: 'if (held + bytes < 0)' },
  },
  {
    id: 'BK-24',
    text: 'the parts of a backup are as long as it was announced',
    mutation: {
      file: AT_AGENCY,
      from: 'if (given.part === given.parts ? received !== given.bytes : received >= given.bytes)',
      to: 'if (received < 0)',
    },
  },
  {
    id: 'BK-25',
    text: 'a device without the words gets no backup',
    mutation: { file: AT_AGENCY, from: 'const all = ctx.pages.stores && visible(ctx, message);', to: 'const all = visible(ctx, message);' },
  },
  {
    id: 'BK-26',
    text: 'a copy has the marks of messages that are known for good',
    mutation: { file: 'src/adapters/store/carried.ts', from: 'const LASTING = Date.UTC(2100);', to: 'const LASTING = Date.UTC(9999);' },
  },
  {
    id: 'BK-27',
    text: 'names with an end are bounded in a day',
    mutation: { file: 'src/protocols/agency/agency-steps.ts', from: ' || (ends && ending >= maxRoutes(ctx))', to: '' },
  },
  {
    id: 'BK-28',
    text: 'a wallet has one place of its own',
    mutation: { file: PLACES, from: 'held.has(tenant) || held.size', to: 'held.size' },
  },
  {
    id: 'BK-29',
    text: 'one that had a place leaves the last one to others',
    mutation: { file: PLACES, from: '(resting.get(tenant) ?? 0) > now()', to: 'resting.size < 0' },
  },
  {
    id: 'BK-30',
    text: 'a trustee keeps a bounded number of shares for one connection',
    mutation: { file: TRUSTEE, from: 'const full = kept.full(ctx);', to: 'const full = undefined;' },
    tests: [['src/protocols/recovery-share.test.ts', 'message store: beyond what one peer may have kept']],
  },
  {
    id: 'BK-31',
    text: 'one connection has a bounded number of requests for shares that wait',
    mutation: { file: TRUSTEE, from: 'const full = requested.full(ctx);', to: 'const full = undefined;' },
    tests: [['src/protocols/recovery-share.test.ts', 'message release-request: that is asked for again and again']],
  },
  {
    id: 'BK-32',
    text: 'an agency has no mail for the older of two copies of a wallet',
    mutation: {
      file: 'src/protocols/agency/agency.ts',
      from: 'step: (ctx, message) => outdated(ctx, message) ?? {},',
      to: 'step: () => ({}),',
    },
    tests: [['src/protocols/agency/agency.test.ts', 'message still-current: has none for an older copy']],
  },
  {
    id: 'BK-33',
    text: 'a copy of a wallet that says nothing hears that a newer one is in use',
    mutation: {
      file: 'src/mediation/pickup-socket.ts',
      from: "if (device?.state === 'provisioned' && typeof generation === 'number') await",
      to: "if (device?.state === 'provisioned' && generation === undefined) await",
    },
    tests: [['test/flows/agency.test.ts', 'a wallet whose newer copy begins somewhere else hears of it though it says nothing']],
  },
  {
    id: 'BK-34',
    text: 'a key of a restored wallet that its mediator refuses holds no other one',
    mutation: {
      file: 'src/mediation/keylist.ts',
      from: "if (isAwaited || typeof all === 'string') return all;",
      to: 'if (isAwaited || all !== undefined) return all;',
    },
    tests: [['test/faults/keylist.test.ts', 'a key that is refused holds no other one']],
  },
  {
    id: 'BK-35',
    text: 'a key that a mediator has refused is not asked for again',
    mutation: {
      file: 'src/mediation/keylist.ts',
      from: '(value.confirmed === true || value.refused !== undefined)',
      to: 'value.confirmed === true',
    },
    tests: [['test/faults/keylist.test.ts', 'a key that is refused holds no other one']],
  },
];
