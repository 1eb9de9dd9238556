import { type NamedTest, type Requirement, shown } from './requirement.ts';

const FLOW = 'test/flows/owner.test.ts';
const REGISTER: NamedTest = ['test/interop/owner.test.ts', '[S2-18] [S2-19] a register that nobody may alter'];
const flow = (title: string): NamedTest => [FLOW, title];

/** The owner of an institution agent, and the API for configuration. */
export const OWNER_ROWS: readonly Requirement[] = [
  shown(
    'S2-13',
    'an institution edge agent runs on a server',
    { file: 'src/app.ts', from: '  await connectOwners(kernel, calls, BASE, config, log);\n', to: '' },
    flow('[S2-13] an agent without an admin API is driven by its owner'),
  ),
  shown('S2-14', 'business rules are configured by messages', {
    file: 'src/kernel/decisions.ts',
    from: 'action: policy?.value.action ?? (',
    to: 'action: (',
  }),
  shown(
    'S2-15',
    'the institution agent holds the keys of its organisation',
    { file: 'src/protocols/owner/members.ts', from: "tag: 'posture', equals: 'public'", to: "tag: 'posture', equals: 'none'" },
    flow('[S2-15] the keys that sign are the agent'),
  ),
  shown('S2-16', 'business knowledge is injected', {
    file: 'src/protocols/configuration/rules.ts',
    from: 'body.approvers ?? (ctx.connection ? [ctx.connection.id] : [])',
    to: 'body.approvers ?? []',
  }),
  shown('S2-17', 'the owner controls the agent', {
    file: 'src/protocols/configuration/rules.ts',
    from: 'at < 0 ? [...policies, policy]',
    to: 'at < 0 ? [policy]',
  }),
  shown(
    'S2-18',
    'the owner integrates existing systems',
    { file: 'examples/owner/register.py', from: '(seq, reply["cred_ex_id"])', to: '(seq, str(seq))' },
    REGISTER,
  ),
  shown(
    'S2-19',
    'a publisher works from a stream of events',
    { file: 'examples/owner/register.py', from: 'sqlite3.connect(owner.file.with_name("issued.db"))', to: 'sqlite3.connect(register)' },
    REGISTER,
  ),
  shown(
    'S2-20',
    'owner and agent talk by encrypted messages',
    {
      file: 'src/message-formats/didcomm-v1.ts',
      from: 'pack({ message: JSON.stringify(message), recipients, sender })',
      to: "(/admin-connections/.test(String(message['@type'])) ? JSON.stringify(message) : pack({ message: JSON.stringify(message), recipients, sender }))",
    },
    flow('[S2-20] what goes between owner and agent is sealed'),
  ),
  shown('S2-21', 'the owner has no wallet', { file: 'src/owner-command.ts', from: 'mode: 0o600', to: 'mode: 0o644' }, [
    'test/owner-command.test.ts',
    '[S2-21] the owner that is written imports one crypto library',
  ]),
  shown(
    'S2-22',
    'encryption keys are injected',
    {
      file: 'src/kernel/message-transition.ts',
      from: 'if (step.grant !== undefined && !isGranted(trust.connection, step.grant))',
      to: 'if (step === undefined)',
    },
    flow('[S2-22] keys are injected'),
  ),
  shown(
    'S2-23',
    'the owner has a schema made',
    { file: 'src/protocols/owner/admin-schemas.ts', from: "      reply: 'schema-id',\n", to: "      reply: 'schema',\n" },
    flow('[S2-23] a schema is made by a message'),
  ),
  shown(
    'S2-24',
    'the owner has a credential definition made',
    {
      file: 'src/protocols/owner/owner-family.ts',
      from: 'spellings: toolbox ?',
      to: 'spellings: !toolbox ?',
    },
    flow('[S2-24] a credential definition is made by a message'),
  ),
  shown(
    'S2-25',
    'the owner has a credential issued',
    { file: 'src/protocols/owner/admin-issuer.ts', from: "          command: 'send',\n", to: "          command: 'send-offer',\n" },
    flow('[S2-25] a credential is issued and a proof asked for'),
  ),
  shown('S2-26', 'the owner registers handlers', {
    file: 'src/kernel/decisions.ts',
    from: "consult: matching.find(({ mode }) => mode === 'consult'),",
    to: 'consult: undefined,',
  }),
  shown('S2-27', 'handlers are optional', {
    file: 'src/kernel/decisions.ts',
    from: 'asked.automatic && isAllowed(asked, defaults)',
    to: 'asked.automatic',
  }),
  shown('S2-28', 'an API for configuration', {
    file: 'src/protocols/configuration/rules.ts',
    from: "...written(ctx, { defaults: defaults as Rules['defaults'] }),",
    to: '',
  }),
];
