import type { Row } from '../rows/rows.ts';

const WS = 'src/admin/ws.ts';
const STREAM = 'src/admin/event-stream.ts';
const KEYLESS = 'src/admin/keyless-sockets.ts';
const ROUTES = 'src/admin/routes/multitenancy.ts';

export const MUTATIONS: readonly Row[] = [
  {
    id: 'A5',
    text: 'a stream of events ends with its token',
    mutation: { file: STREAM, from: '    for (const name of notification.invalidate)\n', to: '    for (const name of [] as string[])\n' },
  },
  {
    id: 'A5-2',
    text: 'the token is looked at before events are shown',
    mutation: { file: STREAM, from: '    await endVoid(tenant);\n    for (const { id,', to: '    for (const { id,' },
  },
  {
    id: 'A5-3',
    text: 'the scope of a token counts for events too',
    mutation: {
      file: 'src/admin/auth.ts',
      from: 'if (token.scope && !token.scope.includes(need))',
      to: "if (need === 'write' && token.scope && !token.scope.includes(need))",
    },
  },
  {
    id: 'A5-4',
    text: 'a call that waited for its turn is admitted again',
    mutation: {
      file: 'src/admin/perform.ts',
      from: '      await stillAdmitted();\n      return await handle();',
      to: '          return await handle();',
    },
  },
  {
    id: 'A5-5',
    text: 'an answer goes to a token that is still valid',
    mutation: { file: 'src/admin/perform.ts', from: '    if (!op.endsToken) await stillAdmitted();\n', to: '' },
  },
  {
    id: 'A8',
    text: 'a token that a token makes ends with it',
    mutation: { file: ROUTES, from: 'issue(id, { expiresIn, notAfter: own.exp, scope })', to: 'issue(id, { expiresIn, scope })' },
  },
  {
    id: 'A8-2',
    text: 'a token that is not valid any more is not replaced',
    mutation: {
      file: 'src/resources/multitenancy.ts',
      from: 'if (body.instead !== undefined && !liveTokens',
      to: 'if (body.instead === null && !liveTokens',
    },
  },
  {
    id: 'A8-3',
    text: 'a repeated creation needs the key of the wallet',
    mutation: {
      file: ROUTES,
      from: 'const open = await opened(admin, id, { ...wishes, ...(unmanaged ? { wallet_key: walletKey! } : {}) } as JsonObject);',
      to: 'const open = wishes.expires_in;',
    },
  },
  {
    id: 'A16',
    text: 'a socket without a key is let go',
    mutation: {
      file: WS,
      from: "const over = keyless.enter(address, () => end(socket, 1008, 'no key came'));",
      to: 'const over = keyless.enter(address, () => undefined);',
    },
  },
  {
    id: 'A16-2',
    text: 'sockets without a key are bounded',
    mutation: {
      file: WS,
      from: 'if (!admitted && !keyless.mayCome(address))',
      to: "if (!admitted && !keyless.mayCome(address) && address === '')",
    },
  },
  {
    id: 'A16-3',
    text: 'its place is free when its time is over',
    mutation: { file: KEYLESS, from: '        over();\n        onLate();', to: '        onLate();' },
  },
  {
    id: 'A16-4',
    text: 'whoever has the most gives way',
    mutation: { file: KEYLESS, from: 'if (most.size <= own) return false;', to: 'return false;' },
  },
  {
    id: 'A19',
    text: 'locking drops the wrapped key',
    mutation: { file: ROUTES, from: '  await admin.kernel.db.admin.lockTenant(id);\n', to: '' },
  },
  {
    id: 'A19-2',
    text: 'the time that a wallet is open does not only grow',
    mutation: {
      file: 'src/adapters/postgres/tenants.ts',
      from: 'open_until = $3::bigint WHERE',
      to: 'open_until = greatest(open_until, $3::bigint) WHERE',
    },
  },
];
