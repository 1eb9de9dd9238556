import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wholeIds } from './whole-ids.ts';

const paths = ['GET /r/{id*}', 'GET /r/{id*}/issued', 'GET /r/{id*}/issued/details', 'PUT /r/{id*}/active', 'GET /fixed/{id}/issued'].map(
  (route) => {
    const [method, path] = route.split(' ') as ['GET' | 'PUT', string];
    return { method, path };
  },
);
const whole = wholeIds(paths);

test('an identifier with slashes is one part of a path that goes on behind it', () => {
  for (const [method, given, wanted] of [
    ['GET', '/r/did:a/b/c/issued', '/r/did:a%2Fb%2Fc/issued'],
    ['GET', '/r/did:a/b/issued/details?x=/issued', '/r/did:a%2Fb/issued/details?x=/issued'],
    ['PUT', '/r/a/b/active', '/r/a%2Fb/active'],
    ['GET', '/r/a%2Fb/issued', '/r/a%2Fb/issued'],
    ['GET', '/r/a/b', '/r/a/b'],
    ['PUT', '/r/a/b/issued', '/r/a/b/issued'],
    ['GET', '/fixed/a/b/issued', '/fixed/a/b/issued'],
    ['GET', '/r//issued', '/r//issued'],
  ] as const)
    assert.equal(whole(method, given), wanted);
});
