import assert from 'node:assert/strict';
import type { Kit } from '../lib/kit.ts';
import { prepare, README, readBy, talk } from './run.ts';

const SMALL = { members: 6, messages: 6 };

export async function check(kit: Kit): Promise<void> {
  const { step } = kit;
  const size = kit.full ? README : SMALL;
  const group = await prepare(kit, size);
  const { desk, members, marks, posts } = group;
  const before = await talk(kit, group, size);
  await step('everybody has every message, once and in order', async () => {
    assert.equal(posts.length, size.messages);
    assert.deepEqual(
      posts.map(({ text }) => text).sort(),
      Array.from({ length: size.messages }, (_none, index) => `message ${index + 1}`).sort(),
    );
    for (const member of members) assert.deepEqual(readBy(member), posts, member.name);
    return [undefined, `${size.members} × ${size.messages}`];
  });
  await step('each has the mark of all, and had not while one was away', async () => {
    assert.equal(before, size.members - 1);
    for (const [n, of] of marks) assert.equal(of.size, size.members, `message ${n}`);
    return [undefined, `${before}, then ${size.members}`];
  });
  await step('the connections are those of the beginning', async () => {
    const { results } = await desk.controller.get('/connections?state=active&limit=1000');
    // with the one by which the desk keeps mail
    assert.equal(results.length, size.members + 1);
    return [undefined, `${results.length}, after both were switched off`];
  });
}
