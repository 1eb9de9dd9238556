import type { Static } from 'typebox';
import Type from '../kernel/type.ts';
import type { JsonObject } from '../ports/json.ts';
import { canonicalName } from './anoncreds-values.ts';
import type { Wish } from './proof-request.ts';

const Optional = Type.Optional(Type.Union([Type.String(), Type.Null()]));
/** A prover's offer (RFC 0037, "Presentation Preview"), for credentials of Indy. */
export const PresentationPreview = Type.Object({
  '@type': Type.Optional(Type.String()),
  attributes: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1, maxLength: 256 }),
      cred_def_id: Optional,
      'mime-type': Optional,
      value: Optional,
      referent: Type.Optional(Type.Union([Type.String({ maxLength: 256 }), Type.Null()])),
    }),
    { maxItems: 125 },
  ),
  predicates: Type.Array(
    Type.Object({
      name: Type.String({ minLength: 1, maxLength: 256 }),
      cred_def_id: Optional,
      predicate: Type.Union([Type.Literal('<'), Type.Literal('<='), Type.Literal('>='), Type.Literal('>')]),
      threshold: Type.Integer({ minimum: -2147483648, maximum: 2147483647 }),
    }),
    { maxItems: 125 },
  ),
});
export type PresentationPreview = Static<typeof PresentationPreview>;

/**
 * The proof request that asks for what a preview offers. Attributes under one referent are asked of one credential; one with a value and without a credential
 * definition is self-attested.
 */
export function requestOfPreview(preview: PresentationPreview): JsonObject {
  const attributes: Record<string, JsonObject> = {};
  const predicates: Record<string, JsonObject> = {};
  const restricted = (id: string | null | undefined): JsonObject => (id ? { restrictions: [{ cred_def_id: id }] } : {});
  const groups = new Map<string, { names: string[]; id: string | null | undefined }>();
  for (const { name, cred_def_id, value, referent } of preview.attributes) {
    const selfAttested = !cred_def_id && typeof value === 'string';
    if (referent && !selfAttested) {
      const group = groups.get(referent) ?? { names: [], id: cred_def_id };
      group.names.push(name);
      group.id ??= cred_def_id;
      groups.set(referent, group);
    } else {
      attributes[`${selfAttested ? 'self_' : ''}${Object.keys(attributes).length}_${canonicalName(name)}_uuid`] = {
        name,
        ...restricted(cred_def_id),
      };
    }
  }
  for (const [referent, { names, id }] of groups)
    attributes[referent] = { ...(names.length === 1 ? { name: names[0]! } : { names }), ...restricted(id) };
  const words = { '<': 'lt', '<=': 'le', '>=': 'ge', '>': 'gt' };
  for (const { name, cred_def_id, predicate, threshold } of preview.predicates) {
    predicates[`${Object.keys(predicates).length}_${canonicalName(name)}_${words[predicate]}_uuid`] = {
      name,
      p_type: predicate,
      p_value: threshold,
      ...restricted(cred_def_id),
    };
  }
  return { requested_attributes: attributes, requested_predicates: predicates };
}

/** The constraints of a preview on credentials, so that the ones it was made from are presented: attributes under one referent are of one credential. */
export function wishesOfPreview(preview: PresentationPreview): Wish[] {
  const wishes: Wish[] = [];
  const groups = new Map<string, PresentationPreview['attributes']>();
  for (const one of preview.attributes) {
    const { name, cred_def_id, value, referent } = one;
    if (!cred_def_id && typeof value === 'string')
      wishes.push({ names: [name], restrictions: { [`attr::${name}::value`]: value }, stated: value });
    else if (referent) groups.set(referent, [...(groups.get(referent) ?? []), one]);
    else wishes.push(wishOf([one]));
  }
  for (const group of groups.values()) wishes.push(wishOf(group));
  for (const { name, cred_def_id } of preview.predicates)
    wishes.push({ names: [name], ...(cred_def_id && { restrictions: { cred_def_id } }) });
  return wishes;
}

function wishOf(attributes: PresentationPreview['attributes']): Wish {
  const values = attributes.flatMap(({ name, value }): [string, string][] =>
    typeof value === 'string' ? [[`attr::${name}::value`, value]] : [],
  );
  const id = attributes.map(({ cred_def_id }) => cred_def_id).find((one) => one);
  return {
    names: attributes.map(({ name }) => name),
    restrictions: { ...(id && { cred_def_id: id }), ...Object.fromEntries(values) },
  };
}

/** One thing that a presentation shows: values by name, the referent's name, and the credential definition where a credential is behind it. */
interface Shown {
  readonly referent: string;
  readonly values: readonly (readonly [name: string, raw: unknown])[];
  readonly definition?: unknown;
}

/**
 * Why a presentation is not the one that was proposed: it shows a value or uses a credential definition other than the proposal named for that attribute, group or
 * predicate. Whether it was proven is judged when it is verified.
 */
export function otherThanProposed(preview: PresentationPreview, request: JsonObject, presentation: JsonObject): string | undefined {
  type Members = Record<string, JsonObject | null | undefined>;
  const members = (value: unknown): Members =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {};
  const asked = members(request.requested_attributes);
  const proof = members(presentation.requested_proof);
  const identifiers = Array.isArray(presentation.identifiers) ? (presentation.identifiers as (JsonObject | null)[]) : [];
  const definitionAt = (one: JsonObject | null | undefined): unknown => identifiers[Number(one?.sub_proof_index)]?.cred_def_id;
  const nameOf = (referent: string): unknown => (Object.hasOwn(asked, referent) ? asked[referent]?.name : undefined);
  const shown: Shown[] = [
    ...Object.entries(members(proof.revealed_attrs)).map(([referent, one]) => ({
      referent,
      values: [[String(nameOf(referent)), one?.raw] as const],
      definition: definitionAt(one),
    })),
    ...Object.entries(members(proof.self_attested_attrs)).map(([referent, raw]) => ({
      referent,
      values: [[String(nameOf(referent)), raw] as const],
    })),
    ...Object.entries(members(proof.revealed_attr_groups)).map(([referent, one]) => ({
      referent,
      values: Object.entries(members(one?.values)).map(([name, value]) => [name, value?.raw] as const),
      definition: definitionAt(one),
    })),
  ];
  for (const { referent, values, definition } of shown) {
    for (const [name, raw] of values) {
      const specs = preview.attributes.filter((spec) => canonicalName(spec.name) === canonicalName(name));
      // a proposal for this group is none for another
      const own = specs.filter((spec) => spec.referent === referent);
      const fits = (own.length > 0 ? own : specs).some(
        ({ value, cred_def_id }) => (typeof value !== 'string' || value === raw) && (!cred_def_id || cred_def_id === definition),
      );
      if (specs.length > 0 && !fits) return `Presentation ${name}=${String(raw).slice(0, 100)} mismatches proposal value`;
    }
  }
  const predicates = members(request.requested_predicates);
  for (const [referent, one] of Object.entries(members(proof.predicates))) {
    const wanted = Object.hasOwn(predicates, referent) ? predicates[referent] : undefined;
    const specs = preview.predicates.filter((spec) => canonicalName(spec.name) === canonicalName(String(wanted?.name)));
    const fits = specs.some(
      ({ predicate, threshold, cred_def_id }) =>
        predicate === wanted?.p_type && threshold === wanted?.p_value && (!cred_def_id || cred_def_id === definitionAt(one)),
    );
    if (specs.length > 0 && !fits) return `Presentation predicate on ${String(wanted?.name).slice(0, 100)} mismatches proposal`;
  }
  return undefined;
}
