import { readFileSync } from 'node:fs';

/** ACA-Py's own document of its admin API, version 1.7.0: what its controllers' generated clients hold an agent against. */

/** A schema of OpenAPI 2. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly 'x-nullable'?: boolean;
}

export interface Parameter extends Schema {
  readonly name: string;
  readonly in: 'query' | 'body' | 'header';
  readonly schema?: Schema;
}

export interface AcapyOperation {
  readonly parameters: readonly Parameter[];
  readonly responses: Readonly<Record<string, { readonly schema: Schema }>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, AcapyOperation>>>>;
  readonly definitions: Readonly<Record<string, Schema>>;
}

const document = JSON.parse(readFileSync(new URL('../vectors/acapy/openapi.json', import.meta.url), 'utf8')) as Document;

/** Its operations, by names as in `GET /wallet/did`. */
export const acapyOperations: ReadonlyMap<string, AcapyOperation> = new Map(
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
  ),
);

/** What a reference stands for, and the name of that. */
export function resolved(schema: Schema): { readonly schema: Schema; readonly name?: string } {
  const one = schema.$ref ?? (schema.allOf?.length === 1 ? schema.allOf[0]!.$ref : undefined);
  if (one === undefined) return { schema };
  const name = one.slice('#/definitions/'.length);
  return { schema: document.definitions[name]!, name };
}
