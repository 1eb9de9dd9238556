import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKit } from '../../examples/lib/kit.ts';
import { createStack } from '../../examples/lib/stage.ts';
import { login, prepare, SHOP, scan, share } from '../../examples/login/run.ts';
import { CACHE, installOnce, ROOT, run, startPeer } from './processes.ts';

/** The OpenID Provider of examples/login, with the unmodified Authlib of PyPI as its client. */

const VENV = join(CACHE, 'login');
const PYTHON = join(VENV, 'bin', 'python3');

async function bringPython(): Promise<string | undefined> {
  const version = await run('python3', ['-c', 'import sys, venv, ensurepip; print(sys.version_info >= (3, 11))']).catch(() => undefined);
  if (version?.text.trim() !== 'True') return 'Authlib needs python3 with venv';
  await installOnce(VENV, '.installed', async () => {
    rmSync(VENV, { recursive: true, force: true });
    const made = await run('python3', ['-m', 'venv', VENV]);
    if (made.code !== 0) return made;
    const packages = ['authlib==1.9.10', 'requests==2.34.2'];
    return run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:', ...packages]);
  });
  return undefined;
}

const skip = await bringPython();

test('Authlib logs in: the sub, the ID token and the userinfo of openid-client', { skip, timeout: 580_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'flexid-login-'));
  const { open, stop } = createStack();
  try {
    const screen = { begin: () => {}, line: (what: string, detail: string) => t.diagnostic(`${what}: ${detail}`) };
    const logins = await prepare(createKit({ folder, open }, screen, false));
    const first = await login(logins, SHOP, { pres_req_conf_id: 'member' });
    const lines: string[] = [];
    let more = (): void => {};
    const { issuer } = logins;
    const given = { ...SHOP, issuer, redirect_uri: SHOP.redirect_uris[0], configuration: 'member' };
    const python = startPeer(PYTHON, [join(ROOT, 'test/interop/login_client.py'), JSON.stringify(given)], process.env, (line) => {
      lines.push(line);
      more();
    });
    await open(Promise.resolve(python));
    const line = async (at: number) => {
      while (lines.length <= at) {
        const next = new Promise<void>((resolve) => {
          more = resolve;
        });
        if ((await Promise.race([next.then(() => true), python.ended.then(() => false)])) === false) break;
      }
      assert.ok(lines[at], python.stderr());
      return JSON.parse(lines[at]);
    };
    const { html } = await line(0);
    await share(logins, await scan(logins.wallet, html));
    python.child.stdin!.write('\n');
    const { alg, claims, userinfo } = await line(1);
    assert.equal(alg, 'ES256');
    assert.equal(claims.sub, first.claims.sub);
    assert.equal(claims.vc_presented_attributes, first.claims.vc_presented_attributes);
    assert.deepEqual(userinfo, first.userinfo);
  } finally {
    await stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});
