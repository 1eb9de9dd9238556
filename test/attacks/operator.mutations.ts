import type { Breakable } from '../mutations.ts';
import type { Row } from '../rows/rows.ts';

const LINKS = 'src/resources/short-link.ts';
const links = (title: string): readonly [string, string] => ['test/flows/short-links.test.ts', title];
const tenants = (title: string): readonly [string, string] => ['test/flows/tenants.test.ts', title];
const SUSPENDED = tenants('a suspended wallet is refused');
const TEXTS: readonly [string, string] = ['src/web/landing.test.ts', 'texts of others are shown as texts'];

export const MUTATIONS: readonly (Row & Breakable)[] = [
  {
    id: 'A50',
    text: 'no text of others is markup on a landing page',
    mutation: { file: 'src/web/landing.ts', from: 'escaped(seen)', to: 'seen' },
    tests: [TEXTS],
  },
  {
    id: 'A50-2',
    text: 'marks that turn or hide text are seen on a landing page',
    mutation: { file: 'src/web/landing.ts', from: '.replace(UNSEEN, (char)', to: '.replace(/(?!)/u, (char)' },
    tests: [TEXTS],
  },
  {
    id: 'A50-3',
    text: 'a long URL shows the texts of the invitation of ours that it holds, and of no other',
    mutation: {
      file: LINKS,
      from: "  if (heldBy(request)?.message['@id'] !== invitation['@id']) return strange(request);\n",
      to: '',
    },
    tests: [links('the long URL shows the texts')],
  },
  {
    id: 'A50-4',
    text: 'a link is used no more often than it may',
    mutation: { file: LINKS, from: "if (most !== undefined && request.method !== 'HEAD')", to: 'if (most === 0)' },
    tests: [links('a controller makes further links')],
  },
  {
    id: 'A51',
    text: 'a token of a suspended wallet admits nobody',
    mutation: { file: 'src/admin/auth.ts', from: 'if (suspended) throw', to: 'if (suspended === false) throw' },
    tests: [SUSPENDED],
  },
  {
    id: 'A51-2',
    text: 'mail for a suspended wallet waits',
    mutation: { file: 'src/kernel/inbound.ts', from: 'if (await isSuspended(kernel, owner.tenant)) {', to: "if (owner.tenant === '') {" },
    tests: [SUSPENDED],
  },
  {
    id: 'A51-3',
    text: 'the sockets of a suspended wallet end',
    mutation: { file: 'src/admin/auth.ts', from: '!read.suspended && ', to: '' },
    tests: [SUSPENDED],
  },
  {
    id: 'A52',
    text: 'a reservation becomes a wallet by its password alone',
    mutation: { file: 'src/admin/routes/reservations.ts', from: 'timingSafeEqual(hash, expected)', to: 'timingSafeEqual(hash, hash)' },
    tests: [tenants('a reservation becomes a wallet')],
  },
  {
    id: 'A53',
    text: 'the row of a call in the audit trail is in the commit of the call',
    mutation: { file: 'src/kernel/commit-plan.ts', from: 'records: origin.audited', to: 'records: origin.audited === null' },
    tests: [['test/flows/audit.test.ts', 'a command has its row']],
  },
  {
    id: 'A53-2',
    text: 'no address of a caller is in the audit trail',
    mutation: {
      file: 'src/admin/audit.ts',
      from: "return createHmac('sha256', await secret)",
      to: "if (await secret) return address;\n    return createHmac('sha256', await secret)",
    },
    tests: [['test/flows/audit.test.ts', 'a command has its row']],
  },
  {
    id: 'A54',
    text: 'no cell of a result is a formula',
    mutation: { file: 'src/admin/csv.ts', from: 'FORMULA.test(text) ?', to: "text === '' ?" },
    tests: [['src/admin/csv.test.ts', 'cells that a spreadsheet would compute']],
  },
  {
    id: 'A54-2',
    text: 'a row of a batch counts once',
    mutation: {
      file: 'src/protocols/credentials/batch.ts',
      from: "        if (output.number !== value.next || row?.state !== 'waiting') return {};\n",
      to: '',
    },
    tests: [['src/protocols/credentials/batch.test.ts', 'result row: counts a row once']],
  },
];
