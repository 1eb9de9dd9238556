import type { NextCommand } from './effects.ts';
import type { StepContext } from './protocol.ts';
import type { LoadedRecord } from './record.ts';
import type { Settings } from './settings.ts';

/**
 * Decision points: where an exchange goes on automatically, or waits. Without rules of the tenant the setting of the point decides, or the flag of the call or the
 * record in its place, as in ACA-Py. Rules are handlers, policies and defaults; `verdict` is all of their meaning.
 */

interface PointTraits {
  readonly role: string;
  /** Absent where only an owner's values can go on. */
  readonly setting?: keyof Settings;
  readonly about?: 'issuer' | 'verifier';
}

/** Each point with our role there, its setting, and whom the peer's message names: the issuer of a credential, or who asks for one. */
export const POINTS = Object.freeze({
  'connection-invitation': { role: 'invitee', setting: 'autoAcceptInvites' },
  'connection-request': { role: 'inviter', setting: 'autoAcceptRequests' },
  'credential-proposal': { role: 'issuer', setting: 'autoRespondCredentialProposal' },
  'credential-offer': { role: 'holder', setting: 'autoRespondCredentialOffer', about: 'issuer' },
  'credential-request': { role: 'issuer', setting: 'autoRespondCredentialRequest' },
  credential: { role: 'holder', setting: 'autoStoreCredential', about: 'issuer' },
  'presentation-proposal': { role: 'verifier', setting: 'autoRespondPresentationProposal' },
  'presentation-request': { role: 'prover', setting: 'autoRespondPresentationRequest', about: 'verifier' },
  presentation: { role: 'verifier', setting: 'autoVerifyPresentation' },
  'hub-grant-request': { role: 'owner' },
} as const satisfies Record<string, PointTraits>);

export type Point = keyof typeof POINTS;
export type Action = 'accept' | 'reject' | 'hold';

/** The issuers of an exchange's credentials: one entry for each format, empty where its objects name none. */
export interface Facts {
  readonly issuers?: readonly string[];
  readonly credential_definitions?: readonly string[];
}

/** A point of an exchange, as its step describes it. */
export interface AtPoint {
  /** The name of the message that has brought the exchange here. */
  readonly message: string;
  /** The flag of the call or the record, in the place of the setting. */
  readonly automatic?: boolean | null;
  /** The command that goes on. */
  readonly accept: string;
  /** The command that goes on with an owner's values, where that is another one. */
  readonly replace?: string;
  /** The command that ends the exchange, and its input. */
  readonly reject: string | Pick<NextCommand, 'command' | 'input'>;
  /** The protocol and the record of these commands, where they are not the step's own. */
  readonly protocol?: string;
  readonly record?: NextCommand['record'];
  facts?(): Facts;
}

/** Exchanges that a rule is about. `types`: message types, or points, with `*` for any text. */
export interface Match {
  readonly types?: readonly string[];
  readonly connections?: readonly string[];
  readonly roles?: readonly string[];
}

/** A rule by which owners decide about exchanges that match, or are notified of them. */
export interface Handler {
  readonly handler_id: string;
  readonly match: Match;
  readonly mode: 'consult' | 'notify';
  readonly deliver: 'didcomm' | 'webhook';
  /** Connections that are asked by messages, and whose peers alone may answer so. */
  readonly approvers: readonly string[];
  /** How many of them have to agree. */
  readonly approvals: number;
  readonly timeout_ms: number;
  /** The outcome without an answer: the verdict of policies and defaults, the end of the exchange, or none. */
  readonly on_timeout: 'default' | 'reject' | 'hold';
}

/** Names that are known, of which every one of an exchange must be; an absent list allows all. */
export interface AllowLists {
  readonly issuers?: readonly string[];
  readonly credential_definitions?: readonly string[];
  /** Ids of connections, or public DIDs of their peers. */
  readonly verifiers?: readonly string[];
}

export interface Policy {
  readonly name: string;
  readonly value: AllowLists & { readonly action: Action };
  readonly scope: Match;
}

export interface Defaults extends AllowLists {
  /** The automatic points. */
  readonly auto?: Readonly<Partial<Record<Point, boolean>>>;
  /** Message types, or points, that go on by themselves; an absent list allows all. */
  readonly types?: readonly string[];
  readonly label?: string;
  /** Of handlers that name none. */
  readonly timeout_ms?: number;
  readonly on_timeout?: Handler['on_timeout'];
}

/** The rules of a tenant, in the order in which they were given. */
export interface Rules {
  readonly handlers: readonly Handler[];
  readonly policies: readonly Policy[];
  readonly defaults: Defaults;
}

/** An exchange at a point, as rules see it. */
export interface Asked extends Facts {
  readonly point: Point;
  readonly type: string;
  /** The connection, and all names that its peer is known by. */
  readonly connection?: string;
  readonly names: readonly string[];
  /** The flag of setting, call and record. */
  readonly automatic: boolean;
}

export interface Verdict {
  /** The outcome without an answer of a handler. */
  readonly action: Action;
  /** The handler that decides instead: the first that matches. */
  readonly consult?: Handler;
  readonly notify: readonly Handler[];
}

/** Whether a text is of the form of a glob, whose `*` stands for any text. Linear in both. */
export function globFits(glob: string, text: string): boolean {
  const [first = '', ...rest] = glob.split('*');
  if (rest.length === 0) return glob === text;
  const last = rest.pop()!;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + last.length <= text.length;
}

