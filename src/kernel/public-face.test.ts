import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Calls } from './calls.ts';
import type { Kernel } from './context.ts';
import { compilePublicRoutes, createPublicFace } from './public-face.ts';
import type { PublicRoute } from './public-route.ts';

const route = (route: string, more: Partial<PublicRoute> = {}): PublicRoute => ({ route, handle: () => ({ status: 200 }), ...more });

test('a route that is malformed, comes twice, or would take messages stops the start', () => {
  for (const [routes, why] of [
    [['GET lists'], /malformed/],
    [['get /lists'], /malformed/],
    [['HEAD /lists'], /malformed/],
    [['CONNECT /lists'], /malformed/],
    [['GET /lists/{rest*}/more'], /malformed/],
    [['GET /li sts'], /malformed/],
    [['GET /li%20sts'], /malformed/],
    [['GET /{Upper}'], /malformed/],
    [['GET /{tenant}/list', 'GET /{other}/list'], /twice/],
    [['POST /'], /messages are posted/],
    [['POST /agent'], /messages are posted/],
  ] as const)
    assert.throws(
      () =>
        compilePublicRoutes(
          routes.map((one) => route(one)),
          ['/', '/agent'],
        ),
      why,
      routes.join(),
    );
  const good = ['GET /', 'GET /agent', 'POST /{tenant}/list', 'PUT /{tenant}/list', 'GET /.well-known/{rest*}', 'GET /~a_b-c.d'];
  assert.equal(
    compilePublicRoutes(
      good.map((one) => route(one)),
      ['/', '/agent'],
    ).length,
    good.length,
  );
});

/** Which route a request has, by its number and its parameters. */
function finder(routes: readonly PublicRoute[]): (method: string, url: string) => Promise<unknown> {
  const store = { load: async () => [], keyOwner: async () => undefined };
  const kernel = {
    base: 'base',
    db: { store, blobs: {} },
    profiles: { of: async () => ({ settings: {} }), gone: async () => false },
    trace: { span: (_name: string, _attributes: object, run: () => unknown) => run() },
    now: Date.now,
  } as unknown as Kernel;
  const answering = routes.map(
    (one): PublicRoute => ({
      ...one,
      handle: ({ params, tenant }) => ({ status: 200, body: JSON.stringify([one.route, tenant, params]) }),
    }),
  );
  const face = createPublicFace(kernel, {} as Calls, compilePublicRoutes(answering));
  return async (method, url) => {
    const found = face.find(method, url);
    const answer = await found?.answer({
      method,
      url,
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.of(),
      signal: AbortSignal.abort(),
    });
    return answer && JSON.parse(String(answer.body));
  };
}

test('the most literal route is the one; parameters are decoded, and data', async () => {
  const find = finder([
    route('GET /{tenant}/{list}'),
    route('GET /{tenant}/all'),
    route('GET /lists/{list}'),
    route('GET /files/{path*}'),
    route('POST /{tenant}/all'),
    route('GET /short', { also: (_path, query) => (query.has('id') ? { id: query.get('id')! } : undefined) }),
  ]);
  for (const [method, url, found] of [
    ['GET', '/w/all', ['GET /{tenant}/all', 'w', { tenant: 'w' }]],
    ['HEAD', '/w/all', ['GET /{tenant}/all', 'w', { tenant: 'w' }]],
    ['POST', '/w/all', ['POST /{tenant}/all', 'w', { tenant: 'w' }]],
    ['PUT', '/w/all', undefined],
    ['GET', '/w/all/', undefined],
    ['GET', '/w/', undefined],
    ['GET', '//all', undefined],
    ['GET', '/w/1?x=/y', ['GET /{tenant}/{list}', 'w', { tenant: 'w', list: '1' }]],
    ['GET', '/lists/1', ['GET /lists/{list}', 'base', { list: '1' }]],
    ['GET', '/lists/all', ['GET /lists/{list}', 'base', { list: 'all' }]],
    ['GET', '/lists/a%2Fb%00', ['GET /lists/{list}', 'base', { list: 'a/b\0' }]],
    ['GET', '/lists/..', ['GET /lists/{list}', 'base', { list: '..' }]],
    ['GET', '/lists/%E0%A4%A', undefined],
    ['GET', '/files/a/b%20c', ['GET /files/{path*}', 'base', { path: 'a/b c' }]],
    ['GET', '/files/__proto__', ['GET /files/{path*}', 'base', { path: '__proto__' }]],
    ['GET', 'http://elsewhere/lists/1', undefined],
    ['GET', '/?id=9', ['GET /short', 'base', { id: '9' }]],
    ['GET', '/lists/1?id=9', ['GET /lists/{list}', 'base', { list: '1' }]],
    ['GET', '/', undefined],
    ['GET', '', undefined],
  ] as const)
    assert.deepEqual(await find(method, url), found, `${method} ${url}`);
});
