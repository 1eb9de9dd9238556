import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verkeyToDidKey } from '../../src/didcomm/encoding.ts';
import { newKeyPair, signBytes } from '../../src/didcomm/keys.ts';
import { readMessage } from '../../src/kernel/message.ts';
import { BACKUP_URI, isProven, statement } from '../../src/protocols/agency/backup-parts.ts';
import { NOW, OUR_KEY, PEER_KEY, runStep } from '../support/steps.ts';

/** Devices and guests of an agency that go for the backups of others, or fill its disk with their own. */

const pair = newKeyPair(Buffer.alloc(32, 9));
const controller = verkeyToDidKey(pair.verkey);
const other = verkeyToDidKey(PEER_KEY);
const settings = { agency: true, agencyBackupBytes: 100, agencyBackupGenerations: 2 };
const about = { generation: 3, sha256: 'b'.repeat(64), bytes: 6, parts: 2 };
const first = { controller, ...about, part: 1, data: 'AAAA' };
const kept = { controller, generation: 3, sha256: 'a'.repeat(64), bytes: 60, parts: 1, upload: 'up', stored: NOW };
const cloud = {
  cloud: {
    category: 'cloud_agent',
    id: 'cloud-1',
    state: 'provisioned',
    value: { devices: [{ connection: 'c1', added: NOW }], routes: 0, backups: { controllers: [controller], kept: [kept], uploads: [] } },
  },
};
const refusedFor = (message: string, body: object): string | undefined =>
  runStep('wallet-backup', { message, body: { ...body }, settings, loaded: cloud }).problem?.code;

test('[BK-20] a signature that was seen elsewhere, or is of other words, proves nothing', () => {
  const signed = (by: typeof pair, ...keys: [string, string]): string =>
    Buffer.from(signBytes(Buffer.from(statement(controller, ...keys)), by)).toString('base64url');
  const proves = (signature: string): boolean =>
    isProven(readMessage({ '@type': `${BACKUP_URI}/list`, '@id': 'm', controller, signature }, PEER_KEY, OUR_KEY));
  assert.ok(proves(signed(pair, PEER_KEY, OUR_KEY)));
  for (const signature of [
    signed(pair, OUR_KEY, PEER_KEY),
    signed(pair, PEER_KEY, PEER_KEY),
    signed(newKeyPair(Buffer.alloc(32, 8)), PEER_KEY, OUR_KEY),
    'A'.repeat(86),
    '',
  ])
    assert.ok(!proves(signature), signature);
});

test('[BK-21] [BK-22] [BK-23] [BK-24] a device does not overwrite, nor add for others, nor beyond its bounds', () => {
  assert.equal(refusedFor('put', first), 'out-of-order');
  assert.equal(refusedFor('put', { ...first, generation: 4 }), undefined);
  assert.equal(refusedFor('put', { ...first, generation: 4, controller: other }), 'unauthorized');
  assert.equal(refusedFor('put', { ...first, generation: 4, bytes: 41 }), 'over-quota');
  assert.equal(refusedFor('put', { ...first, generation: 4, bytes: 3 }), 'over-long');
});

test('[BK-25] a device that was stolen unlocked adds backups, and gets none', () => {
  assert.equal(refusedFor('get', { controller, signature: 'A'.repeat(86), sha256: kept.sha256, part: 1 }), 'unauthorized');
});

test('[BK-27] names that are registered and removed again leave no more jobs in a day than the cloud agent may have names', () => {
  const updates = [{ kind: 'did', value: 'a name', action: 'add', expires_in: 8_000_000 }];
  const given = { message: 'route-update', body: { updates }, settings: { ...settings, mediatorMaxKeys: 5 } };
  const record = { id: 'd', role: 'agency', state: 'provisioned', connection: 'c1', value: { generation: 1 } };
  const made = (names: number): number => {
    const value = { devices: [{ connection: 'c1', added: NOW }], routes: 0, expiring: { day: Math.floor(NOW / 86_400_000), names } };
    return runStep('agency', { ...given, record, loaded: { cloud: { ...cloud.cloud, value } } }).next!.length;
  };
  assert.deepEqual([made(4), made(5)], [1, 0]);
});
