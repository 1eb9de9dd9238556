import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const CONSOLE = 'src/web/console.ts';
const PAGES = 'src/web/pages.ts';
const SESSIONS = 'src/web/sessions.ts';

const LOGIN: Breakable['tests'] = [['test/flows/console-login.test.ts', 'a forged token, another nonce']];

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A60-1',
    text: "a call of the console has the header that only the session's page knows",
    mutation: { file: CONSOLE, from: "if (request.headers['x-csrf'] !== session.csrf) throw foreign();", to: '' },
  },
  {
    id: 'A60-2',
    text: 'a session ends with the key that it was opened with',
    mutation: {
      file: CONSOLE,
      from: '(session.token === undefined && session.key !== key)',
      to: '(session.token === undefined && session.key === undefined)',
    },
  },
  {
    id: 'A60-3',
    text: 'wrong keys are counted before their outcome is known',
    mutation: { file: 'src/web/desk.ts', from: '      entry.count++;\n', to: '      setTimeout(() => entry.count++, 500).unref();\n' },
  },
  {
    id: 'A60-4',
    text: 'a role is enforced at the call',
    mutation: { file: CONSOLE, from: 'if (!mayCall(session.role, op)) throw', to: 'if (!session.role) throw' },
  },
  {
    id: 'A60-5',
    text: "a session's wallet is that of its token, as the admin API has it",
    mutation: { file: CONSOLE, from: "session.token === undefined ? { 'x-api-key'", to: "session.role ? { 'x-api-key'" },
  },
  {
    id: 'A60-6',
    text: 'a socket of the console is of its own page, and ends with the session',
    mutation: {
      file: PAGES,
      from: "    for (const socket of open.get(id) ?? []) socket.close(1008, 'the session has ended');\n",
      to: '',
    },
  },
  {
    id: 'A60-7',
    text: 'a page of another port reads no session',
    mutation: {
      file: CONSOLE,
      from: "if (String(request.headers['sec-fetch-site'] ?? 'same-origin') !== 'same-origin') throw foreign();",
      to: '',
    },
  },
  {
    id: 'A60-8',
    text: 'no origin may read the console, whatever the API allows',
    mutation: { file: 'src/admin/server.ts', from: 'if (!isOfFace(request.url))', to: 'if (request.url)' },
  },
  {
    id: 'A60-9',
    text: 'a session that is over is over',
    mutation: { file: SESSIONS, from: 'Math.min(one.ends, one.seen + kind.idleMs) <= now()', to: 'one.ends <= now()' },
  },
  {
    id: 'A61',
    text: 'an ID token of a login at the console is signed by the provider',
    mutation: { file: 'src/web/oidc.ts', from: '[oidc.enableNonRepudiationChecks, ...', to: '[...' },
    tests: LOGIN,
  },
  {
    id: 'A61-2',
    text: 'a login at the console ends in the browser that it began in',
    mutation: { file: 'src/web/oidc.ts', from: 'expectedState: state,', to: 'expectedState: oidc.skipStateCheck,' },
    tests: LOGIN,
  },
  {
    id: 'A61-3',
    text: 'who has no role at the console is not signed in',
    mutation: {
      file: 'src/web/oidc.ts',
      from: '    return Array.isArray(own) ? own.includes(value) : own === value;\n',
      to: '    return own !== value || Array.isArray(own);\n',
    },
    tests: [['test/flows/console-login.test.ts', 'who has no role']],
  },
];
