import { canonicalAlgoId } from '../dids/did-algo.ts';
import { canonicalName } from './anoncreds-values.ts';
import { isUnrestricted } from './proof-request.ts';

/** One credential, as far as restrictions can be checked against it. */
export interface Subject {
  schemaId: string;
  schemaName: string;
  schemaVersion: string;
  schemaIssuerId: string;
  credentialDefinitionId: string;
  issuerId: string;
  /** It can be revoked: in which registry it is a proof of non-revocation would show, and nothing else does. */
  revocable?: boolean;
  /** Canonical names of all its attributes. */
  attributes: ReadonlySet<string>;
  /** Raw values that are known, by canonical name: all for the holder, the revealed ones for the verifier. */
  values: ReadonlyMap<string, string>;
}

/** A restriction that is outside the subset of WQL that credentials need. */
export class WqlUnsupported extends Error {}

const MAX_NODES = 1000;
const MAX_DEPTH = 16;

/** Three-valued, since a verifier does not see every value: what is unknown is neither met nor, under `$not`, excluded. */
type Answer = boolean | undefined;

/**
 * Whether a credential provably meets restrictions in WQL: a list is satisfied by any of its members, an object by all of its. Tags are `schema_id`,
 * `schema_name`, `schema_version`, `schema_issuer_did|id`, `cred_def_id`, `issuer_did|id`, `rev_reg_id`, `attr::NAME::marker` and `attr::NAME::value`; operators
 * `$and`, `$or`, `$not`, `$in`, `$eq`, `$neq`.
 * @throws WqlUnsupported
 */
export function meets(restrictions: unknown, subject: Subject): boolean {
  if (isUnrestricted(restrictions)) return true;
  return evaluate(restrictions, subject, { nodes: 0 }, 0) === true;
}

function evaluate(query: unknown, subject: Subject, count: { nodes: number }, depth: number): Answer {
  if (++count.nodes > MAX_NODES || depth > MAX_DEPTH) throw new WqlUnsupported('restrictions are too large');
  const each = (queries: unknown[]): Answer[] => queries.map((one) => evaluate(one, subject, count, depth + 1));
  if (Array.isArray(query)) return any(each(query));
  if (typeof query !== 'object' || query === null) throw new WqlUnsupported('a restriction is no object');
  return all(
    Object.entries(query).map(([name, value]: [string, unknown]): Answer => {
      if (name === '$and') return all(each(list(value)));
      if (name === '$or') return any(each(list(value)));
      if (name === '$not') return not(evaluate(value, subject, count, depth + 1));
      if (++count.nodes > MAX_NODES) throw new WqlUnsupported('restrictions are too large');
      return compare(name, value, subject);
    }),
  );
}

const all = (answers: Answer[]): Answer => (answers.includes(false) ? false : answers.includes(undefined) ? undefined : true);
const any = (answers: Answer[]): Answer => (answers.includes(true) ? true : answers.includes(undefined) ? undefined : false);
const not = (answer: Answer): Answer => (answer === undefined ? undefined : !answer);

/** Tags that hold identifiers are compared in their canonical spelling. */
function compare(tag: string, wanted: unknown, subject: Subject): Answer {
  const held = tagValue(tag, subject);
  const equals = (value: unknown): Answer => {
    if (typeof value !== 'string') throw new WqlUnsupported(`a value of ${tag} is no text`);
    if (held === undefined) return undefined;
    if (held === value) return true;
    return (tag.endsWith('_id') || tag.endsWith('_did')) && held !== null && canonicalAlgoId(held) === canonicalAlgoId(value);
  };
  if (typeof wanted === 'string') return equals(wanted);
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) throw new WqlUnsupported(`a value of ${tag}`);
  return all(
    Object.entries(wanted).map(([operator, value]: [string, unknown]): Answer => {
      if (operator === '$in') return any(list(value).map(equals));
      if (operator === '$eq') return equals(value);
      if (operator === '$neq') return not(equals(value));
      throw new WqlUnsupported(`the operator ${operator.slice(0, 16)}`);
    }),
  );
}

/** A credential's value of a tag; null: none, undefined: a value that is not known. */
function tagValue(tag: string, subject: Subject): string | null | undefined {
  switch (tag) {
    case 'schema_id':
      return subject.schemaId;
    case 'schema_name':
      return subject.schemaName;
    case 'schema_version':
      return subject.schemaVersion;
    case 'schema_issuer_did':
    case 'schema_issuer_id':
      return subject.schemaIssuerId;
    case 'cred_def_id':
      return subject.credentialDefinitionId;
    case 'issuer_did':
    case 'issuer_id':
      return subject.issuerId;
    case 'rev_reg_id':
      return subject.revocable ? undefined : null;
  }
  const match = /^attr::(.{1,256})::(marker|value)$/s.exec(tag);
  if (!match) throw new WqlUnsupported(`the tag ${tag.slice(0, 64)}`);
  const name = canonicalName(match[1]!);
  if (!subject.attributes.has(name)) return null;
  return match[2] === 'value' ? subject.values.get(name) : '1';
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new WqlUnsupported('an operator without a list');
  return value;
}
