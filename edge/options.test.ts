import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { filesOf, keepSettings, keptSettings, Mistake, mergedSettings, optionsOf } from './options.ts';

test('flags stand before the verb, and what comes after it is the verb’s', () => {
  const { folder, given, verb, args } = optionsOf(
    ['--folder', '/w', '--egress-allow', '127.0.0.0/8', '--egress-allow=10.0.0.0/8', 'issue', 'a', '--b', 'c=d'],
    {},
  );
  assert.deepEqual([folder, given, verb, args], ['/w', { 'egress-allow': ['127.0.0.0/8', '10.0.0.0/8'] }, 'issue', ['a', '--b', 'c=d']]);
  assert.deepEqual(Object.values(optionsOf(['--agency', 'http://a'], {}).given), ['http://a']);
  const moved = mergedSettings({ 'mediator-invitation': 'http://a', label: 'A' }, optionsOf(['--agency', 'http://b'], {}).given);
  assert.deepEqual(Object.values(moved).sort(), ['A', 'http://b']);
  assert.equal(optionsOf([], { XDG_DATA_HOME: '/data' }).folder, '/data/flexid/edge');
  assert.ok(optionsOf([], { XDG_DATA_HOME: 'relative' }).folder.endsWith('/.local/share/flexid/edge'));
  for (const argv of [['--store', 'x'], ['--admin', 'a'], ['--inbound-transport', 'http'], ['--label']])
    assert.throws(() => optionsOf(argv, {}), Mistake, argv.join(' '));
});

test('what was given is kept for the next start, but for what opens the wallet and what pays', () => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-edge-'));
  try {
    assert.deepEqual(keptSettings(folder), {});
    keepSettings(folder, { label: 'Alice', 'egress-allow': ['127.0.0.0/8'], 'wallet-key': 'secret', 'sponsor-mnemonic': 'secret' });
    assert.deepEqual(keptSettings(folder), { label: 'Alice', 'egress-allow': ['127.0.0.0/8'] });
    keepSettings(folder, mergedSettings(keptSettings(folder), { label: 'Bob' }));
    assert.deepEqual(keptSettings(folder), { label: 'Bob', 'egress-allow': ['127.0.0.0/8'] });
    const { settings } = filesOf(folder);
    assert.doesNotMatch(readFileSync(settings, 'utf8'), /secret/);
    for (const text of ['- a', 'store: x', 'label: [', '3']) {
      writeFileSync(settings, text);
      assert.throws(() => keptSettings(folder), Mistake, text);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
