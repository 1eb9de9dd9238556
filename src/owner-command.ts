import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { newKeyPair } from './didcomm/keys.ts';
import { builtIn } from './registration.ts';

const HELP = `An owner: a program that drives an agent by encrypted messages, and needs one secret and one crypto library

  ./flexid owner new DIR      write owner.py and owner.toml into DIR; print how the agent lets it in

owner.py needs Python 3.11 and PyNaCl. docs/Owner.md has the rest.
`;

/** The program that is copied. It stands in a clone, and not in an image of the agent alone. */
const TEMPLATE = new URL('../examples/owner/owner.py', import.meta.url);

/** `./flexid owner`. @returns the exit code */
export function ownerCommand(argv: readonly string[], print: (text: string) => void, complain: (text: string) => void): number {
  const [verb, folder, ...rest] = argv;
  if (verb === undefined || verb === '--help' || verb === '-h' || argv.includes('--help')) {
    print(HELP);
    return verb === undefined ? 2 : 0;
  }
  const fail = (why: string): number => {
    complain(`flexid owner: ${why}\n`);
    return 2;
  };
  if (verb !== 'new' || folder === undefined || folder.startsWith('-') || rest.length > 0)
    return fail('./flexid owner new DIR is the call');
  if (!existsSync(TEMPLATE)) return fail('this installation has the agent alone; it runs in a clone of the repository');
  const to = resolve(folder);
  const [script, settings] = [join(to, 'owner.py'), join(to, 'owner.toml')];
  if (existsSync(settings)) return fail(`${settings} is there already, with the secret of an owner: choose another folder`);
  const seed = randomBytes(32);
  const { verkey } = newKeyPair(seed);
  mkdirSync(to, { recursive: true });
  writeFileSync(script, readFileSync(TEMPLATE), { mode: 0o755 });
  const lines = { seed: seed.toString('hex'), agent_verkey: '', agent_endpoint: '' };
  const text = Object.entries(lines).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
  writeFileSync(settings, text.join(''), { mode: 0o600, flag: 'wx' });
  print(invitation(script, verkey));
  return 0;
}

/** How the agent's operator lets an owner in. */
function invitation(script: string, verkey: string): string {
  const body = JSON.stringify({ alias: 'owner', their_verkey: verkey, grants: [...builtIn().grants].sort() });
  return `The key of this owner is ${verkey}. Its secret is in owner.toml, for nobody else to read.

The agent's operator lets it in by one call, whose answer owner.py takes:

  curl -sS -X POST "$ADMIN_URL/connections/create-static" -H "x-api-key: $ADMIN_KEY" -H 'content-type: application/json' \\
    -d '${body}' | python3 ${script} accept

An agent without an admin API has the key from its flags, and its log has the line that owner.py takes:

  ./flexid start ... --owner-key ${verkey} 2> agent.log
  python3 ${script} accept < agent.log
`;
}
