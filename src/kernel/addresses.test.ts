import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { EndpointUrl, ImageUrl, shownUrl, webhookUrl, webhookUrls } from './addresses.ts';
import { validator } from './schema.ts';

const unprocessable = (error: unknown): boolean => error instanceof AppError && error.row.status === 422;

test('webhooks are trimmed, and go to http, https, ws and wss alone', () => {
  for (const [given, kept] of [
    ['https://a.example/hooks', 'https://a.example/hooks'],
    ['  http://127.0.0.1:1/x#a key'.replace('a key', 'key'), 'http://127.0.0.1:1/x#key'],
    ['\thttps://a.example#k\n', 'https://a.example#k'],
    ['HTTPS://A.example', 'HTTPS://A.example'],
    ['wss://a.example/hooks#k', 'wss://a.example/hooks#k'],
    ['http://[::1]:8080/', 'http://[::1]:8080/'],
    ['https://u:p@a.example/', 'https://u:p@a.example/'],
  ])
    assert.equal(webhookUrl(given!), kept);
  for (const wrong of [
    '',
    ' ',
    'a.example/hooks',
    'ftp://a.example',
    'wsx://a.example',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://',
    'http://a b/',
    'https:a.example',
    'http://[::1',
    'http://a.example:99999/',
    'https://a.example/#k\r\nx: y',
    'https://a.example/#käse',
    '#key',
  ])
    assert.throws(() => webhookUrl(wrong), unprocessable, wrong);
  assert.throws(
    () => webhookUrl('ftp://u:word@a.example#key'),
    (error: Error) => !/word|key/.test(error.message),
  );
});

test('a list that comes back as it was shown means what it was', () => {
  const kept = ['https://a.example#one', 'https://a.example#two', 'https://u:p@b.example'];
  assert.deepEqual(kept.map(shownUrl), ['https://a.example#***', 'https://a.example#***', 'https://***@b.example']);
  assert.deepEqual(webhookUrls(kept.map(shownUrl), kept), kept);
  assert.deepEqual(webhookUrls(['https://***@b.example', 'https://c.example'], kept), [kept[2], 'https://c.example']);
  assert.throws(() => webhookUrls(['https://c.example#***'], kept), unprocessable);
  assert.throws(() => webhookUrls(['https://a.example#***', 'https://a.example#***', 'https://a.example#***'], kept), unprocessable);
});

test('endpoints and pictures are addresses that somebody can use', () => {
  const [endpoint, image] = [validator(EndpointUrl), validator(ImageUrl)];
  for (const fine of ['http://a', 'https://a.example:8020/x?y=z', 'ws://127.0.0.1:1', 'WSS://a.example/ws', 'http://[::1]:3000'])
    assert.ok(endpoint.check(fine), fine);
  for (const wrong of [
    '',
    'a',
    'ftp://a',
    'javascript:alert(1)',
    'http://',
    'http://u:p@a',
    'http://a b',
    ' http://a',
    'http://a:b',
    'httpx://a',
    `http://${'a'.repeat(2000)}`,
  ])
    assert.equal(endpoint.check(wrong), false, wrong);
  for (const fine of ['', 'https://a.example/b.png', 'data:image/png;base64,AA==']) assert.ok(image.check(fine), fine);
  for (const wrong of ['javascript:alert(1)', 'data:text/html,x', 'a.png', 'ws://a', 'data:image/png;a b'])
    assert.equal(image.check(wrong), false, wrong);
});
