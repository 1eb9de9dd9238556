import { jsonOf } from '../kernel/json.ts';
import type { JsonObject } from '../ports/json.ts';
import type { Operation } from './operations.ts';

/** The OpenAPI 3.1 document of what is served: derived, so it cannot be wrong about a path. */
export function openapiDocument(operations: readonly Operation[], version: string, multitenant = false): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const op of operations) {
    const path = op.path.replaceAll('*}', '}');
    const parameters = [
      ...[...path.matchAll(/\{([a-z_]+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...queryParameters(op),
    ];
    paths[path] ??= {};
    paths[path][op.method.toLowerCase()] = {
      operationId: op.operationId,
      tags: [op.tag],
      summary: op.summary,
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(op.body ? { requestBody: { required: true, content: { 'application/json': { schema: plain(op.body.schema) } } } } : {}),
      ...(op.auth === 'none' ? { security: [] } : {}),
      ...(multitenant && op.auth === 'tenant' ? { security: [{ Bearer: [] }] } : {}),
      responses: {
        [op.status ?? 200]: {
          description: 'Success',
          content: op.produces ? { 'text/plain': { schema: { type: 'string' } } } : { 'application/json': { schema: {} } },
        },
        ...(op.auth === 'none' ? {} : { 401: { description: 'The API key is missing or wrong' } }),
        ...(op.path.includes('{') ? { 404: { description: 'No such record' } } : {}),
        ...(op.body || op.query ? { 422: { description: 'The request does not match its schema' } } : {}),
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'FlexID Cloud Agent',
      version,
      description: 'The admin API: what a controller calls. Paths, bodies and records are those of ACA-Py.',
    },
    paths: jsonOf(paths),
    components: {
      securitySchemes: {
        ApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        ...(multitenant ? { Bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } : {}),
      },
    },
    security: [{ ApiKey: [] }],
    tags: [...new Set(operations.map((op) => op.tag))].sort().map((name) => ({ name })),
  };
}

function queryParameters(op: Operation): object[] {
  const schema = op.query?.schema as { properties?: Record<string, object>; required?: string[] } | undefined;
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: 'query',
    ...(schema?.required?.includes(name) ? { required: true } : {}),
    schema: plain(property),
  }));
}

/** A schema without the library's own hidden members. */
const plain = (schema: object): unknown => JSON.parse(JSON.stringify(schema));