const fitsOne = (globs: readonly string[], { type, point }: Asked): boolean =>
  globs.some((glob) => globFits(glob, type) || globFits(glob, point));

const isMatched = ({ types, connections, roles }: Match, asked: Asked): boolean =>
  (!types || fitsOne(types, asked)) &&
  (!connections || (asked.connection !== undefined && connections.includes(asked.connection))) &&
  (!roles || roles.includes(POINTS[asked.point].role));

/** Whether all that an exchange names is on a list; nothing is known of one that names nothing. */
const areKnown = (list: readonly string[] | undefined, named: readonly string[] | undefined): boolean =>
  !list || (named !== undefined && named.length > 0 && named.every((one) => list.includes(one)));

const isKnownPeer = (list: readonly string[] | undefined, names: readonly string[]): boolean =>
  !list || names.some((name) => list.includes(name));

/** The verdict of a tenant's rules about an exchange. */
export function verdict(asked: Asked, { handlers, policies, defaults }: Rules): Verdict {
  // an approver is not asked about its own exchanges
  const matching = handlers.filter(
    ({ match, approvers }) => isMatched(match, asked) && !(asked.connection !== undefined && approvers.includes(asked.connection)),
  );
  const policy = policies.find(
    ({ scope, value }) =>
      isMatched(scope, asked) &&
      areKnown(value.issuers, asked.issuers) &&
      areKnown(value.credential_definitions, asked.credential_definitions) &&
      isKnownPeer(value.verifiers, asked.names),
  );
  return {
    action: policy?.value.action ?? (asked.automatic && isAllowed(asked, defaults) ? 'accept' : 'hold'),
    consult: matching.find(({ mode }) => mode === 'consult'),
    notify: matching.filter(({ mode }) => mode === 'notify'),
  };
}

function isAllowed(asked: Asked, { types, issuers, credential_definitions, verifiers }: Defaults): boolean {
  const { about }: PointTraits = POINTS[asked.point];
  if (types && !fitsOne(types, asked)) return false;
  if (about === 'issuer') return areKnown(issuers, asked.issuers) && areKnown(credential_definitions, asked.credential_definitions);
  return about !== 'verifier' || isKnownPeer(verifiers, asked.names);
}

/** The subject of a decision and its commands; without `consult`, of notifications alone. */
export interface DecisionOrder {
  readonly point: Point;
  readonly type: string;
  readonly role: string;
  readonly consult?: Handler;
  readonly notify: readonly Handler[];
  readonly action: Action;
  readonly accept: NextCommand;
  readonly replace?: string;
  readonly reject: NextCommand;
}

/** Whether an exchange goes on automatically at a point, before the rules of the tenant. */
export function isAutomatic(settings: Settings, point: Point, given?: boolean | null): boolean {
  const { setting }: PointTraits = POINTS[point];
  return given ?? (setting !== undefined && settings[setting] === true);
}

/** Settings with a tenant's defaults in their place. */
export function withDefaults(settings: Settings, { auto = {}, label }: Defaults): Settings {
  const flags = Object.entries(auto).flatMap(([point, value]) => {
    const { setting }: PointTraits = POINTS[point as Point];
    return setting === undefined ? [] : [[setting, value] as const];
  });
  return { ...settings, ...Object.fromEntries(flags), ...(label !== undefined && { label }) };
}

/** The tenant's settings and rules, and where its step stands. */
export interface Surrounding {
  readonly settings: Settings;
  readonly rules?: Rules;
  /** The protocol's newest URI. */
  readonly uri: string | undefined;
  readonly connection?: LoadedRecord;
}

/**
 * The commands that follow at a point: the one that goes on, the one that ends the exchange, or none, and the exchange waits for its controller. Where handlers
 * match, the command has their `decision` with it, which the commit makes of it (`kernel/consulting.ts`).
 */
export function nextAt({ settings, rules, uri, connection }: Surrounding, point: Point, at: AtPoint): readonly NextCommand[] {
  const { protocol, record, replace } = at;
  const of = { ...(protocol !== undefined && { protocol }), ...(record !== undefined && { record }) };
  const accept: NextCommand = { command: at.accept, ...of };
  const automatic = isAutomatic(settings, point, at.automatic);
  if (!rules) return automatic ? [accept] : [];
  const reject: NextCommand = { ...(typeof at.reject === 'string' ? { command: at.reject } : at.reject), ...of };
  const type = `${uri ?? ''}/${at.message}`;
  const about = connection?.id ?? (record?.category === 'connection' ? record.id : undefined);
  // the DID of a handshake may be a claim of the peer; a public one was resolved by this agent
  const names = [about, connection?.value.their_public_did].filter((name) => typeof name === 'string');
  const { action, consult, notify } = verdict({ point, type, connection: about, names, automatic, ...at.facts?.() }, rules);
  if (consult || notify.length > 0)
    return [{ ...accept, decision: { point, type, role: POINTS[point].role, consult, notify, action, accept, replace, reject } }];
  return action === 'accept' ? [accept] : action === 'reject' ? [reject] : [];
}

/** The rejection of an exchange of credentials or presentations (RFC 0035). */
export const DECLINED = { command: 'report-problem', input: { description: 'The request was declined' } } as const;

/** The context with a patch of its record applied, for readers of its members. */
export const patched = <V extends LoadedRecord['value']>(ctx: StepContext<V>, patch: Partial<V>): StepContext<V> => ({
  ...ctx,
  record: { id: '', version: 0, created: ctx.now, updated: ctx.now, ...ctx.record, value: { ...ctx.record?.value, ...patch } as V },
});
