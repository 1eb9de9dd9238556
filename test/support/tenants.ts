import assert from 'node:assert/strict';
import type { Answer, Body } from './agents.ts';

/** Support for tests: tenants of an instance, each called with its own token alone. */

/** Whatever takes calls of the operator: one agent, or a proxy before several. */
export interface Instance {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Tenant extends Instance {
  readonly id: string;
  readonly token: string;
  get(path: string): Promise<Body>;
  post(path: string, body?: unknown): Promise<Body>;
}

export const MULTITENANT = ['--multitenant', '--multitenant-admin', '--jwt-secret', 'a secret of these tests'];
export const AUTO = { 'auto-accept-invites': true, 'auto-accept-requests': true, 'preserve-exchange-records': true };
export const ISSUES = { ...AUTO, 'auto-respond-credential-request': true };
export const HOLDS = { ...AUTO, 'auto-respond-credential-offer': true, 'auto-store-credential': true };

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}`, 'x-api-key': '' });

export function tenantOf(instance: Instance, id: string, token: string): Tenant {
  const call: Tenant['call'] = (method, path, body, headers) => instance.call(method, path, body, { ...bearer(token), ...headers });
  const expect = async (method: string, path: string, body?: unknown): Promise<Body> => {
    const answer = await call(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.body;
  };
  return { id, token, call, get: (path) => expect('GET', path), post: (path, body) => expect('POST', path, body ?? {}) };
}

export async function newTenant(instance: Instance, name: string, more: object = {}): Promise<Tenant> {
  const made = await instance.call('POST', '/multitenancy/wallet', { wallet_name: name, label: name, extra_settings: AUTO, ...more });
  assert.equal(made.status, 200, made.text);
  return tenantOf(instance, made.body.wallet_id, made.body.token);
}
